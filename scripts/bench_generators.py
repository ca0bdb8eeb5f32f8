"""How fast the bundled int8 models are beside other forms of the same generators. Needs the extras [cpu,train].

    scripts/bench [--rounds 15] [MODEL ...]

Prints a Markdown table. All forms of a generator are timed in turn in short rounds, in one process, and with them the float32
DCGAN, and a large integer convolution that shows what the processor can do at most. Ratios are medians of the rounds' ratios.
OpenVINO is among them if it is installed; torch.compile needs a C++ compiler.
"""

import argparse
import platform
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import onnxruntime
import torch
from generator_forms import BASELINE, Form, forms
from int8_peak import PEAK_MULTIPLY_ADDS, large_convolution, multiply_adds

import pocketgan_models
from pocketgan.cpus import usable_cpus
from pocketgan_trainer.export.baselines import draw_feeds
from pocketgan_trainer.export.exporter import build_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.speed import side_by_side
from pocketgan_trainer.training.presets import PRESETS

_CLASSIC = "dcgan"
_BATCHES = (1, 64)
_FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8", "asimddp", "i8mm")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="one of the bundled ones; all if none is named")
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
        print(f"| generator | form | {batches} | beside the float32 {_CLASSIC}, batch {_BATCHES[-1]} | bytes | |")
        print("|---|---|" + "---|" * len(_BATCHES) + "---|---|---|")
        for name in names:
            for row in rows(name, threads, arguments.rounds):
                print(f"| {name} | {' | '.join(row)} |", flush=True)
        print()


def rows(preset_name: str, threads: int, rounds: int) -> list[list[str]]:
    """Return the rows of the table for one preset: name, a cell for each batch size, beside the classic, bytes, remark."""
    entries = list(forms(preset_name, threads))
    classic = next(form for form in forms(_CLASSIC, threads) if form.name == BASELINE)
    names = [form.name for form in entries]
    cells: list[list[str]] = [[] for _ in entries]
    for batch in _BATCHES:
        timed = _timed(preset_name, [*entries, classic], batch, threads, rounds)
        for position in range(len(entries)):
            ratios = [seconds[names.index(BASELINE)] / seconds[position] for seconds in timed]
            microseconds = statistics.median(seconds[position] for seconds in timed) / batch * 1e6
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            cells[position].append(f"{statistics.median(ratios):.2f}x ({spread}), {microseconds:.3g} µs")
    # Of the last batch size, the largest.
    beside_classic = [statistics.median(seconds[-2] / seconds[position] for seconds in timed) for position in range(len(entries))]
    remarks = [form.remark for form in entries]
    own = names.index(f"**{preset_name}.onnx**")
    share = _share_of_peak(preset_name, [(seconds[own] / _BATCHES[-1], seconds[-1]) for seconds in timed])
    remarks[own] += f"; {share:.0%} of the processor's peak at batch {_BATCHES[-1]}"
    return [
        [form.name, *cells[position], f"{beside_classic[position]:.1f}x", _size(form), remarks[position]]
        for position, form in enumerate(entries)
    ]


def _timed(preset_name: str, entries: Sequence[Form], batch: int, threads: int, rounds: int) -> list[list[float]]:
    """Return the seconds of each round for each form, the last of which is the classic, and for the large convolution."""
    presets = PRESETS[preset_name], PRESETS[_CLASSIC]
    own, classic = (draw_feeds(preset.latent_size, len(preset.classes), 2, batch) for preset in presets)
    *forms_of_own, of_classic = (form.draw for form in entries)
    tasks: list[Callable[[], object]] = [partial(draw, own) for draw in forms_of_own]
    return side_by_side([*tasks, partial(of_classic, classic), large_convolution(threads)], rounds)


def _share_of_peak(preset_name: str, seconds: Sequence[tuple[float, float]]) -> float:
    """Return which share of the large convolution's multiply-adds a second a generator does.

    `seconds` are for one of its images, and for one run of the convolution, by round.
    """
    preset = PRESETS[preset_name]
    needed = multiply_adds(build_graph(fold(preset.build_generator().eval()), preset.latent_size, "fp32"))
    return statistics.median(needed / own / (PEAK_MULTIPLY_ADDS / peak) for own, peak in seconds)


def _size(form: Form) -> str:
    return "" if form.size_bytes is None else f"{form.size_bytes:,}"


def _processor() -> str:
    """Return the processor's name and those of its features that matter to integers, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    features = set((facts.get("flags") or facts.get("Features") or "").split())
    return f"{facts.get('model name', platform.machine())} ({', '.join(flag for flag in _FLAGS if flag in features)})"


if __name__ == "__main__":
    main()
