"""What a checkpoint may hold: texts, tensors and headers that no run saves are refused, although the digest is right."""

import json
import math
import re
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from checkpoint_files import CONFIG, read, refusal, rewrite_json, rewrite_tensors, rewrite_text
from torch import Tensor

from pocketgan_trainer.training.presets import PRESETS


def test_an_unknown_preset_is_refused_by_name(checkpoint_path: Path) -> None:
    rewrite_json(checkpoint_path, "config", {"preset": "biggan"})
    assert f"is of preset 'biggan', which is unknown here: expected one of {', '.join(PRESETS)}" in refusal(checkpoint_path)


def test_a_file_without_a_digest_is_refused(checkpoint_path: Path) -> None:
    rewrite_text(checkpoint_path, sha256=None)
    assert "is damaged" in refusal(checkpoint_path)


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config", None),
        ("config", "{"),
        ("config", "[]"),
        ("config", json.dumps({"preset": "mlp"})),
        ("config", CONFIG.to_json().replace("0.001,", "7.0,")),
        ("config", DEEP),
        ("config", "9" * 5000),
        ("progress", None),
        ("progress", "{"),
        ("progress", "[]"),
        ("progress", json.dumps({"epoch": 1, "steps": 2})),
        ("progress", json.dumps({"epoch": "1"})),
        ("progress", '{"seconds": NaN}'),
        ("progress", '{"epoch": 1, "epoch": 2}'),
        ("progress", DEEP),
        ("threads", "0"),
        ("threads", "1025"),
        ("threads", "many"),
        ("threads", "9" * 5000),
    ],
    ids=lambda text: (text or "absent")[:20],
)
def test_a_config_position_or_number_of_threads_that_no_run_has_is_refused(
    checkpoint_path: Path, name: str, text: str | None
) -> None:
    rewrite_text(checkpoint_path, **{name: text})
    assert "has a config or position that cannot be read" in refusal(checkpoint_path)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("generator.0.weight", torch.zeros(100, 128), r"is torch.float32 \[100, 128\], expected torch.float32 \[128, 100\]"),
        ("generator.0.weight", torch.zeros(128, 100, dtype=torch.float16), "is torch.float16"),
        ("generator.0.bias", torch.full((128,), math.nan), "has values that are not finite"),
        ("discriminator.5.bias", torch.tensor([math.inf]), "has values that are not finite"),
        ("generator.9.weight", torch.zeros(3), "expected no such tensor"),
        ("average.0.weight", torch.zeros(1), "expected no such tensor"),
        ("generator_optimizer.0.exp_avg", torch.zeros(7), r"is torch.float32 \[7\]"),
        ("generator_optimizer.0.exp_avg_sq", torch.full((128, 100), -1.0), "has values below 0"),
        ("generator_optimizer.0.step", torch.tensor(-1.0), "has values below 0"),
        ("discriminator_optimizer.5.step", torch.zeros(1), r"is torch.float32 \[1\]"),
        ("sums", torch.zeros(5), "is torch.float32"),
        ("sums", torch.zeros(6, dtype=torch.float64), r"is torch.float64 \[6\]"),
        ("sums", torch.full((5,), math.inf, dtype=torch.float64), "has values that are not finite"),
        ("sums", torch.full((5,), 1e300, dtype=torch.float64), r"its sums count 1e\+300 steps, expected 0 to 7"),
        ("sums", torch.full((5,), 0.5, dtype=torch.float64), "its sums count 0.5 steps"),
        ("random.cpu", torch.zeros(8, dtype=torch.uint8), "'random.cpu' is torch.uint8"),
        ("random.cpu", torch.zeros(1264), "'random.cpu' is torch.float32"),
        ("random.cpu", torch.full((5056,), 255, dtype=torch.uint8), "its random state is not torch's"),
        ("random.cuda", torch.zeros(8, dtype=torch.uint8), "'random.cuda' is torch.uint8"),
        ("x", torch.zeros(2**63 - 1, 0), "expected no such tensor"),
    ],
)
def test_a_tensor_that_no_run_saves_is_refused_although_the_digest_is_right(
    checkpoint_path: Path, name: str, tensor: Tensor, message: str
) -> None:
    rewrite_tensors(checkpoint_path, {name: tensor})
    assert re.search(message, refusal(checkpoint_path))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("progress", {"images_seen": 10**400}, "expected whole numbers from 0"),
        ("progress", {"epoch": 51}, "epoch 51 is beyond the 50 of the run"),
        ("progress", {"best_score": 10**400}, "expected finite numbers from 0"),
        ("progress", {"statistics_frozen": "x" * 10**5}, "statistics_frozen is"),
        ("config", {"epochs": 10**400}, "epochs 1000.*is out of range"),
        ("config", {"x" * 10**5: 1}, "training config has x"),
        ("config", {"preset": "x" * 10**5}, "is of preset 'xxx.*, which is unknown here"),
    ],
)
def test_a_number_that_no_run_has_is_refused(
    checkpoint_path: Path, name: str, changes: Mapping[str, object], message: str
) -> None:
    rewrite_json(checkpoint_path, name, changes)
    refused_with = refusal(checkpoint_path)
    assert re.search(message, refused_with)
    assert len(refused_with) < 1000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": [str(number) for number in range(1_000_000)]}, "its header is|does not begin"),
        ({"classes": [str(number) for number in range(1001)]}, "classes 1001 is out of range: expected at most 1000"),
        ({"classes": ["7", "7"]}, "classes .* is out of range: expected different names"),
        ({"classes": ["\x1b[31m"]}, r"classes '\\x1b\[31m' is out of range"),
        ({"classes": [""]}, "classes '' is out of range"),
        ({"name": "../x"}, "data set name '../x' is out of range"),
        ({"image_size": 10**6}, "image size 1000000 is out of range"),
    ],
)
def test_data_that_no_run_trains_on_is_refused(checkpoint_path: Path, changes: Mapping[str, object], message: str) -> None:
    text, _ = read(checkpoint_path)
    rewrite_json(checkpoint_path, "config", {"data": {**json.loads(text["config"])["data"], **changes}})
    assert re.search(message, refusal(checkpoint_path))


@pytest.mark.parametrize(
    "header",
    [
        DEEP.encode(),
        b"[]",
        b"{",
        b"\xff",
        b'{"__metadata__": 1}',
        b'{"__metadata__": {"format": 1}}',
        b'{"x": {"dtype": "F4", "shape": [0], "data_offsets": [0, 0]}, "__metadata__": {"format": "pocketgan checkpoint 1"}}',
        b'{"__metadata__": {}, "__metadata__": {"format": "pocketgan checkpoint 1"}}',
    ],
)
def test_a_header_that_safetensors_does_not_write_is_refused(checkpoint_path: Path, header: bytes) -> None:
    checkpoint_path.write_bytes(struct.pack("<Q", len(header)) + header)
    refusal(checkpoint_path)


def test_a_file_with_more_bytes_than_such_a_run_saves_is_refused_unread(checkpoint_path: Path) -> None:
    with checkpoint_path.open("rb+") as file:
        file.truncate(10 * 2**30)  # most of which the disk does not have
    assert re.search(r"it has 10,737,418,240 bytes, expected at most \d,\d{3},\d{3};", refusal(checkpoint_path))
