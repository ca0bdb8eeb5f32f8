"""Show how much time each kernel of a bundled int8 model takes, on one thread. Needs the extras [cpu,train].

    python scripts/profile_generator.py [--batch 64] [--rounds 100] MODEL

Prints a Markdown table: the time of each kernel by onnxruntime's profiler (medians), and the time that its multiply-adds,
including unnecessary ones with zeros, would take at the peak speed, that of one large integer convolution, measured afterwards.
"""

import argparse
import json
import math
import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from generator_forms import mnist_config
from int8_peak import PEAK_MULTIPLY_ADDS, large_convolution

import pocketgan_models
from pocketgan_trainer.export.layers import model_inputs
from pocketgan_trainer.export.verify import kernel_weights, optimized
from pocketgan_trainer.training.presets import generator_classes, latent_size

_SUFFIX = "_kernel_time"
# Kernels that take a smaller share of the time are shown together.
_SHOWN = 0.02


@dataclass(frozen=True)
class Kernel:
    """The time of one node of the optimized graph."""

    name: str
    operator: str
    microseconds: float
    """Per batch."""
    matrix: tuple[int, int, int] | None
    """Of a convolution: positions in an image, outputs at each, products for each output; else None."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=pocketgan_models.names())
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    if arguments.batch < 1 or arguments.rounds < 1:
        parser.error("--batch and --rounds must be at least 1")
    kernels = profile_kernels(arguments.model, arguments.batch, arguments.rounds)
    seconds_at_peak = median_seconds(arguments.rounds)
    total = sum(kernel.microseconds for kernel in kernels)
    print(f"{arguments.model}, batch {arguments.batch}: {total / arguments.batch:.3g} µs an image in kernels\n")
    print("| layer | kernel | share of the time | µs an image | at the peak, µs | positions x outputs x products |")
    print("|---|---|---|---|---|---|")
    shown = sorted((kernel for kernel in kernels if kernel.microseconds > _SHOWN * total), key=lambda one: -one.microseconds)
    for kernel in shown:
        at_peak, shape = "", ""
        if kernel.matrix is not None:
            at_peak = f"{math.prod(kernel.matrix) / PEAK_MULTIPLY_ADDS * seconds_at_peak * 1e6:.3g}"
            shape = " x ".join(map(str, kernel.matrix))
        times = f"{kernel.microseconds / total:.1%} | {kernel.microseconds / arguments.batch:.3g}"
        print(f"| {kernel.name.split('/')[0].removesuffix('.product')} | {kernel.operator} | {times} | {at_peak} | {shape} |")
    others = total - sum(kernel.microseconds for kernel in shown)
    print(f"| others | | {others / total:.1%} | {others / arguments.batch:.3g} | | |")


def profile_kernels(name: str, batch: int, rounds: int) -> list[Kernel]:
    """Return the kernels of a bundled model, each with the median of its times."""
    contents = pocketgan_models.path(name).read_bytes()
    products = {
        node: int(np.prod(weights.shape[1:])) for node, weights in kernel_weights(optimized(contents)) if weights is not None
    }
    config = mnist_config(name)
    inputs = model_inputs(latent_size(config), len(generator_classes(config)), 2, batch)
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(contents, options, providers=["CPUExecutionProvider"])
        for _ in range(rounds):
            session.run(["images"], inputs)
        events = json.loads(Path(session.end_profiling()).read_text())
    durations, facts = defaultdict(list), {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX):
            node = event["name"].removesuffix(_SUFFIX)
            durations[node].append(event["dur"])
            facts[node] = event["args"]["op_name"], next(iter(event["args"]["output_type_shape"][0].values()))
    kernels = []
    for node, microseconds in durations.items():
        operator, output = facts[node]
        # Channels last: all axes but the last are positions.
        matrix = (math.prod(output[:-1]) // batch, output[-1], products[node]) if node in products else None
        kernels.append(Kernel(node, operator, statistics.median(microseconds), matrix))
    return kernels


def median_seconds(rounds: int) -> float:
    """Return the median seconds that `large_convolution` takes on one thread."""
    run, seconds = large_convolution(1), []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
