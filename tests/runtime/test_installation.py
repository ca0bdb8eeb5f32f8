"""What is installed: the facts where all is well, and where onnxruntime or numpy is absent, installed twice or broken."""

import os
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from pocketgan import installation
from pocketgan.installation import Cpus, Distribution, Numpy, OnnxRuntime, ProviderState, find_installation
from pocketgan.model import session
from pocketgan.version import VERSION

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class FakeSession:
    """A session on a provider that adds its own failure, if it has one, to a run."""

    def __init__(self, provider: str, failure: str | None) -> None:
        self.provider = provider
        self.failure = failure

    def get_providers(self) -> list[str]:
        return [self.provider]

    def run(self, outputs: None, feeds: dict[str, object]) -> list[object]:
        if self.failure is not None:
            raise RuntimeError(self.failure)
        return list(feeds.values())


class FakeRuntime:
    """An onnxruntime with CUDA, whose sessions for it take the provider `taken`."""

    __version__ = "1.0"

    def __init__(self, taken: str = CUDA, failure: str | None = None) -> None:
        self.taken = taken
        self.failure = failure

    def get_available_providers(self) -> list[str]:
        return ["TensorrtExecutionProvider", CUDA, CPU]

    def preload_dlls(self) -> None:
        print("Failed to load libcublas.so.13")

    def SessionOptions(self) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(add_session_config_entry=lambda key, value: None)

    def InferenceSession(  # noqa: N802
        self, contents: bytes, options: object, providers: list[str], enable_fallback: int
    ) -> FakeSession:
        return FakeSession(CPU, None) if providers == [CPU] else FakeSession(self.taken, self.failure)


def with_runtime(monkeypatch: pytest.MonkeyPatch, runtime: object) -> None:
    monkeypatch.setattr(session, "import_onnxruntime", lambda: runtime)
    monkeypatch.setattr(installation, "import_onnxruntime", lambda: runtime)


def make_distribution(folder: Path, name: str, files: list[str] | None = None) -> None:
    """Write what pip leaves behind of an installed distribution, with a list of its files if there is one."""
    info = folder / f"{name.replace('-', '_')}-9.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
    if files is not None:
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


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
    assert len(found.onnxruntime.distributions) == 1
    assert found.onnxruntime.distributions[0].version == version(found.onnxruntime.distributions[0].name)


def test_the_cpu_provider_is_live_because_a_session_ran_on_it() -> None:
    assert ProviderState(CPU, True, None) in onnxruntime_facts().providers


def test_every_available_provider_is_listed() -> None:
    assert [state.name for state in onnxruntime_facts().providers] == onnxruntime.get_available_providers()


def test_cpus_are_counted_by_quota_by_affinity_and_in_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(installation, "usable_cpus", lambda: 2)
    assert find_installation().cpus == Cpus(usable=2, affinity=4, machine=64)


def test_a_system_without_affinity_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    cpus = find_installation().cpus
    assert (cpus.affinity, cpus.machine) == (None, None)
    assert cpus.usable >= 1


def test_cuda_is_live_where_a_session_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with_runtime(monkeypatch, FakeRuntime())
    facts = onnxruntime_facts()
    assert facts.providers == (
        ProviderState("TensorrtExecutionProvider", None, None),
        ProviderState(CUDA, True, None),
        ProviderState(CPU, True, None),
    )
    assert (facts.version, facts.problem) == ("1.0", None)


def test_cuda_that_is_available_but_not_taken_is_not_live_and_its_libraries_are_in_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_runtime(monkeypatch, FakeRuntime(taken=CPU))
    facts = onnxruntime_facts()
    assert facts.providers[1] == ProviderState(
        CUDA, False, f"CUDA is not live: onnxruntime took {CPU}; it printed: Failed to load libcublas.so.13"
    )
    assert facts.problem is None  # the CPU serves
    assert capsys.readouterr() == ("", "")


def test_cuda_that_opens_but_does_not_run_is_not_live(monkeypatch: pytest.MonkeyPatch) -> None:
    with_runtime(monkeypatch, FakeRuntime(failure="no kernel image is available\nat cuda.cc:1"))
    assert onnxruntime_facts().providers[1] == ProviderState(CUDA, False, "no kernel image is available")


def test_a_cpu_that_runs_nothing_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("illegal\ninstruction")

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    facts = onnxruntime_facts()
    assert facts.version == onnxruntime.__version__
    assert facts.problem is not None
    assert facts.problem.startswith(
        "onnxruntime does not run on the CPU (onnxruntime cannot load it: illegal); run in pocketgan's"
    )


def test_an_absent_onnxruntime_is_a_problem_and_everything_else_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = find_installation()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = find_installation()
    assert (found.onnxruntime.version, found.onnxruntime.providers) == (None, ())
    assert found.problems == (found.onnxruntime.problem,)
    assert found.problems[0] is not None
    assert found.problems[0].startswith("onnxruntime cannot be imported (")
    assert "pip install '.[cpu]'" in found.problems[0]
    assert replace(found, onnxruntime=whole.onnxruntime) == whole


def test_no_distribution_is_found_where_none_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert onnxruntime_facts().distributions == ()


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (
            "raise ImportError('libcudart.so.12: cannot open shared object file')",
            "onnxruntime cannot be imported (libcudart.so.12",
        ),
        (
            "raise OSError('invalid ELF header')",
            "onnxruntime is damaged (invalid ELF header); run in pocketgan's checkout: pip uninst",
        ),
        (
            "InferenceSession = None\ndef get_available_providers(): raise RuntimeError",
            "onnxruntime is damaged (module 'onnxruntime' has no attribute '__ver",
        ),
        ("", "onnxruntime is damaged (module 'onnxruntime' has no attribute"),
    ],
    ids=["ImportError", "OSError", "half overwritten", "empty"],
)
def test_a_broken_onnxruntime_is_a_problem_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, said: str
) -> None:
    (tmp_path / "onnxruntime.py").write_text(module)
    monkeypatch.delitem(sys.modules, "onnxruntime")
    monkeypatch.syspath_prepend(tmp_path)
    problem = onnxruntime_facts().problem
    assert problem is not None
    assert problem.startswith(said)
    assert "\n" not in problem


def test_what_an_uninstalled_onnxruntime_leaves_behind_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Uninstalling one of two leaves a folder without __init__.py, which Python imports without complaint.
    (tmp_path / "onnxruntime" / "capi").mkdir(parents=True)
    monkeypatch.delitem(sys.modules, "onnxruntime")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    problem = onnxruntime_facts().problem
    assert problem is not None
    assert problem.startswith("onnxruntime is damaged (")
    assert problem.endswith("pip uninstall onnxruntime, then pip install '.[cpu]' or pip install '.[cuda]'")


def test_both_distributions_are_listed_and_their_conflict_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnxruntime", "onnxruntime-gpu"):
        make_distribution(tmp_path, name)
    monkeypatch.syspath_prepend(tmp_path)
    facts = onnxruntime_facts()
    assert facts.distributions == (Distribution("onnxruntime", "9.9"), Distribution("onnxruntime-gpu", "9.9"))
    assert facts.problem is not None
    assert facts.problem.startswith("onnxruntime and onnxruntime-gpu are both installed and overwrite each other; run in")


def test_any_other_distribution_with_the_same_folder_is_a_conflict_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_distribution(tmp_path, "onnxruntime")
    make_distribution(tmp_path, "onnxruntime-directml", ["onnxruntime/__init__.py"])
    monkeypatch.setattr(sys, "path", [str(tmp_path)])  # the module itself is imported already
    assert onnxruntime_facts().problem == (
        "onnxruntime and onnxruntime-directml are installed together and overwrite each other; run in pocketgan's checkout: "
        "pip uninstall onnxruntime onnxruntime-directml, then pip install '.[cpu]' or pip install '.[cuda]'"
    )


def test_a_plug_in_beside_onnxruntime_is_no_conflict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_distribution(tmp_path, "onnxruntime", ["onnxruntime/__init__.py"])
    make_distribution(tmp_path, "onnxruntime-qnn", ["onnxruntime_qnn/__init__.py"])
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    facts = onnxruntime_facts()
    assert facts.distributions == (Distribution("onnxruntime", "9.9"),)
    assert facts.problem is None


def test_a_numpy_that_cannot_be_imported_is_the_problem_and_onnxruntime_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    found = find_installation()
    assert (found.numpy.version, found.onnxruntime.version, found.onnxruntime.providers) == (None, None, ())
    assert len(found.onnxruntime.distributions) == 1
    assert found.problems == (found.numpy.problem,)
    assert found.problems[0] is not None
    assert found.problems[0].startswith("numpy cannot be imported (")
    assert found.problems[0].endswith("run: pip install --force-reinstall numpy")
