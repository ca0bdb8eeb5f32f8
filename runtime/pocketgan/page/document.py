"""Puts a model, the program that draws with it, and perhaps the pictures of a training run into one HTML file."""

import base64
import hashlib
import json
import re
import shlex
from html import escape
from importlib.resources import files
from pathlib import Path

from pocketgan.address import DEFAULT_CONSISTENCY, INDEX_LIMIT, TRUNCATION_UNITS, consistency_units
from pocketgan.errors import ModelError, OutputError, RequestError
from pocketgan.files import open_regular_file, refuse_other_file, whole_file
from pocketgan.generator import Generator
from pocketgan.latents import HAND_CORRELATIONS, WORDS_PER_TICK
from pocketgan.model.checked import CheckedModel
from pocketgan.model.session import Provider
from pocketgan.output.walk import FRAME_MILLISECONDS, STEPS_BETWEEN
from pocketgan.request import CLASSES_OF_CHARACTERS, LONGEST_TEXT
from pocketgan.trait_table import SCORES, TRAITS

_ENGINE = ("executor.js", "latents.js", "worker.js")
_PAGE = ("state.js", "sheet.js", "controls.js")
_DIGITS = tuple("0123456789")
_SHEET = re.compile(r"fakes_epoch_([0-9]{1,9})\.png")
_MOST_SHEETS = 200
_LARGEST_FILE_BYTES = 2**20
_SHOWN = 100
"""Images on the page's sheet."""


def write_page(target: Path, model: CheckedModel, run: Path | None = None) -> None:
    """Write the page of an int8 model.

    With a `run`, a folder of gan-train, it also shows the run's sheets, from epoch to epoch, and its curves. Raises ModelError
    for a float model and one that cannot be computed without onnxruntime, RequestError if the folder is not a run of gan-train,
    and OutputError if the file cannot be written, its name does not end in .html, or it exists and is no such page.
    """
    if target.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"cannot write a page to {target}: expected a name that ends in .html")
    refuse_other_file(target, b'content="gan-page"', "is no page of gan-page: choose another name, or move it away")
    page = _page(model, run).encode()
    with whole_file(target) as temporary:
        temporary.write_bytes(page)


def _page(model: CheckedModel, run: Path | None) -> str:
    card, location = model.card, model.location
    if card.precision != "int8":
        raise ModelError(f"model {location.path} is {card.precision}: a page draws int8 models only, see gan-export --precision")
    # Refuses what gan-gen refuses, and an operator that numpy lacks: the page does not have it either.
    Generator(model, Provider.numpy).generate(max(1, min(len(card.classes), _SHOWN)))
    name = location.bundled_name or location.path.name
    noun = "digit" if set(card.classes) <= set(_DIGITS) else "class"
    settings = {
        "model": shlex.quote(name),
        "noun": noun,
        "classesOfCharacters": CLASSES_OF_CHARACTERS,
        "wordsPerTick": WORDS_PER_TICK,
        "handCorrelations": list(HAND_CORRELATIONS.values()),
        "usualConsistency": consistency_units(DEFAULT_CONSISTENCY),
        "units": TRUNCATION_UNITS,
        "indexLimit": INDEX_LIMIT,
        "shown": _SHOWN,
        "traits": list(TRAITS),
        "unitOf": dict(TRAITS),
        "scores": list(SCORES),
        "walkSteps": STEPS_BETWEEN,
        "frameMilliseconds": FRAME_MILLISECONDS,
    }
    title = "Digits that nobody wrote" if noun == "digit" and card.training.data_set == "mnist" else f"Images of {card.name}"
    about = (
        f"Model {card.name} ({card.architecture}), {len(model.contents):,} bytes, SHA-256 {model.sha256[:16]}; trained on "
        f"{card.training.data_set}; licence {card.licence_in_words}. Made by pocketgan {card.package_version}."
    )
    note = "This command draws the same image, pixel for pixel, wherever pocketgan is installed"
    style, page = _text("page.css"), "\n".join(map(_text, _PAGE))
    parts = {
        "title": escape(title),
        "style": style,
        "style-hash": _hash(style),
        "last-start": str(INDEX_LIMIT - _SHOWN),
        "longest-text": str(LONGEST_TEXT),
        "command-note": f"{note}:" if location.bundled_name else f"{note} and you have {escape(name)}:",
        "run": "" if run is None else _time_lapse(run),
        "facts": escape(about),
        "settings": json.dumps(settings).replace("<", "\\u003c"),
        "model": base64.b64encode(model.contents).decode(),
        "engine": "\n".join(map(_text, _ENGINE)),
        "page": page,
        "page-hash": _hash(page),
    }
    return re.sub(r"\{\{([a-z-]+)\}\}", lambda found: parts[found[1]], _text("page.html"))


def _text(name: str) -> str:
    return files("pocketgan.page").joinpath(name).read_text("utf-8")


def _hash(script: str) -> str:
    """Return how a page allows one script or style and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _time_lapse(run: Path) -> str:
    """Return the part of the page that shows a run. Raises RequestError if the folder has no sheets."""
    if not run.is_dir():
        raise RequestError(f"no folder {run}: expected a run of gan-train, such as runs/0001-pocket-mnist")
    numbered = sorted((int(found[1]), path) for path in run.iterdir() if (found := _SHEET.fullmatch(path.name)))
    if not numbered:
        raise RequestError(
            f"{run} has no sheets of an epoch: expected a run of gan-train, with files such as fakes_epoch_0001.png"
        )
    shown = numbered[::-1][:: -(-len(numbered) // _MOST_SHEETS)][::-1]  # always the last one
    sheets = "\n".join(
        f'<img src="{_data(path)}" alt="Images after epoch {epoch}"{"" if epoch == shown[-1][0] else " hidden"}>'
        for epoch, path in shown
    )
    curves = run / "curves.png"
    picture = f'<img src="{_data(curves)}" alt="Curves of the run">' if curves.is_file() else ""
    last = len(shown) - 1
    epochs = " ".join(str(epoch) for epoch, _ in shown)
    return f"""<section id="lapse" aria-label="How it was trained">
  <h2>How it was trained</h2>
  <label class="slider"><span>Epoch</span>
    <input id="epoch" type="range" min="0" max="{last}" value="{last}"><output></output></label>
  <div class="buttons"><button type="button" id="play-epochs" aria-pressed="false">Play</button></div>
  <div id="sheets" data-epochs="{epochs}">{sheets}</div>
  {picture}
</section>"""


def name_of_run(run: Path) -> str | None:
    """Return the name that gan-export gives to the model of a run, PRESET-DATA; None if the folder does not say it.

    Raises RequestError if the run's config exists, but cannot be read.
    """
    if not (run / "config.json").exists():
        return None
    try:
        config = json.loads(_contents(run / "config.json"))
        return f"{config['preset']}-{config['data']['name']}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _contents(path: Path) -> bytes:
    """Return the contents of a file. Raises RequestError if it cannot be read, or is too large."""
    try:
        with open_regular_file(path) as file:
            contents = file.read(_LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error
    if len(contents) > _LARGEST_FILE_BYTES:
        raise RequestError(f"{path} is too large: expected at most {_LARGEST_FILE_BYTES:,} bytes")
    return contents


def _data(path: Path) -> str:
    """Return a PNG file as a URL. Raises RequestError if it cannot be read, is too large, or is not a PNG file."""
    contents = _contents(path)
    if not contents.startswith(b"\x89PNG"):
        raise RequestError(f"{path} is not a PNG file")
    return f"data:image/png;base64,{base64.b64encode(contents).decode()}"
