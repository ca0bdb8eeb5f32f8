"""`gan-gen`, run within the tests: what its options draw, what it prints, and what it refuses."""

import json
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import contents, with_classes
from PIL import Image
from typer.testing import CliRunner

from pocketgan.address import INDEX_LIMIT, SEED_LIMIT
from pocketgan.drawing import finished_image
from pocketgan.gen_cli import MOST_IMAGES, app
from pocketgan.generator import Generator


@dataclass(frozen=True)
class GanGen:
    """Runs gan-gen in the working folder, with a given model."""

    model: Path

    def __call__(self, *arguments: str | Path, code: int = 0) -> str:
        """Run, expect an exit code and nothing on stdout, and return what was printed on stderr."""
        result = CliRunner().invoke(app, ["--model", str(self.model), *map(str, arguments)], catch_exceptions=False)
        assert (result.exit_code, result.stdout) == (code, ""), result.stderr
        return result.stderr


@pytest.fixture
def gan_gen(models: Path, empty_folder: Path) -> GanGen:
    """gan-gen with a model without classes."""
    return GanGen(models / "tiny.onnx")


@pytest.fixture
def drawing_classes(models: Path, empty_folder: Path) -> GanGen:
    """gan-gen with a model of ten classes."""
    return GanGen(models / "tiny_conditional.onnx")


def files(folder: str | Path = "digits") -> dict[str, bytes]:
    """Return the contents of all files in a folder, hidden ones too, except manifests and labels."""
    return {name: data for name, data in contents(Path(folder)).items() if not re.match(r"manifest|labels.*\.csv", name)}


def pixels(folder: str | Path = "digits") -> list[object]:
    """Return the pixels of the PNG files in a folder, in the order of their names."""
    return [np.asarray(Image.open(path)).tolist() for path in sorted(Path(folder).glob("0*.png"))]


@pytest.mark.parametrize(
    ("options", "start", "expected"),
    [
        ((), 0, {"count": 10}),
        (("--count", "3", "--start", "7", "--seed", str(SEED_LIMIT - 1)), 7, {"count": 3, "seed": SEED_LIMIT - 1, "start": 7}),
        (("--count", "2", "--truncation", "0.4"), 0, {"count": 2, "truncation": 0.4}),
        (("--count", "2", "--hand", "3"), 0, {"count": 2, "hand": 3}),
        (("--count", "10", "--hand", "3", "--shard", "1/5"), 2, {"count": 2, "start": 2, "hand": 3}),
        (("--count", "2", "--hand", "7:3", "--consistency", "0.9"), 0, {"count": 2, "hand": (7, 3), "consistency": 0.9}),
        (("--count", "1000000000", "--shard", "1/500000000"), 2, {"count": 2, "start": 2}),  # the limit is for one call
    ],
)
def test_options_choose_the_images(
    gan_gen: GanGen, tiny: Generator, options: tuple[str, ...], start: int, expected: dict[str, Any]
) -> None:
    gan_gen(*options)
    assert sorted(files()) == [f"{index:08d}.png" for index in range(start, start + expected["count"])]
    assert pixels() == tiny.generate(**expected).tolist()


@pytest.mark.parametrize(
    ("options", "labels"),
    [((), [8, 9, 0]), (("--digit", "7"), [7, 7, 7]), (("--class", "7"), [7, 7, 7]), (("--digits", "8-9,0,0"), [8, 9, 0])],
)
def test_options_choose_the_classes(
    drawing_classes: GanGen, conditional: Generator, options: tuple[str, ...], labels: list[int]
) -> None:
    drawing_classes("--count", "3", "--start", "8", *options)
    assert sorted(files()) == [f"{index:08d}_{label}.png" for index, label in enumerate(labels, 8)]
    assert pixels() == [conditional.generate(1, label, start=index)[0].tolist() for index, label in enumerate(labels, 8)]


def test_classes_are_chosen_by_name_not_by_label(empty_folder: Path, tmp_path: Path, conditional: Generator) -> None:
    gan_gen = GanGen(with_classes(conditional, tmp_path, tuple("9876543210")).path)
    gan_gen("--digit", "7", "--count", "1")
    assert pixels() == conditional.generate(1, digits=2).tolist()
    gan_gen("--text", "90", "--out", "text")
    assert pixels("text") == [np.hstack(list(conditional.generate(2, digits=[0, 9]))).tolist()]


def test_text_is_one_image_of_its_digits_in_a_row(drawing_classes: GanGen, conditional: Generator) -> None:
    assert "\n1 image of 2026 of seed 0 from index 0 in digits after " in drawing_classes("--text", "2026")
    assert list(files()) == ["00000000_2026.png"]
    assert pixels() == [np.hstack(list(conditional.generate(4, digits=[2, 0, 2, 6]))).tolist()]
    drawing_classes("--text", "2026", "--gif", "--out", "walk")
    assert len(pixels("walk")) == 10


def test_count_and_start_of_text_count_rows(drawing_classes: GanGen) -> None:
    drawing_classes("--text", "2026", "--count", "40", "--out", "forty", "--threads", "3")
    drawing_classes("--text", "2026", "--start", "37", "--out", "one")
    assert len(files("forty")) == 40
    assert files("one") == {"00000037_2026.png": files("forty")["00000037_2026.png"]}


def test_size_and_inversion_are_those_of_every_image_and_of_the_sheet(gan_gen: GanGen, tiny: Generator) -> None:
    gan_gen("--size", "60", "--invert", "--grid", "5x1")
    assert pixels() == [finished_image(image, 60, is_inverted=True).tolist() for image in tiny.generate(5)]
    with Image.open("digits/grid.png") as sheet:
        assert sheet.size == (2 + 5 * (60 + 2), 2 + 60 + 2)


@pytest.mark.parametrize("file_format", ["png", "npz"])
def test_files_are_the_same_from_any_number_of_threads(gan_gen: GanGen, file_format: str) -> None:
    for threads in (1, 2, 7):
        gan_gen("--count", "200", "--threads", str(threads), "--format", file_format, "--grid", "10x10", "--out", f"{threads}")
    assert files("1") == files("2") == files("7")


def test_shards_fill_one_folder_like_the_whole_run(drawing_classes: GanGen) -> None:
    # 100 images from index 7, which no batch and no cycle of classes begins with.
    options = ("--count", "100", "--start", "7", "--seed", "2")
    for number in range(3):
        drawing_classes(*options, "--shard", f"{number}/3", "--out", "in_parts")
    drawing_classes(*options, "--out", "at_once")
    assert files("in_parts") == files("at_once")


def test_it_prints_which_model_and_provider_it_uses_and_what_it_drew(gan_gen: GanGen) -> None:
    options = ("--count", "1234", "--start", "5", "--seed", "9", "--truncation", "0.4", "--format", "npz")
    lines = gan_gen(*options).splitlines()
    assert lines[:2] == [f"model {gan_gen.model} (as named): test, int8", "provider cpu: an int8 model"]
    assert re.fullmatch(r"1,234 images of seed 9 from index 5 at truncation 0\.4 in digits after \d+\.\d\d s", lines[2])
    assert len(lines) == 3


def test_quiet_prints_nothing(gan_gen: GanGen) -> None:
    assert gan_gen("-q", "--grid", "5x2", "--gif") == ""
    assert len(files()) == 12


def test_without_a_name_the_bundled_model_draws(bundled_folder: Path, empty_folder: Path) -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    assert f"model {bundled_folder / 'pocket.onnx'} (bundled): test, int8\n" in result.stderr


@pytest.mark.parametrize(
    ("first", "second", "in_the_way"),
    [
        ((), ("--start", "8"), "00000008_8.png exists already, as do 1 more: use --overwrite"),
        (("--text", "2026", "--count", "3"), ("--text", "1999", "--start", "2"), "00000002_2026.png exists already: use"),
        (
            ("--format", "idx"),
            ("--format", "idx", "--seed", "1"),
            "images-idx3-ubyte exists already, as do 2 more (of another run: seed is 0 there, 1 requested): use --overwrite",
        ),
        (
            ("--grid", "2x2"),
            ("--format", "npz", "--grid", "2x2"),
            'grid.png exists already, as do 1 more (of another run: format is "png" there, "npz" requested): use --overwrite',
        ),
    ],
)
def test_files_that_exist_are_refused_and_stay_until_they_are_overwritten(
    drawing_classes: GanGen, first: tuple[str, ...], second: tuple[str, ...], in_the_way: str
) -> None:
    drawing_classes(*first)
    before = contents(Path("digits"))
    assert f"error: digits/{in_the_way}" in drawing_classes(*second, code=1)
    assert contents(Path("digits")) == before
    drawing_classes(*second, "--overwrite")
    drawing_classes(*second, "--out", "fresh")
    assert contents(Path("fresh")).items() <= contents(Path("digits")).items()


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            "tiny",
            ("--digit", "7"),
            "model tiny has no classes: it cannot draw chosen digits or text; choose another one, such as --model pocket",
        ),
        ("tiny_conditional", ("--digits", "8-11"), "model tiny_conditional has no class '10': its classes are 0, 1, 2, "),
        ("tiny_conditional", ("--text", "20x6"), "model tiny_conditional has no class 'x': its classes are 0, 1, 2, "),
        ("tiny", ("--provider", "cuda"), "--provider cuda: this model is int8 and CUDA has no integer"),
        ("absent", (), "no model {path}: expected a file, or the name of a bundled model ("),
        ("float_output", (), "model {path}: it has the outputs "),
        ("tiny", ("--out", "/dev/null"), "output /dev/null is a file, expected a folder or a free name: choose another --out\n"),
    ],
)
def test_an_expected_failure_is_one_line_and_leaves_nothing(
    models: Path, empty_folder: Path, model: str, options: tuple[str, ...], message: str
) -> None:
    path = models / f"{model}.onnx"
    printed = GanGen(path)("--quiet", *options, code=1)
    assert printed.startswith(f"error: {message.format(path=path)}")
    assert printed.count("\n") == 1
    assert list(empty_folder.iterdir()) == []


def test_a_random_seed_is_another_each_time_and_is_told(drawing_classes: GanGen) -> None:
    said = [drawing_classes("--seed", "random", "--count", "2", "--out", folder) for folder in ("one", "other")]
    seeds = [json.loads(Path(folder, "manifest.json").read_text())["seed"] for folder in ("one", "other")]
    assert len(set(seeds)) == 2
    for text, seed, folder in zip(said, seeds, ("one", "other"), strict=True):
        assert f"seed {seed}\n" in text
        assert f"2 images of seed {seed} from index 0 in {folder} " in text
        drawing_classes("--seed", str(seed), "--count", "2", "--out", "again", "--overwrite")
        assert contents(Path("again")) == contents(Path(folder))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--count", "0"), "--count"),
        (("--count", str(INDEX_LIMIT + 1)), "--count"),
        (("--count", str(MOST_IMAGES + 1)), "--count: 100,000,001 are too many for one call: at most 100,000,000; use --shard"),
        (("--seed", "-1"), "--seed: '-1' is not a seed: expected a whole number from 0 to 18446744073709551615, or random"),
        (("--seed", str(SEED_LIMIT)), "--seed: seed 18446744073709551616 is out of range: expected 0 to 18446744073709551615"),
        (("--seed", "random", "--resume"), "--seed: random is another seed each time, --resume needs the same one"),
        (("--seed", "random", "--shard", "0/2"), "--seed: random is another seed each time, --shard needs the same one"),
        (("--start", "-1"), "--start"),
        (("--start", str(INDEX_LIMIT)), "--start"),
        (
            ("--start", str(INDEX_LIMIT - 1), "--count", "2"),
            f"--start: images {INDEX_LIMIT - 1} to {INDEX_LIMIT} are out of range",
        ),
        (("--text", "26", "--start", str(INDEX_LIMIT - 1)), f"--start: rows {INDEX_LIMIT - 1} to {INDEX_LIMIT - 1} of 2 char"),
        (("--size", "513"), "--size"),
        (("--threads", "0"), "--threads"),
        (("--threads", "1025"), "--threads"),
        (("--format", "gif"), "--format"),
        (("--truncation", "1.5"), "--truncation: truncation 1.5 is out of range"),
        (("--digit", "0-4"), "--digit: '0-4' is not a class"),
        (("--digits", "7-4"), "--digits: the range 7-4 runs backwards: expected 4-7"),
        (("--text", ""), "--text: the text '' has 0 characters"),
        (("--digit", "7", "--digits", "7"), "--digit: it cannot be used together with --digits"),
        (("--text", "7", "--digit", "7"), "--digit: it cannot be used together with --text"),
        (("--text", "7", "--digits", "7"), "--digits: it cannot be used together with --text"),
        (("--provider", "tpu"), "--provider"),
        (("--hand", "seven"), "--hand: 'seven' is not a hand: expected its number, such as 3, or SEED:NUMBER"),
        (("--hand", "3", "--consistency", "2"), "--consistency: consistency 2.0 is out of range: expected 0 to 1"),
        (
            ("--slant", "15 degrees"),
            "--slant: '15 degrees' is not a value: expected a number such as 15, or a range such as -5..20",
        ),
        (("--thickness", "4..2"), "--thickness: thickness 4..2 runs backwards: expected 2..4"),
        (("--width", "9999"), "--width: width 9999.0 is out of range: expected -1000 to 1000"),
        (("--consistency", "0.5"), "--consistency: it says how much images by one hand look alike: it needs --hand"),
        (("--shard", "3/3"), "--shard: '3/3' is not a shard"),
        (("--shard", "0/11"), "--shard: 11 shards are too many"),
        (("--grid", "10"), "--grid: '10' is not a grid: expected columns and rows"),
        (("--grid", "0x5"), "--grid: '0x5' is not a grid"),
        (("--grid", "10000x1"), "--grid: '10000x1' is not a grid"),
        (("--gif", "--count", "1"), "--gif: a walk needs at least two images"),
        (("--show", "--json", "--out", "digits"), "--json: it cannot be used together with --show: both go to standard output"),
        (("--out", "", "--show"), "--out: the name is empty: expected a folder, or - for standard output"),
        (("--resume", "--overwrite"), "--resume: it cannot be used together with --overwrite"),
        (("--out", "-", "--format", "npz"), "--out -: standard output takes --format png or raw, not npz"),
        (("--out", "-", "--grid", "2x2"), "--out -: it cannot be used together with --grid"),
        (("--out", "-", "--gif"), "--out -: it cannot be used together with --gif"),
        (("--out", "-", "--show"), "--out -: it cannot be used together with --show"),
        (("--out", "-", "--json"), "--out -: it cannot be used together with --json"),
        (("--out", "-", "--resume"), "--out -: it cannot be used together with --resume"),
        (("--out", "-", "--overwrite"), "--out -: it cannot be used together with --overwrite"),
        (("--show", "--grid", "2x2"), "--show: it writes no files without --out: --grid needs it"),
        (("--show", "--format", "npz"), "--show: it writes no files without --out: --format needs it"),
        (("--show", "--resume"), "--show: it writes no files without --out: --resume needs it"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_names_the_option(gan_gen: GanGen, arguments: tuple[str, ...], named: str) -> None:
    assert named in gan_gen(*arguments, code=2)
    assert list(Path().iterdir()) == []


def test_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{version('pocketgan')}\n", "")


def test_help_has_a_short_form_too() -> None:
    short, long = (CliRunner().invoke(app, [option]) for option in ("-h", "--help"))
    assert (short.exit_code, short.stdout) == (0, long.stdout)
    assert "Draw images with an exported generator: " in short.stdout
