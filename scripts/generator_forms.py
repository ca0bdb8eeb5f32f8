"""The forms of one generator that are timed beside each other: torch, onnxruntime in float and in integers, OpenVINO."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from cpu_session import cpu_session
from numpy.typing import NDArray

import pocketgan_models
from pocketgan.card import CARD_KEY, ModelCard
from pocketgan_trainer.export.baselines import draw_feeds
from pocketgan_trainer.export.exporter import build_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.naive_quantization import NAIVE_IMAGES, naive_int8
from pocketgan_trainer.export.verify import count_kernels
from pocketgan_trainer.training.presets import PRESETS

BASELINE = "onnxruntime, float32"

Feeds = Mapping[str, NDArray[np.generic]]
"""What a generator is given: `z` and, if it has classes, `label`."""


@dataclass(frozen=True)
class Form:
    """One way to draw with a generator."""

    name: str
    draw: Callable[[Feeds], object]
    size_bytes: int | None
    """Of the file; None without one."""
    remark: str


def forms(preset_name: str, threads: int) -> Iterator[Form]:
    """Yield the forms of one preset's generator on so many threads, BASELINE among them.

    All but the bundled file have fresh weights: the speed does not depend on them.
    """
    preset = PRESETS[preset_name]
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    generator = preset.build_generator().eval()
    torch.compiler.reset()
    # Code of its own for each batch size, else it is compiled for any.
    compiled = torch.compile(generator, dynamic=False)

    def eagerly(feeds: Feeds) -> object:
        with torch.no_grad():
            return generator(*map(torch.from_numpy, feeds.values()))

    def in_compiled_form(feeds: Feeds) -> object:
        with torch.no_grad():
            return compiled(*map(torch.from_numpy, feeds.values()))

    yield Form("torch eager, float32", eagerly, None, "")
    yield Form("torch.compile, float32", in_compiled_form, None, "")
    float_model = build_graph(fold(generator), preset.latent_size, "fp32")
    bundled = pocketgan_models.path(preset_name).read_bytes()
    files = {
        BASELINE: float_model.SerializeToString(),
        "onnxruntime quantize_static": naive_int8(
            float_model, draw_feeds(preset.latent_size, len(preset.classes), 1, NAIVE_IMAGES)
        ),
        f"**{preset_name}.onnx**": bundled,
    }
    for name, contents in files.items():
        yield _onnxruntime_form(name, contents, threads)
    if find_spec("openvino"):
        yield _openvino_form(f"{preset_name}.onnx in OpenVINO", bundled, threads)


def _onnxruntime_form(name: str, contents: bytes, threads: int) -> Form:
    session = cpu_session(contents, threads)
    kernels = count_kernels(contents)
    in_float = sum(operator in ("Conv", "ConvTranspose", "Gemm", "FusedGemm", "FusedConv") for operator in kernels.floating_point)
    remark = f"{kernels.integer} integer kernels, {in_float} float layers"
    card = session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
    if card is not None:
        remark += f"; PSNR {ModelCard.from_json(card).parity.psnr_db:.1f} dB"
    return Form(name, lambda feeds: session.run(["images"], dict(feeds)), len(contents), remark)


def _openvino_form(name: str, contents: bytes, threads: int) -> Form:
    import openvino

    core = openvino.Core()
    model = core.compile_model(core.read_model(contents, b""), "CPU", {"INFERENCE_NUM_THREADS": threads})
    return Form(name, lambda feeds: model(dict(feeds)), len(contents), "")
