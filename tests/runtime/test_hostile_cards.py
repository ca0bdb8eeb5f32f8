"""Model cards that mean harm, through the command: one line, exit code 1, no files."""

import json
import sys
from pathlib import Path

import pytest
from hostile_files import harmless
from limited_gan_gen import ending, refusal_here
from protobuf_bytes import bytes_field, metadata_entry

from pocketgan.model.card import CARD_KEY
from pocketgan.model.checked import read_metadata

CARD = read_metadata((Path(__file__).parent / "models" / "tiny_float.onnx").read_bytes())[CARD_KEY]


def changed(**values: object) -> str:
    """Return a card with other values."""
    return json.dumps(json.loads(CARD) | values)


CARDS = {
    "deep": "[" * 200_000,
    "deep within": changed(quality=0).replace('"quality": 0', '"quality": ' + '{"a":' * 50_000 + "0" + "}" * 50_000),
    "long": changed(name="x" * 300_000),
    "long list": changed(classes=[str(number) for number in range(200_000)]),
    "long number": changed(latent_size=0).replace('"latent_size": 0', '"latent_size": ' + "9" * 100_000),
    "huge latent": changed(latent_size=2**31),
    "huge number": changed(latent_size=10**4000),
    "other latent": changed(latent_size=17),
    "huge images": changed(image_height=2**20, image_width=2**20),
    "other images": changed(image_height=1024, image_width=1024),
    "negative images": changed(image_height=-8, image_width=-8),
    "endless step": changed(latent_step=float("inf")),
    "step that is no number": changed(latent_step=float("nan")),
    "other step": changed(latent_step=1 / 64),
    "classes that it has not": changed(classes=["0", "1"]),
    "too many classes": changed(classes=[f"c{number}" for number in range(1001)]),
    "classes of one name": changed(classes=["0", "0"]),
    "classes that lead out of the folder": changed(classes=["../../evil"]),
    "classes that are no text": changed(classes=[[[]]]),
    "name that commands the terminal": changed(name="\x1b[2J\x1b]0;title\x07"),
    "name that is no text": changed(name="\ud800"),
    "quality of a long name that is no text": changed(quality={"\ud800\n" * 20_000: "?"}),
    "schema to come": changed(schema=10**300),
    "schema that is no number": changed(schema=True),
    "list": "[1, 2, 3]",
    "nothing": "null",
    "not JSON": "\x00\x01",
    "empty object": "{}",
}


@pytest.mark.parametrize("name", CARDS)
def test_a_card_that_does_not_fit_is_refused(name: str, tmp_path: Path) -> None:
    refusal_here(tmp_path, harmless(CARDS[name]))


METADATA = {
    "two megabytes": metadata_entry("notes", "x" * 2**21),
    "a hundred thousand entries": metadata_entry("k", "v") * 100_000,
    "a card that is no text": bytes_field(14, bytes_field(1, CARD_KEY.encode()) + bytes_field(2, b"\xff\xfe{}")),
    "a second card": metadata_entry(CARD_KEY, changed(latent_size=4096)),
}


@pytest.mark.parametrize("name", METADATA)
def test_other_metadata_is_bounded_and_the_last_card_holds(name: str, tmp_path: Path) -> None:
    refusal_here(tmp_path, harmless(CARD) + METADATA[name])


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")
def test_the_card_that_all_these_are_made_of_is_good(tmp_path: Path) -> None:
    assert ending(tmp_path, harmless(changed(quality={"frechet": float("nan")}))) == (0, "", "")
