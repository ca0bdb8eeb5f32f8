// Computes an integer ONNX file of pocketgan: the same pixels as onnxruntime. docs/integers.md says what is computed, and
// runtime/pocketgan/model/numpy_session.py is the same in numpy. A tensor is { shape, data }, with a typed array.

"use strict";

const ARRAY_OF_TYPE = { 1: Float32Array, 2: Uint8Array, 3: Int8Array, 6: Int32Array, 7: Int32Array };

const size = (shape) => shape.reduce((product, length) => product * length, 1);

// Reading: an ONNX file is a protocol buffer, of which these are the fields (number, value) of one message.
function* fieldsOf(bytes) {
  let position = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[position++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(BigInt.asIntN(64, value));
    }
  };
  while (position < bytes.length) {
    const key = varint();
    const [number, wireType] = [key >> 3, key & 7];
    if (wireType === 0) {
      yield [number, varint()];
    } else {
      const length = wireType === 2 ? varint() : wireType === 1 ? 8 : 4;
      yield [number, bytes.subarray(position, (position += length))];
    }
  }
}

const textOf = (bytes) => new TextDecoder().decode(bytes);

function integersOf(value) {
  if (typeof value === "number") return [value];
  const integers = [];
  for (let position = 0; position < value.length; ) {
    let [integer, shift] = [0n, 0n];
    do {
      integer |= BigInt(value[position] & 127) << shift;
      shift += 7n;
    } while (value[position++] > 127);
    integers.push(Number(BigInt.asIntN(64, integer)));
  }
  return integers;
}

function readConstant(bytes) {
  const found = { name: "", type: 0, shape: [], raw: new Uint8Array() };
  for (const [number, value] of fieldsOf(bytes)) {
    if (number === 1) found.shape.push(...integersOf(value));
    if (number === 2) found.type = value;
    if (number === 8) found.name = textOf(value);
    if (number === 9) found.raw = value.slice();
  }
  const { name, type, shape, raw } = found;
  // 64 bits are for shapes and positions alone, which are small.
  const data = type === 7 ? Int32Array.from(new BigInt64Array(raw.buffer), Number) : new ARRAY_OF_TYPE[type](raw.buffer);
  return [name, { shape, data }];
}

function readNode(bytes) {
  const node = { operator: "", inputs: [], output: "", attributes: {} };
  for (const [number, value] of fieldsOf(bytes)) {
    if (number === 1) node.inputs.push(textOf(value));
    if (number === 2) node.output = textOf(value);
    if (number === 4) node.operator = textOf(value);
    if (number !== 5) continue;
    let [name, found] = ["", []];
    for (const [field, part] of fieldsOf(value)) {
      if (field === 1) name = textOf(part);
      if (field === 2) found = new DataView(part.buffer, part.byteOffset).getFloat32(0, true);
      if (field === 3) found = part;
      if (field === 8) found.push(...integersOf(part));
    }
    node.attributes[name] = found;
  }
  return node;
}

// A model: its card, and what draws with it.
function readModel(bytes) {
  const [nodes, constants, metadata] = [[], new Map(), new Map()];
  for (const [number, value] of fieldsOf(bytes)) {
    if (number === 7) {
      for (const [field, part] of fieldsOf(value)) {
        if (field === 1) nodes.push(readNode(part));
        if (field === 5) constants.set(...readConstant(part));
      }
    }
    if (number === 14) {
      const entry = new Map(fieldsOf(value));
      metadata.set(textOf(entry.get(1)), textOf(entry.get(2)));
    }
  }
  const later = [];
  for (const node of nodes) {
    if (node.inputs.every((name) => constants.has(name))) constants.set(node.output, computed(node, constants));
    else later.push(node);
  }
  // Images of latents, an Int8Array of ticks for each, and labels: numbers from 0. Returns a Uint8Array for each.
  const draw = (ticks, labels) => {
    const latents = new Float32Array(ticks.length * ticks[0].length);
    ticks.forEach((of, image) => of.forEach((tick, place) => (latents[image * of.length + place] = tick / 32)));
    const values = new Map(constants);
    values.set("z", { shape: [ticks.length, ticks[0].length], data: latents });
    if (labels) values.set("label", { shape: [labels.length], data: Int32Array.from(labels) });
    for (const node of later) values.set(node.output, computed(node, values));
    const { shape, data } = values.get("images");
    const pixels = shape[1] * shape[2];
    return ticks.map((_, image) => data.subarray(image * pixels, (image + 1) * pixels));
  };
  return { card: JSON.parse(metadata.get("pocketgan.card")), draw };
}

const computed = (node, values) => OPERATORS[node.operator](node.inputs.map((name) => values.get(name)), node.attributes);

// Layers. Numbers are { tensor, scale, zero }: integers, and what they stand for. Sums are { shape, data, scale }.
const OPERATORS = {
  DequantizeLinear: ([tensor, scale, zero]) => ({ tensor, scale: scale.data, zero: zero ? zero.data[0] : 0 }),

  QuantizeLinear([value, scale, zero]) {
    const [unit, offset] = [scale.data[0], zero.data[0]];
    if (value.table) {
      const table = Uint8Array.from(value.table, (number) => rounded(Math.fround(number / unit), offset));
      return { shape: value.tensor.shape, data: value.tensor.data.map((integer) => table[integer]) };
    }
    const source = value.data;
    const data = new Uint8Array(source.length);
    if (!value.scale) {
      for (let place = 0; place < data.length; place++) data[place] = rounded(Math.fround(source[place] / unit), offset);
      return { shape: value.shape, data };
    }
    const factors = value.scale.map((number) => Math.fround(number / unit)); // one, or one for each channel
    const each = factors.length > 1 ? size(value.shape.slice(2)) : data.length;
    for (let first = 0, channel = 0; first < data.length; first += each, channel = (channel + 1) % factors.length) {
      const factor = factors[channel];
      for (let place = first; place < first + each; place++) {
        data[place] = rounded(Math.fround(Math.fround(source[place]) * factor), offset);
      }
    }
    return { shape: value.shape, data };
  },

  Conv([images, weights, bias], { kernel_shape: [rows, columns], strides: [down, right], pads: [top, left, bottom, end] }) {
    const [count, channels, height, width] = images.tensor.shape;
    const outputs = weights.tensor.shape[0];
    const [tall, wide] = [(height + top + bottom - rows) / down + 1, (width + left + end - columns) / right + 1].map(Math.floor);
    const window = channels * rows * columns;
    const [taken, kernel, all] = [new Int16Array(window), Int16Array.from(weights.tensor.data), images.tensor.data];
    const data = new Int32Array(count * outputs * tall * wide);
    for (let image = 0; image < count; image++) {
      for (let y = 0; y < tall; y++) {
        for (let x = 0; x < wide; x++) {
          for (let channel = 0, place = 0; channel < channels; channel++) {
            for (let row = 0; row < rows; row++) {
              const from = y * down + row - top;
              const start = ((image * channels + channel) * height + from) * width + x * right - left;
              for (let column = 0; column < columns; column++, place++) {
                const at = x * right + column - left;
                const isInside = from >= 0 && from < height && at >= 0 && at < width;
                taken[place] = isInside ? all[start + column] - images.zero : 0;
              }
            }
          }
          for (let output = 0, weight = 0; output < outputs; output++) {
            let sum = bias.tensor.data[output];
            for (let place = 0; place < window; place++) sum = (sum + taken[place] * kernel[weight++]) | 0;
            data[((image * outputs + output) * tall + y) * wide + x] = sum;
          }
        }
      }
    }
    const scale = weights.scale.map((number) => Math.fround(images.scale[0] * number));
    return { shape: [count, outputs, tall, wide], data, scale };
  },

  Gemm: (inputs) => OPERATORS.MatMul(inputs),
  MatMul([left, right, bias]) {
    const [rows, inner] = left.tensor.shape.slice(-2);
    const columns = right.tensor.shape.at(-1);
    const stack = right.tensor.shape.slice(0, -2);
    const repeated = size(left.tensor.shape) === rows * inner; // one on the left for all on the right
    const shape = [...stack, rows, columns];
    const data = new Int32Array(size(shape));
    for (let matrix = 0; matrix < size(stack); matrix++) {
      for (let row = 0; row < rows; row++) {
        const from = ((repeated ? 0 : matrix) * rows + row) * inner;
        const to = (matrix * rows + row) * columns;
        for (let place = 0; place < inner; place++) {
          const factor = left.tensor.data[from + place] - left.zero;
          if (!factor) continue;
          const start = (matrix * inner + place) * columns;
          for (let column = 0; column < columns; column++) {
            data[to + column] += factor * (right.tensor.data[start + column] - right.zero);
          }
        }
      }
    }
    if (bias) for (let place = 0; place < data.length; place++) data[place] += bias.tensor.data[place % columns];
    return { shape, data, scale: [Math.fround(left.scale[0] * right.scale[0])] };
  },

  LeakyRelu: ([numbers], { alpha }) => withTable(numbers, (number) => (number < 0 ? Math.fround(alpha * number) : number)),
  Sigmoid: ([numbers]) => withTable(numbers, (number) => Math.fround(1 / (1 + Math.exp(-number)))),

  Abs: ([tensor]) => ({ shape: tensor.shape, data: tensor.data.map(Math.abs) }),
  Sign: ([tensor]) => ({ shape: tensor.shape, data: tensor.data.map(Math.sign) }),
  Add: (inputs) => broadcast(inputs, (one, other) => one + other),
  Sub: (inputs) => broadcast(inputs, (one, other) => one - other),
  Mul: (inputs) => broadcast(inputs, (one, other) => one * other),
  Div: (inputs) => broadcast(inputs, (one, other) => one / other),
  Max: (inputs) => broadcast(inputs, Math.max),
  Clip: ([tensor, least, most]) =>
    broadcast([most ? broadcast([tensor, most], Math.min) : tensor, least], Math.max),
  Cast: ([tensor], { to }) => ({ shape: tensor.shape, data: ARRAY_OF_TYPE[to].from(tensor.data) }),

  // Moving numbers.
  Reshape([tensor, { data: wanted }]) {
    const shape = [...wanted].map((length, place) => (length === 0 ? tensor.shape[place] : length));
    const known = size(shape.filter((length) => length !== -1));
    return { shape: shape.map((length) => (length === -1 ? size(tensor.shape) / known : length)), data: tensor.data };
  },
  Transpose: ([tensor], { perm }) =>
    moved(tensor, perm.map((axis) => tensor.shape[axis]), perm.map((axis) => stridesOf(tensor.shape)[axis])),
  Tile([tensor, { data: times }]) {
    return moved(tensor, tensor.shape.map((length, axis) => length * times[axis]), stridesOf(tensor.shape), tensor.shape);
  },
  Slice([tensor, starts, ends, axes]) {
    const [shape, strides] = [[...tensor.shape], stridesOf(tensor.shape)];
    let first = 0;
    axes.data.forEach((axis, place) => {
      shape[axis] = Math.min(ends.data[place], tensor.shape[axis]) - starts.data[place];
      first += starts.data[place] * strides[axis];
    });
    return moved({ shape: tensor.shape, data: tensor.data.subarray(first) }, shape, strides);
  },
  Pad([tensor, { data: pads }]) {
    const rank = tensor.shape.length;
    const shape = tensor.shape.map((length, axis) => length + pads[axis] + pads[axis + rank]);
    const data = new tensor.data.constructor(size(shape));
    const strides = stridesOf(shape);
    let place = 0;
    const first = strides.reduce((sum, stride, axis) => sum + stride * pads[axis], 0);
    eachPlace(tensor.shape, strides, (to) => (data[first + to] = tensor.data[place++]));
    return { shape, data };
  },
  Concat(tensors, { axis }) {
    const shape = [...tensors[0].shape];
    shape[axis] = tensors.reduce((sum, tensor) => sum + tensor.shape[axis], 0);
    const data = new tensors[0].data.constructor(size(shape));
    const rows = size(shape.slice(0, axis));
    let to = 0;
    for (let row = 0; row < rows; row++) {
      for (const tensor of tensors) {
        const length = tensor.data.length / rows;
        data.set(tensor.data.subarray(row * length, (row + 1) * length), to);
        to += length;
      }
    }
    return { shape, data };
  },
  Gather([tensor, places], { axis = 0 }) {
    const [outer, inner] = [size(tensor.shape.slice(0, axis)), size(tensor.shape.slice(axis + 1))];
    const shape = [...tensor.shape.slice(0, axis), ...places.shape, ...tensor.shape.slice(axis + 1)];
    const data = new tensor.data.constructor(size(shape));
    let to = 0;
    for (let row = 0; row < outer; row++) {
      for (const place of places.data) {
        const from = (row * tensor.shape[axis] + place) * inner;
        data.set(tensor.data.subarray(from, from + inner), to);
        to += inner;
      }
    }
    return { shape, data };
  },
  GatherElements([tensor, places]) { // along the last axis, as pocketgan writes it
    const [from, to] = [tensor.shape.at(-1), places.shape.at(-1)];
    const data = new tensor.data.constructor(places.data.length);
    for (let place = 0; place < data.length; place++) data[place] = tensor.data[Math.floor(place / to) * from + places.data[place]];
    return { shape: places.shape, data };
  },
  ReduceMax([tensor], { axes: [axis] }) {
    const shape = tensor.shape.map((length, place) => (place === axis ? 1 : length));
    const data = new tensor.data.constructor(size(shape)).fill(-(2 ** 31));
    const inner = size(tensor.shape.slice(axis + 1));
    tensor.data.forEach((value, place) => {
      const to = Math.floor(place / (inner * tensor.shape[axis])) * inner + (place % inner);
      data[to] = Math.max(data[to], value);
    });
    return { shape, data };
  },
};

// The nearest integer (ties to even) plus the zero point, from 0 to 255. At 1.5 * 2^52, numbers have no places after the
// point, and sums are rounded half to even.
const WITHOUT_PLACES = 1.5 * 2 ** 52;

function rounded(number, zero) {
  const sum = number + WITHOUT_PLACES - WITHOUT_PLACES + zero;
  return sum < 0 ? 0 : sum > 255 ? 255 : sum;
}

function withTable({ tensor, scale, zero }, apply) {
  const numbers = Float32Array.from({ length: 256 }, (_, integer) => Math.fround((integer - zero) * scale[0]));
  return { tensor, table: numbers.map(apply) };
}

function stridesOf(shape) {
  const strides = new Array(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1] * shape[axis + 1];
  return strides;
}

// Calls `visit` with the sum of index times stride, modulo the size in `within`, for all places of a shape in order.
function eachPlace(shape, strides, visit, within = shape) {
  const [index, last] = [new Array(shape.length).fill(0), shape.length - 1];
  for (let left = size(shape); left > 0; left--) {
    let sum = 0;
    for (let axis = 0; axis <= last; axis++) sum += (index[axis] % within[axis]) * strides[axis];
    visit(sum);
    for (let axis = last; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
  }
}

function moved(tensor, shape, strides, within = shape) {
  const data = new tensor.data.constructor(size(shape));
  let to = 0;
  eachPlace(shape, strides, (from) => (data[to++] = tensor.data[from]), within);
  return { shape, data };
}

function broadcast([one, other], apply) {
  const rank = Math.max(one.shape.length, other.shape.length);
  const [first, second] = [one, other].map((tensor) => [...new Array(rank - tensor.shape.length).fill(1), ...tensor.shape]);
  const shape = first.map((length, axis) => Math.max(length, second[axis]));
  const data = new one.data.constructor(size(shape));
  const stretched = (own) => stridesOf(own).map((stride, axis) => (own[axis] === 1 ? 0 : stride));
  const froms = new Int32Array(data.length);
  let to = 0;
  eachPlace(shape, stretched(first), (from) => (froms[to++] = from));
  to = 0;
  eachPlace(shape, stretched(second), (from) => {
    data[to] = apply(one.data[froms[to]], other.data[from]);
    to += 1;
  });
  return { shape, data };
}
