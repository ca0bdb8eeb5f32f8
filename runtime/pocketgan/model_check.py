"""What a model file is, and whether it draws here as it should: its facts, its golden pixels, its time for an image."""

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
from pocketgan.model.checked import check_graph, locate_model, read_card, read_model_file
from pocketgan.model.session import Provider, open_session

if TYPE_CHECKING:
    from pocketgan.generator import Generator

_MOST_TIMED_RUNS = 20
_LONGEST_TIMING_NANOSECONDS = 10**9


@dataclass(frozen=True)
class ModelFile:
    """A model file as it lies there. What could not be found out is None, and then `problem` says why."""

    path: Path | None = None
    reason: str | None = None
    """Why this file is taken."""
    size_bytes: int | None = None
    sha256: str | None = None
    """Digest of the file, in hexadecimal."""
    bundled: str | None = None
    """Name of the bundled model that this file is, or is a copy of."""
    card: ModelCard | None = None
    problem: str | None = None
    """Why it cannot be used and what to do, in one line."""


@dataclass(frozen=True)
class GoldenPixels:
    """The pixels that a bundled model drew when it was released, on every processor tried."""

    seed: int
    count: int
    """They are images 0 to `count - 1`."""
    sha256: str
    """Digest of the pixels: uint8 [count, H, W], row by row."""


@dataclass(frozen=True)
class GoldenCheck:
    """Whether a bundled model draws its golden pixels here."""

    expected: GoldenPixels
    drawn_sha256: str
    """Digest of what was drawn."""
    holds: bool


@dataclass(frozen=True)
class Timing:
    """How long one call of onnxruntime took, on one thread."""

    batch_size: int
    first_microseconds: float
    """The first call of a new session for so many images, in microseconds an image."""
    median_microseconds: float
    """The median of the calls after it, in microseconds an image."""
    runs: int
    """How many calls came after it."""


@dataclass(frozen=True)
class Drawing:
    """What came of drawing with a model. What could not be found out is None or empty, and then `problem` says why."""

    provider: Provider | None = None
    provider_reason: str | None = None
    golden: GoldenCheck | None = None
    """None also for a model that is not bundled."""
    timings: tuple[Timing, ...] = ()
    problem: str | None = None
    """What is wrong and what to do, in one line."""


def inspect_model(model: str | Path | None = None) -> ModelFile:
    """Return the facts of the file that `model` stands for, as for `Generator.load`: of a file that cannot be used, too.

    It takes neither numpy nor onnxruntime.
    """
    file = ModelFile()
    try:
        location = locate_model(model)
        file = replace(file, path=location.path, reason=location.reason)
        with location.explained():
            contents = read_model_file(location.path)
            digest = hashlib.sha256(contents).hexdigest()
            file = replace(file, size_bytes=len(contents), sha256=digest, bundled=_bundled_name(contents))
            file = replace(file, card=read_card(contents))
            check_graph(contents)
    except ModelError as error:
        return replace(file, problem=str(error))
    return file


def check_drawing(file: ModelFile, provider: Provider = Provider.auto) -> Drawing:
    """Draw with a model that `inspect_model` found no problem in, and compare and time what it draws.

    Takes about a second at most for a model that is as fast as the bundled ones. It needs an installation without problems.
    """
    assert file.path is not None
    assert file.card is not None
    drawing = Drawing()
    try:
        from pocketgan.generator import Generator

        generator = Generator.load(file.path, provider)
        drawing = replace(drawing, provider=generator.provider, provider_reason=generator.provider_reason)
        golden = None if file.bundled is None else golden_pixels(file.bundled)
        if file.bundled is not None and golden is None:
            drawing = replace(
                drawing, problem=f"{pocketgan_models.golden()} does not tell of {file.bundled}: install pocketgan again"
            )
        if golden is not None:
            check = _check_golden(generator, golden)
            drawing = replace(drawing, golden=check, problem=None if check.holds else _deviation(file, check))
        # As few images as can be in a call, and as many as gan-gen draws at once.
        return replace(drawing, timings=tuple(_time(generator, file.path, size) for size in (1, generator.batch_size)))
    except PocketganError as error:
        return replace(drawing, problem=str(error))


def golden_pixels(name: str) -> GoldenPixels | None:
    """Return the golden pixels of a bundled model, None if none are known. Raises ModelError if their list is damaged."""
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
        except OSError:  # this one cannot be read, which says nothing of the file in question
            continue
    return None


def _check_golden(generator: "Generator", golden: GoldenPixels) -> GoldenCheck:
    digest = hashlib.sha256(generator.generate(golden.count, seed=golden.seed).tobytes()).hexdigest()
    return GoldenCheck(golden, digest, digest == golden.sha256)


def _deviation(file: ModelFile, check: GoldenCheck) -> str:
    """Say what golden pixels that differ mean."""
    return (
        f"model {file.path} draws other pixels than {file.bundled} did when it was released (SHA-256 "
        f"{check.drawn_sha256[:12]}..., expected {check.expected.sha256[:12]}...): install pocketgan and onnxruntime again, "
        "and if that does not help, report it with all of this output"
    )


def _time(generator: "Generator", path: Path, batch_size: int) -> Timing:
    """Time a session of its own. Raises ModelError if it does not draw."""
    from pocketgan.latents import latents

    generator.generate(batch_size)  # raises if the model does not draw, or not so many
    opened = open_session(read_model_file(path), generator.card.precision, generator.provider)
    feeds: dict[str, object] = {"z": latents(0, 0, batch_size, generator.card.latent_size)}
    labels = generator.labels(0, batch_size)
    if labels is not None:
        feeds["label"] = labels
    first, *others = _nanoseconds(lambda: opened.session.run(["images"], feeds))
    scale = 1000 * batch_size
    return Timing(batch_size, round(first / scale, 2), round(median(others) / scale, 2), len(others))


def _nanoseconds(call: Callable[[], object]) -> list[int]:
    """Return the duration of the first call and of those after it: at least one, and no more than a second or so of them."""
    durations: list[int] = []
    while len(durations) < 2 or (len(durations) <= _MOST_TIMED_RUNS and sum(durations) < _LONGEST_TIMING_NANOSECONDS):
        before = perf_counter_ns()
        call()
        durations.append(perf_counter_ns() - before)
    return durations
