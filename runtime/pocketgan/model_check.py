"""Checks a model file for gan-info: whether it can be used, whether it draws its golden pixels, and how fast it is."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING

import pocketgan_models
from pocketgan.errors import ModelError, PocketganError, first_line
from pocketgan.model.card import ModelCard
from pocketgan.model.checked import CheckedModel, UnusableModel
from pocketgan.model.session import Provider, open_session

if TYPE_CHECKING:
    from pocketgan.generator import Generator

_MOST_TIMED_RUNS = 20
_LONGEST_TIMING_NANOSECONDS = 10**9


@dataclass(frozen=True)
class ModelFacts:
    """The facts of a model file, usable or not. A fact that could not be determined is None; `problem` then says why."""

    path: Path | None
    reason: str | None
    """Why this file is used."""
    size_bytes: int | None
    sha256: str | None
    """Digest of the file, in hexadecimal."""
    bundled: str | None
    """The name of the bundled model that this file is or is a copy of; None for any other file."""
    card: ModelCard | None
    problem: str | None
    """Why the file cannot be used and what to do, in one line."""


@dataclass(frozen=True)
class GoldenPixels:
    """The pixels that a bundled model drew when it was released, on every processor tried."""

    seed: int
    count: int
    """The pixels are those of images 0 to `count - 1`."""
    sha256: str
    """Digest of the pixels: uint8 [count, H, W], row by row."""


@dataclass(frozen=True)
class GoldenCheck:
    """Whether a bundled model draws its golden pixels here."""

    expected: GoldenPixels
    drawn_sha256: str
    """Digest of the pixels drawn here."""
    holds: bool
    """Whether both digests are equal."""


@dataclass(frozen=True)
class Timing:
    """How long a call of onnxruntime takes, on one thread."""

    batch_size: int
    first_microseconds: float
    """The first call of a new session, in microseconds per image."""
    median_microseconds: float
    """The median of the calls after the first, in microseconds per image."""
    runs: int
    """The number of calls after the first."""


@dataclass(frozen=True)
class DrawingCheck:
    """The result of drawing with a model. A result that could not be determined is None or empty; `problem` then says why."""

    provider: Provider | None = None
    provider_reason: str | None = None
    golden: GoldenCheck | None = None
    """None also for a model that is not bundled."""
    timings: tuple[Timing, ...] = ()
    problem: str | None = None
    """What is wrong and what to do, in one line."""


def facts_of(model: CheckedModel | UnusableModel) -> ModelFacts:
    """Return the facts of what `inspect_model` found. This works without numpy and onnxruntime."""
    location, contents = model.location, model.contents
    return ModelFacts(
        path=None if location is None else location.path,
        reason=None if location is None else location.reason,
        size_bytes=None if contents is None else len(contents),
        sha256=model.sha256,
        bundled=None if contents is None else _bundled_name(contents),
        card=model.card,
        problem=str(model.error) if isinstance(model, UnusableModel) else None,
    )


def check_drawing(model: CheckedModel, bundled: str | None, provider: Provider = Provider.auto) -> DrawingCheck:
    """Draw with a model, time it, and compare its pixels with the golden ones if it is a bundled model.

    This takes about a second for a model as fast as the bundled ones, and needs an installation without problems.
    """
    check = DrawingCheck()
    try:
        from pocketgan.generator import Generator

        generator = Generator(model, provider)
        check = replace(check, provider=generator.provider, provider_reason=generator.provider_reason)
        if bundled is not None:
            golden = _check_golden(generator, bundled)
            check = replace(check, golden=golden, problem=_golden_problem(generator, bundled, golden))
        # The smallest batch, and the batch size that gan-gen uses.
        return replace(check, timings=tuple(_time(generator, model.contents, size) for size in (1, generator.batch_size)))
    except PocketganError as error:
        return replace(check, problem=str(error))


def golden_pixels(name: str) -> GoldenPixels | None:
    """Return the golden pixels of a bundled model, None if they are not known. Raises ModelError if golden.json is damaged."""
    path = pocketgan_models.golden()
    try:
        listed = json.loads(path.read_text())
        digest = listed["pixels_sha256"].get(name)
        return None if digest is None else GoldenPixels(int(listed["seed"]), int(listed["count"]), str(digest))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is damaged ({first_line(error)}): install pocketgan again") from error


def _bundled_name(contents: bytes) -> str | None:
    """Return the name of the bundled model with these contents, None if there is none."""
    for name in pocketgan_models.names():
        path = pocketgan_models.path(name)
        try:
            if path.stat().st_size == len(contents) and path.read_bytes() == contents:
                return name
        except OSError:  # a bundled model that cannot be read does not matter here
            continue
    return None


def _check_golden(generator: "Generator", name: str) -> GoldenCheck | None:
    """Return whether the generator draws the golden pixels of a bundled model, None if these are not known."""
    golden = golden_pixels(name)
    if golden is None:
        return None
    digest = hashlib.sha256(generator.generate(golden.count, seed=golden.seed).tobytes()).hexdigest()
    return GoldenCheck(golden, digest, digest == golden.sha256)


def _golden_problem(generator: "Generator", name: str, check: GoldenCheck | None) -> str | None:
    if check is None:
        return f"{pocketgan_models.golden()} has no golden pixels of {name}: install pocketgan again"
    if check.holds:
        return None
    return (
        f"model {generator.path} draws other pixels than {name} did when it was released (SHA-256 "
        f"{check.drawn_sha256[:12]}..., expected {check.expected.sha256[:12]}...): install pocketgan and onnxruntime again, "
        "and if that does not help, report it with all of this output"
    )


def _time(generator: "Generator", contents: bytes, batch_size: int) -> Timing:
    """Time the calls of a new session. Raises ModelError if the model does not draw."""
    from pocketgan.latents import latents

    generator.generate(batch_size)  # raises if the model does not draw as many images
    opened = open_session(contents, generator.card.precision, generator.provider)
    feeds = generator.feeds(latents(0, 0, batch_size, generator.card.latent_size), generator.labels(0, batch_size))
    first, *others = _nanoseconds(lambda: opened.session.run(["images"], feeds))
    scale = 1000 * batch_size
    return Timing(batch_size, round(first / scale, 2), round(median(others) / scale, 2), len(others))


def _nanoseconds(call: Callable[[], object]) -> list[int]:
    """Return the duration of the first call and of one or more calls after it, which take about a second at most."""
    durations: list[int] = []
    while len(durations) < 2 or (len(durations) <= _MOST_TIMED_RUNS and sum(durations) < _LONGEST_TIMING_NANOSECONDS):
        before = perf_counter_ns()
        call()
        durations.append(perf_counter_ns() - before)
    return durations
