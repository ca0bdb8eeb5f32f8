"""Whole exports: the card and the report, the same bytes each time, and the old file after a failure."""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import numpy as np
import onnx
import pytest
from lively_generators import lively_generator, lively_pocket
from remembered_graphs import remember_graphs

from pocketgan import Generator
from pocketgan.errors import OutputError, PocketganError
from pocketgan.model.card import KernelFacts, ParityFacts
from pocketgan_trainer.data.images import DataFacts
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export import comparison, exporter, verify, weights
from pocketgan_trainer.export.exporter import ExportReport, build_graph, export, model_card
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import Layer
from pocketgan_trainer.export.verify import Check
from pocketgan_trainer.training.checkpoint import Checkpoint, load_checkpoint, restore_generator
from pocketgan_trainer.training.drawing import draw
from pocketgan_trainer.training.presets import PRESETS
from pocketgan_trainer.training.progress import Progress
from pocketgan_trainer.training.run_folder import RunFolder

PRECISIONS = ("int8", "fp16", "fp32")

NANO = PRESETS["nano"]


@pytest.fixture(scope="module")
def checkpoint(trained_run: RunFolder) -> Checkpoint:
    """The checkpoint of a short run of the mlp preset."""
    return load_checkpoint(trained_run.best)


@pytest.fixture(autouse=True)
def quick_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build the graph of the same layers only once."""
    remember_graphs(monkeypatch.setattr)


@pytest.fixture(scope="module")
def reports(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExportReport]:
    """One export in each precision."""
    folder = tmp_path_factory.mktemp("exports")
    with pytest.MonkeyPatch.context() as patch:
        remember_graphs(patch.setattr)
        return {precision: export(checkpoint, folder / f"{precision}.onnx", precision) for precision in PRECISIONS}


FLOAT_CHECKS = ("kernels", "against torch")


@pytest.mark.parametrize(
    ("precision", "share", "least_psnr_db", "checks", "baselines"),
    [
        ("int8", 0.25, 40, (*FLOAT_CHECKS, "overflow", "same pixels"), ["float32", "quantize_static"]),
        ("fp16", 0.5, 60, FLOAT_CHECKS, ["float32"]),
        ("fp32", 1, 80, FLOAT_CHECKS, []),
    ],
    ids=PRECISIONS,
)
def test_the_report_holds_the_figures_of_the_file(
    reports: dict[str, ExportReport],
    precision: str,
    share: float,
    least_psnr_db: float,
    checks: tuple[str, ...],
    baselines: list[str],
) -> None:
    report = reports[precision]
    contents = report.target.read_bytes()
    assert report.target.name == f"{precision}.onnx"
    assert (report.size_bytes, report.sha256) == (len(contents), hashlib.sha256(contents).hexdigest())
    assert report.size_bytes / report.float_size_bytes == pytest.approx(share, abs=0.03)
    assert [(check.name, check.problem) for check in report.checks] == [(name, None) for name in checks]
    # The kernels of float files differ from processor to processor.
    assert report.card.kernels == (KernelFacts(integer=6, floating_point=()) if precision == "int8" else None)
    assert report.card.parity.psnr_db >= least_psnr_db
    assert list(report.baselines) == baselines
    if precision != "fp32":
        assert report.baselines["float32"].size_bytes == report.float_size_bytes
        assert report.baselines["float32"].psnr_db > report.card.parity.psnr_db


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_card_names_the_training_and_the_checkpoint(
    reports: dict[str, ExportReport], checkpoint: Checkpoint, precision: str
) -> None:
    card = Generator.load(reports[precision].target, "cpu").card
    assert card == reports[precision].card
    assert (card.name, card.architecture, card.precision) == ("mlp-mnist", "mlp", precision)
    assert (card.latent_size, card.latent_step, card.classes) == (100, 1 / 32, ())
    assert (card.image_height, card.image_width) == (28, 28)
    assert card.training.data_set == "mnist"
    assert (card.training.epochs, card.training.images_seen, card.training.seed) == (1, 320, 0)
    assert card.training.checkpoint_sha256 == hashlib.sha256(checkpoint.path.read_bytes()).hexdigest()
    assert card.package_version == version("pocketgan")
    assert card.licence == "NOASSERTION"


@pytest.mark.parametrize("precision", PRECISIONS)
def test_parity_in_the_card_is_that_of_the_file(reports: dict[str, ExportReport], checkpoint: Checkpoint, precision: str) -> None:
    report = reports[precision]
    images = Generator.load(report.target, "cpu").generate(1000, seed=verify.PARITY_SEED)
    reference = draw(restore_generator(checkpoint), 100, verify.PARITY_SEED, 0, 1000)
    difference = np.abs(images.astype(int) - reference)
    assert report.card.parity == ParityFacts(
        images=1000,
        psnr_db=round(10 * float(np.log10(255**2 / (difference**2).mean())), 2) if difference.any() else 100.0,
        mean_error=round(float(difference.mean()), 4),
        largest_error=int(difference.max()),
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_same_checkpoint_gives_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, reports: dict[str, ExportReport], checkpoint: Checkpoint, tmp_path: Path, precision: str
) -> None:
    monkeypatch.setattr(exporter, "build_graph", build_graph)
    again = export(load_checkpoint(checkpoint.path), tmp_path / "again.onnx", precision)
    assert again.sha256 == reports[precision].sha256


def test_an_export_replaces_the_file_behind_a_link_and_removes_what_a_killed_export_left(
    reports: dict[str, ExportReport], checkpoint: Checkpoint, tmp_path: Path
) -> None:
    file, link, killed_process = tmp_path / "v1.onnx", tmp_path / "model.onnx", "99999999999999999999"
    file.write_bytes(b"an older model")
    link.symlink_to(file.name)
    (tmp_path / f".v1.onnx.{killed_process}.tmp").touch()
    of_another_file = tmp_path / f".other.onnx.{killed_process}.tmp"
    of_another_file.touch()
    assert export(checkpoint, link, "int8", overwrite=True).target == link
    assert link.is_symlink()
    assert hashlib.sha256(file.read_bytes()).hexdigest() == reports["int8"].sha256
    assert set(tmp_path.iterdir()) == {file, link, of_another_file}


def test_only_a_file_from_the_same_checkpoint_is_replaced_without_being_asked(
    reports: dict[str, ExportReport], checkpoint: Checkpoint, tmp_path: Path
) -> None:
    target = tmp_path / "model.onnx"
    shutil.copy(reports["fp16"].target, target)
    assert export(checkpoint, target, "int8").sha256 == reports["int8"].sha256
    with pytest.raises(OutputError, match=r"model.onnx exists and was not made from other.safetensors: choose another PATH, or"):
        export(replace(checkpoint, path=Path("other.safetensors"), sha256="0" * 64), target, "int8")
    assert hashlib.sha256(target.read_bytes()).hexdigest() == reports["int8"].sha256


def test_a_folder_that_may_not_be_written_is_named_before_the_work_begins(
    monkeypatch: pytest.MonkeyPatch, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    def refuse(**_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.delattr(exporter, "restore_generator")
    monkeypatch.setattr(exporter, "TemporaryFile", refuse)
    with pytest.raises(OutputError, match=r"model.onnx: Permission denied; choose a PATH in a folder that you may write"):
        export(checkpoint, tmp_path / "model.onnx", "int8")


@pytest.fixture
def checkpoint_with_classes(checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint of the nano preset with an untrained but lively generator."""
    weights = lively_pocket(NANO.latent_size, (20, 12, 6), 4).state_dict()
    return replace(
        checkpoint,
        config=NANO.config,
        tensors={f"{network}.{name}": value for network in ("generator", "average") for name, value in weights.items()},
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_model_with_classes_draws_the_requested_digits(
    checkpoint_with_classes: Checkpoint, tmp_path: Path, precision: str
) -> None:
    report = export(checkpoint_with_classes, tmp_path / "model.onnx", precision, least_psnr_db=0)
    # Parity was measured with the classes in turn.
    images = Generator.load(report.target, "cpu").generate(1000, seed=verify.PARITY_SEED)
    generator, labels = restore_generator(checkpoint_with_classes), np.arange(1000) % 10
    reference = draw(generator, NANO.latent_size, verify.PARITY_SEED, 0, 1000, labels)
    assert report.card.parity.mean_error == round(float(np.abs(images.astype(int) - reference).mean()), 4)
    assert report.card.kernels == (KernelFacts(5, ()) if precision == "int8" else None)
    model = Generator.load(report.target, "cpu")
    assert (model.card.name, model.card.classes, model.card.latent_size) == ("nano-mnist", tuple("0123456789"), NANO.latent_size)
    drawn = model.generate(20, digits=[7, 3], seed=5)
    expected = draw(generator, NANO.latent_size, 5, 0, 20, np.tile([7, 3], 10))
    difference = drawn.astype(float) - expected
    assert np.sqrt((difference**2).mean()) < {"int8": 6, "fp16": 1, "fp32": 0.1}[precision]
    assert (drawn != model.generate(20, digits=[3, 7], seed=5)).any(axis=(1, 2)).all()


def assert_export_fails(
    checkpoint: Checkpoint, folder: Path, error: type[PocketganError], message: str, precision: str = "int8"
) -> None:
    """Check that an export over an older file fails, leaves that file unchanged and leaves no other file."""
    target = folder / "model.onnx"
    target.write_bytes(b"an older model")
    with pytest.raises(error, match=message):
        export(checkpoint, target, precision, overwrite=True)
    assert target.read_bytes() == b"an older model"
    assert list(folder.iterdir()) == [target]


def raise_disk_full(*arguments: object, **keywords: object) -> NoReturn:
    """Raise the error of a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def build_float_graph(layers: list[Layer], quantizations: object, weights: object, latent_size: int) -> onnx.ModelProto:
    """Return a float32 graph in place of an integer one."""
    return build_graph(layers, latent_size, "fp32")


@pytest.mark.parametrize(
    ("owner", "name", "replacement", "error", "message"),
    [
        (exporter, "usual_least_psnr_db", lambda *_: 99.0, ExportError, "pixels differ .* expected at least 99.*--force"),
        (exporter, "check_same_pixels", lambda *_: Check("same pixels", "no", "other pixels"), ExportError, "other pixels"),
        (exporter, "integer_graph", build_float_graph, ExportError, "not int8: kernels are 0 integer"),
        (Generator, "generate", lambda *_, **__: np.zeros((64, 28, 28)), ExportError, "the runtime draws other pixels"),
        (comparison, "quantize_static", raise_disk_full, OutputError, "cannot write temporary files to .*: No space left"),
    ],
    ids=["below the limit", "batch", "kernels in floating point", "runtime", "full temporary folder"],
)
def test_a_failed_check_leaves_the_old_file(
    monkeypatch: pytest.MonkeyPatch,
    checkpoint: Checkpoint,
    tmp_path: Path,
    owner: object,
    name: str,
    replacement: Callable[..., object],
    error: type[PocketganError],
    message: str,
) -> None:
    monkeypatch.setattr(owner, name, replacement)
    assert_export_fails(checkpoint, tmp_path, error, message)


def test_force_writes_the_file_and_reports_its_problems(
    reports: dict[str, ExportReport], checkpoint: Checkpoint, tmp_path: Path
) -> None:
    report = export(checkpoint, tmp_path / "model.onnx", "int8", least_psnr_db=99.0, force=True)
    assert report.sha256 == reports["int8"].sha256
    (problem,) = [check.problem for check in report.checks if check.problem is not None]
    assert problem.startswith("pixels differ from torch's: ")


def test_one_message_names_all_problems(monkeypatch: pytest.MonkeyPatch, checkpoint: Checkpoint, tmp_path: Path) -> None:
    monkeypatch.setattr(exporter, "build_graph", build_graph)
    monkeypatch.setattr(weights, "LARGEST_NEIGHBOURS", 254)
    with pytest.raises(ExportError, match=r"pixels differ from torch's.*; .*two neighbours add up to"):
        export(checkpoint, tmp_path / "model.onnx", "int8", least_psnr_db=99.0)


def test_licence_quality_and_the_digest_of_what_was_loaded_go_into_the_card(checkpoint: Checkpoint, tmp_path: Path) -> None:
    # A run may have written other weights to the path meanwhile.
    loaded = replace(checkpoint, path=tmp_path / "gone.safetensors")
    card = export(loaded, tmp_path / "model.onnx", "fp32", licence="CC0-1.0", quality={"frechet_ratio": 1.5}).card
    assert (card.licence, dict(card.quality)) == ("CC0-1.0", {"frechet_ratio": 1.5})
    assert card.training.checkpoint_sha256 == checkpoint.sha256


def test_a_generator_that_draws_one_image_of_each_class_leaves_the_old_file(
    checkpoint_with_classes: Checkpoint, tmp_path: Path
) -> None:
    weight = checkpoint_with_classes.tensors["average.body.0.weight"].clone()
    weight[:, : NANO.latent_size] = 0
    collapsed = replace(checkpoint_with_classes, tensors={**checkpoint_with_classes.tensors, "average.body.0.weight": weight})
    assert_export_fails(collapsed, tmp_path, ExportError, "all images of a class among 1,000 are the same", "fp32")


def test_a_full_disk_leaves_the_old_file(monkeypatch: pytest.MonkeyPatch, checkpoint: Checkpoint, tmp_path: Path) -> None:
    def refuse(path: Path, contents: bytes) -> int:
        with path.open("wb") as file:
            file.write(contents[:1000])
        raise_disk_full()

    (tmp_path / "model.onnx").touch()
    with monkeypatch.context() as patch:
        # The older file of `assert_export_fails` is written by the same method.
        patch.setattr(Path, "write_bytes", refuse)
        with pytest.raises(OutputError, match=r"cannot write .*model.onnx: No space left on device"):
            export(checkpoint, tmp_path / "model.onnx", "int8", overwrite=True)
    assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [("model.onnx", 0)]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("", r"cannot write \.: it is a folder; expected a file name such as model\.onnx"),
        ("folder", "cannot write folder: it is a folder; expected a file name such as folder/model.onnx"),
        ("link.onnx", "cannot write .*absent/v1.onnx: No such file or directory"),
        ("gone/model.onnx", "cannot write gone/model.onnx: No such file or directory; choose a PATH in a folder that you may"),
        ("file/model.onnx", "cannot write file/model.onnx: Not a directory"),
    ],
)
def test_a_target_that_cannot_be_a_file_is_refused_before_the_work_begins(
    monkeypatch: pytest.MonkeyPatch, checkpoint: Checkpoint, tmp_path: Path, target: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").touch()
    Path("link.onnx").symlink_to("absent/v1.onnx")
    monkeypatch.delattr(exporter, "restore_generator")
    with pytest.raises(OutputError, match=message):
        export(checkpoint, Path(target), "int8")


def test_a_precision_that_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(ExportError, match="precision 'int4' is not known: expected one of int8, fp16, fp32"):
        build_graph(fold(lively_generator("mlp")), 100, "int4")


@pytest.mark.parametrize("factor", [1e-6, 1e12])
def test_very_small_and_very_large_weights_are_exported_if_the_next_layer_makes_up_for_them(
    reports: dict[str, ExportReport], checkpoint: Checkpoint, tmp_path: Path, factor: float
) -> None:
    factors = {"generator.0.weight": factor, "generator.0.bias": factor, "generator.2.weight": 1 / factor}
    tensors = {name: tensor * factors.get(name, 1) for name, tensor in checkpoint.tensors.items()}
    report = export(replace(checkpoint, tensors=tensors), tmp_path / "model.onnx", "int8")
    assert report.card.parity.psnr_db == pytest.approx(reports["int8"].card.parity.psnr_db, abs=0.5)


@pytest.mark.parametrize("size", [1e6, 1e37])
def test_a_weight_out_of_all_proportion_leaves_the_old_file(checkpoint: Checkpoint, tmp_path: Path, size: float) -> None:
    weight = checkpoint.tensors["generator.2.weight"].clone()
    weight[3, 5] = size
    hostile = replace(checkpoint, tensors={**checkpoint.tensors, "generator.2.weight": weight})
    assert_export_fails(hostile, tmp_path, ExportError, "pixels differ from torch's")


@pytest.mark.parametrize(
    ("preset", "classes", "class_labels", "labels"),
    [
        ("nano", ("A", "B", "Z"), (1, 2, 26), (1, 2, 26)),
        ("nano", ("3", "8"), None, (3, 8)),
        ("nano", ("boot", "bag"), None, (0, 1)),
        ("mlp", ("A", "B", "Z"), (1, 2, 26), ()),
    ],
)
def test_classes_keep_the_numbers_that_the_data_gives_them(
    preset: str, classes: tuple[str, ...], class_labels: tuple[int, ...] | None, labels: tuple[int, ...]
) -> None:
    data = DataFacts("own", "/own", False, 28, classes, "ab" * 32, class_labels)
    config = replace(PRESETS[preset].config, data=data)
    checkpoint = Checkpoint(Path("best.safetensors"), "cd" * 32, config, Progress(), threads=1, tensors={})
    card = model_card(checkpoint, (28, 28), "int8", ParityFacts(1, 40.0, 0.5, 3), None, "NOASSERTION", {}, None)
    assert card.labels == labels
    assert ("class_labels" in card.to_json()) is (preset == "nano" and class_labels is not None)
