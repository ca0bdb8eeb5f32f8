"""C files: compiled without a warning, without undefined behaviour, and with the pixels of the ONNX file."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from built_graphs import rounded_graph
from lively_generators import lively_canvas, lively_generator, lively_pocket
from numpy.typing import NDArray
from torch import nn

from pocketgan.latents import latents
from pocketgan.model.numpy_session import NumpySession
from pocketgan_trainer.export import calibration
from pocketgan_trainer.export.c_source import _MAIN, c_source, check_c_source
from pocketgan_trainer.export.calibration import calibrate, calibration_sample, with_shared_scales
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import class_count, labels_in_turn
from pocketgan_trainer.export.rounding import round_weights
from pocketgan_trainer.networks.canvas_networks import CanvasWidth
from pocketgan_trainer.training.presets import PRESETS

SMALL = CanvasWidth(6, 5, 7, 2)
KINDS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "canvas": (lambda: lively_canvas(8, SMALL), 8 + SMALL.noise_size(28)),
    "canvas of 32": (lambda: lively_canvas(8, SMALL, 32), 8 + SMALL.noise_size(32)),
    "pocket": (lively_pocket, 16),
    "leaky pocket": (lambda: lively_pocket(activation=nn.LeakyReLU(0.2), is_normalized=False), 16),
    "mlp": (lambda: lively_generator("mlp"), 100),
    "narrow-dcgan": (lambda: lively_generator("narrow-dcgan"), 100),
}
COUNT = 60


def source_and_inputs(kind: str) -> tuple[str, dict[str, NDArray[Any]], NDArray[np.uint8]]:
    """Return a C file, latents and labels, and the images that the ONNX file of the same integers draws from them."""
    build, latent_size = KINDS[kind]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "CALIBRATION_IMAGES", 60)
        layers = fold(build())
        quantizations = calibrate(layers, latent_size)
        layers = with_shared_scales(layers, quantizations)
    weights = round_weights(layers, quantizations, *calibration_sample(layers, latent_size, 100))
    inputs: dict[str, NDArray[Any]] = {"z": latents(3, 0, COUNT, latent_size)}
    labels = labels_in_turn(class_count(layers), COUNT)
    inputs |= {} if labels is None else {"label": labels}
    (images,) = NumpySession(rounded_graph(layers, quantizations, latent_size).SerializeToString()).run(["images"], inputs)
    return c_source(layers, quantizations, weights, latent_size, "a test */ of comments"), inputs, images


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_pixels_are_those_of_the_onnx_file(kind: str, compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    source, inputs, images = source_and_inputs(kind)
    check = check_c_source(source.encode(), inputs, images, compiler)
    assert (check.found, check.problem) == (f"compiled by {compiler}: {COUNT} images, 0 pixels differ", None)
    images[3, 5, 5] ^= 1
    problem = f"the C file draws 1 pixels of {images.size:,} otherwise than the ONNX file"
    assert check_c_source(source.encode(), inputs, images, compiler).problem == problem


SANITIZED = ["gcc", "-Wconversion", "-Wno-sign-conversion", "-fsanitize=undefined,address", "-fno-sanitize-recover"]
BARE_METAL = ["--specs=rdimon.specs", "-Wl,--section-start=.vectors=0", "-Wl,--defsym=__stack=0x200000", "vectors.c"]
"""How newlib's programs are linked for a board without an operating system, where a debugger reads and writes their files."""
BOARD = ["qemu-system-arm", "-nographic", "-monitor", "none", "-serial", "none", "-semihosting-config", "enable=on,target=native"]
VECTORS = """
extern char __stack;
extern void _start(void);
__attribute__((section(".vectors"), used)) const struct { char *stack; void (*start)(void); } vectors = {&__stack, _start};
"""
TARGETS = {
    "sanitizers": (SANITIZED, []),
    "32-bit Arm": (["arm-linux-gnueabihf-gcc", "-static"], ["qemu-arm"]),
    "Cortex-M3": (["arm-none-eabi-gcc", "-mcpu=cortex-m3", *BARE_METAL], [*BOARD, "-M", "mps2-an385", "-kernel"]),
    "Cortex-M4": (["arm-none-eabi-gcc", "-mcpu=cortex-m4", *BARE_METAL], [*BOARD, "-M", "mps2-an386", "-kernel"]),
}
"""Compilers and emulators, if they are installed; the sanitizers look for undefined behaviour."""


@pytest.mark.parametrize("kind", ["canvas", "narrow-dcgan"])
@pytest.mark.parametrize("target", TARGETS)
def test_the_pixels_are_the_same_elsewhere(kind: str, target: str, tmp_path: Path) -> None:
    compile_command, run_command = TARGETS[target]
    for tool in (compile_command[0], *run_command[:1]):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    source, inputs, images = source_and_inputs(kind)
    for name, text in (("generator.c", source), ("main.c", _MAIN), ("vectors.c", VECTORS)):
        (tmp_path / name).write_text(text)
    command = [*compile_command, "-std=c99", "-Os", "-Wall", "-Wextra", "-Werror", "-pedantic", "-o", "main", "main.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    ticks, labels = (inputs["z"] * 32).astype(np.int8), inputs.get("label", np.zeros(COUNT)).astype(np.int32)
    given = b"".join(own.tobytes() + label.tobytes() for own, label in zip(ticks, labels, strict=True))
    drawn = subprocess.run([*run_command, tmp_path / "main"], input=given, capture_output=True, check=True, timeout=120).stdout
    np.testing.assert_array_equal(np.frombuffer(drawn, np.uint8), images.ravel())


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("optimization", ["-Os", "-O3"])
def test_a_freestanding_program_needs_nothing_else(compiler: str, optimization: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    source, _, _ = source_and_inputs("canvas")
    (tmp_path / "generator.c").write_text(source)
    command = [compiler, "-std=c99", optimization, "-ffreestanding", "-c", "-o", "generator.o", "generator.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert subprocess.run(["nm", "-u", tmp_path / "generator.o"], capture_output=True, check=True, text=True).stdout == ""


def test_what_does_not_compile_and_what_cannot_be_compiled_is_said() -> None:
    nothing = {"z": np.zeros((1, 4), np.float32)}
    if shutil.which("gcc") is not None:
        check = check_c_source(b"int main(void) { return x; }", nothing, np.zeros((1, 2, 2), np.uint8), "gcc")
        assert (check.problem or "").startswith("gcc does not compile the C file: ")
    check = check_c_source(b"", nothing, np.zeros((1, 2, 2), np.uint8), "no-such-compiler")
    assert (check.found, check.problem) == ("no compiler no-such-compiler was found, so it was not compiled", None)


def test_nano_fits_a_microcontroller() -> None:
    nano = PRESETS["nano"]
    assert nano.canvas is not None
    width, size = nano.canvas.width, nano.latent_size
    layers = fold(lively_canvas(size, width))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "CALIBRATION_IMAGES", 60)
        quantizations = calibrate(layers, size + width.noise_size(28))
    layers = with_shared_scales(layers, quantizations)
    latent_size = size + width.noise_size(28)
    weights = round_weights(layers, quantizations, *calibration_sample(layers, latent_size, 60))
    head = c_source(layers, quantizations, weights, latent_size, "nano")[:1500]
    constants, static = (int(found.replace(",", "")) for found in re.findall(r"(?:Constants|memory): ([0-9,]+) bytes", head))
    assert constants < 90_000
    assert static < 16_000
