"""Different ways to run a generator, to compare their speed: torch, onnxruntime in float and in integers, numpy, OpenVINO."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from cpu_session import cpu_session
from numpy.typing import NDArray
from torch import nn
from torch_export import torch_export

import pocketgan_models
from pocketgan.model.card import CARD_KEY, ModelCard
from pocketgan.model.numpy_session import NumpySession
from pocketgan_trainer.export.comparison import NAIVE_IMAGES, naive_int8
from pocketgan_trainer.export.exporter import build_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import model_inputs
from pocketgan_trainer.export.verify import count_kernels, optimized
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.plan import plan_new_run
from pocketgan_trainer.training.presets import build_generator, generator_classes, latent_size

BASELINE = "onnxruntime, float32"

Inputs = Mapping[str, NDArray[np.generic]]
"""The inputs of a generator: `z` and, if it has classes, `label`."""


@dataclass(frozen=True)
class Form:
    """A way to draw with a generator."""

    name: str
    draw: Callable[[Inputs], object]
    size_bytes: int | None
    """The size of the file; None if there is no file."""
    remark: str


def own_file(preset_name: str) -> str:
    """Return the name of the form that runs the bundled file."""
    return f"**{preset_name}.onnx**"


def forms(preset_name: str, threads: int) -> Iterator[Form]:
    """Yield the forms of a preset's generator, including BASELINE, each with this number of threads.

    All except the bundled file have random weights: the speed does not depend on them.
    """
    config = mnist_config(preset_name)
    torch.set_num_threads(threads)
    generator = _fresh(preset_name)
    yield Form("torch eager, float32", _in_torch(generator), None, "")
    if _has_compiler():
        torch.compiler.reset()
        # Compiled for each batch size separately, not once for all sizes.
        yield Form("torch.compile, float32", _in_torch(torch.compile(generator, dynamic=False)), None, "")
    else:
        print("torch.compile is skipped: no C++ compiler was found", file=sys.stderr)
    classes, size = len(generator_classes(config)), latent_size(config)
    yield _onnxruntime_form("torch.onnx.export, float32", torch_export(generator, size, classes > 0), threads)
    yield float_form(preset_name, threads)
    float_model = build_graph(fold(generator), size, "fp32")
    sample = model_inputs(size, classes, 1, NAIVE_IMAGES)
    yield _onnxruntime_form("onnxruntime quantize_static", naive_int8(float_model, sample), threads)
    bundled = pocketgan_models.path(preset_name).read_bytes()
    yield _onnxruntime_form(own_file(preset_name), bundled, threads)
    if threads == 1:
        in_numpy = NumpySession(bundled)
        yield Form(f"{preset_name}.onnx in numpy", lambda inputs: in_numpy.run(["images"], inputs), len(bundled), "")
    if find_spec("openvino"):
        yield _openvino_form(f"{preset_name}.onnx in OpenVINO", bundled, threads)


def float_form(preset_name: str, threads: int) -> Form:
    """Return the form BASELINE of a preset's generator, as `gan-export --precision fp32` exports it."""
    model = build_graph(fold(_fresh(preset_name)), latent_size(mnist_config(preset_name)), "fp32")
    return _onnxruntime_form(BASELINE, model.SerializeToString(), threads)


def mnist_config(preset_name: str) -> TrainingConfig:
    """Return the config with which a preset trains on MNIST."""
    return plan_new_run(preset_name, {}, torch.device("cpu"))


def _fresh(preset_name: str) -> nn.Module:
    torch.manual_seed(0)
    return build_generator(mnist_config(preset_name)).eval()


def _in_torch(generator: Callable[..., object]) -> Callable[[Inputs], object]:
    def draw(inputs: Inputs) -> object:
        with torch.no_grad():
            return generator(*map(torch.from_numpy, inputs.values()))

    return draw


def _has_compiler() -> bool:
    """Return whether torch.compile will find its C++ compiler."""
    usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    return shutil.which(os.environ.get("CXX", usual)) is not None


def _onnxruntime_form(name: str, contents: bytes, threads: int) -> Form:
    session = cpu_session(contents, threads)
    kernels = count_kernels(optimized(contents))
    in_float = sum(operator in ("Conv", "ConvTranspose", "Gemm", "FusedGemm", "FusedConv") for operator in kernels.floating_point)
    remark = f"{kernels.integer} integer kernels, {in_float} float layers"
    card = session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
    if card is not None:
        remark += f"; PSNR {ModelCard.from_json(card).parity.psnr_db:.1f} dB"
    return Form(name, lambda inputs: session.run(["images"], dict(inputs)), len(contents), remark)


def _openvino_form(name: str, contents: bytes, threads: int) -> Form:
    import openvino

    core = openvino.Core()
    model = core.compile_model(core.read_model(contents, b""), "CPU", {"INFERENCE_NUM_THREADS": threads})
    return Form(name, lambda inputs: model(dict(inputs)), len(contents), "")
