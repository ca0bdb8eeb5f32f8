"""`gan-write` as it is typed: its files, its report, what it refuses, and that a stopped run can be completed."""

import json
import shlex
from pathlib import Path

import pytest
from drawings import contents
from PIL import Image
from typer.testing import CliRunner

from pocketgan.write_cli import app


def gan_write(*arguments: str | Path, code: int = 0, given: str = "") -> str:
    """Run gan-write, expect its exit code, and return what was said, and printed."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=given, catch_exceptions=False)
    assert result.exit_code == code, result.stderr
    return result.stderr + result.stdout


def pixels(path: str) -> bytes:
    """Return the grey levels of an image, without its text chunk, which may name other options."""
    with Image.open(path) as image:
        return image.tobytes()


@pytest.fixture(autouse=True)
def empty(empty_folder: Path) -> None:
    """The working folder is empty."""


def test_ten_numbers_and_what_they_say_without_any_option() -> None:
    assert "10 images of seed 0 from index 0 in numbers after" in gan_write()
    rows = Path("numbers/labels.csv").read_text().splitlines()
    assert rows[0] == "file_name,index,label"
    assert len(rows) == 11
    for row in rows[1:]:
        name, _, text = row.split(",")
        assert 3 <= len(text) <= 6
        assert text.isdecimal()
        with Image.open(f"numbers/{name}") as image:
            assert image.size == (6 * (16 + 4) + 14, 35)
            about = json.loads(image.text["pocketgan"])  # type: ignore[attr-defined]
        assert (about["text"], about["length"], about["size"]) == (text, "3..6", 28)


@pytest.mark.parametrize(
    "options",
    [
        ("--text", "2026", "--hand", "7:3", "--consistency", "0.9", "--jitter", "1"),
        ("--pattern", "date", "--background", "lines", "--noise", "9", "--ink", "50..90", "--boxes", "csv"),
        ("--length", "2", "--numbers", "4", "--canvas", "200x120", "--size", "20", "--boxes", "coco", "--masks"),
        ("--boxes", "yolo", "--boxes", "coco", "--boxes", "csv", "--background", "Squares"),
        (
            "--length",
            "5",
            "--start",
            "40",
            "--seed",
            "9",
            "--spacing",
            "-2",
            "--truncation",
            "0.5",
            "--grid",
            "2x2",
            "--boxes",
            "yolo",
        ),
    ],
)
def test_the_command_in_the_manifest_draws_the_same_files(options: tuple[str, ...]) -> None:
    gan_write(*options, "--count", "8")
    (path,) = Path("numbers").glob("manifest*.json")
    program, *arguments = shlex.split(json.loads(path.read_text())["command"])
    assert program == "gan-write"
    gan_write(*arguments, "--out", "again", "--threads", "2")
    assert contents(Path("again")) == contents(Path("numbers"))


def test_texts_come_from_a_file_or_standard_input() -> None:
    Path("texts.txt").write_text("12\n345 6\n")
    gan_write("--texts", "texts.txt", "--count", "3")
    assert gan_write("--texts", "texts.txt", "--out", "all").startswith("model")
    assert [path.name for path in sorted(Path("all").glob("*.png"))] == ["00000000.png", "00000001.png"]
    gan_write("--texts", "texts.txt", "--shard", "1/2", "--out", "half")
    assert pixels("half/00000001.png") == pixels("numbers/00000001.png")
    gan_write("--texts", "-", "--count", "3", "--out", "piped", given="12\n345 6\n")
    labels = Path("numbers/labels.csv").read_text()
    assert labels == "file_name,index,label\n00000000.png,0,12\n00000001.png,1,345 6\n00000002.png,2,12\n"
    for number in range(3):
        assert pixels(f"numbers/{number:08d}.png") == pixels(f"piped/{number:08d}.png")


def test_the_text_that_cannot_be_written_is_named() -> None:
    message = r"the text '1\t3' cannot be written: model pocket-mnist has no class '\t': its classes are 0, 1"
    assert message in gan_write("--texts", "-", given="12\n\n1\t3\n", code=1)


def test_a_part_is_the_same_as_in_the_whole_and_a_stopped_run_is_completed() -> None:
    options = ("--pattern", "[0-9]{4}", "--count", "12", "--boxes", "csv", "--masks")
    gan_write(*options)
    gan_write(*options[:4], "--shard", "1/3", "--out", "part")
    for number in range(4, 8):
        assert pixels(f"numbers/{number:08d}.png") == pixels(f"part/{number:08d}.png")
    whole = contents(Path("numbers"))
    Path("numbers/00000003.png").unlink()
    Path("numbers/boxes.csv").unlink()
    assert "(1 of them drawn now)" in gan_write(*options, "--resume")
    assert contents(Path("numbers")) == whole
    assert "(already there, the same)" in gan_write(*options)
    refused = gan_write(*options[:4], "--noise", "3", "--resume", code=1)
    assert "noise is 0 there, 3 requested" in refused
    gan_write(*options[:4], "--noise", "3", "--overwrite")


@pytest.mark.parametrize(("file_format", "suffix"), [("webdataset", "tar")])
def test_shards_hold_what_numbers_say(file_format: str, suffix: str) -> None:
    import tarfile

    gan_write("--text", "4 2", "--count", "2", "--format", file_format)
    (path,) = Path("numbers").glob(f"*.{suffix}")
    with tarfile.open(path) as shard:
        assert shard.getnames() == ["00000000.png", "00000000.txt", "00000001.png", "00000001.txt"]
        member = shard.extractfile("00000001.txt")
        assert member is not None
        assert member.read() == b"4 2"


def test_a_report_has_all_options() -> None:
    report = json.loads(gan_write("--text", "7", "--count", "2", "--json", "--quiet"))
    assert (report["text"], report["canvas"], report["drawn"], report["folder"]) == ("7", "34x35", 2, "numbers")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--text", ""), "--text: the text '' has 0 characters: expected 1 to 32"),
        (("--text", "1", "--length", "3"), "--text: text and length cannot be combined: each says what to write; choose one"),
        (("--pattern", "dates"), "--pattern: no pattern is called 'dates'; did you mean date?"),
        (("--pattern", "[0-9"), "--pattern: the pattern '[0-9' cannot be read at character 5"),
        (("--length", "0"), "--length: length 0 is out of range: expected whole numbers from 1 to 32, such as 8..32"),
        (("--length", "5..3"), "--length: length 5..3 runs backwards: expected 3..5"),
        (("--numbers", "5"), "--numbers: several numbers need a canvas to lie on, such as one of 640x480 pixels"),
        (("--canvas", "10x10"), "--canvas: 10x10 pixels: expected width and height from 28, the size of a digit, to 4096 pixels"),
        (("--numbers", "50", "--canvas", "100x100"), "--canvas: 50 numbers of up to 6 characters do not fit onto 100x100"),
        (("--text", "1" * 32, "--canvas", "60x60"), "--canvas: texts of up to 32 characters of size 28 do not fit onto 60"),
        (("--canvas", "big"), "--canvas: 'big' is not a canvas: expected WIDTHxHEIGHT in pixels, such as 256x64"),
        (("--background", "300"), "--background: background 300 is out of range: expected 0 to 255"),
        (("--background", "line"), "or a PNG, JPEG, TIFF, BMP or WebP file; did you mean lines?"),
        (("--background", "no.png"), "--background: cannot read the picture no.png: No such file or directory"),
        (("--ink", "0"), "--ink: ink 0 is out of range: expected whole numbers from 1 to 100, such as 25..100"),
        (("--format", "npz"), "is not one of 'png', 'webdataset', 'parquet'"),
        (("--format", "webdataset", "--masks"), "--masks: it works only with --format png"),
        (("--texts", "gone.txt"), "--texts: cannot read gone.txt: No such file or directory"),
        (("--resume", "--overwrite"), "--resume: it cannot be used together with --overwrite"),
        (("--out", ""), "--out: expected the name of a folder"),
        (("--out", "-"), "--out: expected the name of a folder"),
        (("--jitter", "nan"), "--jitter: jitter nan is out of range: expected 0 to 1"),
        (("--background", "9" * 5000), "--background: cannot read the picture 99999"),
        (("--spacing", "-9"), "--spacing: spacing -9 is out of range: expected at least -4 with size 28"),
        (("--size", "400", "--length", "14"), "--canvas: 4400x500 pixels for 14 characters: expected width and height from 400"),
        (("--show", "--boxes", "csv"), "--show: it writes no files without --out: --boxes needs it"),
        (("--shard", "3/3"), "--shard: '3/3' is not a shard"),
        (("--slant", "x"), "--slant: 'x' is not a value"),
        (("--hand", "x"), "--hand: 'x' is not a hand"),
    ],
)
def test_wrong_usage_is_named_and_nothing_is_written(options: tuple[str, ...], message: str) -> None:
    assert message in gan_write(*options, code=2)
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--text", "12a"), "has no class 'a': its classes are 0, 1"),
        (
            ("--pattern", "year"),
            "has no class 'a': its classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9; patterns by name are date, time",
        ),
        (
            ("--boxes", "yolo", "--out", "images/train"),
            "below a folder called images, Ultralytics looks for the labels in another",
        ),
        (("--text", "12", "--model", "dcgan"), "has no classes: it cannot draw chosen digits or text"),
    ],
)
def test_what_a_model_cannot_draw_is_named_and_nothing_is_written(options: tuple[str, ...], message: str) -> None:
    assert message in gan_write(*options, code=1)
    assert not list(Path().iterdir())


@pytest.mark.parametrize(("option", "lost"), [(("--boxes", "yolo"), "00000001.txt"), (("--masks",), "masks/00000001.png")])
def test_a_run_that_lacks_a_label_or_a_mask_is_not_complete(option: tuple[str, ...], lost: str) -> None:
    gan_write("--count", "3", *option)
    assert "(already there, the same)" in gan_write("--count", "3", *option)
    Path("numbers", lost).unlink()
    assert "exists already" in gan_write("--count", "3", *option, code=1)
    gan_write("--count", "3", *option, "--resume")
    assert Path("numbers", lost).exists()


def test_label_files_of_others_are_kept_and_links_are_not_followed(tmp_path: Path) -> None:
    Path("numbers").mkdir()
    Path("numbers/00000003.txt").write_text("mine")
    assert "exists already" in gan_write("--boxes", "yolo", code=1)
    assert contents(Path("numbers")) == {"00000003.txt": b"mine"}
    outside = tmp_path / "outside"
    outside.mkdir()
    Path("linked").mkdir()
    Path("linked/masks").symlink_to(outside)
    said = gan_write("--masks", "--overwrite", "--out", "linked", code=1)
    assert "is a symbolic link, expected a folder" in said
    assert not list(outside.iterdir())


def test_a_run_is_not_resumed_with_other_texts_or_another_picture() -> None:
    Path("texts.txt").write_text("12\n34\n")
    Image.new("L", (300, 60), 200).save("paper.png")
    options = ("--texts", "texts.txt", "--background", "paper.png", "--count", "3")
    gan_write(*options)
    Path("texts.txt").write_text("12\n35\n")
    assert "texts is " in gan_write(*options, "--resume", code=1)
    Path("texts.txt").write_text("12\n34\n")
    Image.new("L", (300, 60), 20).save("paper.png")
    assert "background is " in gan_write(*options, "--resume", code=1)
    Image.new("L", (300, 60), 200).save("paper.png")
    gan_write(*options, "--resume")


def test_a_run_of_crowded_images_is_resumed() -> None:
    options = ("--numbers", "300", "--length", "32", "--size", "14", "--canvas", "4096x2048", "--count", "1")
    gan_write(*options)
    assert "(0 of them drawn now)" in gan_write(*options, "--resume")


def test_no_boxes_of_older_images_stay() -> None:
    gan_write("--count", "4", "--boxes", "yolo", "--masks", "--grid", "2x2")
    Path("numbers/masks/mine.png").write_bytes(b"mine")
    Path("numbers/99999999.txt").write_text("mine")
    gan_write("--count", "4", "--seed", "5", "--boxes", "csv", "--overwrite")
    names = {path.name for path in Path("numbers").iterdir()}
    images = {f"{number:08d}.png" for number in range(4)}
    assert names == images | {"manifest.json", "labels.csv", "boxes.csv", "masks", "99999999.txt", ".manifest.json.lock"} & names
    assert {"masks", "99999999.txt", "boxes.csv"} <= names
    assert [path.name for path in Path("numbers/masks").iterdir()] == ["mine.png"]
    Path("numbers/manifest.json").write_text("damaged")
    gan_write("--count", "4", "--overwrite")
