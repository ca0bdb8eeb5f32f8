"""Checkpoints: everything comes back, damage is refused, no code in them runs, and a full disk leaves the old one whole."""

import errno
import hashlib
import io
import json
import os
import pickle
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from checkpoint_files import (
    CONFIG,
    PROGRESS,
    SUMS,
    header_length,
    moved_gan,
    read,
    refusal,
    rewrite_text,
    with_header_length,
)
from full_disk import small_files_only
from safetensors.torch import save_file

from pocketgan.errors import OutputError
from pocketgan_trainer.errors import CheckpointError
from pocketgan_trainer.training.checkpoint import load_checkpoint, restore_generator, restore_run, save_checkpoint
from pocketgan_trainer.training.presets import PRESETS, build_gan
from pocketgan_trainer.training.progress import Progress

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("preset", "progress"), [("nano", PROGRESS), ("dcgan", PROGRESS), ("mlp", Progress(step=7, images_seen=64))]
)
def test_everything_comes_back(tmp_path: Path, preset: str, progress: Progress) -> None:
    config = replace(PRESETS[preset].config, seed=3)
    gan, sums = moved_gan(config), SUMS.clone()
    save_checkpoint(tmp_path / "last.safetensors", config, gan, progress, sums)
    next_random = torch.rand(5)

    others, other_sums = build_gan(replace(config, seed=4), CPU), torch.zeros(5, dtype=torch.float64)
    checkpoint = load_checkpoint(tmp_path / "last.safetensors")
    restore_run(checkpoint, others, other_sums)
    assert (checkpoint.config, checkpoint.progress) == (config, progress)
    assert checkpoint.threads == torch.get_num_threads()
    assert torch.equal(other_sums, sums)
    assert torch.equal(torch.rand(5), next_random)
    for network, other in (
        (gan.generator, others.generator),
        (gan.discriminator, others.discriminator),
        (gan.sampling_generator, others.sampling_generator),
    ):
        assert network.state_dict().keys() == other.state_dict().keys()
        for name, value in network.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name
    for optimizer, second in (
        (gan.generator_optimizer, others.generator_optimizer),
        (gan.discriminator_optimizer, others.discriminator_optimizer),
    ):
        expected, found = optimizer.state_dict(), second.state_dict()
        assert expected["param_groups"] == found["param_groups"]
        assert expected["state"].keys() == found["state"].keys()
        for index, moments in expected["state"].items():
            assert moments.keys() == found["state"][index].keys() == {"step", "exp_avg", "exp_avg_sq"}
            for name, value in moments.items():
                assert torch.equal(value, found["state"][index][name]), (index, name)


def test_a_loaded_checkpoint_does_not_change_with_its_file(checkpoint_path: Path, checkpoint_contents: bytes) -> None:
    _, expected = read(checkpoint_path)
    expected = {name: tensor.clone() for name, tensor in expected.items()}
    checkpoint = load_checkpoint(checkpoint_path)
    with checkpoint_path.open("rb+") as file:  # in place, as `cp` does; gan-train itself renames
        file.write(bytes(len(checkpoint_contents)))
    assert checkpoint.sha256 == hashlib.sha256(checkpoint_contents).hexdigest()
    for name, tensor in checkpoint.tensors.items():
        assert torch.equal(tensor, expected[name]), name


def test_training_on_does_not_change_the_loaded_checkpoint(checkpoint_path: Path) -> None:
    checkpoint, gan = load_checkpoint(checkpoint_path), build_gan(CONFIG, CPU)
    before = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
    restore_run(checkpoint, gan, SUMS.clone())
    for optimizer in (gan.generator_optimizer, gan.discriminator_optimizer):
        for weight in optimizer.param_groups[0]["params"]:
            weight.grad = torch.ones_like(weight)
        optimizer.step()
    for name, tensor in checkpoint.tensors.items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize(("halflife_images", "part"), [(0, "generator"), (1000, "average")])
def test_the_generator_is_restored_in_evaluation_mode_from_the_average_where_there_is_one(
    tmp_path: Path, halflife_images: int, part: str
) -> None:
    path, config = tmp_path / "last.safetensors", replace(CONFIG, ema_halflife_images=halflife_images)
    save_checkpoint(path, config, moved_gan(config), PROGRESS, SUMS)
    generator = restore_generator(load_checkpoint(path))
    _, tensors = read(path)
    assert not generator.training
    for name, value in generator.state_dict().items():
        assert torch.equal(value, tensors[f"{part}.{name}"]), name


def test_a_checkpoint_of_an_earlier_version_can_be_exported_and_resumed(checkpoint_path: Path) -> None:
    text, tensors = read(checkpoint_path)
    fields = ("preset", "epochs", "batch_size", "learning_rate", "bfloat16", "seed")
    config = json.loads(text["config"])
    rewrite_text(checkpoint_path, config=json.dumps({name: config[name] for name in fields}))
    checkpoint = load_checkpoint(checkpoint_path)
    assert checkpoint.config == CONFIG
    assert torch.equal(restore_generator(checkpoint).state_dict()["0.weight"], tensors["generator.0.weight"])
    restore_run(checkpoint, build_gan(CONFIG, CPU), SUMS.clone())


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (None, "No such file or directory; train first"),
        (Path.mkdir, "it is a folder, not a file"),
        (os.mkfifo, "it is a named pipe, not a file"),
    ],
)
def test_what_is_not_a_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None] | None, reason: str) -> None:
    path = tmp_path / "last.safetensors"
    if make:
        make(path)
    assert f"cannot read checkpoint {path}: {reason}" in refusal(path)


@pytest.mark.parametrize(
    ("part", "share"), [("length", 0.0), ("length", 0.5), ("header", 0.0), ("header", 0.5), ("data", 0.0), ("data", 0.999999)]
)
def test_a_truncated_file_is_refused(checkpoint_path: Path, checkpoint_contents: bytes, part: str, share: float) -> None:
    data_begins = 8 + header_length(checkpoint_contents)
    first, last = {"length": (0, 8), "header": (8, data_begins), "data": (data_begins, len(checkpoint_contents))}[part]
    checkpoint_path.write_bytes(checkpoint_contents[: int(first + share * (last - first))])
    assert "is damaged or not a checkpoint" in refusal(checkpoint_path)


def test_trailing_bytes_are_refused(checkpoint_path: Path, checkpoint_contents: bytes) -> None:
    checkpoint_path.write_bytes(checkpoint_contents + b"\0")
    assert "is damaged or not a checkpoint" in refusal(checkpoint_path)


@pytest.mark.parametrize(("share", "bit"), [(0.0, 7), (0.33, 0), (0.9, 7), (1.0, 0)])
def test_one_wrong_bit_in_the_data_is_refused(checkpoint_path: Path, checkpoint_contents: bytes, share: float, bit: int) -> None:
    data_begins, damaged = 8 + header_length(checkpoint_contents), bytearray(checkpoint_contents)
    damaged[int(data_begins + share * (len(checkpoint_contents) - 1 - data_begins))] ^= 1 << bit
    checkpoint_path.write_bytes(damaged)
    assert "is damaged: the SHA-256 of its tensors is not the one written in it" in refusal(checkpoint_path)


def test_renamed_tensors_are_refused(checkpoint_path: Path) -> None:
    text, tensors = read(checkpoint_path)
    tensors["generator.0.bias"], tensors["discriminator.3.bias"] = tensors["discriminator.3.bias"], tensors["generator.0.bias"]
    save_file(tensors, checkpoint_path, metadata=text)
    assert "is damaged: the SHA-256" in refusal(checkpoint_path)


class Trap:
    """Makes a folder when it is unpickled: a harmless stand-in for any other code."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Make pickle call `os.mkdir`."""
        return os.mkdir, (str(self._folder),)


def saved_by_torch(contents: object, as_zip: bool) -> bytes:
    """Return what torch.save writes."""
    buffer = io.BytesIO()
    torch.save(contents, buffer, _use_new_zipfile_serialization=as_zip)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("save", "beginning", "reason"),
    [
        (partial(pickle.dumps, protocol=0), b"(", "is damaged or not a checkpoint"),  # plain text, not recognized as a pickle
        (partial(pickle.dumps, protocol=2), b"\x80\x02", "is a pickled file, which could run code when it is loaded"),
        (partial(saved_by_torch, as_zip=False), b"\x80\x02", "is a pickled file, which could run code when it is loaded"),
        (partial(saved_by_torch, as_zip=True), b"PK", "is a pickled file, which could run code when it is loaded"),
    ],
    ids=["pickle 0", "pickle 2", "torch.save", "torch.save as zip"],
)
def test_a_pickle_is_refused_and_its_code_does_not_run(
    tmp_path: Path, save: Callable[[object], bytes], beginning: bytes, reason: str
) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "works")))
    assert (tmp_path / "works").is_dir()
    path = tmp_path / "evil.safetensors"
    path.write_bytes(save({"generator": torch.zeros(3), "trap": Trap(tmp_path / "sprung")}))
    assert path.read_bytes().startswith(beginning)
    assert reason in refusal(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("length", [0x1F80, 0x4B50], ids=["as a pickle", "as a zip file"])
def test_a_sound_file_that_happens_to_begin_like_another_kind_is_read(
    checkpoint_path: Path, checkpoint_contents: bytes, length: int
) -> None:
    checkpoint_path.write_bytes(with_header_length(checkpoint_contents, length))
    assert checkpoint_path.read_bytes()[:2] in (b"\x80\x1f", b"PK")
    assert load_checkpoint(checkpoint_path).progress == PROGRESS


@pytest.mark.parametrize("name", [None, "pocketgan checkpoint 2"])
def test_safetensors_of_another_format_are_refused(checkpoint_path: Path, name: str | None) -> None:
    rewrite_text(checkpoint_path, format=name)
    expected = f"is not a checkpoint of gan-train: its format is {name!r}, expected 'pocketgan checkpoint 1'"
    assert expected in refusal(checkpoint_path)


def test_weights_of_another_preset_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "mixed.safetensors", CONFIG, moved_gan(PRESETS["dcgan"].config), PROGRESS, SUMS)
    assert "is not a sound checkpoint of preset 'mlp': it has" in refusal(tmp_path / "mixed.safetensors")


@pytest.mark.parametrize(
    ("beginning", "message"),
    [
        ("average.", "its average does not fit preset 'mlp'"),
        ("discriminator.", "its discriminator does not fit preset 'mlp'"),
        ("generator_optimizer.0.exp_avg", "its generator_optimizer does not fit preset 'mlp'"),
        ("discriminator_optimizer.5.step", "its discriminator_optimizer does not fit preset 'mlp'"),
        ("sums", "lacks the sums or the random state"),
        ("random.cpu", "lacks the sums or the random state"),
    ],
)
def test_a_run_that_lacks_a_part_of_its_state_is_not_resumed(tmp_path: Path, beginning: str, message: str) -> None:
    path, config = tmp_path / "last.safetensors", replace(CONFIG, ema_halflife_images=1000)
    save_checkpoint(path, config, moved_gan(config), PROGRESS, SUMS)
    whole = load_checkpoint(path)
    incomplete = replace(
        whole, tensors={name: tensor for name, tensor in whole.tensors.items() if not name.startswith(beginning)}
    )
    assert len(incomplete.tensors) < len(whole.tensors)
    with pytest.raises(CheckpointError, match=message):
        restore_run(incomplete, build_gan(config, CPU), SUMS.clone())
    # Only the average is needed to export it, as from before discriminators classified.
    with pytest.raises(CheckpointError, match=message) if beginning == "average." else nullcontext():
        restore_generator(incomplete)


def test_sums_from_before_skipped_steps_count_all_steps(checkpoint_path: Path) -> None:
    checkpoint, sums = load_checkpoint(checkpoint_path), SUMS.clone()
    tensors = {**checkpoint.tensors, "sums": torch.tensor([1.0, 2.0, 3.0, 0.1], dtype=torch.float64)}
    earlier = replace(checkpoint, tensors=tensors, progress=replace(checkpoint.progress, step=7))
    restore_run(earlier, build_gan(CONFIG, CPU), sums)
    assert sums.tolist() == [1.0, 2.0, 3.0, 0.1, 7.0]


def test_a_run_from_another_kind_of_device_is_refused_with_the_option_that_helps(checkpoint_path: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    saved_on_cuda = replace(checkpoint, tensors={**checkpoint.tensors, "random.cuda": torch.zeros(16, dtype=torch.uint8)})
    with pytest.raises(CheckpointError, match="was saved on cuda and cannot be resumed on cpu: use --device cuda"):
        restore_run(saved_on_cuda, build_gan(CONFIG, CPU), SUMS.clone())


def save_later(checkpoint_path: Path) -> None:
    """Save the state of the same run at a later position."""
    save_checkpoint(checkpoint_path, CONFIG, moved_gan(CONFIG), replace(PROGRESS, epoch=3), SUMS)


def refuse_for_lack_of_space(*_: object) -> None:
    """Stand in for a call of the operating system on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("failing", [(os, "fsync"), (Path, "replace"), None], ids=["fsync", "replace", "write"])
def test_a_full_disk_leaves_the_old_checkpoint_whole(
    checkpoint_path: Path, monkeypatch: pytest.MonkeyPatch, failing: tuple[object, str] | None
) -> None:
    if failing:
        monkeypatch.setattr(*failing, refuse_for_lack_of_space)
    with (
        nullcontext() if failing else small_files_only(100_000),
        pytest.raises(OutputError, match=r"cannot write .*last.safetensors: .*(No space left on device|File too large)"),
    ):
        save_later(checkpoint_path)
    assert load_checkpoint(checkpoint_path).progress == PROGRESS
    assert list(checkpoint_path.parent.iterdir()) == [checkpoint_path]
