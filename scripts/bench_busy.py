"""Measure how fast training, judging and export are on a busy machine: with one thread or all, with active or passive waiting.

    python scripts/bench_busy.py [--rounds 3] [--busy 1] [TASK ...]

The tasks are a training step of each preset as in gan-train, a training step of the network that tells digits apart and an
assessment by the judge as in gan-eval, and the rounding of an export. Each way is measured in its own process, in turn, without
and with `--busy` other processes. Times are medians over rounds (lowest to highest), as multiples of the time for one thread
on the idle machine; the last row of each task is for the number that gan-train and gan-eval choose. Needs [cpu,train].
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pocketgan.cpus import usable_cpus

_SECONDS = 2.0
_TASKS = ("pocket", "nano", "dcgan", "mlp", "detector", "judge", "export")
_WAYS = {
    "1 thread": ("", 1),
    "all threads": ("", usable_cpus()),
    "all, actively": ("active", usable_cpus()),
    "all, passively": ("passive", usable_cpus()),
    "as chosen": ("", 0),
}
"""By name: OMP_WAIT_POLICY, and the number of threads; 0 means to choose it."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=list(_TASKS), metavar="TASK", help=", ".join(_TASKS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, default=1, help="processes that do nothing but compute")
    parser.add_argument("--one", nargs=2, metavar=("TASK", "THREADS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(seconds(arguments.one[0], int(arguments.one[1])))
        return
    print(f"| task | way | alone | beside {arguments.busy} |\n|---|---|---:|---:|")
    for task in arguments.tasks:
        times: dict[tuple[str, int], list[float]] = {}
        for _ in range(arguments.rounds):
            for busy in (0, arguments.busy):
                with busy_processes(busy):
                    for way in _WAYS:
                        times.setdefault((way, busy), []).append(measured(task, way))
        base = statistics.median(times["1 thread", 0])
        for way in _WAYS:
            cells = []
            for busy in (0, arguments.busy):
                ratios = [found / base for found in times[way, busy]]
                cells.append(f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})")
            print(f"| {task} ({base * 1e3:.0f} ms) | {way} | {' | '.join(cells)} |", flush=True)


def measured(task: str, way: str) -> float:
    """Return the seconds that a unit of a task takes, in a separate process."""
    waiting, threads = _WAYS[way]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    if waiting:
        environment["OMP_WAIT_POLICY"] = waiting
    command = [sys.executable, __file__, "--one", task, str(threads)]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Run `count` busy processes while the block runs."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def seconds(task: str, threads: int) -> float:
    """Return the seconds that a unit of a task takes in this process, with this number of threads."""
    import torch

    from pocketgan_trainer.devices import choose_threads

    work = unit(task)
    if threads:
        torch.set_num_threads(threads)
    else:
        choose_threads(work, usable_cpus())
    work()
    began, count = time.perf_counter(), 0
    while not count or time.perf_counter() - began < _SECONDS:
        work()
        count += 1
    return (time.perf_counter() - began) / count


def unit(task: str) -> Callable[[], object]:
    """Return a function that does a unit of a task."""
    import numpy as np
    import torch

    from pocketgan_trainer.data.published import Digits
    from pocketgan_trainer.evaluate.judge import load_judge
    from pocketgan_trainer.evaluate.two_samples import train_one_step
    from pocketgan_trainer.export.exporter import build_graph
    from pocketgan_trainer.export.fold import fold
    from pocketgan_trainer.training.estimate import training_steps
    from pocketgan_trainer.training.plan import plan_new_run
    from pocketgan_trainer.training.presets import build_gan, build_generator, latent_size

    if task == "detector":
        return train_one_step
    device = torch.device("cpu")
    images = np.random.default_rng(0).integers(0, 256, (500, 28, 28), np.uint8)
    if task == "judge":
        judge = load_judge("first")
        return lambda: judge.assess(images)
    if task == "export":
        config = plan_new_run("nano", {}, device)
        layers = fold(build_generator(config).eval())
        return lambda: build_graph(layers, latent_size(config), "int8")
    config = plan_new_run(task, {"canvas": False}, device)
    take = training_steps(config, Digits(images, np.arange(len(images)) % 10), device, build_gan(config, device))
    return lambda: take(1)


if __name__ == "__main__":
    main()
