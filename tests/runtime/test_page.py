"""`gan-page`: one file that asks the network for nothing, and draws in Chromium what gan-gen draws."""

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import Opened, opened
from chosen_traits import write_with_traits
from drawings import with_classes
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

import pocketgan_models
from pocketgan.address import image_range
from pocketgan.drawing import text_rows
from pocketgan.errors import ModelError
from pocketgan.generator import Generator
from pocketgan.model import numpy_session
from pocketgan.model.checked import read_model
from pocketgan.output.walk import walk
from pocketgan.page.document import write_page
from pocketgan.page_cli import app

LARGEST_BYTES = {"nano": 200_000, "pocket": 400_000}


def gan_page(*arguments: str | Path, code: int = 0) -> str:
    """Run gan-page, expect its exit code, and return what it says."""
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == code, result.stderr
    return result.stderr


@pytest.fixture(params=pocketgan_models.names())
def name(request: pytest.FixtureRequest) -> str:
    """Each bundled model in turn."""
    return str(request.param)


def test_a_page_is_one_small_file_that_names_no_other(name: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert f"{page}: " in gan_page(name, "--out", page)
    text = page.read_text()
    assert page.stat().st_size <= LARGEST_BYTES.get(name, 2_500_000)
    assert "{{" not in text
    assert not re.search(r"https?:|//[a-z]+\.|url\(|@import|<link (?!rel=\"icon\" href=\"data:)", text)


def drawn(page: Opened, addresses: list[dict[str, object]]) -> NDArray[np.uint8]:
    """Return the images that a page draws, uint8 [n, pixels]; a seed is text, since JSON has no such large numbers."""
    script = """async (addresses) => {
        const { images } = await pocketgan.draw(addresses.map((address) => ({ ...address, seed: BigInt(address.seed) })));
        return images.map((image) => [...image]);
    }"""
    return np.array(page.run(script, addresses), np.uint8)


def address(index: int, label: int | None, **changes: object) -> dict[str, object]:
    """Return an image's address, as the page writes it."""
    return {"seed": "0", "index": index, "label": label, "truncation": 256, "hand": None, "asked": {}} | changes


def test_the_bundled_models_draw_the_same_pixels(name: str, tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", read_model(name))
    generator = Generator.load(name)
    with opened(tmp_path / "page.html") as page:
        labels = generator.labels(0, 100)
        images = drawn(page, [address(index, None if labels is None else int(labels[index])) for index in range(100)])
        assert page.requests == [(tmp_path / "page.html").as_uri(), *(url for url in page.requests if url.startswith("blob:"))]
        assert page.errors == []
        assert page.run("() => document.getElementById('status').textContent").startswith("Images 0 to 99 of seed 0, drawn in ")
    assert hashlib.sha256(images.tobytes()).hexdigest() == hashlib.sha256(generator.generate(100).tobytes()).hexdigest()


def test_hands_truncations_traits_and_walks_are_the_same(conditional: Generator, tmp_path: Path) -> None:
    file = write_with_traits(Generator.load("nano"), tmp_path / "chosen.onnx")
    generator = Generator.load(file)
    write_page(tmp_path / "page.html", read_model(file))
    slant = generator.trait_range("slant", 4)[1]
    with opened(tmp_path / "page.html") as page:
        images = drawn(
            page,
            [
                address(2**47, 4, seed=str(2**64 - 1), truncation=100),
                address(7, 4, hand={"number": 12, "consistency": 200}),
                address(7, 4, hand={"number": 12, "consistency": 80}, asked={"slant": round(100 * slant)}),
            ],
        )
        ends = [address(index, label, hand={"number": 1, "consistency": 128}) for index, label in ((3, 3), (4, 8))]
        script = """async (ends) => {
            const [from, to] = ends.map((address) => ({ ...address, seed: BigInt(address.seed) }));
            return (await pocketgan.walk(from, to, 16)).images.map((image) => [...image]);
        }"""
        frames = np.array(page.run(script, ends), np.uint8)
    expected = [
        generator.generate(1, 4, 2**64 - 1, 2**47, truncation=100 / 256),
        generator.generate(1, 4, 0, 7, hand=12, consistency=200 / 256),
        generator.generate(1, 4, 0, 7, hand=12, consistency=80 / 256, slant=slant),
    ]
    np.testing.assert_array_equal(images, np.concatenate(expected).reshape(3, -1))
    walked = list(walk(generator, image_range(0, 3, 2, hand=1, consistency=0.5), np.array([[3], [8]]), 1, 16))
    np.testing.assert_array_equal(frames, np.stack(walked[:16]).reshape(16, -1))


def test_everything_can_be_reached_and_changed_without_a_mouse(tmp_path: Path) -> None:
    status = "() => document.getElementById('status').textContent"
    write_page(tmp_path / "page.html", read_model("nano"))
    with opened(tmp_path / "page.html", link="#seed=5&start=40&only=7&chosen=3") as page:
        command = page.page.locator("#command")
        assert command.inner_text() == "gan-gen --model nano --seed 5 --start 43 --count 1 --digit 7"
        page.page.locator("#sheet button").nth(3).focus()
        page.page.keyboard.press("ArrowDown")
        page.page.keyboard.press("Enter")
        assert "--start 53 " in command.inner_text()
        page.page.locator("#seed").fill("-6")
        page.page.locator("#seed").press("Enter")
        page.wait_for("() => document.getElementById('status').textContent.startsWith('“-6” is not a seed: ')")
        assert page.page.locator("#seed").input_value() == "5"
        page.page.locator("#seed").fill(" 6 ")
        page.page.keyboard.press("Tab")
        page.wait_for("() => document.getElementById('status').textContent.includes('of seed 6')")
        page.wait_for("() => location.hash === '#seed=6&start=40&only=7&chosen=13'")
        assert page.page.locator("#sheet button").nth(13).get_attribute("aria-label") == "digit 7, index 53"
        unnamed = "() => [...document.querySelectorAll('input, button')].filter((one) => !one.labels?.length && !one.textContent "
        assert page.run(unnamed + "&& !one.ariaLabel).length") == 0
        page.page.locator("#text").fill("31")
        page.wait_for("() => document.getElementById('row').width === 56")
        assert page.page.locator("#row-command").inner_text() == (
            "gan-gen --model nano --seed 6 --text 31 --start 40 --count 1 --hand 0 --consistency 0.7"
        )
        pixels = """() => {
            const { data } = document.getElementById('row').getContext('2d').getImageData(0, 0, 56, 28);
            return [...data].filter((_, place) => place % 4 === 0);
        }"""
        (batch,) = text_rows(Generator.load("nano"), "31", 1, 6, 40, hand=0)
        np.testing.assert_array_equal(np.array(page.run(pixels), np.uint8), batch.images.ravel())
        page.page.locator("#copy-row").press("Enter")
        page.wait_for("() => /Copied|The command is selected/.test(document.getElementById('status').textContent)")
        page.page.locator("#start").fill("1.5")
        page.page.locator("#start").press("Enter")
        assert page.run(status) == f"The index is a whole number from 0 to {2**48 - 100}."
        assert page.page.locator("#start").input_value() == "40"
        page.page.locator("#text").fill("3x")
        assert page.page.locator("#text").get_attribute("aria-invalid") == "true"
        assert page.page.locator("#row-command").inner_text() == "This model has no class “x”."
        assert not page.page.locator("#copy-row").is_visible()
        page.run("() => { location.hash = '#seed=9'; }")
        page.wait_for("() => document.getElementById('status').textContent.includes('0 to 99 of seed 9')")


def test_characters_stand_for_classes_with_names(tmp_path: Path) -> None:
    generator = with_classes(Generator.load("nano"), tmp_path, classes=(*"012345678", "slash"))
    write_page(tmp_path / "page.html", read_model(generator.path))
    with opened(tmp_path / "page.html") as page:
        page.page.locator("#text").fill("1/2")
        page.wait_for("() => document.getElementById('row-command').textContent.includes(' --text 1/2 ')")
        page.page.locator("#text").fill("1+2")
        assert page.page.locator("#row-command").inner_text() == "This model has no class “+”."


def test_a_model_without_classes_has_nothing_to_choose_or_to_write(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", read_model("mlp"))
    with opened(tmp_path / "page.html") as page:
        assert page.page.locator("#command").inner_text() == "gan-gen --model mlp --seed 0 --start 0 --count 1"
        assert not page.page.locator("#classes").is_visible()
        assert not page.page.locator("#writing").is_visible()
        assert page.errors == []


def test_a_walk_goes_on_until_it_is_stopped(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", read_model("nano"))
    with opened(tmp_path / "page.html") as page:
        page.run("() => { window.first = document.getElementById('large').toDataURL(); }")
        for _ in range(3):  # begins, stops, and begins again
            page.page.locator("#play").click()
        page.wait_for("() => document.getElementById('large').toDataURL() !== window.first")
        assert page.page.locator("#command").inner_text() == "Walking: stop to see the command of an image."
        page.page.locator("#play").click()
        assert page.run("() => document.getElementById('large').toDataURL() === window.first")
        assert "--start 0 " in page.page.locator("#command").inner_text()
        assert page.errors == []


def test_a_narrow_page_is_not_wider_than_the_screen(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", read_model("nano"))
    with opened(tmp_path / "page.html", width=360, height=740) as page:
        assert page.run("() => document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize(("width", "height"), [(683, 657), (736, 620), (390, 844)])
def test_the_sheet_that_stays_in_view_covers_no_control_that_is_used(tmp_path: Path, width: int, height: int) -> None:
    write_page(tmp_path / "page.html", read_model("nano"))
    covered = """() => {
        const { left, top, width, height } = document.activeElement.getBoundingClientRect();
        const seen = document.elementFromPoint(left + width / 2, top + height / 2);
        return seen?.closest("#drawn") && !document.activeElement.closest("#drawn") ? document.activeElement.id : null;
    }"""
    with opened(tmp_path / "page.html", width=width, height=height) as page:
        page.page.locator("#classes button").nth(3).click()
        for key in ["Tab"] * 25 + ["Shift+Tab"] * 25:
            page.page.keyboard.press(key)
            assert page.run(covered) is None


def test_a_run_is_shown_from_epoch_to_epoch(tmp_path: Path) -> None:
    for epoch in (1, 2, 30):
        Image.new("L", (20, 20), epoch).save(tmp_path / f"fakes_epoch_{epoch:04}.png")
    write_page(tmp_path / "page.html", read_model("nano"), run=tmp_path)
    with opened(tmp_path / "page.html") as page:
        shown = "() => [...document.querySelectorAll('#sheets img')].filter((sheet) => !sheet.hidden).map((sheet) => sheet.alt)"
        assert page.run(shown) == ["Images after epoch 30"]
        page.page.locator("#epoch").press("ArrowLeft")
        assert page.run(shown) == ["Images after epoch 2"]
        page.page.locator("#play-epochs").click()
        page.wait_for("() => document.getElementById('epoch').value === '2'")
        assert page.run(shown) == ["Images after epoch 30"]
        page.wait_for("() => document.getElementById('play-epochs').ariaPressed === 'false'")
        page.page.locator("#play-epochs").click()
        assert page.run(shown) == ["Images after epoch 1"]
        page.page.locator("#play-epochs").click()
        assert page.page.locator("#play-epochs").get_attribute("aria-pressed") == "false"


def test_only_a_page_is_replaced_by_one(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    for model in ("nano", "mlp"):
        gan_page(model, "--out", page)
    page.write_text("<title>Mine</title>")
    assert f"{page} exists and is no page of gan-page: choose another name" in gan_page("nano", "--out", page, code=1)
    assert page.read_text() == "<title>Mine</title>"


def test_a_run_of_another_model_gets_a_note(tmp_path: Path) -> None:
    Image.new("L", (20, 20)).save(tmp_path / "fakes_epoch_0001.png")
    options = ("--run", tmp_path, "--out", tmp_path / "page.html")
    for config, trained in (
        ({"preset": "nano", "data": {"name": "mnist"}}, None),
        ({"preset": "pocket", "data": {"name": "hats\x1b"}}, "pocket-hats?"),
        ({"preset": "pocket"}, None),
        ([], None),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config))
        said = gan_page("nano", *options).splitlines()
        note = f"note: {tmp_path} trained {trained}, but the page draws with nano-mnist"
        assert said[:-1] == ([] if trained is None else [note])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gone.onnx",), "no model gone.onnx"),
        (("nano", "--run", "."), ". has no sheets of an epoch: expected a run of gan-train"),
        (("nano", "--run", "gone"), "no folder gone: expected a run of gan-train"),
        (("nano", "--out", "gone/page.html"), "cannot write gone/page.html"),
        (("nano", "--out", "model.onnx"), "cannot write a page to model.onnx: expected a name that ends in .html"),
    ],
)
def test_what_cannot_be_shown_is_named(arguments: tuple[str, ...], message: str, empty_folder: Path) -> None:
    assert message in gan_page(*arguments, code=1)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("card_hides_classes", "its card promises"),
        ("card_lies_about_image_size", "its card promises"),
        ("card_lies_about_latent_size", "its card promises"),
        ("card_lies_about_latent_step", "it expects latents in steps of"),
        ("card_promises_classes", "its card promises"),
        ("fails_when_drawing", ""),
        ("float_output", "its card promises"),
    ],
)
def test_a_model_that_gan_gen_refuses_gets_no_page(name: str, message: str, models: Path, empty_folder: Path) -> None:
    printed = gan_page(models / f"{name}.onnx", code=1)
    assert printed.startswith(f"error: model {models / name}.onnx")
    assert message in printed
    assert printed.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_the_model_may_be_named_as_for_gan_gen(tmp_path: Path) -> None:
    assert "nano.onnx" in gan_page("--model", "nano", "--out", tmp_path / "page.html")
    assert "--model: MODEL is nano already: name one model" in gan_page("nano", "--model", "mlp", code=2)


def test_a_float_model_is_refused(models: Path, empty_folder: Path) -> None:
    assert "is fp32: a page draws int8 models only" in gan_page(models / "tiny_float.onnx", code=1)


def test_what_the_page_cannot_compute_is_refused(models: Path, tmp_path: Path) -> None:
    known = read_model(models / "tiny.onnx")
    with pytest.raises(ModelError, match=r"^model .*tiny.onnx: it uses the operator 'Tanh': only onnxruntime computes it"):
        write_page(tmp_path / "page.html", known._replace(contents=known.contents.replace(b"Gemm", b"Tanh")))


def test_the_page_has_all_operators_that_numpy_has() -> None:
    executor = (Path(numpy_session.__file__).parents[1] / "page" / "executor.js").read_text()
    names = set(re.findall(r"^  ([A-Z]\w+)[:(]", executor, re.MULTILINE))
    assert names == set(numpy_session._OPERATORS)


def test_nothing_in_a_card_or_a_name_becomes_a_part_of_the_page(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    known = read_model("nano")
    training = replace(known.card.training, data_set=evil)
    card = replace(known.card, name=evil, licence=evil, training=training)
    location = known.location._replace(path=Path(f"{evil.replace('/', '')} $(reboot).onnx"), reason="as named")
    write_page(tmp_path / "page.html", known._replace(card=card, location=location))
    text = (tmp_path / "page.html").read_text()
    assert "<script>alert" not in text
    assert "'<script><script>alert(1)<script> $(reboot).onnx'".replace("<", "\\u003c") in text


def test_the_engine_draws_the_same_pixels_in_node(name: str, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    generator = Generator.load(name)
    labels = generator.labels(0, 20)
    addresses = [address(index, None if labels is None else int(labels[index])) for index in range(20)]
    write_page(tmp_path / "page.html", read_model(name))
    (tmp_path / "addresses.json").write_text(json.dumps(addresses))
    script = Path(__file__).parents[1] / "helpers" / "draw_with_page.mjs"
    subprocess.run([node, script, tmp_path / "page.html", tmp_path / "addresses.json", tmp_path / "images"], check=True)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "images", np.uint8), generator.generate(20).ravel())
