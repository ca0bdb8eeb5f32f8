"""A generator as one C file: the integers of the ONNX file, and the arithmetic of docs/integers.md, without any library.

The C code is in c_template.c and c_scan.c. It follows the layers one by one; the packing of columns and the transposes of the
ONNX file, which only make onnxruntime faster, are not in it.
"""

import math
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketgan.latents import LATENT_STEP
from pocketgan.version import VERSION
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.calibration import LATENT_QUANTIZATION, PIXEL_QUANTIZATION, Quantization
from pocketgan_trainer.export.layers import (
    ClassInput,
    Convolution,
    Dense,
    Layer,
    LeakyRelu,
    Noise,
    PixelShuffle,
    Scanned,
    Tanh,
    ToImage,
    TransposedConvolution,
    before_next_weights,
    class_count,
    is_followed_by,
    style_size,
)
from pocketgan_trainer.export.upscaling import subpixel_convolution
from pocketgan_trainer.export.verify import Check
from pocketgan_trainer.export.weights import IntegerWeights
from pocketgan_trainer.networks.canvas import CANVAS_SIZES
from pocketgan_trainer.networks.scan import SCAN_SIZES, SIZE_BOUNDS, SIZE_LATENT, THRESHOLD_LEVEL

C_SUFFIX = ".c"
"""The suffix of files that are written in C."""
_MANTISSA_BITS = 24
_NUMBERS_IN_A_LINE = 32


@dataclass
class _Program:
    """What has been written so far, and the shape of the image that the next step takes."""

    channels: int
    height: int = 1
    width: int = 1
    quantization: Quantization = LATENT_QUANTIZATION
    constants: list[str] = field(default_factory=list)
    constant_bytes: int = 0
    steps: list[str] = field(default_factory=list)
    buffer_bytes: int = 0

    def constant(self, type_name: str, name: str, values: Iterable[object], bytes_each: int) -> None:
        """Add an array."""
        numbers = list(map(str, values))
        lines = (numbers[first : first + _NUMBERS_IN_A_LINE] for first in range(0, len(numbers), _NUMBERS_IN_A_LINE))
        body = ",\n".join(", ".join(line) for line in lines)
        self.constants.append(f"static const {type_name} {name}[{len(numbers)}] = {{\n{body}\n}};\n")
        self.constant_bytes += bytes_each * len(numbers)

    def step(self, line: str, moves: bool = True) -> None:
        """Add a line that computes `next` from `current`, or changes `current` if it does not move."""
        self.steps.append(f"    {line}\n" + ("    spare = current; current = next; next = spare;\n" if moves else ""))
        self.buffer_bytes = max(self.buffer_bytes, self.channels * self.height * self.width)


def c_source(
    layers: list[Layer],
    quantizations: list[Quantization | None],
    weights: list[IntegerWeights | None],
    latent_size: int,
    about: str,
) -> str:
    """Return the C file of layers, given the quantizations of their outputs and their weights, as `integer_graph` takes them.

    `about` is the first line of its head. Raises ExportError for layers that are in no integer file.
    """
    classes, last = class_count(layers), layers[-1]
    style = style_size(layers, latent_size)
    program = _Program(channels=style)
    program.step(f"for (place = 0; place < {style}; place++) current[place] = (uint8_t)(latents[place] + 128);", moves=False)
    for position, (layer, output, rounded) in enumerate(zip(layers, quantizations, weights, strict=True)):
        _add(program, position, layers, layer, output, rounded)
    scan = ""
    size = program.height
    if isinstance(last, Scanned):
        size, canvas = last.image_size, CANVAS_SIZES[last.image_size]
        scan = _filled("c_scan.c", field=last.field_size, canvas=canvas, largest=SCAN_SIZES[-1], threshold=THRESHOLD_LEVEL)
        normals = LATENT_QUANTIZATION.dequantize(np.arange(256, dtype=np.uint8))
        program.constant("uint8_t", "scan_sizes", SCAN_SIZES[0] + np.searchsorted(SIZE_BOUNDS, normals, side="right"), 1)
        chosen = f"scan_sizes[latents[{SIZE_LATENT}] + 128]"
        for call in (f"draw_scan(current, {chosen});", f"reduce_scan({chosen});", "place_canvas(image);"):
            program.step(call, moves=False)
        static = SCAN_SIZES[-1] * (last.field_size + 1 + SCAN_SIZES[-1] + canvas) + canvas**2
    else:
        program.step(f"for (place = 0; place < {size * size}; place++) image[place] = current[place];", moves=False)
        static = 0
    if not classes:
        program.step("(void)label;", moves=False)
    return _filled(
        "c_template.c",
        about=about.replace("*/", "* /"),
        version=VERSION,
        latents=latent_size,
        classes=classes,
        height=size,
        width=size,
        label_example="7" if classes else "0",
        constant_bytes=f"{program.constant_bytes:,}",
        static_bytes=f"{2 * program.buffer_bytes + static:,}",
        constants="\n".join(program.constants),
        buffer_bytes=program.buffer_bytes,
        scan=scan,
        steps="".join(program.steps),
    )


def _filled(name: str, **parts: object) -> str:
    template = files("pocketgan_trainer.export").joinpath(name).read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: str(parts[found[1]]), template)


def _add(
    program: _Program,
    position: int,
    layers: list[Layer],
    layer: Layer,
    output: Quantization | None,
    rounded: IntegerWeights | None,
) -> None:
    """Add a layer; those that only move or clip numbers are part of the one before them."""
    before_weights = before_next_weights(layers[position + 1 :])
    factor = np.float32(2.0 if is_followed_by(layers, position, Tanh) else 1.0)
    name = f"layer{position}"
    if isinstance(layer, ClassInput):
        one, zero = LATENT_QUANTIZATION.quantize(np.array([layer.value, 0.0])).tolist()
        first = program.channels
        program.channels += layer.classes
        line = f"for (place = 0; place < {layer.classes}; place++) current[{first} + place] = place == label ? {one} : {zero};"
        program.step(line, moves=False)
    elif isinstance(layer, Dense) and rounded is not None and output is not None:
        image = next((other for other in before_weights if isinstance(other, ToImage)), None)
        rows = rounded.in_order_of_image(image)
        _convolve(program, name, rows.values[:, None, None, :], rows.bias, rows.scales * factor, 0, 1, (1, 1), output)
        if image is not None:
            program.channels, program.height, program.width = image.channels, image.height, image.width
    elif isinstance(layer, Convolution) and rounded is not None and output is not None:
        shuffle = next((other for other in before_weights if isinstance(other, PixelShuffle)), None)
        stride = 1 if shuffle is None else shuffle.factor
        phases = rounded.in_order_of_phases(stride)
        kernel, size = phases.values.transpose(0, 2, 3, 1), (program.height * stride, program.width * stride)
        _convolve(program, name, kernel, phases.bias, phases.scales * factor, layer.padding, stride, size, output)
    elif isinstance(layer, TransposedConvolution) and rounded is not None and output is not None:
        plain = subpixel_convolution(layer, program.height)
        kernel, size = rounded.values.transpose(0, 2, 3, 1), (plain.output_size,) * 2
        _convolve(program, name, kernel, rounded.bias, rounded.scales * factor, plain.pad_before, plain.stride, size, output)
    elif isinstance(layer, LeakyRelu) and output is not None:
        slope = np.float32(layer.slope)
        _look_up(program, name, lambda numbers: np.where(numbers < 0, slope * numbers, numbers), output)
    elif isinstance(layer, Tanh):
        _look_up(program, name, lambda numbers: 1 / (1 + np.exp(-numbers.astype(np.float64))), PIXEL_QUANTIZATION)
    elif isinstance(layer, Noise):
        _append_noise(program, layer)


def _convolve(
    program: _Program,
    name: str,
    kernel: NDArray[np.int8],
    bias: NDArray[np.int32],
    scales: NDArray[np.float32],
    pad: int,
    stride: int,
    size: tuple[int, int],
    output: Quantization,
) -> None:
    """Add a layer with weights [outputs, rows, columns, channels] whose result has this height and width."""
    outputs, rows, columns, channels = kernel.shape
    if channels != program.channels:
        raise ExportError(f"cannot write {name} in C: it takes {channels} channels, the layer before it has {program.channels}")
    factors = np.float32(program.quantization.scale) * scales / np.float32(output.scale)
    program.constant("int8_t", f"{name}_weights", kernel.ravel().tolist(), 1)
    program.constant("int32_t", f"{name}_bias", bias.tolist(), 4)
    program.constant("struct factor", f"{name}_factors", map(_factor, factors.tolist()), 8)
    numbers = (
        outputs, len(factors), rows, columns, pad, channels, program.height, program.width, program.quantization.zero_point,
        stride, *size, output.zero_point,
    )  # fmt: skip
    fields = ", ".join(map(str, (f"{name}_weights", f"{name}_bias", f"{name}_factors", *numbers)))
    program.constants.append(f"static const struct layer {name} = {{{fields}}};\n")
    program.channels, (program.height, program.width), program.quantization = outputs // stride**2, size, output
    program.step(f"convolve(&{name}, current, next);")


def _factor(number: float) -> str:
    mantissa, exponent = math.frexp(number)
    return f"{{{int(mantissa * 2**_MANTISSA_BITS)}u, {_MANTISSA_BITS - exponent}}}"


def _look_up(
    program: _Program, name: str, function: Callable[[NDArray[np.float32]], NDArray[np.floating[Any]]], output: Quantization
) -> None:
    """Add a function of 8-bit numbers, as onnxruntime makes a table of it."""
    above_zero = np.arange(256, dtype=np.float32) - np.float32(program.quantization.zero_point)
    results = function(above_zero * np.float32(program.quantization.scale)).astype(np.float32)
    stored = np.rint(results / np.float32(output.scale)) + output.zero_point
    program.constant("uint8_t", f"{name}_table", stored.clip(0, 255).astype(int).tolist(), 1)
    count = program.channels * program.height * program.width
    program.step(f"for (place = 0; place < {count}; place++) current[place] = {name}_table[current[place]];", moves=False)
    program.quantization = output


def _append_noise(program: _Program, layer: Noise) -> None:
    before, each = program.channels, program.channels + layer.channels
    program.channels = each
    count = each * program.height * program.width
    number = f"{layer.first} + place / {each} * {layer.channels} + place % {each} - {before}"
    program.step(
        f"""for (place = 0; place < {count}; place++) {{
        int is_noise = place % {each} >= {before}, noise = is_noise ? latents[{number}] : 0;
        int level = is_noise ? (noise > 0 ? noise : 0) : current[place / {each} * {before} + place % {each}];
        next[place] = (uint8_t)level;
    }}"""
    )


def check_c_source(
    contents: bytes, inputs: Mapping[str, NDArray[np.generic]], images: NDArray[np.uint8], compiler: str = "cc"
) -> Check:
    """Compile a C file, if there is a compiler, and compare what it draws from these latents and labels with `images`."""
    name = "C"
    if shutil.which(compiler) is None:
        return Check(name, f"no compiler {compiler} was found, so it was not compiled", None)
    with TemporaryDirectory() as folder:
        source, main, program = (Path(folder) / name for name in ("generator.c", "main.c", "main"))
        source.write_bytes(contents)
        main.write_text(_MAIN)
        options = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic"]
        done = subprocess.run([compiler, *options, "-o", program, main], capture_output=True, text=True, check=False)
        if done.returncode:
            return Check(name, "does not compile", f"{compiler} does not compile the C file: {done.stderr.strip()[:500]}")
        ticks = np.rint(np.asarray(inputs["z"], np.float32) / np.float32(LATENT_STEP)).astype(np.int8)
        labels = inputs.get("label", np.zeros(len(ticks), np.int64)).astype(np.int32)
        given = b"".join(own.tobytes() + label.tobytes() for own, label in zip(ticks, labels, strict=True))
        try:
            drawn = subprocess.run([program], input=given, capture_output=True, check=False).stdout
        except OSError as error:  # such as a folder for temporary files from which nothing may be run
            return Check(name, f"compiled by {compiler}, but not run in {folder}: {error.strerror}", None)
    differing = len(images) if len(drawn) != images.nbytes else int((np.frombuffer(drawn, np.uint8) != images.ravel()).sum())
    problem = f"the C file draws {differing:,} pixels of {images.size:,} otherwise than the ONNX file" if differing else None
    return Check(name, f"compiled by {compiler}: {len(images):,} images, {differing:,} pixels differ", problem)


_MAIN = """#include <stdio.h>
#include "generator.c"

int main(void)
{
    static int8_t latents[POCKETGAN_LATENTS];
    static uint8_t image[POCKETGAN_HEIGHT * POCKETGAN_WIDTH];
    int32_t label;
    while (fread(latents, sizeof latents, 1, stdin) == 1 && fread(&label, sizeof label, 1, stdin) == 1) {
        pocketgan_draw(latents, label, image);
        fwrite(image, sizeof image, 1, stdout);
    }
    return 0;
}
"""
