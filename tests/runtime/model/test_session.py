"""Opening a session: on the requested provider or not at all, with one undamaged onnxruntime."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import onnxruntime
import pytest
from fake_onnxruntime import CPU, CUDA, FakeRuntime, make_distribution

from pocketgan.errors import ModelError, ProviderError, RuntimeMissingError
from pocketgan.model import session
from pocketgan.model.session import INSTALL_ONNXRUNTIME, Provider, import_onnxruntime, open_session

FAKE = b"no model: a fake session does not read it"


@pytest.fixture
def contents(models: Path) -> bytes:
    return (models / "tiny.onnx").read_bytes()


def use_fake(monkeypatch: pytest.MonkeyPatch, runtime: FakeRuntime) -> None:
    monkeypatch.setattr(session, "import_onnxruntime", lambda: runtime)


def test_a_model_opens_on_the_cpu(contents: bytes) -> None:
    opened = open_session(contents, "int8", Provider.cpu)
    assert (opened.provider, opened.reason) == (Provider.cpu, "requested")
    assert opened.session.get_providers() == [CPU]


@pytest.mark.parametrize(
    ("precision", "requested", "provider", "reason"),
    [
        ("int8", Provider.auto, Provider.cpu, "an int8 model"),
        ("fp16", Provider.auto, Provider.cuda, "a float model, and CUDA is live"),
        ("fp32", Provider.auto, Provider.cuda, "a float model, and CUDA is live"),
        ("fp32", Provider.cuda, Provider.cuda, "requested"),
        ("fp32", Provider.cpu, Provider.cpu, "requested"),
    ],
)
def test_the_provider_follows_from_precision_and_request_if_cuda_is_live(
    precision: str,
    requested: Provider,
    provider: Provider,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runtime = FakeRuntime()
    use_fake(monkeypatch, runtime)
    opened = open_session(FAKE, precision, requested)
    assert (opened.provider, opened.reason) == (provider, reason)
    assert opened.session.get_providers() == [CUDA if provider is Provider.cuda else CPU]
    assert ("session.disable_cpu_ep_fallback" in runtime.options) == (provider is Provider.cuda)
    stdout, stderr = capsys.readouterr()
    assert (stdout, "libcublas" in stderr) == ("", provider is Provider.cuda)


@pytest.mark.parametrize(
    ("runtime", "reason"),
    [
        (FakeRuntime(chosen=CPU), f"onnxruntime chose {CPU}"),
        (FakeRuntime(open_failure="no device\nat cuda.cc:1"), "onnxruntime cannot load it: no device"),
        (None, "this onnxruntime has no CUDA provider"),
    ],
    ids=["silent fallback", "failure", "without CUDA"],
)
def test_cuda_that_is_not_live_is_refused_and_auto_uses_the_cpu(
    models: Path, runtime: FakeRuntime | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if runtime is not None:
        use_fake(monkeypatch, runtime)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    contents = (models / "tiny_float.onnx").read_bytes()
    with pytest.raises(ProviderError) as caught:
        open_session(contents, "fp32", Provider.cuda)
    assert str(caught.value).startswith(f"--provider cuda: CUDA is not live: {reason}; use --provider cpu, or make sure that")
    opened = open_session(contents, "fp32", Provider.auto)
    assert (opened.provider, opened.reason) == (Provider.cpu, f"CUDA is not live: {reason}")


def test_cuda_for_an_int8_model_is_refused_even_if_it_is_live(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake(monkeypatch, FakeRuntime())
    with pytest.raises(ProviderError, match="this model is int8 and CUDA has no integer kernels for it; use --provider cpu, or"):
        open_session(FAKE, "int8", Provider.cuda)


@pytest.mark.parametrize("damaged", [b"", b"not a model", b"\x3a\x00"], ids=["empty", "text", "empty graph"])
def test_a_file_that_onnxruntime_cannot_load_is_refused_in_one_line(damaged: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        open_session(damaged, "int8")
    assert str(caught.value).startswith("onnxruntime cannot load it: ")
    assert "\n" not in str(caught.value)


def test_onnxruntimes_own_file_format_is_refused(contents: bytes, tmp_path: Path) -> None:
    # `model.checked` cannot read this format, and must not be bypassed by a file that starts with these four letters.
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(contents, options, providers=[CPU])
    own_format = (tmp_path / "model.ort").read_bytes()
    assert own_format[4:8] == b"ORTM"
    with pytest.raises(ModelError, match="onnxruntime cannot load it"):
        open_session(own_format, "int8")


def test_a_constant_bomb_is_opened_without_computing_the_constant(models: Path) -> None:
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
    assert grown < 64 * 1024  # kilobytes (bytes on macOS, where this proves less); the constant alone is 512 MB


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            "raise ImportError('libcudart.so.12: not found')",
            r"onnxruntime cannot be imported \(libcudart\.so\.12: not found\); for int8 models --provider numpy will do; else",
        ),
        (
            "raise OSError('invalid ELF header')",
            r"onnxruntime is damaged \(invalid ELF header\); run: pip uninstall onnxruntime, then",
        ),
        ("", r"onnxruntime is damaged \(.* no attribute 'InferenceSession'\); run: pip uninstall onnxruntime, then"),
        (None, r"onnxruntime is damaged \(.* no attribute 'InferenceSession'\); run: pip uninstall onnxruntime, then"),
    ],
    ids=["ImportError", "OSError", "empty module", "folder left behind"],
)
def test_a_damaged_onnxruntime_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str | None, message: str
) -> None:
    if module is None:
        (tmp_path / "onnxruntime" / "capi").mkdir(parents=True)
    else:
        (tmp_path / "onnxruntime.py").write_text(module)
    monkeypatch.delitem(sys.modules, "onnxruntime")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(RuntimeMissingError, match=f"^{message}"):
        import_onnxruntime()


def test_a_missing_onnxruntime_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        RuntimeMissingError,
        match=r"^onnxruntime cannot be imported \(.* run: pip install onnxruntime, .* 'onnxruntime-gpu\[cuda,cudnn\]'$",
    ):
        import_onnxruntime()


@pytest.mark.parametrize("names", [["onnxruntime"], ["onnxruntime-gpu"], ["onnxruntime", "onnxruntime-gpu"]])
def test_only_one_distribution_may_be_installed(names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in names:
        make_distribution(tmp_path, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])  # the module itself is imported already
    if len(names) == 1:
        assert import_onnxruntime() is onnxruntime
        return
    with pytest.raises(RuntimeMissingError) as caught:
        import_onnxruntime()
    assert str(caught.value) == (
        "onnxruntime and onnxruntime-gpu are both installed and overwrite each other; run: "
        f"pip uninstall onnxruntime onnxruntime-gpu, then {INSTALL_ONNXRUNTIME}"
    )


@pytest.mark.parametrize(("setting", "found"), [(None, "1"), ("0", "0")])
def test_telemetry_is_off_unless_the_user_wants_it(setting: str | None, found: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {} if setting is None else {"ORT_DISABLE_TELEMETRY": setting}
    script = "import os, pocketgan; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == found


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_drawing_writes_nothing_to_the_home_folder_and_leaves_no_thread(models: Path, tmp_path: Path) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    # A telemetry thread would start with the session; threads of the import are there before.
    script = """if True:
        import os, sys
        from pocketgan import Generator
        from pocketgan.model.session import import_onnxruntime
        before = len(os.listdir("/proc/self/task"))
        import_onnxruntime()
        generator = Generator.load(sys.argv[1])
        generator.generate(3)
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
