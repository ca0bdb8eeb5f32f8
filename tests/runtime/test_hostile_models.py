"""Malicious model files in gan-gen: one line, exit code 1, no files, little memory and time.

Every single check is tested in tests/runtime/model.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_files import harmless, with_extra
from onnx_bytes import constant, integers, model, node, value
from protobuf_bytes import metadata_entry
from typer.testing import CliRunner

from pocketgan.gen_cli import app
from pocketgan.model.card import CARD_KEY
from pocketgan.model.checked import read_metadata

CARD = read_metadata((Path(__file__).parent / "models" / "tiny_float.onnx").read_bytes())[CARD_KEY]
NEEDS_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the address space is limited")

ADDRESS_SPACE = 1024 * 2**20
"""Bytes that the process may map; it uses far less, because onnxruntime maps much that it never uses."""
SCRIPT = f"""if True:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, ({ADDRESS_SPACE}, {ADDRESS_SPACE}))
    from pocketgan.gen_cli import main
    main()
"""


def draw_in_process(folder: Path, contents: bytes, count: int) -> tuple[int, str, str]:
    """Run gan-gen in a process with little memory; return the exit code, stdout and stderr."""
    (folder / "model.onnx").write_bytes(contents)
    command = [sys.executable, "-c", SCRIPT, "--model", "./model.onnx", "--count", str(count), "--out", "digits", "--quiet"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def check_refusal(folder: Path, model: str, code: int, stdout: str, stderr: str) -> str:
    """Check that gan-gen printed a one-line error and wrote no file; return the error."""
    assert (code, stdout) == (1, ""), stderr
    assert stderr.startswith(f"error: model {model}"), stderr
    assert stderr.endswith("\n")
    assert stderr[:-1].isprintable(), stderr
    assert len(stderr) < 2000
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / "model.onnx"]
    return stderr


def refusal(folder: Path, contents: bytes) -> str:
    """Return the error of gan-gen within this process: for files that cannot take memory or crash."""
    path = folder / "model.onnx"
    path.write_bytes(contents)
    arguments = ["--model", str(path), "--count", "2", "--out", str(folder / "digits"), "--quiet"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    return check_refusal(folder, str(path), result.exit_code, result.stdout, result.stderr)


def changed(**values: object) -> str:
    """Return the card with other values."""
    return json.dumps(json.loads(CARD) | values)


CARDS = {
    "deep": ("[" * 200_000, "the model card is not JSON ("),
    "long": (changed(name="x" * 300_000), "characters, expected at most 262,144"),
    "other latents": (changed(latent_size=17), "it has the inputs"),
    "other images": (changed(image_height=1024, image_width=1024), "it has the outputs"),
    "other step": (changed(latent_step=1 / 64), "it expects latents in steps of 0.015625"),
    "classes without an input": (changed(classes=["0", "1"]), "it has the inputs"),
    "terminal commands": (changed(name="\x1b[2J\x1b]0;title\x07"), r"the model card's name is '\x1b[2J\x1b]0;title\x07'"),
    "name that is not text": (changed(name="\ud800"), r"the model card's name is '\ud800'"),
    "metric that is not text": (changed(quality={"\ud800\n" * 20_000: "?"}), r"the model card's quality '\ud800\n"),
    "schema of many digits": (changed(schema=10**300), "the model card has schema 10000"),
}


@pytest.mark.parametrize("name", CARDS)
def test_a_malicious_card_is_refused(name: str, tmp_path: Path) -> None:
    card, message = CARDS[name]
    assert message in refusal(tmp_path, harmless(card))


def test_the_last_card_counts(tmp_path: Path) -> None:
    second = metadata_entry(CARD_KEY, changed(latent_size=4096))
    assert "its card promises {'z': ('tensor(float)', ['N', 4096])}" in refusal(tmp_path, harmless(CARD) + second)


DOUBLED = [node("Concat", [f"c{step}", f"c{step}"], f"c{step + 1}", axis=1) for step in range(40)]
SQUARES = [node("Gemm", ["wide", "wide"], name, transB=1) for name in ("big", *map(str, range(16)))]
BOMBS = {
    "constant of a requested shape": (
        "the operator is unknown",
        with_extra(CARD, [node("ConstantOfShape", ["many"], "big")], [integers("many", [2**29, 1])]),
    ),
    "many repeated constants": (
        "bytes of constants, expected",
        with_extra(
            CARD,
            [node("Tile", ["row", "many"], f"big{copy or ''}") for copy in range(500)],
            [constant("row", [1, 100]), integers("many", [1, 10_000])],
        ),
    ),
    "repeated beyond 64 bits": (
        "bytes for one image, expected",
        with_extra(CARD, [node("Tile", ["z", "many"], "big")], [integers("many", [2**62, 2**62])]),
    ),
    "doubled forty times": (
        "bytes for one image, expected",
        with_extra(CARD, [node("Tanh", ["z"], "c0"), *DOUBLED, node("Tanh", ["c40"], "big")]),
    ),
    "hours of multiplications": (
        "multiplications for 64 images, expected",
        with_extra(
            CARD,
            [node("Mul", ["column", "row"], "wide"), *SQUARES],
            [constant("row", [1, 2**14]), constant("ballast", [2**18])],
        ),
    ),
    "two million fields": ("more than 200,000 fields", harmless(CARD) + b"\x28\x01" * 2_000_000),
    "a hundred bytes without a card": (
        "has no pocketgan model card",
        model([node("ConstantOfShape", ["n"], "y")], [integers("n", [2**28])], [], [value("y", ["M"])], None),
    ),
}


@NEEDS_LINUX
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_takes_memory_or_time(name: str, tmp_path: Path) -> None:
    message, contents = BOMBS[name]
    assert message in check_refusal(tmp_path, "model.onnx", *draw_in_process(tmp_path, contents, 2))


@NEEDS_LINUX
def test_harmless_variants_of_these_files_draw(tmp_path: Path) -> None:
    extra = [node("Reshape", ["z", "image"], "x"), node("Conv", ["x", "k"], "big", pads=[9] * 4)]
    constants = [integers("image", [-1, 16, 1, 1]), constant("k", [1, 16, 1, 1])]
    contents = with_extra(changed(quality={"frechet": 1.5}), extra, constants, rank=4)
    assert draw_in_process(tmp_path, contents, 64) == (0, "", "")
    assert len(list((tmp_path / "digits").glob("*.png"))) == 64
