"""The facts about an installation that works, and about one whose onnxruntime or numpy is missing, damaged or installed twice."""

import os
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from fake_onnxruntime import CPU, CUDA, FakeRuntime, make_distribution

from pocketgan import installation
from pocketgan.installation import Cpus, Distribution, Numpy, OnnxRuntime, ProviderState, find_installation
from pocketgan.model import session
from pocketgan.model.session import INSTALL_ONNXRUNTIME
from pocketgan.version import VERSION


def onnxruntime_facts() -> OnnxRuntime:
    return find_installation().onnxruntime


def test_a_working_installation_has_no_problems() -> None:
    found = find_installation()
    assert found.problems == ()
    assert found.pocketgan == VERSION
    assert found.python.endswith(" " + ".".join(map(str, sys.version_info[:3])))
    assert found.platform
    assert found.numpy == Numpy(np.__version__, None)
    assert found.onnxruntime.version == onnxruntime.__version__
    (distribution,) = found.onnxruntime.distributions
    assert distribution.version == version(distribution.name)
    assert [state.name for state in found.onnxruntime.providers] == onnxruntime.get_available_providers()
    assert ProviderState(CPU, True, None) in found.onnxruntime.providers


@pytest.mark.parametrize(
    ("affinity", "machine", "expected"), [({0, 1, 2, 3}, 64, Cpus(2, 4, 64)), (None, None, Cpus(2, None, None))]
)
def test_cpus_are_counted_by_quota_by_affinity_and_in_the_machine(
    affinity: set[int] | None, machine: int | None, expected: Cpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: affinity, raising=False)
    if affinity is None:
        monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: machine)
    monkeypatch.setattr(installation, "usable_cpus", lambda: 2)
    assert find_installation().cpus == expected


@pytest.mark.parametrize(
    ("runtime", "state"),
    [
        (FakeRuntime(), ProviderState(CUDA, True, None)),
        (
            FakeRuntime(chosen=CPU),
            ProviderState(CUDA, False, f"CUDA is not live: onnxruntime chose {CPU}; it printed: Failed to load libcublas.so.13"),
        ),
        (FakeRuntime(run_failure="no kernel image\nat cuda.cc:1"), ProviderState(CUDA, False, "no kernel image")),
    ],
    ids=["live", "silent fallback", "fails to run"],
)
def test_cuda_is_live_only_if_a_session_runs_on_it(
    runtime: FakeRuntime, state: ProviderState, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (session, installation):
        monkeypatch.setattr(module, "import_onnxruntime", lambda: runtime)
    facts = onnxruntime_facts()
    unused = ProviderState("TensorrtExecutionProvider", None, None)
    assert (facts.version, facts.providers, facts.problem) == ("1.0", (unused, state, ProviderState(CPU, True, None)), None)
    assert capsys.readouterr() == ("", "")


def test_a_cpu_that_runs_nothing_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("illegal\ninstruction")

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    facts = onnxruntime_facts()
    assert facts.version == onnxruntime.__version__
    message = "onnxruntime does not run on the CPU (onnxruntime cannot load it: illegal); run: pip uninstall onnxruntime"
    assert (facts.problem or "").startswith(message)


def test_a_missing_onnxruntime_is_no_problem_and_changes_no_other_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = find_installation()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = find_installation()
    assert (found.onnxruntime.version, found.onnxruntime.providers) == (None, ())
    assert found.problems == ()
    assert replace(found, onnxruntime=whole.onnxruntime) == whole


def test_an_onnxruntime_that_is_half_overwritten_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "onnxruntime.py").write_text("InferenceSession = None")
    monkeypatch.delitem(sys.modules, "onnxruntime")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    facts = onnxruntime_facts()
    assert facts.distributions == ()
    assert facts.problem == (
        "onnxruntime is damaged (module 'onnxruntime' has no attribute '__version__'); run: "
        f"pip uninstall onnxruntime, then {INSTALL_ONNXRUNTIME}"
    )


@pytest.mark.parametrize(
    ("name", "files", "is_conflict"),
    [
        ("onnxruntime-directml", ["onnxruntime/__init__.py"], True),
        ("onnxruntime-directml", None, True),
        ("onnxruntime-qnn", ["onnxruntime_qnn/__init__.py"], False),
    ],
    ids=["distribution", "distribution without a list of files", "plug-in"],
)
def test_another_distribution_with_the_same_folder_is_a_conflict(
    name: str, files: list[str] | None, is_conflict: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_distribution(tmp_path, "onnxruntime", ["onnxruntime/__init__.py"])
    make_distribution(tmp_path, name, files)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])  # the module itself is imported already
    facts = onnxruntime_facts()
    assert facts.distributions == (Distribution("onnxruntime", "9.9"), Distribution(name, "9.9"))[: 1 + is_conflict]
    conflict = (
        f"onnxruntime and {name} are installed together and overwrite each other; run: "
        f"pip uninstall onnxruntime {name}, then {INSTALL_ONNXRUNTIME}"
    )
    assert facts.problem == (conflict if is_conflict else None)


def test_without_numpy_onnxruntime_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    found = find_installation()
    assert (found.numpy.version, found.onnxruntime.version, found.onnxruntime.providers) == (None, None, ())
    assert len(found.onnxruntime.distributions) == 1
    (problem,) = found.problems
    assert problem.startswith("numpy cannot be imported (")
    assert problem.endswith("run: pip install --force-reinstall numpy")
