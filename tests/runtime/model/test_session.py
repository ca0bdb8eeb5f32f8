"""Opening a session: on the provider that was asked for or not at all, with the right onnxruntime or none."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import onnxruntime
import pytest

from pocketgan.errors import ModelError, ProviderError, RuntimeMissingError
from pocketgan.model import session
from pocketgan.model.session import Provider, import_onnxruntime, open_session


class FakeSession:
    """A session that took the first of the providers, or another one."""

    def __init__(self, provider: str) -> None:
        self.provider = provider

    def get_providers(self) -> list[str]:
        return [self.provider]


class FakeRuntime:
    """An onnxruntime with CUDA, whose sessions take `taken` or fail with `failure`."""

    def __init__(self, taken: str = "CUDAExecutionProvider", failure: str | None = None) -> None:
        self.taken = taken
        self.failure = failure
        self.preloaded = 0
        self.options: dict[str, str] = {}

    def get_available_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def preload_dlls(self) -> None:
        self.preloaded += 1

    def SessionOptions(self) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(add_session_config_entry=self.options.__setitem__)

    def InferenceSession(  # noqa: N802
        self, contents: bytes, options: object, providers: list[str], enable_fallback: int
    ) -> FakeSession:
        assert enable_fallback == 0
        if providers == ["CPUExecutionProvider"]:
            return FakeSession("CPUExecutionProvider")
        if self.failure is not None:
            raise RuntimeError(self.failure)
        return FakeSession(self.taken)


@pytest.fixture
def contents(models: Path) -> bytes:
    return (models / "tiny.onnx").read_bytes()


@pytest.fixture
def float_contents(models: Path) -> bytes:
    return (models / "tiny_float.onnx").read_bytes()


@pytest.fixture
def without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """An onnxruntime without CUDA, also where the tests run on one with it."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])


def with_runtime(monkeypatch: pytest.MonkeyPatch, runtime: FakeRuntime) -> None:
    monkeypatch.setattr(session, "import_onnxruntime", lambda: runtime)


def make_distribution(folder: Path, name: str) -> None:
    """Write what pip leaves behind of an installed distribution."""
    info = folder / f"{name.replace('-', '_')}-1.31.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.31.1\n")


def test_a_model_opens_on_the_cpu_when_asked(contents: bytes) -> None:
    opened = open_session(contents, "int8", Provider.cpu)
    assert opened.provider is Provider.cpu
    assert opened.reason == "asked for"
    assert opened.session.get_providers() == ["CPUExecutionProvider"]


def test_auto_takes_the_cpu_for_an_int8_model_even_with_cuda(contents: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with_runtime(monkeypatch, FakeRuntime())
    opened = open_session(contents, "int8")
    assert (opened.provider, opened.reason) == (Provider.cpu, "an int8 model")


@pytest.mark.usefixtures("without_cuda")
def test_auto_takes_the_cpu_for_a_float_model_without_cuda_and_says_why(float_contents: bytes) -> None:
    opened = open_session(float_contents, "fp32")
    assert opened.provider is Provider.cpu
    assert opened.reason == "CUDA is not live: this onnxruntime has no CUDA provider"


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_auto_takes_cuda_for_a_float_model_where_it_is_live(
    float_contents: bytes, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = FakeRuntime()
    with_runtime(monkeypatch, runtime)
    opened = open_session(float_contents, precision)
    assert (opened.provider, opened.reason) == (Provider.cuda, "a float model, and CUDA is live")
    assert runtime.preloaded == 1
    assert runtime.options["session.disable_cpu_ep_fallback"] == "1"


@pytest.mark.parametrize(
    ("runtime", "reason"),
    [
        (FakeRuntime(taken="CPUExecutionProvider"), "onnxruntime took CPUExecutionProvider"),
        (FakeRuntime(failure="no device\nat cuda.cc:1"), "onnxruntime cannot load it: no device"),
    ],
    ids=["silent fallback", "failure"],
)
def test_cuda_that_is_there_but_not_live_is_refused_and_auto_says_so(
    float_contents: bytes, runtime: FakeRuntime, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_runtime(monkeypatch, runtime)
    with pytest.raises(ProviderError) as caught:
        open_session(float_contents, "fp32", Provider.cuda)
    assert str(caught.value).startswith(f"--provider cuda: CUDA is not live: {reason}; use --provider cpu, or make sure")
    opened = open_session(float_contents, "fp32", Provider.auto)
    assert (opened.provider, opened.reason) == (Provider.cpu, f"CUDA is not live: {reason}")


def test_cuda_for_an_int8_model_is_refused_even_where_it_is_live(contents: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with_runtime(monkeypatch, FakeRuntime())
    with pytest.raises(ProviderError, match="this model is int8 and CUDA has no integer kernels for it; use --provider cpu, or"):
        open_session(contents, "int8", Provider.cuda)


@pytest.mark.usefixtures("without_cuda")
def test_cuda_for_a_float_model_is_refused_where_there_is_none(float_contents: bytes) -> None:
    with pytest.raises(ProviderError, match="this onnxruntime has no CUDA provider; use --provider cpu, or make sure that"):
        open_session(float_contents, "fp32", Provider.cuda)


@pytest.mark.parametrize("damaged", [b"", b"not a model", b"\x3a\x00"], ids=["empty", "text", "empty graph"])
def test_what_onnxruntime_cannot_load_is_refused_in_one_line(damaged: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        open_session(damaged, "int8")
    assert str(caught.value).startswith("onnxruntime cannot load it: ")
    assert "\n" not in str(caught.value)


def test_onnxruntimes_own_file_format_is_refused(contents: bytes, tmp_path: Path) -> None:
    # It is not looked into for external data, so nothing may reach it by beginning with the right four letters.
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(contents, options, providers=["CPUExecutionProvider"])
    own_format = (tmp_path / "model.ort").read_bytes()
    assert own_format[4:8] == b"ORTM"
    with pytest.raises(ModelError, match="onnxruntime cannot load it"):
        open_session(own_format, "int8")


def test_a_constant_bomb_is_opened_without_building_the_constant(models: Path) -> None:
    script = """
        import resource, sys
        from pathlib import Path
        from pocketgan.model.session import open_session

        contents, bomb = (Path(name).read_bytes() for name in sys.argv[1:])
        open_session(contents, "int8")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        open_session(bomb, "int8")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(models / "tiny.onnx"), str(models / "constant_bomb.onnx")]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    assert grown < 64 * 1024  # kilobytes (bytes on macOS, where this says less); the constant alone is 512 MB


def test_a_missing_onnxruntime_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RuntimeMissingError) as caught:
        import_onnxruntime()
    message = str(caught.value)
    assert message.startswith("onnxruntime cannot be imported (")
    assert message.endswith("run in pocketgan's checkout: pip install '.[cpu]', or on a machine with CUDA: pip install '.[cuda]'")


def test_an_onnxruntime_that_is_broken_is_said_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('libcudart.so.12: cannot open shared object file')")
    monkeypatch.delitem(sys.modules, "onnxruntime")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeMissingError, match=r"^onnxruntime cannot be imported \(libcudart\.so\.12: cannot open"):
        import_onnxruntime()


def test_a_folder_that_an_uninstalled_one_left_behind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "onnxruntime" / "capi").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "onnxruntime")
    with pytest.raises(
        RuntimeMissingError, match=r"onnxruntime is damaged \(.* no attribute 'InferenceSession'\); run in .*uninstall"
    ):
        import_onnxruntime()


def test_both_distributions_at_once_are_refused_with_what_to_uninstall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnxruntime", "onnxruntime-gpu"):
        make_distribution(tmp_path, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeMissingError) as caught:
        import_onnxruntime()
    assert str(caught.value) == (
        "onnxruntime and onnxruntime-gpu are both installed and overwrite each other; run in pocketgan's checkout: "
        "pip uninstall onnxruntime onnxruntime-gpu, then pip install '.[cpu]' or pip install '.[cuda]'"
    )


@pytest.mark.parametrize("name", ["onnxruntime", "onnxruntime-gpu"])
def test_either_distribution_alone_is_fine(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_distribution(tmp_path, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])  # the module itself is imported already
    assert import_onnxruntime() is onnxruntime


@pytest.mark.parametrize(("said", "found"), [(None, "1"), ("0", "0")])
def test_telemetry_is_off_before_onnxruntime_is_imported_unless_the_user_wants_it(said: str | None, found: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {} if said is None else {"ORT_DISABLE_TELEMETRY": said}
    script = "import os, pocketgan; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == found


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux does it")
def test_drawing_leaves_nothing_in_the_users_home_and_starts_no_thread(models: Path, tmp_path: Path) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    # What onnxruntime imports and starts by itself is there before; a collector's thread would come with the session.
    script = """if True:
        import os, sys
        from pocketgan import Generator
        from pocketgan.model.session import import_onnxruntime
        before = len(os.listdir("/proc/self/task"))
        import_onnxruntime()
        Generator.load(sys.argv[1]).generate(3)
        print(len(os.listdir("/proc/self/task")) - before)
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(models / "tiny.onnx")],
        env=environment | {"HOME": str(home), "OMP_NUM_THREADS": "1"},
        cwd=here,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "0"
    assert [*home.rglob("*"), *here.rglob("*")] == []
    assert done.stderr == ""
