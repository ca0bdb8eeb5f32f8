"""`gan-gen`, run within the tests: what it writes, what it says, and how it refuses."""

import json
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from protobuf_bytes import metadata_entry
from typer.testing import CliRunner

from pocketgan.address import INDEX_LIMIT
from pocketgan.drawing import finished
from pocketgan.gen_cli import MOST_IMAGES, app
from pocketgan.generator import Generator
from pocketgan.model.card import CARD_KEY


@dataclass(frozen=True)
class GanGen:
    """Runs gan-gen in the working folder, with `tiny.onnx` unless another model is named."""

    model: Path

    def __call__(self, *arguments: str | Path) -> str:
        """Run, expect success with nothing on stdout, and return what was said."""
        result = CliRunner().invoke(app, ["--model", str(self.model), *map(str, arguments)], catch_exceptions=False)
        assert (result.exit_code, result.stdout) == (0, ""), result.stderr
        return result.stderr

    def refusal(self, *arguments: str | Path, code: int = 1) -> str:
        """Run, expect failure with nothing on stdout, and return what was said: one line if it is not about usage."""
        result = CliRunner().invoke(app, ["--model", str(self.model), *map(str, arguments)], catch_exceptions=False)
        assert (result.exit_code, result.stdout) == (code, "")
        said = result.stderr
        if code == 1:
            assert re.fullmatch(r"error: [^\n]+\n", said.splitlines(keepends=True)[-1])
        return said


@pytest.fixture
def gan_gen(models: Path, empty_folder: Path) -> GanGen:
    return GanGen(models / "tiny.onnx")


@pytest.fixture
def drawing_classes(models: Path, empty_folder: Path) -> GanGen:
    """gan-gen with a model of ten classes."""
    return GanGen(models / "tiny_conditional.onnx")


def files(folder: str | Path = "digits") -> dict[str, bytes]:
    """Return the contents of all files of a folder, hidden ones too, but for manifest and labels."""
    found = re.compile(r"manifest(_\d+)?\.json|labels(_\d+)?\.csv")
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if not found.fullmatch(path.name)}


def pixels(path: str | Path) -> object:
    with Image.open(path) as image:
        return np.asarray(image).tolist()


def test_without_options_ten_images_are_drawn_into_digits(gan_gen: GanGen, tiny: Generator) -> None:
    gan_gen()
    assert sorted(files()) == [f"{index:08d}.png" for index in range(10)]
    for index, image in enumerate(tiny.generate(10)):
        assert pixels(f"digits/{index:08d}.png") == image.tolist()


def test_options_choose_how_many_where_and_of_which_seed(gan_gen: GanGen, tiny: Generator) -> None:
    gan_gen("--count", "3", "--out", "a/b", "--seed", "18446744073709551615", "--start", "1099511627776")
    assert sorted(files("a/b")) == ["1099511627776.png", "1099511627777.png", "1099511627778.png"]
    assert pixels("a/b/1099511627777.png") == tiny.generate(1, seed=2**64 - 1, start=2**40 + 1)[0].tolist()


def test_an_image_is_the_same_file_drawn_with_others_or_alone(gan_gen: GanGen) -> None:
    gan_gen("--count", "10", "--out", "ten")
    gan_gen("--count", "1", "--start", "7", "--out", "one")
    assert files("one") == {"00000007.png": files("ten")["00000007.png"]}


@pytest.mark.parametrize("file_format", ["png", "npz"])
def test_files_are_the_same_from_any_number_of_threads(gan_gen: GanGen, file_format: str) -> None:
    for threads in (1, 2, 7):
        gan_gen("--count", "200", "--threads", str(threads), "--format", file_format, "--grid", "10x10", "--out", f"{threads}")
    assert files("1") == files("2") == files("7")


def test_runs_of_consecutive_ranges_fill_one_folder(gan_gen: GanGen) -> None:
    gan_gen("--count", "20", "--out", "at_once")
    for start in ("0", "7", "14"):
        gan_gen("--count", "7" if start != "14" else "6", "--start", start, "--out", "in_parts")
    assert files("in_parts") == files("at_once")


def test_images_of_a_model_with_classes_are_named_by_them(models: Path, empty_folder: Path, conditional: Generator) -> None:
    GanGen(models / "tiny_conditional.onnx")("--count", "3", "--start", "8")
    assert sorted(files()) == ["00000008_8.png", "00000009_9.png", "00000010_0.png"]
    assert pixels("digits/00000009_9.png") == conditional.generate(1, digits=9, start=9)[0].tolist()


def test_a_png_file_shows_how_to_draw_it_again(drawing_classes: GanGen, conditional: Generator) -> None:
    drawing_classes("--count", "1", "--start", "17", "--seed", "4", "--truncation", "0.25")
    ((name, _),) = files().items()
    with Image.open(Path("digits", name)) as image:
        found = json.loads(image.info["pocketgan"])
        drawn = np.asarray(image)
    assert found == {"model": conditional.sha256, "seed": 4, "truncation": 0.25, "index": 17, "class": "7"}
    again = conditional.generate(1, int(found["class"]), found["seed"], found["index"], truncation=found["truncation"])
    np.testing.assert_array_equal(again[0], drawn)


@pytest.mark.parametrize("file_format", ["png", "npz", "idx"])
def test_images_of_another_size_and_dark_on_white_come_in_every_format(
    gan_gen: GanGen, tiny: Generator, file_format: str
) -> None:
    gan_gen("--count", "2", "--size", "60", "--invert", "--format", file_format, "--grid", "20x20")
    ((batch),) = finished(tiny.stream(2), 60, is_inverted=True)
    assert batch.images.shape[1] == 60
    if file_format == "png":
        assert pixels("digits/00000001.png") == batch.images[1].tolist()
        with Image.open("digits/00000001.png") as image:
            found = json.loads(image.info["pocketgan"])
        assert (found["height"], found["inverted"]) == (60, True)
    elif file_format == "npz":
        with np.load("digits/digits.npz") as archive:
            np.testing.assert_array_equal(archive["images"], batch.images)
    else:
        contents = Path("digits/images-idx3-ubyte").read_bytes()
        assert contents[8:16] == b"".join(size.to_bytes(4, "big") for size in batch.images.shape[1:])
        assert contents[16:] == batch.images.tobytes()
    with Image.open("digits/grid.png") as sheet:
        assert sheet.height < 2 * 112 + 20


def test_a_part_of_more_images_than_one_call_draws_is_drawn(gan_gen: GanGen) -> None:
    gan_gen("--count", "1000000000", "--shard", "0/500000000")
    assert sorted(files()) == ["00000000.png", "00000001.png"]
    assert "use --shard" in gan_gen.refusal("--count", "100000001", code=2)


def test_truncation_is_for_every_model(gan_gen: GanGen, tiny: Generator) -> None:
    said = gan_gen("--count", "3", "--truncation", "0.4")
    assert "\n3 images of seed 0 from index 0 at truncation 0.398 in digits after " in said
    assert pixels("digits/00000002.png") == tiny.generate(3, truncation=0.4)[2].tolist()
    gan_gen("--count", "3", "--truncation", "1", "--out", "explicit")
    gan_gen("--count", "3", "--out", "default")
    assert files("explicit") == files("default") != files()


def test_one_digit_is_drawn_alone(drawing_classes: GanGen, conditional: Generator) -> None:
    drawing_classes("--digit", "7", "--count", "3", "--start", "11")
    assert sorted(files()) == ["00000011_7.png", "00000012_7.png", "00000013_7.png"]
    assert pixels("digits/00000012_7.png") == conditional.generate(1, digits=7, start=12)[0].tolist()


@pytest.mark.parametrize("file_format", ["png", "npz"])
def test_several_digits_come_in_turn(drawing_classes: GanGen, conditional: Generator, file_format: str) -> None:
    drawing_classes("--digits", "8-9,0,0", "--count", "6", "--start", "3", "--format", file_format)
    labels, images = [0, 8, 9, 0, 0, 8], conditional.generate(6, digits=[8, 9, 0, 0], start=3)
    if file_format == "png":
        assert sorted(files()) == [f"{index:08d}_{label}.png" for index, label in enumerate(labels, 3)]
        assert pixels("digits/00000005_9.png") == images[2].tolist()
    else:
        with np.load("digits/digits.npz", allow_pickle=False) as read:
            np.testing.assert_array_equal(read["labels"], labels)
            np.testing.assert_array_equal(read["images"], images)


def test_classes_are_chosen_by_name_not_by_label(models: Path, empty_folder: Path, conditional: Generator) -> None:
    card = replace(conditional.card, classes=tuple("9876543210"))
    named = (models / "tiny_conditional.onnx").read_bytes() + metadata_entry(CARD_KEY, card.to_json())
    Path("backwards.onnx").write_bytes(named)
    gan_gen = GanGen(Path("backwards.onnx"))
    gan_gen("--digit", "7", "--count", "1")
    assert pixels("digits/00000000_7.png") == conditional.generate(1, digits=2)[0].tolist()
    gan_gen("--text", "90", "--out", "text")
    assert pixels("text/00000000_90.png") == np.hstack(list(conditional.generate(2, digits=[0, 9]))).tolist()


def test_text_is_one_image_of_its_digits_in_a_row(drawing_classes: GanGen, conditional: Generator) -> None:
    said = drawing_classes("--text", "2026")
    assert list(files()) == ["00000000_2026.png"]
    assert pixels("digits/00000000_2026.png") == np.hstack(list(conditional.generate(4, digits=[2, 0, 2, 6]))).tolist()
    assert "\n1 image of 2026 of seed 0 from index 0 in digits after " in said


def test_count_and_start_of_text_count_rows(drawing_classes: GanGen) -> None:
    drawing_classes("--text", "2026", "--count", "40", "--out", "forty", "--threads", "3")
    drawing_classes("--text", "2026", "--start", "37", "--out", "one")
    assert len(files("forty")) == 40
    assert files("one") == {"00000037_2026.png": files("forty")["00000037_2026.png"]}


def test_text_as_npz_is_rows_and_their_labels(drawing_classes: GanGen, conditional: Generator) -> None:
    drawing_classes("--text", "2026", "--count", "50", "--start", "3", "--format", "npz", "--seed", "5", "--truncation", "0.7")
    with np.load("digits/digits.npz", allow_pickle=False) as read:
        assert read["images"].shape == (50, 8, 32)
        np.testing.assert_array_equal(read["index"], np.arange(3, 53))
        np.testing.assert_array_equal(read["labels"], [[2, 0, 2, 6]] * 50)
        singles = conditional.generate(4, digits=[2, 0, 2, 6], seed=5, start=4 * 4, truncation=0.7)
        np.testing.assert_array_equal(read["images"][1], np.hstack(list(singles)))


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (5, 2, 3), (12, 4, 3), (130, 4, 3)])
def test_grid_of_text_shows_rows_of_it(drawing_classes: GanGen, count: int, rows: int, columns: int) -> None:
    drawing_classes("--text", "2026", "--count", str(count), "--grid", "3x4")
    with Image.open("digits/grid.png") as image:
        assert image.size == (2 + columns * (32 * 4 + 2), 2 + rows * (8 * 4 + 2))


def test_a_row_in_the_way_is_refused_whatever_its_text(drawing_classes: GanGen) -> None:
    drawing_classes("--text", "2026", "--count", "3")
    before = files()
    refused = drawing_classes.refusal("--text", "1999", "--start", "2")
    assert "00000002_2026.png exists already: use --overwrite, or another --out" in refused
    assert files() == before
    drawing_classes("--text", "1999", "--start", "3")
    drawing_classes("--text", "2026", "--start", "2", "--overwrite", "--seed", "1")
    assert sorted(files()) == sorted([*before, "00000003_1999.png"])
    assert files()["00000002_2026.png"] != before["00000002_2026.png"]


@pytest.mark.parametrize("option", ["--digit", "--digits", "--text"])
def test_a_model_without_classes_refuses_to_choose(gan_gen: GanGen, option: str) -> None:
    assert gan_gen.refusal("--quiet", option, "7") == (
        "error: model tiny has no classes: it draws neither chosen digits nor text; choose another model\n"
    )
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("arguments", "named"), [(("--digit", "12"), "12"), (("--digits", "8-11"), "10"), (("--text", "20x6"), "x")]
)
def test_a_class_that_the_model_lacks_is_refused_with_those_it_has(
    drawing_classes: GanGen, arguments: tuple[str, str], named: str
) -> None:
    assert drawing_classes.refusal("--quiet", *arguments) == (
        f"error: model tiny_conditional has no class '{named}': its classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9\n"
    )
    assert os.listdir() == []


def test_rows_beyond_the_last_index_are_refused(drawing_classes: GanGen) -> None:
    start = str(INDEX_LIMIT - MOST_IMAGES)
    assert f"error: rows {start} to {start} of 4 characters are out of range" in drawing_classes.refusal(
        "--text", "2026", "--start", start
    )
    assert os.listdir() == []


@pytest.mark.parametrize(("first", "second"), [("--digit", "--digits"), ("--digit", "--text"), ("--digits", "--text")])
def test_classes_are_chosen_in_one_way_only(drawing_classes: GanGen, first: str, second: str) -> None:
    for arguments in ((first, "7", second, "7"), (second, "7", first, "7")):
        assert f"{first}: it cannot be used together with {second}" in drawing_classes.refusal(*arguments, code=2)
    assert os.listdir() == []


def test_npz_is_one_file_with_all(models: Path, empty_folder: Path, conditional: Generator) -> None:
    GanGen(models / "tiny_conditional.onnx")("--count", "100", "--start", "5", "--format", "npz")
    assert list(files()) == ["digits.npz"]
    with np.load("digits/digits.npz", allow_pickle=False) as read:
        np.testing.assert_array_equal(read["images"], conditional.generate(100, start=5))
        np.testing.assert_array_equal(read["index"], np.arange(5, 105))
        np.testing.assert_array_equal(read["labels"], np.arange(5, 105) % 10)


@pytest.mark.parametrize("file_format", ["png", "npz", "idx"])
def test_shards_are_the_parts_of_the_whole(drawing_classes: GanGen, file_format: str) -> None:
    # 100 images from index 7, which no batch and no cycle of classes begins with.
    options = ("--count", "100", "--start", "7", "--seed", "2", "--format", file_format)
    for number in range(3):
        drawing_classes(*options, "--shard", f"{number}/3", "--out", f"part{number}")
    drawing_classes(*options, "--out", "whole")
    whole = files("whole")
    parts = [files(f"part{number}") for number in range(3)]
    if file_format == "png":
        assert parts[0] | parts[1] | parts[2] == whole
        assert sum(map(len, parts)) == len(whole)
    elif file_format == "npz":
        with np.load("whole/digits.npz") as archive:
            for name in archive.files:
                pieces = []
                for number in range(3):
                    with np.load(f"part{number}/digits.npz") as part:
                        pieces.append(part[name])
                np.testing.assert_array_equal(np.concatenate(pieces), archive[name])
    else:
        for name, header in (("images-idx3-ubyte", 16), ("labels-idx1-ubyte", 8)):
            assert b"".join(part[name][header:] for part in parts) == whole[name][header:]


@pytest.mark.parametrize(("shard", "found"), [("3/3", "is no shard"), ("x", "is no shard"), ("0/11", "11 shards are too many")])
def test_a_shard_that_is_none_is_wrong_usage(gan_gen: GanGen, shard: str, found: str) -> None:
    said = gan_gen.refusal("--shard", shard, code=2)
    assert found in said
    assert "--shard" in said


@pytest.mark.parametrize(("file_format", "suffix"), [("idx", ""), ("idx.gz", ".gz")])
def test_idx_files_that_exist_are_refused_before_anything_is_written(
    drawing_classes: GanGen, file_format: str, suffix: str
) -> None:
    labels = f"labels-idx1-ubyte{suffix}"
    Path("digits").mkdir()
    Path("digits", labels).write_bytes(b"mine")
    assert f"digits/{labels} exists already: use --overwrite" in drawing_classes.refusal("--format", file_format)
    assert files() == {labels: b"mine"}
    drawing_classes("--format", file_format, "--overwrite")
    assert files()[labels] != b"mine"
    assert set(files()) == {labels, f"images-idx3-ubyte{suffix}"}


@pytest.mark.parametrize("file_format", ["png", "npz"])
@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (10, 2, 8), (40, 5, 8), (70, 5, 8)])
def test_a_grid_shows_the_first_images(gan_gen: GanGen, count: int, rows: int, columns: int, file_format: str) -> None:
    gan_gen("--count", str(count), "--grid", "8x5", "--format", file_format)
    with Image.open("digits/grid.png") as image:
        assert image.size == (2 + columns * (8 * 4 + 2), 2 + rows * (8 * 4 + 2))
    assert len(files()) == (count if file_format == "png" else 1) + 1


def test_it_says_which_model_and_provider_it_used_and_what_it_drew(gan_gen: GanGen) -> None:
    said = gan_gen("--count", "1234", "--start", "5", "--seed", "9", "--format", "npz").splitlines()
    assert said[0] == f"model {gan_gen.model} (as named): test, int8"
    assert said[1] == "provider cpu: an int8 model"
    assert re.fullmatch(r"1,234 images of seed 9 from index 5 in digits after \d+\.\d\d s", said[2])
    assert len(said) == 3


def test_one_image_is_said_in_the_singular(gan_gen: GanGen) -> None:
    assert "\n1 image of seed 0 from index 0 in digits after " in gan_gen("--count", "1")


@pytest.mark.parametrize("option", ["--quiet", "-q"])
def test_quiet_says_nothing(gan_gen: GanGen, option: str) -> None:
    assert gan_gen(option, "--grid", "5x2", "--gif") == ""
    assert len(files()) == 12


def test_quiet_still_says_errors(gan_gen: GanGen) -> None:
    Path("digits").touch()
    assert gan_gen.refusal("--quiet").startswith("error: output digits is a file")


def test_the_bundled_model_is_used_by_default_and_named(bundled_folder: Path, empty_folder: Path) -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    assert f"model {bundled_folder / 'pocket.onnx'} (bundled): test, int8\n" in result.stderr


def test_a_model_in_the_working_folder_is_preferred_and_named(
    bundled_folder: Path, empty_folder: Path, models: Path, conditional: Generator
) -> None:
    Path("model.onnx").write_bytes((models / "tiny_conditional.onnx").read_bytes())
    result = CliRunner().invoke(app, ["--count", "1"])
    assert result.exit_code == 0
    assert "model model.onnx (found in this folder): test, int8\n" in result.stderr
    assert pixels("digits/00000000_0.png") == conditional.generate(1)[0].tolist()


def test_a_damaged_model_in_the_working_folder_is_an_error(bundled_folder: Path, empty_folder: Path, models: Path) -> None:
    Path("model.onnx").write_bytes((models / "tiny.onnx").read_bytes()[:-100])
    result = CliRunner().invoke(app, ["--count", "1", "--quiet"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: model model.onnx: ")
    assert "such as --model pocket, or export or copy this one again\n" in result.stderr
    assert not Path("digits").exists()


def test_files_that_exist_are_refused_and_stay(gan_gen: GanGen) -> None:
    gan_gen("--count", "5", "--seed", "1")
    before = files()
    assert gan_gen.refusal("--count", "5", "--start", "3").endswith(
        f"error: {Path('digits/00000003.png')} exists already, as do 1 more: use --overwrite, or another --out\n"
    )
    assert files() == before
    gan_gen("--count", "5", "--start", "5")
    assert len(files()) == 10


@pytest.mark.parametrize("arguments", [("--format", "npz"), ("--format", "npz", "--grid", "2x2"), ("--grid", "2x2")])
def test_single_files_that_exist_are_refused_before_anything_is_written(gan_gen: GanGen, arguments: tuple[str, ...]) -> None:
    Path("digits").mkdir()
    in_the_way = "grid.png" if "--grid" in arguments else "digits.npz"
    Path("digits", in_the_way).write_bytes(b"old")
    assert f"{Path('digits') / in_the_way} exists already: use --overwrite, or another --out" in gan_gen.refusal(*arguments)
    assert files() == {in_the_way: b"old"}


@pytest.mark.parametrize("file_format", ["png", "npz"])
def test_overwrite_replaces_files_that_exist(gan_gen: GanGen, file_format: str) -> None:
    gan_gen("--seed", "1", "--grid", "20x20", "--format", file_format, "--out", "fresh")
    gan_gen("--seed", "2", "--grid", "20x20", "--format", file_format)
    assert files() != files("fresh")
    gan_gen("--seed", "1", "--grid", "20x20", "--format", file_format, "--overwrite")
    assert files() == files("fresh")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--count", "0"), "--count"),
        (("--count", "-1"), "--count"),
        (("--count", str(10**12)), "--count"),
        (("--count", str(MOST_IMAGES + 1)), "--count"),
        (("--count", "ten"), "--count"),
        (("--count", "1.5"), "--count"),
        (("--count",), "--count"),
        (("--seed", "-1"), "--seed"),
        (("--seed", str(2**64)), "--seed"),
        (("--start", "-1"), "--start"),
        (("--start", str(2**48)), "--start"),
        (("--threads", "0"), "--threads"),
        (("--threads", "100000"), "--threads"),
        (("--format", "gif"), "--format"),
        (("--truncation", "0"), "--truncation"),
        (("--truncation", "1.5"), "--truncation"),
        (("--truncation", "nan"), "--truncation"),
        (("--truncation", "some"), "--truncation"),
        (("--digit", "0-4"), "--digit: '0-4' is not a class"),
        (("--digit", ""), "--digit: '' is not a class"),
        (("--digits", "0-4,,7"), "--digits: '' is neither a class nor a range"),
        (("--digits", "7-4"), "--digits: the range 7-4 runs backwards: expected 4-7"),
        (("--digits", "0-1000"), "--digits: '0-1000' stands for too many classes"),
        (("--text", ""), "--text: the text '' has 0 characters"),
        (("--text", "1" * 33), "--text: the text '111111111111...1111111111111' has 33 characters"),
        (("--text",), "--text"),
        (("--provider", "tpu"), "--provider"),
        (("--grid",), "--grid"),
        (("--grid", "10"), "--grid: '10' is no grid: expected columns and rows"),
        (("--grid", "0x5"), "--grid: '0x5' is no grid"),
        (("--grid", "10000x1"), "--grid: '10000x1' is no grid"),
        (("--gif", "--count", "1"), "--gif: a walk needs at least two images"),
        (("--show", "--json"), "--json: it cannot be used together with --show: both go to standard output"),
        (("--show", "--json", "--out", "digits"), "--json: it cannot be used together with --show"),
        (("--out", ""), "--out: the name is empty: expected a folder, or - for standard output"),
        (("--out", "", "--show"), "--out: the name is empty"),
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
        (("--colour",), "--colour"),
        (("seven",), "seven"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_names_the_option(gan_gen: GanGen, arguments: tuple[str, ...], named: str) -> None:
    assert named in gan_gen.refusal(*arguments, code=2)
    assert os.listdir() == []


def test_a_file_as_output_folder_is_refused(gan_gen: GanGen) -> None:
    Path("taken").write_bytes(b"mine")
    assert gan_gen.refusal("--out", "taken").endswith(
        "error: output taken is a file, expected a folder or a free name: choose another --out\n"
    )
    assert Path("taken").read_bytes() == b"mine"


def test_threads_that_cannot_be_started_are_refused(gan_gen: GanGen, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refusing)
    said = gan_gen.refusal("--count", "1000", "--threads", "1024", "--quiet")
    assert said == "error: cannot start 1024 threads (can't start new thread): ask for fewer\n"
    assert os.listdir() == []


@pytest.mark.parametrize("place", ["taken/digits", "x" * 300])
def test_an_output_folder_that_cannot_be_made_is_refused(gan_gen: GanGen, place: str) -> None:
    Path("taken").touch()
    assert re.search(rf"error: cannot (make|read) the folder {place}: ", gan_gen.refusal("--out", place))


@pytest.mark.parametrize("file_format", ["png", "npz"])
def test_an_output_folder_that_takes_no_files_is_refused(gan_gen: GanGen, file_format: str) -> None:
    # A folder of the kernel: unlike permissions, it binds the superuser too, whom tests often run as.
    assert "error: cannot write into /proc/self: " in gan_gen.refusal("--format", file_format, "--out", "/proc/self")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent", "no model {path}: expected a file, or the name of a bundled model ("),
        ("external_initializer", "model {path}: it keeps weights in another file (external data)"),
        ("no_card", "model {path}: it has no pocketgan model card: expected a file made by gan-export"),
        ("card_of_schema_2", "model {path}: the model card has schema 2, this version reads up to 1: upgrade pocketgan"),
        ("card_lies_about_image_size", "model {path}: it has the outputs "),
        ("float_output", "model {path}: it has the outputs "),
        ("fails_when_drawing", "model {path} failed to draw: "),
        ("draws_twice_as_many", "model {path}: its output 'images' has the shape [2, 8, 8] and type 2 for 1 images"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_by_name(models: Path, empty_folder: Path, name: str, said: str) -> None:
    path = models / f"{name}.onnx"
    assert f"error: {said.format(path=path)}" in GanGen(path).refusal()
    assert not Path("digits").exists() or files() == {}


def test_a_model_that_is_not_onnx_is_refused_by_name(empty_folder: Path) -> None:
    Path("picture.onnx").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert GanGen(Path("picture.onnx")).refusal().startswith("error: model picture.onnx")


@pytest.mark.parametrize("model", [".", "x" * 5000])
def test_a_model_that_cannot_be_a_file_is_refused(empty_folder: Path, model: str) -> None:
    assert (
        GanGen(Path(model))
        .refusal()
        .startswith(
            f"error: {'model .: it cannot be read (it is a folder, not a file)' if model == '.' else f'no model {model}'}"
        )
    )


def test_cuda_is_refused_for_an_int8_model(gan_gen: GanGen) -> None:
    assert gan_gen.refusal("--provider", "cuda").startswith("error: --provider cuda: this model is int8 and CUDA has no integer")


def test_cuda_is_refused_where_there_is_none(models: Path, empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    gan_gen = GanGen(models / "tiny_float.onnx")
    assert gan_gen.refusal("--provider", "cuda").startswith("error: --provider cuda: CUDA is not live: this onnxruntime has no")
    assert "\nprovider cpu: requested\n" in gan_gen("--provider", "cpu")
    assert "\nprovider cpu: CUDA is not live: this onnxruntime has no CUDA provider" in gan_gen("--overwrite")


def test_a_missing_onnxruntime_is_refused_with_what_to_install(gan_gen: GanGen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "pip install '.[cpu]'" in gan_gen.refusal()


def test_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{version('pocketgan')}\n", "")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_option(option: str) -> None:
    result = CliRunner().invoke(app, [option], env={"COLUMNS": "200"})
    assert (result.exit_code, result.stderr) == (0, "")
    for name in (
        "count",
        "out",
        "seed",
        "start",
        "digit",
        "digits",
        "text",
        "truncation",
        "model",
        "provider",
        "threads",
        "format",
        "size",
        "invert",
        "shard",
        "grid",
        "gif",
        "show",
        "overwrite",
        "resume",
        "json",
        "quiet",
        "version",
    ):
        assert re.search(rf"--{name}\b", result.stdout)
