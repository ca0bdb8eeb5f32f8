// Draws the sheet, the chosen image, what is written and walks, in a worker, and saves and copies them.

// The engine draws in a worker. Each message is answered once, by its number.
const waiting = new Map();
let [worker, sent] = [null, 0];
function ask(message) {
  return new Promise((resolve, reject) => {
    waiting.set((sent += 1), { resolve, reject });
    worker.postMessage({ id: sent, ...message });
  });
}

function startWorker() {
  worker = new Worker(URL.createObjectURL(new Blob([element("engine").textContent], { type: "text/javascript" })));
  worker.onmessage = ({ data }) => {
    waiting.get(data.id).resolve(data);
    waiting.delete(data.id);
  };
  worker.onerror = ({ message }) => {
    say(`Cannot draw: ${message}`);
    for (const { reject } of waiting.values()) reject(new Error(message));
    waiting.clear();
  };
}

const say = (text) => (element("status").textContent = text);

function paint(canvas, image, width = card.image_width, height = card.image_height) {
  [canvas.width, canvas.height] = [width, height];
  const pixels = new ImageData(width, height);
  image.forEach((level, place) => pixels.data.set([level, level, level, 255], 4 * place));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

// Images side by side, each as tall as the others.
function sideBySide(parts) {
  const [width, height] = [card.image_width, card.image_height];
  const row = new Uint8Array(parts.length * width * height);
  parts.forEach((part, number) => {
    for (let y = 0; y < height; y++) row.set(part.subarray(y * width, (y + 1) * width), (y * parts.length + number) * width);
  });
  return row;
}

// Draws the sheet in parts. If something changes meanwhile, it begins again after the part at hand.
let [isDrawing, hasChanged] = [false, false];
async function drawSheet() {
  hasChanged = true;
  if (isDrawing) return;
  isDrawing = true;
  try {
    while (hasChanged) {
      hasChanged = false;
      const began = performance.now();
      for (let first = 0; first < SHOWN && !hasChanged; first += 10) {
        const addresses = Array.from({ length: 10 }, (_, number) => addressOf(first + number));
        const { images } = await ask({ addresses });
        if (!hasChanged) images.forEach((image, number) => show(first + number, image, addresses[number]));
      }
      if (hasChanged) continue;
      const seconds = ((performance.now() - began) / 1000).toFixed(2);
      say(`Images ${state.start} to ${state.start + SHOWN - 1} of seed ${state.seed}, drawn in ${seconds} s.`);
      await drawRow();
    }
  } finally {
    isDrawing = false; // also if drawing failed, so that a change draws again
  }
}

function show(place, image, address) {
  shown[place] = { image, address };
  const button = element("sheet").children[place];
  paint(button.firstChild, image);
  button.setAttribute("aria-label", `${nameOf(address.label)}, index ${address.index}`);
  if (place === state.chosen && !walking) showChosen();
}

function showChosen() {
  const { image, address } = shown[state.chosen];
  const name = address.label === null ? [] : ["--digit", card.classes[address.label]];
  paint(element("large"), image);
  element("large").setAttribute("aria-label", `${nameOf(address.label)}, index ${address.index}, enlarged`);
  showWords("command", commandOf(address, ["--start", address.index, "--count", 1, ...name]));
  [...element("sheet").children].forEach((button, place) => {
    button.setAttribute("aria-current", place === state.chosen);
    button.tabIndex = place === state.chosen ? 0 : -1;
  });
}

// Shows words, each in a box of its own, so that no line ends within an option, at its dashes.
function showWords(id, text) {
  const boxes = text.split(" ").map((word) => Object.assign(document.createElement("span"), { textContent: word }));
  element(id).replaceChildren(...boxes.flatMap((box, place) => (place ? [" ", box] : [box])));
}

// What is typed is row `start` of the seed, by the chosen hand or the first one: the images that gan-gen --text draws.
async function drawRow() {
  const text = element("text").value;
  const labels = [...text].map((character) => card.classes.indexOf(settings.classesOfCharacters[character] ?? character));
  const missing = [...text].find((_, place) => labels[place] < 0);
  element("text").setAttribute("aria-invalid", missing !== undefined);
  if (!text || missing !== undefined) {
    element("row").width = element("row").width; // clears it
    element("row").setAttribute("aria-label", "nothing written");
    showWords("row-command", text ? `This model has no class “${missing}”.` : "");
    element("copy-row").hidden = true;
    return;
  }
  const hand = { number: state.hand ?? 0, consistency: state.consistency };
  const row = { ...addressOf(0), hand, asked: withinRanges(state.asked, labels) };
  const number = Math.min(state.start, Math.floor(settings.indexLimit / labels.length) - 1);
  const addresses = labels.map((label, place) => ({ ...row, index: number * labels.length + place, label }));
  const { images } = await ask({ addresses });
  if (element("text").value !== text) return;
  paint(element("row"), sideBySide(images), labels.length * card.image_width);
  element("row").setAttribute("aria-label", `${text}, as one picture`);
  showWords("row-command", commandOf(row, ["--text", text, "--start", number, "--count", 1]));
  element("copy-row").hidden = false;
}

// A walk through the images of the sheet from the chosen one on, as gan-gen --gif draws it; `walking` is the walk that goes on.
let walking = null;
async function walk() {
  const own = (walking = {});
  element("large").setAttribute("aria-label", "a walk from image to image");
  showWords("command", "Walking: stop to see the command of an image.");
  let place = state.chosen;
  const step = () => ask({ walk: [addressOf(place), addressOf((place + 1) % SHOWN), settings.walkSteps] });
  let frames = step();
  while (walking === own) {
    const { images } = await frames;
    place = (place + 1) % SHOWN;
    frames = step();
    for (const image of images) {
      if (walking !== own) return;
      paint(element("large"), image);
      await new Promise((resolve) => setTimeout(resolve, settings.frameMilliseconds));
    }
  }
}

function toggleWalk() {
  const begins = walking === null;
  element("play").setAttribute("aria-pressed", begins);
  if (begins) {
    element("large").scrollIntoView({ block: "nearest" });
    walk();
  } else {
    walking = null;
    showChosen();
  }
}

function save(parts, columns, name) {
  const scale = 4;
  const [width, height] = [card.image_width * scale, card.image_height * scale];
  const [canvas, one] = [document.createElement("canvas"), document.createElement("canvas")];
  [canvas.width, canvas.height] = [columns * width, Math.ceil(parts.length / columns) * height];
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  parts.forEach(({ image }, place) => {
    paint(one, image);
    context.drawImage(one, (place % columns) * width, Math.floor(place / columns) * height, width, height);
  });
  canvas.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `${card.name}-${name}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say(`Saved ${link.download}.`);
  });
}

async function copy(id) {
  const command = element(id);
  try {
    await navigator.clipboard.writeText(command.textContent);
    say("Copied.");
  } catch {
    // Pages that come without encryption have no clipboard.
    getSelection().selectAllChildren(command);
    say("The command is selected: copy it with the keyboard or the menu.");
  }
}

function makeSheet() {
  const [width, height] = [card.image_width, card.image_height];
  for (let place = 0; place < SHOWN; place++) {
    const button = Object.assign(document.createElement("button"), { type: "button", tabIndex: place === state.chosen ? 0 : -1 });
    button.append(Object.assign(document.createElement("canvas"), { width, height }));
    button.onclick = () => choose(place);
    element("sheet").append(button);
  }
  element("sheet").onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -10, ArrowDown: 10 }[event.key];
    const place = [...element("sheet").children].indexOf(document.activeElement) + step;
    if (!step || place < 0 || place >= SHOWN) return;
    element("sheet").children[place].focus();
    event.preventDefault();
  };
}
