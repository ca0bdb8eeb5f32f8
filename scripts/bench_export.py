"""How fast the bundled int8 models are beside other forms of the same generator. Needs the extras [cpu,train].

    python scripts/bench_export.py [--rounds 15]

Prints a Markdown table of ratios to the float32 ONNX file, on one thread, at batch 1 and batch 64. All forms are timed in turn in
short rounds, in one process; the median of the rounds' ratios is printed, with the lowest and the highest. The float forms have
fresh weights: the speed does not depend on them.
"""

import argparse
import platform
import statistics
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

import pocketgan_models
from pocketgan.latents import latents
from pocketgan.session import Provider, open_session
from pocketgan_trainer.export.exporter import build_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.naive_quantization import NAIVE_IMAGES, naive_int8
from pocketgan_trainer.export.speed import side_by_side
from pocketgan_trainer.export.verify import count_kernels
from pocketgan_trainer.training.presets import PRESETS, Preset

_BASELINE = "float32 ONNX"

Feeds = dict[str, NDArray[np.generic]]
"""What a model is given: `z` and, if it has classes, `label`."""

Draw = Callable[[Feeds], object]


def draw_feeds(preset: Preset, seed: int, count: int) -> Feeds:
    """Return latents and, if the preset has classes, labels in turn."""
    feeds: Feeds = {"z": latents(seed, 0, count, preset.latent_size)}
    if preset.classes:
        feeds["label"] = np.arange(count) % len(preset.classes)
    return feeds


def forms(preset_name: str) -> Iterator[tuple[str, Draw, str]]:
    """Yield name, drawing function and a remark for each form of one preset's generator."""
    preset = PRESETS[preset_name]
    torch.manual_seed(0)
    generator = preset.build_generator().eval()
    float_model = build_graph(fold(generator), preset.latent_size, "fp32")

    def eager(feeds: Feeds) -> object:
        with torch.inference_mode():
            return generator(*(torch.from_numpy(values) for values in feeds.values()))

    yield "torch eager, float32", eager, ""
    for name, contents in (
        (_BASELINE, float_model.SerializeToString()),
        ("onnxruntime quantize_static", naive_int8(float_model, draw_feeds(preset, 1, NAIVE_IMAGES))),
        (f"bundled {preset_name}.onnx", pocketgan_models.path(preset_name).read_bytes()),
    ):
        kernels = count_kernels(contents)
        computing = sum(operator in ("Conv", "ConvTranspose", "Gemm", "FusedGemm", "FusedConv") for operator in kernels.other)
        remark = f"{len(contents):,} bytes; {kernels.integer} integer kernels, {computing} float layers"
        session = open_session(contents, "fp32", Provider.cpu).session
        yield name, lambda feeds, session=session: session.run(["images"], feeds), remark  # type: ignore[misc]


def ratios(draws: dict[str, Draw], feeds: Feeds, rounds: int) -> dict[str, list[float]]:
    """Return for each form, round by round, how many times as fast it was as the baseline."""
    names = list(draws)
    baseline = names.index(_BASELINE)
    timed = side_by_side([partial(draws[name], feeds) for name in names], rounds)
    return {name: [seconds[baseline] / seconds[position] for seconds in timed] for position, name in enumerate(names)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="rounds for each batch size (default 15)")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print(f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}, {platform.machine()}\n")
    print("| generator | form | batch 1 | batch 64 | file |\n|---|---|---|---|---|")
    for preset_name in pocketgan_models.names():
        preset = PRESETS[preset_name]
        entries = list(forms(preset_name))
        draws = {name: draw for name, draw, _ in entries}
        by_batch = [ratios(draws, draw_feeds(preset, 2, batch), rounds) for batch in (1, 64)]
        for name, _, remark in entries:
            cells = [
                f"{statistics.median(result[name]):.2f}x ({min(result[name]):.2f} to {max(result[name]):.2f})"
                for result in by_batch
            ]
            print(f"| {preset_name} | {name} | {cells[0]} | {cells[1]} | {remark} |")


if __name__ == "__main__":
    main()
