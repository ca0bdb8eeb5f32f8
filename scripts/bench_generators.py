"""Measure how fast the bundled int8 models are, compared with other forms of the same generators. Needs [cpu,train].

    scripts/bench [--rounds 15] [MODEL ...]

Prints a Markdown table. All forms of a generator are timed in turn in short rounds, in one process, together with the float32
DCGAN and a large integer convolution that shows the processor's peak speed. Ratios are medians of the rounds' ratios. OpenVINO
is included if it is installed, torch.compile if there is a C++ compiler.
"""

import argparse
import platform
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import onnxruntime
import torch
from generator_forms import BASELINE, Form, float_form, forms, mnist_config, own_file
from int8_peak import PEAK_MULTIPLY_ADDS, large_convolution, multiply_adds

import pocketgan_models
from pocketgan.cpus import usable_cpus
from pocketgan_trainer.export.comparison import side_by_side
from pocketgan_trainer.export.exporter import build_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import model_inputs
from pocketgan_trainer.training.presets import build_generator, generator_classes, latent_size

_CLASSIC = "dcgan"
_BATCHES = (1, 64)
# Timed in the same rounds as the forms of each generator.
_BESIDE, _PEAK = f"float32 {_CLASSIC}", "large convolution"
_FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8", "asimddp", "i8mm")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="a bundled model (default: all)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds for each batch size (default 15)")
    arguments = parser.parse_args()
    names: Sequence[str] = arguments.models or pocketgan_models.names()
    if not set(names) <= set(pocketgan_models.names()):
        parser.error(f"no such model among {', '.join(names)}: expected some of {', '.join(pocketgan_models.names())}")
    print(f"{_processor()}; onnxruntime {onnxruntime.__version__}, torch {torch.__version__}\n")
    for threads in sorted({1, usable_cpus()}):
        print(
            f"On {threads} thread{'s' if threads > 1 else ''}: how many times as fast as float32, with the lowest and highest of"
        )
        print(f"{arguments.rounds} rounds, and the median time for an image.\n")
        batches = " | ".join(f"batch {batch}" for batch in _BATCHES)
        print(f"| generator | form | {batches} | beside the {_BESIDE}, batch {_BATCHES[-1]} | bytes | |")
        print("|---|---|" + "---|" * len(_BATCHES) + "---|---|---|")
        for name in names:
            for row in rows(name, threads, arguments.rounds):
                print(f"| {name} | {' | '.join(row)} |", flush=True)
        print()


def rows(preset_name: str, threads: int, rounds: int) -> list[list[str]]:
    """Return the rows of the table for one preset: name, a cell for each batch size, ratio to the classic, bytes, remark."""
    entries = list(forms(preset_name, threads))
    seconds = {batch: _timed(preset_name, entries, batch, threads, rounds) for batch in _BATCHES}
    largest = seconds[_BATCHES[-1]]
    peak = statistics.median(_ratios(largest[_PEAK], largest[own_file(preset_name)])) * _BATCHES[-1]
    share = f"; {peak * _of_large_convolution(preset_name):.0%} of the processor's peak at batch {_BATCHES[-1]}"
    table = []
    for form in entries:
        cells = [_cell(seconds[batch][BASELINE], seconds[batch][form.name], batch) for batch in _BATCHES]
        beside = f"{statistics.median(_ratios(largest[_BESIDE], largest[form.name])):.1f}x"
        remark = form.remark + (share if form.name == own_file(preset_name) else "")
        table.append([form.name, *cells, beside, _size(form), remark])
    return table


def _cell(baseline: Sequence[float], own: Sequence[float], batch: int) -> str:
    ratios = _ratios(baseline, own)
    microseconds = statistics.median(own) / batch * 1e6
    return f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f}), {microseconds:.3g} µs"


def _timed(preset_name: str, entries: Sequence[Form], batch: int, threads: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each round by name: of each form, the float32 _CLASSIC and the large convolution."""
    own, classic = (
        model_inputs(latent_size(config), len(generator_classes(config)), 2, batch)
        for config in (mnist_config(preset_name), mnist_config(_CLASSIC))
    )
    tasks: dict[str, Callable[[], object]] = {form.name: partial(form.draw, own) for form in entries}
    tasks[_BESIDE] = partial(float_form(_CLASSIC, threads).draw, classic)
    tasks[_PEAK] = large_convolution(threads)
    timed = side_by_side(list(tasks.values()), rounds)
    return dict(zip(tasks, map(list, zip(*timed, strict=True)), strict=True))


def _ratios(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(slow, fast, strict=True)]


def _of_large_convolution(preset_name: str) -> float:
    """Return the multiply-adds of one image of a generator as a share of the large convolution's."""
    config = mnist_config(preset_name)
    return multiply_adds(build_graph(fold(build_generator(config).eval()), latent_size(config), "fp32")) / PEAK_MULTIPLY_ADDS


def _size(form: Form) -> str:
    return "" if form.size_bytes is None else f"{form.size_bytes:,}"


def _processor() -> str:
    """Return the processor's name and its features that matter for integers, as far as /proc/cpuinfo shows them."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    features = set((facts.get("flags") or facts.get("Features") or "").split())
    return f"{facts.get('model name', platform.machine())} ({', '.join(flag for flag in _FLAGS if flag in features)})"


if __name__ == "__main__":
    main()
