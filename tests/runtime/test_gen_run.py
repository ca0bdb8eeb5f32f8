"""Runs of gan-gen into a folder: the files beside the images, what may be replaced, and how stopped runs are completed."""

import csv
import errno
import fcntl
import json
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from chosen_traits import with_traits, write_with_traits
from drawings import contents, drawing_of
from full_disk import small_files_only
from PIL import Image
from typer.testing import CliRunner

from pocketgan.gen_cli import app
from pocketgan.generator import Generator
from pocketgan.locking import locked_or_refused
from pocketgan.output.arrays import ArrayFiles
from pocketgan.output.formats import Format
from pocketgan.output.png import PngFiles

_WITHOUT_PYARROW = pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not installed")
FORMATS = [pytest.param(name, marks=[_WITHOUT_PYARROW] * (name is Format.parquet)) for name in Format]


def gan_gen(*arguments: str | Path, code: int = 0) -> str:
    """Run gan-gen, expect its exit code and nothing on stdout, and return what was said."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (code, ""), result.stderr
    return result.stderr


@pytest.fixture
def model(models: Path, empty_folder: Path) -> Path:
    """A model with ten classes; the working folder is empty."""
    return models / "tiny_conditional.onnx"


@contextmanager
def stopped_before_writing(files: type[object]) -> Iterator[None]:
    """Press Ctrl-C, as it were, when files of this kind begin to be written."""

    def stopped(*_: object) -> Iterator[None]:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(files, "write", stopped)
        yield


def manifest(path: str | Path = "digits/manifest.json") -> dict[str, object]:
    read = json.loads(Path(path).read_text())
    assert isinstance(read, dict)
    return read


def test_the_manifest_holds_everything_that_the_images_depend_on(model: Path, conditional: Generator) -> None:
    gan_gen("--model", model, "--count", "3", "--seed", "5", "--digits", "7,1", "--size", "16", "--invert", "--truncation", "0.5")
    found = manifest()
    assert found.pop("pocketgan")
    assert found.pop("command") == (
        f"gan-gen --model {shlex.quote(str(model))} --seed 5 --start 0 --count 3 --digits 7,1 --truncation 0.5 --size 16 "
        "--invert --format png"
    )
    assert found == {
        "model": conditional.sha256,
        "model_name": "tiny_conditional",
        "seed": 5,
        "start": 0,
        "count": 3,
        "classes": ["7", "1"],
        "text": None,
        "truncation": 0.5,
        "height": 16,
        "inverted": True,
        "image_shape": [16, 16],
        "format": "png",
        "grid": None,
        "gif": False,
        "beside": [],
    }


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("png", ("--start", "93", "--seed", "4", "--digits", "0-3,9", "--grid", "4x2", "--gif")),
        ("imagefolder", ("--digit", "7", "--invert", "--shard", "1/2")),
        ("idx.gz", ("--text", "2026", "--truncation", "0.3", "--size", "11")),
        ("webdataset", ("--digit", "7", "--invert", "--shard", "1/2")),
        ("png", ("--hand", "7:3", "--consistency", "0.4")),
        ("raw", ("--text", "2026", "--truncation", "0.3", "--size", "11")),
    ],
)
def test_the_command_in_the_manifest_draws_the_same_files(model: Path, file_format: str, options: tuple[str, ...]) -> None:
    gan_gen("--model", model, "--count", "70", *options, "--format", file_format)
    (path,) = Path("digits").glob("manifest*.json")
    program, *arguments = shlex.split(str(manifest(path)["command"]))
    assert program == "gan-gen"
    gan_gen(*arguments, "--out", "again", "--threads", "3")
    assert contents(Path("again")) == contents(Path("digits"))


def test_traits_are_drawn_said_and_written_down(conditional: Generator, empty_folder: Path) -> None:
    file = write_with_traits(conditional, Path("chosen.onnx"))
    options = ("--model", file, "--count", "20", "--start", "3", "--slant", "-2.5..20", "--thickness", "3")
    assert "20 images of seed 0 from index 3, slant -2.5..20, thickness 3 in digits after" in gan_gen(*options, "--format", "npz")
    (path,) = Path("digits").glob("*.npz")
    images = np.load(path)["images"]
    expected = with_traits(conditional).generate(20, start=3, slant=(-2.5, 20), thickness=3)
    np.testing.assert_array_equal(images, expected)
    found = manifest()
    assert (found["slant"], found["thickness"], "width" in found) == ("-2.5..20", "3", False)
    gan_gen(*shlex.split(str(found["command"]))[1:], "--out", "again")
    assert contents(Path("again")) == contents(Path("digits"))
    said = gan_gen("--model", file, "--count", "20", "--start", "3", "--format", "npz", "--slant", "0", "--resume", code=1)
    assert 'slant is "-2.5..20" there, "0" requested; thickness is "3" there, null requested' in said
    assert "is out of range" in gan_gen("--model", file, "--slant", "50", "--out", "other", code=1)
    assert not Path("other").exists()


def test_a_walk_with_a_trait_begins_with_the_images_that_have_it(conditional: Generator, empty_folder: Path) -> None:
    file = write_with_traits(conditional, Path("chosen.onnx"))
    gan_gen("--model", file, "--count", "2", "--digit", "4", "--slant", "25", "--gif")
    with Image.open("digits/walk.gif") as walk:
        first = np.asarray(walk.convert("L"))
    scale = len(first) // 8
    np.testing.assert_array_equal(first[::scale, ::scale], with_traits(conditional).generate(1, 4, slant=25)[0])


def test_a_sheet_shows_the_first_images_with_a_trait_from_least_to_most(conditional: Generator, empty_folder: Path) -> None:
    options = ("--model", write_with_traits(conditional, Path("chosen.onnx")), "--vary", "width", "--count", "3", "--size", "16")
    gan_gen(*options, "--text", "40")
    with Image.open("digits/vary.png") as sheet:
        scale, gap = 4, 2
        tiles = np.asarray(sheet)[gap:, gap:].reshape(3, 16 * scale + gap, 10, 32 * scale + gap)
    drawn = tiles[:, : 16 * scale : scale, :, : 32 * scale : scale].transpose(0, 2, 1, 3)
    chosen = with_traits(conditional)
    for step, share in ((0, 0.0), (9, 1.0)):
        ends = [chosen.trait_range("width", digit) for digit in (4, 0)]
        wanted = [round(low + share * (high - low), 2) for low, high in ends]
        digits = [chosen.generate(1, digit, start=4 + place, width=wanted[place])[0] for place, digit in enumerate((4, 0))]
        row = np.asarray(Image.fromarray(np.concatenate(digits, axis=1)).resize((32, 16), Image.Resampling.LANCZOS))
        np.testing.assert_array_equal(drawn[2, step], row)
    assert manifest()["vary"] == "width"
    assert "--vary width" in str(manifest()["command"])
    refused = gan_gen("--model", conditional.path, "--vary", "width", "--out", "other", code=1)
    assert "cannot draw a chosen width, as it was trained without traits" in refused
    assert not Path("other").exists()


def test_a_sheet_and_a_walk_show_the_first_images_by_ten_hands(conditional: Generator, empty_folder: Path) -> None:
    gan_gen("--model", conditional.path, "--vary", "hand", "--gif", "--count", "1", "--digit", "4", "--hand", "9:3")
    with Image.open("digits/vary.png") as sheet:
        tiles = np.asarray(sheet)[2::4][:8].reshape(8, -1)[:, 2:].reshape(8, 10, 34)[:, :, :32:4].swapaxes(0, 1)
    images = np.concatenate([conditional.generate(1, 4, hand=(9, 3 + number)) for number in range(10)])
    np.testing.assert_array_equal(tiles, images)
    with Image.open("digits/walk.gif") as walk:
        assert walk.n_frames == 160  # type: ignore[attr-defined]
        np.testing.assert_array_equal(np.asarray(walk.convert("L"))[::4, ::4], images[0])
    assert manifest()["vary"] == "hand"
    assert "--vary hand --gif" in str(manifest()["command"])


def test_a_bundled_model_is_named_in_the_manifest_wherever_it_lies(empty_folder: Path) -> None:
    gan_gen("--model", "nano", "--count", "1")
    assert str(manifest()["command"]).startswith("gan-gen --model nano --seed 0 ")


@pytest.mark.parametrize("file_format", ["png", "imagefolder"])
def test_labels_list_file_index_and_class_of_each_image(model: Path, file_format: str) -> None:
    gan_gen("--model", model, "--count", "25", "--start", "8", "--format", file_format)
    with open("digits/labels_00000008.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["index"]), row["label"]) for row in rows] == [(index, str(index % 10)) for index in range(8, 33)]
    images = {path.relative_to("digits").as_posix() for path in Path("digits").rglob("*.png")}
    assert {row["file_name"] for row in rows} == images
    assert all(row["file_name"].endswith(f"{int(row['index']):08d}_{row['label']}.png") for row in rows)


def test_pixels_alone_have_labels_beside_them(model: Path) -> None:
    gan_gen("--model", model, "--count", "3", "--format", "raw", "--text", "70")
    assert Path("digits/labels.csv").read_text() == "index,label\n0,70\n1,70\n2,70\n"


def test_a_model_without_classes_has_no_labels(models: Path, empty_folder: Path) -> None:
    gan_gen("--model", models / "tiny.onnx")
    assert sorted(os.listdir("digits")) == [*(f"{index:08d}.png" for index in range(10)), "manifest.json"]
    assert manifest()["classes"] == []


@pytest.mark.parametrize("file_format", FORMATS)
def test_files_beside_the_images_are_named_by_the_first_index_where_the_images_are(
    model: Path, conditional: Generator, file_format: Format
) -> None:
    gan_gen("--model", model, "--count", "4", "--start", "93", "--format", file_format, "--grid", "2x2", "--gif")
    row = file_format.row
    part = "_00000093" if row.is_named_by_index else ""
    has_labels = not row.files(Path("digits"), drawing_of(conditional)).holds_labels
    expected = [f"grid{part}.png", *[f"labels{part}.csv"] * has_labels, f"manifest{part}.json", f"walk{part}.gif"]
    assert sorted(name for name in os.listdir("digits") if re.match("grid|labels.*csv|manifest|walk", name)) == expected


def test_ranges_that_share_a_folder_have_a_sheet_and_an_animation_each(model: Path) -> None:
    options = ("--model", model, "--count", "20", "--format", "imagefolder", "--grid", "5x2", "--gif")
    for number in range(2):
        gan_gen(*options, "--shard", f"{number}/2")
        gan_gen(*options, "--shard", f"{number}/2", "--out", f"alone{number}")
    assert contents(Path("digits")) == contents(Path("alone0")) | contents(Path("alone1"))


@pytest.mark.parametrize(
    "mine",
    [b"name,age\nSeven,7\n", b"index,label,note\n", b"\xff\x00\n"],
    ids=repr,
)
def test_labels_of_somebody_else_stay_where_none_are_written(model: Path, mine: bytes) -> None:
    options = ("--model", model, "--format", "npz")
    Path("digits").mkdir()
    Path("digits/labels.csv").write_bytes(mine)
    for option in ("--quiet", "--resume", "--overwrite"):
        gan_gen(*options, option)
        assert Path("digits/labels.csv").read_bytes() == mine


def test_labels_of_somebody_else_are_not_written_over_without_leave(model: Path) -> None:
    Path("digits").mkdir()
    Path("digits/labels.csv").write_text("name,age\n")
    for option in ("--quiet", "--resume"):
        said = gan_gen("--model", model, option, code=1)
        assert f"error: {Path('digits/labels.csv')} exists already: use --overwrite, or another --out" in said
    assert contents(Path("digits")) == {"labels.csv": b"name,age\n"}


@pytest.mark.parametrize("older", ["png", "raw"])
def test_labels_of_older_images_go_when_others_replace_them_and_only_then(model: Path, models: Path, older: str) -> None:
    gan_gen("--model", model, "--format", older)
    labels = Path("digits/labels.csv").read_bytes()
    Path("digits/manifest.json").unlink()
    options = ("--model", models / "tiny.onnx", "--format", "npz")
    gan_gen(*options)
    gan_gen(*options, "--resume")
    assert Path("digits/labels.csv").read_bytes() == labels
    gan_gen(*options, "--overwrite")
    assert not Path("digits/labels.csv").exists()


@pytest.mark.parametrize(
    ("older", "newer", "stay"),
    [
        ("--count 10", "--count 4", 6),
        ("--count 10 --format imagefolder", "--count 4 --format imagefolder", 6),
        ("--count 10", "--count 10 --format npz", 10),
        ("--count 10 --format npz", "--count 4 --format npz", 0),
        ("--count 10 --format webdataset", "--count 4 --format webdataset", 0),
        ("--count 10", "--count 9", 1),
        ("--count 10", "--count 12", 0),
    ],
)
def test_images_that_are_not_replaced_are_not_passed_over(model: Path, older: str, newer: str, stay: int) -> None:
    gan_gen("--model", model, *older.split())
    said = gan_gen("--model", model, *newer.split(), "--seed", "1", "--overwrite")
    images = "1 image" if stay == 1 else f"{stay} images"
    assert (f"not replaced, and still in digits: {images} of an older run\n" in said) == bool(stay)
    gan_gen("--model", model, *older.split(), "--overwrite")
    assert gan_gen("--model", model, *newer.split(), "--seed", "1", "--overwrite", "--quiet") == ""


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_complete_run_is_not_drawn_again(model: Path, file_format: str) -> None:
    options = ("--model", model, "--count", "70", "--format", file_format, "--grid", "3x3", "--gif")
    assert "\n70 images of seed 0 from index 0 in digits after " in gan_gen(*options)
    before = contents(Path("digits"))
    for again, how in (((), "already there, the same"), (("--resume",), "0 of them drawn now")):
        assert f"\n70 images of seed 0 from index 0 ({how}) in digits after " in gan_gen(*options, *again)
        assert contents(Path("digits")) == before
    for lost in ("grid.png", "labels.csv"):
        if Path("digits", lost).exists():
            Path("digits", lost).unlink()
            assert "exists already" in gan_gen(*options, code=1)
            gan_gen(*options, "--resume")
    assert contents(Path("digits")) == before
    unfinished = {**manifest(), "is_unfinished": True}  # stopped before its last file, which may be of other images
    Path("digits/manifest.json").write_text(json.dumps(unfinished))
    assert "exists already, as do" in (said := gan_gen(*options, code=1))
    assert "use --resume to complete that run" in said
    gan_gen(*options, "--resume")
    assert contents(Path("digits")) == before


@pytest.mark.parametrize("file_format", ["png", "imagefolder"])
def test_images_that_were_lost_are_drawn_again(model: Path, file_format: str) -> None:
    options = ("--model", model, "--count", "200", "--format", file_format, "--threads", "2")
    gan_gen(*options)
    before = contents(Path("digits"))
    images = sorted(Path("digits").rglob("*.png"))
    for image in (images[0], *images[50:60], images[170], images[199]):
        image.unlink()
    images[100].write_bytes(images[100].read_bytes()[:-1])
    assert " (14 of them drawn now) " in gan_gen(*options, "--resume")
    assert contents(Path("digits")) == before


@pytest.mark.parametrize(
    ("option", "found"),
    [
        (("--seed", "9"), "seed is 0 there, 9 requested"),
        (("--size", "9"), "height is null there, 9 requested; image_shape is [8, 8] there, [9, 9] requested"),
        (("--format", "npz", "--start", "9"), 'start is 0 there, 9 requested; format is "png" there, "npz" requested'),
        (("--model", "nano"), "model is "),
        (("--text", "1", "--count", "10"), 'text is null there, "1" requested'),
        (("--grid", "5x2"), 'grid is null there, "5x2" requested'),
        (("--hand", "3"), 'hand is null there, "0:3" requested; consistency is null there, 0.69921875 requested'),
    ],
)
def test_a_run_with_other_options_is_not_resumed(model: Path, option: tuple[str, ...], found: str) -> None:
    gan_gen("--model", model)
    before = contents(Path("digits"))
    said = gan_gen("--model", model, *option, "--resume", code=1)
    assert f"error: cannot resume: {Path('digits/manifest.json')} belongs to another run, " in said
    assert found in said
    assert contents(Path("digits")) == before


@pytest.mark.parametrize("file_format", ["raw", "npy"])
def test_a_run_by_a_hand_is_not_resumed_without_it(model: Path, file_format: str) -> None:
    options = ("--model", model, "--format", file_format)
    gan_gen(*options, "--hand", "3")
    before = contents(Path("digits"))
    assert 'hand is "0:3" there, null requested' in gan_gen(*options, "--resume", code=1)
    assert contents(Path("digits")) == before
    assert "10 images" in gan_gen(*options, "--hand", "3", "--resume")


def test_images_of_another_run_in_the_range_are_refused_and_stay(model: Path) -> None:
    with stopped_before_writing(PngFiles):
        gan_gen("--model", model, code=130)
    gan_gen("--model", model, "--seed", "1", "--start", "7", "--count", "2")
    before = contents(Path("digits"))
    said = gan_gen("--model", model, "--resume", code=1)
    assert re.search(
        r"error: digits/0000000[78]_[78]\.png is an image of another run: move it away, use --overwrite, or another --out\n", said
    )
    assert contents(Path("digits")) == before


def test_the_same_model_at_another_place_is_the_same(model: Path) -> None:
    gan_gen("--model", model)
    Path("moved.onnx").write_bytes(model.read_bytes())
    assert "(already there, the same)" in gan_gen("--model", "moved.onnx")


def test_files_without_a_manifest_are_not_resumed(model: Path) -> None:
    gan_gen("--model", model)
    Path("digits/manifest.json").unlink()
    said = gan_gen("--model", model, "--resume", code=1)
    assert "00000000_0.png exists already, as do 10 more: use --overwrite, or another --out" in said


@pytest.mark.parametrize("found", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_file_that_is_not_a_manifest_is_refused_by_name(model: Path, found: bytes) -> None:
    Path("digits").mkdir()
    Path("digits/manifest.json").write_bytes(found)
    said = gan_gen("--model", model, "--resume", code=1)
    assert f"error: {Path('digits/manifest.json')} is not a pocketgan manifest" in said
    gan_gen("--model", model, "--overwrite")
    assert manifest()["count"] == 10


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_run_that_was_stopped_while_it_replaced_another_begins_again(model: Path, file_format: str) -> None:
    options = ("--model", model, "--count", "40", "--format", file_format)
    gan_gen(*options, "--seed", "2", "--out", "expected")
    gan_gen(*options, "--seed", "1")
    # As the run of seed 2 leaves it when it is killed before its first file is there.
    found = {**manifest("expected/manifest.json"), "is_replacing_older_files": True}
    Path("digits/manifest.json").write_text(json.dumps(found))
    assert "\n40 images of seed 2 from index 0 in digits after " in gan_gen(*options, "--seed", "2", "--resume")
    assert contents(Path("digits")) == contents(Path("expected"))


def test_while_older_files_are_replaced_the_manifest_says_so(model: Path) -> None:
    gan_gen("--model", model, "--format", "npy")
    with stopped_before_writing(ArrayFiles):
        said = gan_gen("--model", model, "--format", "npy", "--seed", "1", "--overwrite", code=130)
    assert (manifest()["is_replacing_older_files"], manifest()["seed"]) == (True, 1)
    assert "stopped: 0 of 10 images are in digits; the same command with --resume in place of --overwrite draws the rest" in said


def test_a_model_that_fails_leaves_not_even_a_folder(models: Path, empty_folder: Path) -> None:
    assert "failed to draw" in gan_gen("--model", models / "fails_when_drawing.onnx", "--out", "a/b/c", code=1)
    assert os.listdir() == []


@pytest.mark.parametrize("file_format", ["png", "npy", "npz"])
def test_a_model_that_fails_leaves_a_folder_that_was_there_as_it_was(models: Path, empty_folder: Path, file_format: str) -> None:
    left = {".images.npy.part": b"half", ".digits.npz.99.tmp": b"half", "notes.txt": b"mine"}
    Path("digits").mkdir()
    for name, data in left.items():
        Path("digits", name).write_bytes(data)
    model = models / "fails_when_drawing.onnx"
    gan_gen("--model", model, "--format", file_format, "--overwrite", code=1)
    assert contents(Path("digits")) == left


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("option", ["--overwrite", "--resume"])
def test_temporary_files_that_killed_runs_left_go_and_no_others(model: Path, file_format: str, option: str) -> None:
    options = ("--model", model, "--count", "10", "--format", file_format, "--grid", "2x2", "--gif")
    gan_gen(*options, "--out", "expected")
    beside = ("manifest.json", "labels.csv", "grid.png", "walk.gif")
    name = Path("digits", max(name for name in contents(Path("expected")) if name not in beside))
    name.parent.mkdir(parents=True)
    others = [name.with_name(f"{name.name}.99.tmp"), name.with_name(".notes.99.tmp"), name.with_name(f".{name.name}.tmp")]
    ours = [name.with_name(f".{name.name}.{number}.tmp") for number in (4, 99999)]
    ours += [Path(f"digits/.{name}.99.tmp") for name in beside]
    for path in (*ours, *others):
        path.write_bytes(b"half")
    gan_gen(*options, option)
    kept = {path.relative_to("digits").as_posix(): b"half" for path in others}
    assert contents(Path("digits")) == contents(Path("expected")) | kept


@pytest.mark.parametrize(("file_format", "option"), [("idx", "--quiet"), ("raw", "--overwrite")])
def test_unfinished_files_of_another_run_are_not_resumed_by_a_run_that_was_stopped_at_once(
    model: Path, file_format: str, option: str
) -> None:
    options = ("--model", model, "--count", "100", "--format", file_format)
    gan_gen(*options, "--seed", "1", "--out", "other")
    gan_gen(*options, "--seed", "2", "--out", "expected")
    Path("digits").mkdir()
    for name, data in contents(Path("other")).items():
        if name not in ("manifest.json", "labels.csv"):
            Path("digits", f".{name}.part").write_bytes(data)
    with stopped_before_writing(ArrayFiles):
        gan_gen(*options, "--seed", "2", option, code=130)
    assert os.listdir("digits") == ["manifest.json"]
    gan_gen(*options, "--seed", "2", "--resume")
    assert contents(Path("digits")) == contents(Path("expected"))


def test_two_runs_at_once_do_not_write_into_each_other(model: Path) -> None:
    Path("digits").mkdir()
    with locked_or_refused(Path("digits/.manifest.json.lock")):
        said = gan_gen("--model", model, code=1)
        assert "error: another gan-gen is writing into digits: wait for it, or choose another --out" in said
        gan_gen("--model", model, "--start", "10")  # another range is another run
    gan_gen("--model", model)
    assert [name for name in os.listdir("digits") if name.startswith(".")] == []


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (".manifest.json.lock", (), "cannot write into digits: the lock .manifest.json.lock is in the way: "),
        ("manifest.json", ("--resume",), "cannot read digits/manifest.json: "),
        ("00000003_3.png", ("--resume",), "cannot read digits/00000003_3.png: "),
        (".images.raw.part", ("--resume", "--format", "raw"), "cannot continue digits/.images.raw.part: "),
        ("labels.csv", ("--overwrite", "--format", "npz"), "cannot read digits/labels.csv: "),
    ],
)
def test_a_named_pipe_in_place_of_a_file_is_reported_and_not_waited_for(
    model: Path, name: str, options: tuple[str, ...], message: str
) -> None:
    gan_gen("--model", model, *options)
    Path("digits", name).unlink(missing_ok=True)
    os.mkfifo(Path("digits", name))
    assert f"error: {message}it is a named pipe, not a file" in gan_gen("--model", model, *options, code=1)


def test_the_folder_may_be_a_link_to_another(model: Path) -> None:
    Path("large-disk").mkdir()
    Path("digits").symlink_to("large-disk")
    for option in ("--quiet", "--resume", "--overwrite"):
        gan_gen("--model", model, "--count", "3", option)
    assert len(os.listdir("large-disk")) == 5
    assert Path("digits").is_symlink()


def test_a_file_system_without_locks_is_reported_and_written_to(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert gan_gen("--model", model, "--quiet") == ""
    assert sorted(contents(Path("digits"))) == [
        *(f"{index:08d}_{index}.png" for index in range(10)),
        "labels.csv",
        "manifest.json",
    ]
    message = "digits is on a file system without locks: do not run another gan-gen in it at the same time\n"
    assert message in gan_gen("--model", model, "--resume")


@pytest.mark.parametrize("file_format", ["png", "idx.gz", "webdataset", pytest.param("parquet", marks=_WITHOUT_PYARROW)])
def test_a_full_disk_is_one_line_that_says_how_to_go_on(model: Path, file_format: str) -> None:
    options = ("--model", model, "--count", "3000", "--format", file_format, "--size", "32")
    with small_files_only(1000 if file_format == "png" else 100_000):
        said = gan_gen(*options, "--quiet", code=1)
    assert re.fullmatch(
        r"error: cannot write \S+: File too large; once that is fixed, the same command with --resume draws the rest\n", said
    )
    gan_gen(*options, "--out", "unbroken")
    gan_gen(*options, "--resume")
    assert contents(Path("digits")) == contents(Path("unbroken"))


def test_a_report_for_programs_is_all_that_stands_on_stdout(model: Path) -> None:
    result = CliRunner().invoke(app, ["--model", str(model), "--count", "4", "--json", "--quiet", "--threads", "3"])
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert {**found, "beside": []} == {**found, **manifest()}
    assert (found["folder"], found["provider"], found["threads"], found["drawn"]) == ("digits", "cpu", 3, 4)
    assert found["seconds"] > 0
