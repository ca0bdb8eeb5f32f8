"""Checkpoints: everything comes back, damage is noticed, nothing in them can run, and a full disk costs nothing."""

import errno
import hashlib
import io
import json
import os
import pickle
from dataclasses import replace
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
from pocketgan_trainer.training.checkpoint import Checkpoint, load_checkpoint, restore_generator, restore_run, save_checkpoint
from pocketgan_trainer.training.presets import PRESETS, build_gan
from pocketgan_trainer.training.progress import Progress
from pocketgan_trainer.training.steps import Gan

AVERAGED = replace(CONFIG, ema_halflife_images=1000)
CPU = torch.device("cpu")


@pytest.mark.parametrize("preset", ["nano", "dcgan", "mlp"])
def test_everything_comes_back(tmp_path: Path, preset: str) -> None:
    config = replace(PRESETS[preset].config, seed=3)
    gan, sums = moved_gan(config), SUMS.clone()
    save_checkpoint(tmp_path / "last.safetensors", config, gan, PROGRESS, sums)
    next_random = torch.rand(5)

    others, other_sums = build_gan(replace(config, seed=4), CPU), torch.zeros(5, dtype=torch.float64)
    checkpoint = load_checkpoint(tmp_path / "last.safetensors")
    restore_run(checkpoint, others, other_sums)
    assert (checkpoint.config, checkpoint.progress) == (config, PROGRESS)
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


def test_a_position_before_the_first_score_comes_back(tmp_path: Path) -> None:
    progress = Progress(step=1, images_seen=64)
    save_checkpoint(tmp_path / "last.safetensors", CONFIG, moved_gan(CONFIG), progress, 0 * SUMS)
    assert load_checkpoint(tmp_path / "last.safetensors").progress == progress


def test_the_digest_of_the_file_is_kept_from_when_it_was_read(checkpoint_path: Path, checkpoint_contents: bytes) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    checkpoint_path.unlink()
    assert checkpoint.sha256 == hashlib.sha256(checkpoint_contents).hexdigest()


def test_a_loaded_checkpoint_does_not_change_with_its_file(checkpoint_path: Path, checkpoint_contents: bytes) -> None:
    _, expected = read(checkpoint_path)
    expected = {name: tensor.clone() for name, tensor in expected.items()}
    checkpoint = load_checkpoint(checkpoint_path)
    with checkpoint_path.open("rb+") as file:  # in place, as `cp` does; gan-train itself renames
        file.write(bytes(len(checkpoint_contents)))
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


def test_a_restored_generator_is_in_evaluation_mode_and_has_the_weights(checkpoint_path: Path) -> None:
    _, tensors = read(checkpoint_path)
    generator = restore_generator(load_checkpoint(checkpoint_path))
    assert not generator.training
    for name, value in generator.state_dict().items():
        assert torch.equal(value, tensors[f"generator.{name}"]), name


@pytest.fixture
def averaged(tmp_path: Path) -> tuple[Checkpoint, Gan]:
    """A checkpoint of networks whose average is not where the generator is, and these networks."""
    gan = moved_gan(AVERAGED)
    save_checkpoint(tmp_path / "averaged.safetensors", AVERAGED, gan, PROGRESS, SUMS)
    return load_checkpoint(tmp_path / "averaged.safetensors"), gan


def test_a_run_with_an_average_gives_the_averaged_generator(averaged: tuple[Checkpoint, Gan]) -> None:
    checkpoint, gan = averaged
    assert gan.ema_generator is not None
    generator = restore_generator(checkpoint)
    assert not generator.training
    for name, value in generator.state_dict().items():
        assert torch.equal(value, gan.ema_generator.state_dict()[name]), name
    assert not torch.equal(generator.state_dict()["0.weight"], gan.generator.state_dict()["0.weight"])


def test_an_average_comes_back_beside_the_generator(averaged: tuple[Checkpoint, Gan]) -> None:
    checkpoint, gan = averaged
    others = build_gan(replace(AVERAGED, seed=4), CPU)
    restore_run(checkpoint, others, SUMS.clone())
    assert gan.ema_generator is not None
    assert others.ema_generator is not None
    for network, other in ((gan.ema_generator, others.ema_generator), (gan.generator, others.generator)):
        for name, value in network.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name
    assert not any(weight.requires_grad for weight in others.ema_generator.parameters())


def test_an_average_that_is_missing_is_refused(averaged: tuple[Checkpoint, Gan]) -> None:
    checkpoint, gan = averaged
    tensors = {name: value for name, value in checkpoint.tensors.items() if not name.startswith("average.")}
    assert len(tensors) < len(checkpoint.tensors)
    incomplete = replace(checkpoint, tensors=tensors)
    with pytest.raises(CheckpointError, match="its average does not fit preset 'mlp'"):
        restore_generator(incomplete)
    with pytest.raises(CheckpointError, match="its average does not fit preset 'mlp'"):
        restore_run(incomplete, gan, SUMS.clone())


def test_a_checkpoint_of_an_earlier_version_gives_its_generator_and_goes_on(checkpoint_path: Path) -> None:
    text, tensors = read(checkpoint_path)
    fields = ("preset", "epochs", "batch_size", "learning_rate", "bfloat16", "seed")
    config = json.loads(text["config"])
    rewrite_text(checkpoint_path, config=json.dumps({name: config[name] for name in fields}))
    checkpoint = load_checkpoint(checkpoint_path)
    assert checkpoint.config == CONFIG
    assert torch.equal(restore_generator(checkpoint).state_dict()["0.weight"], tensors["generator.0.weight"])
    restore_run(checkpoint, build_gan(CONFIG, CPU), SUMS.clone())


def test_a_pocket_that_could_not_name_classes_yet_gives_its_generator_but_does_not_go_on(tmp_path: Path) -> None:
    config = replace(PRESETS["nano"].config, refinement_share=0.0, class_weight=0.0, shifted_share=0.0)
    save_checkpoint(tmp_path / "last.safetensors", config, moved_gan(config), PROGRESS, SUMS)
    loaded = load_checkpoint(tmp_path / "last.safetensors")
    earlier = replace(loaded, tensors={name: value for name, value in loaded.tensors.items() if "seen_class" not in name})
    assert len(earlier.tensors) < len(loaded.tensors)
    weights = restore_generator(earlier).state_dict()
    assert all(torch.equal(value, loaded.tensors[f"average.{name}"]) for name, value in weights.items())
    with pytest.raises(CheckpointError, match="its discriminator does not fit preset 'nano'; use the version that wrote it"):
        restore_run(earlier, build_gan(config, CPU), SUMS.clone())


def test_an_absent_checkpoint_is_refused_with_a_way_out(tmp_path: Path) -> None:
    message = refusal(tmp_path / "none.safetensors")
    assert "cannot read checkpoint" in message
    assert "No such file" in message
    assert "train first" in message


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "it is a folder, not a file" in refusal(tmp_path)


def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "last.safetensors")
    assert "it is a named pipe, not a file" in refusal(tmp_path / "last.safetensors")


def test_an_empty_file_is_refused(checkpoint_path: Path) -> None:
    checkpoint_path.write_bytes(b"")
    assert "is damaged or not a checkpoint" in refusal(checkpoint_path)


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
def test_one_wrong_bit_in_the_data_is_noticed(checkpoint_path: Path, checkpoint_contents: bytes, share: float, bit: int) -> None:
    data_begins, damaged = 8 + header_length(checkpoint_contents), bytearray(checkpoint_contents)
    damaged[int(data_begins + share * (len(checkpoint_contents) - 1 - data_begins))] ^= 1 << bit
    checkpoint_path.write_bytes(damaged)
    assert "is damaged: the SHA-256 of its tensors is not the one written in it" in refusal(checkpoint_path)


def test_renamed_tensors_are_noticed(checkpoint_path: Path) -> None:
    text, tensors = read(checkpoint_path)
    tensors["generator.0.bias"], tensors["discriminator.3.bias"] = tensors["discriminator.3.bias"], tensors["generator.0.bias"]
    save_file(tensors, checkpoint_path, metadata=text)
    assert "is damaged: the SHA-256" in refusal(checkpoint_path)


class Trap:
    """Makes a folder when it is unpickled: the harmless stand-in for any other code."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Tell pickle to call `os.mkdir`."""
        return os.mkdir, (str(self._folder),)


@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_a_pickle_is_refused_and_its_code_does_not_run(tmp_path: Path, protocol: int) -> None:
    checkpoint_path = tmp_path / "evil.safetensors"
    checkpoint_path.write_bytes(pickle.dumps({"generator": Trap(tmp_path / "sprung")}, protocol=protocol))
    message = refusal(checkpoint_path)
    pickle.loads(pickle.dumps(Trap(tmp_path / "works")))
    assert (tmp_path / "works").is_dir()
    # Before protocol 2 a pickle is plain text, which is refused without being recognized.
    expected = "is a pickled file, which could run code when it is loaded" if protocol >= 2 else "is damaged or not a checkpoint"
    assert expected in message
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("as_zip", [False, True], ids=["old format", "zip"])
def test_a_file_of_torch_save_is_refused_and_its_code_does_not_run(tmp_path: Path, as_zip: bool) -> None:
    buffer = io.BytesIO()
    torch.save({"generator": torch.zeros(3), "trap": Trap(tmp_path / "sprung")}, buffer, _use_new_zipfile_serialization=as_zip)
    assert buffer.getvalue()[:2] == (b"PK" if as_zip else b"\x80\x02")
    (tmp_path / "model.pt").write_bytes(buffer.getvalue())
    assert "is a pickled file, which could run code when it is loaded" in refusal(tmp_path / "model.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("length", [0x1F80, 0x4B50], ids=["as a pickle", "as a zip file"])
def test_a_sound_file_that_happens_to_begin_like_another_kind_is_read(
    checkpoint_path: Path, checkpoint_contents: bytes, length: int
) -> None:
    checkpoint_path.write_bytes(with_header_length(checkpoint_contents, length))
    assert checkpoint_path.read_bytes()[:2] in (b"\x80\x1f", b"PK")
    assert load_checkpoint(checkpoint_path).progress == PROGRESS


def test_safetensors_of_something_else_are_refused(checkpoint_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, checkpoint_path)
    assert "is not a checkpoint of gan-train: its format is None" in refusal(checkpoint_path)


def test_another_version_of_the_format_is_refused(checkpoint_path: Path) -> None:
    rewrite_text(checkpoint_path, format="pocketgan checkpoint 2")
    assert "its format is 'pocketgan checkpoint 2', expected 'pocketgan checkpoint 1'" in refusal(checkpoint_path)


def test_weights_of_another_preset_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "mixed.safetensors", CONFIG, moved_gan(PRESETS["dcgan"].config), PROGRESS, SUMS)
    assert "is no sound checkpoint of preset 'mlp': it has" in refusal(tmp_path / "mixed.safetensors")


def test_a_discriminator_that_is_missing_is_refused(checkpoint_path: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    tensors = {name: value for name, value in checkpoint.tensors.items() if not name.startswith("discriminator.")}
    with pytest.raises(CheckpointError, match="its discriminator does not fit preset 'mlp'"):
        restore_run(replace(checkpoint, tensors=tensors), build_gan(CONFIG, CPU), SUMS.clone())


@pytest.mark.parametrize("name", ["generator_optimizer.0.exp_avg", "discriminator_optimizer.5.step", "sums", "random.cpu"])
def test_a_run_that_lacks_a_part_of_its_state_is_refused(checkpoint_path: Path, name: str) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    tensors = {key: value for key, value in checkpoint.tensors.items() if key != name}
    assert len(tensors) == len(checkpoint.tensors) - 1
    with pytest.raises(CheckpointError, match=r"does not fit|lacks the sums or the random state"):
        restore_run(replace(checkpoint, tensors=tensors), build_gan(CONFIG, CPU), SUMS.clone())


def test_a_run_of_the_version_before_skipped_steps_goes_on_with_all_its_steps_counted(checkpoint_path: Path) -> None:
    checkpoint, sums = load_checkpoint(checkpoint_path), SUMS.clone()
    tensors = {**checkpoint.tensors, "sums": torch.tensor([1.0, 2.0, 3.0, 0.1], dtype=torch.float64)}
    earlier = replace(checkpoint, tensors=tensors, progress=replace(checkpoint.progress, step=7))
    restore_run(earlier, build_gan(CONFIG, CPU), sums)
    assert sums.tolist() == [1.0, 2.0, 3.0, 0.1, 7.0]


def test_a_run_of_another_kind_of_device_is_refused_with_the_option_that_helps(checkpoint_path: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    saved_on_cuda = replace(checkpoint, tensors={**checkpoint.tensors, "random.cuda": torch.zeros(16, dtype=torch.uint8)})
    with pytest.raises(CheckpointError, match="was saved on cuda and cannot go on on cpu: use --device cuda"):
        restore_run(saved_on_cuda, build_gan(CONFIG, CPU), SUMS.clone())


def save_later(checkpoint_path: Path) -> None:
    """Save the state of the same run at a later position."""
    save_checkpoint(checkpoint_path, CONFIG, moved_gan(CONFIG), replace(PROGRESS, epoch=3), SUMS)


def refuse_for_lack_of_space(*_: object) -> None:
    """Stand in for a call of the operating system on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace")])
def test_a_full_disk_leaves_the_old_checkpoint_whole(
    checkpoint_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    monkeypatch.setattr(owner, name, refuse_for_lack_of_space)
    with pytest.raises(OutputError, match=r"cannot write .*last.safetensors: No space left on device"):
        save_later(checkpoint_path)
    assert load_checkpoint(checkpoint_path).progress == PROGRESS
    assert list(checkpoint_path.parent.iterdir()) == [checkpoint_path]


def test_a_disk_that_fills_up_while_writing_leaves_the_old_checkpoint_whole(checkpoint_path: Path) -> None:
    with small_files_only(100_000), pytest.raises(OutputError, match=r"cannot write .*last.safetensors: .*File too large"):
        save_later(checkpoint_path)
    assert load_checkpoint(checkpoint_path).progress == PROGRESS
    assert list(checkpoint_path.parent.iterdir()) == [checkpoint_path]


def test_a_folder_that_is_gone_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*gone/last.safetensors: .*No such file"):
        save_later(tmp_path / "gone" / "last.safetensors")


def test_a_new_checkpoint_takes_the_place_of_the_old_one(checkpoint_path: Path) -> None:
    save_later(checkpoint_path)
    assert load_checkpoint(checkpoint_path).progress.epoch == 3
    assert list(checkpoint_path.parent.iterdir()) == [checkpoint_path]
