"""Loads crafted checkpoints as gan-export and gan-train --resume do: each must load or be refused with a one-line error.

    python scripts/fuzz_checkpoints.py [--count 1000] [--seed 0]

Linux only; needs the extra [train]. Each file is a valid checkpoint with changes to its config, position, threads, tensors or
header, and a digest that matches them. A file that takes more than 30 seconds, adds more than 256 MB to the process or raises any
other error is a failure. The exit code is 1 if anything failed.
"""

import argparse
import json
import random
import struct
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from pocketgan.errors import PocketganError
from pocketgan_trainer.training.checkpoint import digest, load_checkpoint, restore_generator, save_checkpoint
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.loop import check_resumable
from pocketgan_trainer.training.presets import PRESETS, build_gan, latent_size
from pocketgan_trainer.training.progress import Progress, zero_sums
from pocketgan_trainer.training.steps import Batch

MOST_SECONDS, MOST_MEGABYTES = 30, 256
CPU = torch.device("cpu")
DEEP = "[" * 100_000
TEXTS = ("", DEEP, "{}", "[]", "null", "9" * 5000, "-3", "0", "1025", " 1", "é\x1b")
NAMES = ("", "x", "\x1b[2J", "average.0.weight", "generator.0.weight", "random.cuda", "sums")
TYPES = (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool)
SHAPES = ((0,), (), (1,), (4,), (7,), (16,), (2**40, 0), (2**62, 2, 0), (1, 1, 1, 1))
NUMBERS = (0, -1, 1, 2**31, 2**53, 2**64, 10**400, 1.5, 1e308, float("nan"), float("inf"), True, None)
VALUES: tuple[object, ...] = (
    *NUMBERS,
    *TEXTS,
    *NAMES,
    *PRESETS,
    "x" * 10**5,
    "../x",
    {},
    [[]],
    [str(n) for n in range(2000)],
    ["a", "a"],
    {"a": {}},
)

Contents = tuple[dict[str, str], dict[str, Tensor]]


def sound(path: Path, config: TrainingConfig) -> Contents:
    """Return the texts and tensors of a valid checkpoint after one training step."""
    preset = PRESETS[config.preset]
    gan, labels = build_gan(config, CPU), (torch.arange(8),) if preset.is_conditional else ()
    latents = torch.randn(8, latent_size(config))
    batch = Batch(
        torch.rand(8, 1, 28, 28),
        latents,
        labels,
        step=0,
        penalty_weight=1.0,
        class_weight=1.0,
        guidance_weight=0.0,
        trait_weight=config.trait_weight,
        hidden_traits_share=0.0,
        shifted_share=0.5,
    )
    preset.step(gan, batch)
    save_checkpoint(path, config, gan, Progress(step=1, images_seen=config.batch_size), zero_sums(CPU))
    with safe_open(path, framework="pt") as file:
        return file.metadata(), dict(load_checkpoint(path).tensors)


def change(rng: random.Random, text: dict[str, str], tensors: dict[str, Tensor]) -> None:
    """Change a text or one of its fields; change the values, type, shape or name of a tensor, or delete tensors."""
    name = rng.choice(list(tensors))
    tensor = tensors[name]
    match rng.randrange(9):
        case 0:
            text[rng.choice([*text, "extra"])] = rng.choice(TEXTS)
        case 1 | 2 | 3:
            of = rng.choice(["config", "progress"])
            with suppress(ValueError, TypeError, KeyError, RecursionError):  # an earlier change removed the fields
                whole = json.loads(text[of])
                fields = whole["data"] if of == "config" and rng.random() < 0.4 else whole
                field = rng.choice([*fields, "extra"])
                fields[field] = rng.choice(VALUES)
                if rng.random() < 0.1:
                    del fields[field]
                text[of] = json.dumps(whole)
        case 4 | 5:
            changed = tensor.flatten().clone()
            values = (float("nan"), float("inf"), -1.0, 1e38, 1e-45, 0.0) if tensor.is_floating_point() else (0, 1, 255)
            changed[rng.randrange(max(1, len(changed))) if rng.random() < 0.5 and len(changed) else slice(None)] = rng.choice(
                values
            )
            tensors[name] = changed.reshape(tensor.shape)
        case 6:
            tensors[name] = tensor.to(rng.choice(TYPES)) if rng.random() < 0.5 else tensor.flatten()
        case 7:
            tensors[rng.choice([name, *NAMES])] = torch.zeros(rng.choice(SHAPES), dtype=tensor.dtype)
        case _:
            start = rng.choice([name, "generator.", "discriminator.", "average.", "generator_optimizer.", "random."])
            for one in [one for one in tensors if one.startswith(start) and len(tensors) > 1]:
                del tensors[one]


def crafted(rng: random.Random, originals: list[Contents]) -> bytes:
    """Return the bytes of a crafted checkpoint; one in ten has a header that safetensors would not write."""
    original = rng.choice(originals)
    text, tensors = dict(original[0]), dict(original[1])
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        change(rng, text, tensors)
    contents = save(tensors, metadata={**text, "sha256": digest(tensors)})
    data_begins = 8 + struct.unpack("<Q", contents[:8])[0]
    header = contents[8:data_begins].rstrip()
    others = (DEEP.encode(), header[:-1] + b',"sums":{}}', header.replace(b"F32", b"F8_E8M0"), b'"' + header, b"{}", b"")
    if rng.random() < 0.1:
        header = rng.choice(others)
    return struct.pack("<Q", len(header)) + header + contents[data_begins:]


def attempt(path: Path) -> str:
    """Return `loads`, or why a checkpoint is refused. Any other error is raised."""
    try:
        checkpoint = load_checkpoint(path)
        restore_generator(checkpoint)
        check_resumable(checkpoint, CPU)
    except PocketganError as error:
        if "\n" in str(error) or len(str(error)) > 2000:
            raise
        return ascii(str(error).replace(str(path), "FILE").split("'")[0])[:90]
    return "loads"


def main() -> None:
    """Try the checkpoints and print a summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    outcomes, failures, slowest, most = Counter[str](), [], 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crafted.safetensors"
        presets = PRESETS.values()
        configs = [preset.config for preset in presets] + [preset.canvas.config for preset in presets if preset.canvas]
        originals = [sound(path, config) for config in configs]
        for index in range(arguments.count):
            path.write_bytes(crafted(random.Random(f"{arguments.seed}-{index}"), originals))
            before, began = getrusage(RUSAGE_SELF).ru_maxrss, time.monotonic()
            try:
                outcomes[attempt(path)] += 1
            except Exception as error:  # anything but our own errors is a failure
                failures.append(f"checkpoint {index}: {type(error).__name__}: {str(error)[:200]!a}")
            seconds, megabytes = time.monotonic() - began, (getrusage(RUSAGE_SELF).ru_maxrss - before) // 1024
            slowest, most = max(slowest, seconds), max(most, megabytes)
            if seconds > MOST_SECONDS or megabytes > MOST_MEGABYTES:
                failures.append(f"checkpoint {index}: {seconds:.0f} s, {megabytes} MB more")
    for outcome, count in outcomes.most_common(20):
        print(f"{count:6,}  {outcome}")
    print(f"{arguments.count:,} checkpoints, the slowest took {slowest:.1f} s, the largest {most} MB more")
    print("\n".join(failures) or "no failure")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
