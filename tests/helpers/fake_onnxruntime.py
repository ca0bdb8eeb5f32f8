"""Stand-ins for an onnxruntime with CUDA, and for distributions that pip installed."""

from pathlib import Path
from types import SimpleNamespace

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class FakeSession:
    """A session on a provider; `run` fails with `failure` if there is one."""

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
    """An onnxruntime with CUDA.

    A session on CUDA chooses the provider `chosen`, fails with `open_failure` when it opens, or with `run_failure` when it runs.
    """

    __version__ = "1.0"

    def __init__(self, chosen: str = CUDA, open_failure: str | None = None, run_failure: str | None = None) -> None:
        self.chosen = chosen
        self.open_failure = open_failure
        self.run_failure = run_failure
        self.options: dict[str, str] = {}

    def get_available_providers(self) -> list[str]:
        return ["TensorrtExecutionProvider", CUDA, CPU]

    def preload_dlls(self) -> None:
        print("Failed to load libcublas.so.13")

    def SessionOptions(self) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(add_session_config_entry=self.options.__setitem__)

    def InferenceSession(  # noqa: N802
        self, contents: bytes, options: object, providers: list[str], enable_fallback: int
    ) -> FakeSession:
        assert enable_fallback == 0
        if providers == [CPU]:
            return FakeSession(CPU, None)
        if self.open_failure is not None:
            raise RuntimeError(self.open_failure)
        return FakeSession(self.chosen, self.run_failure)


def make_distribution(folder: Path, name: str, files: list[str] | None = None) -> None:
    """Write the metadata of an installed distribution, with a list of its files if given."""
    info = folder / f"{name.replace('-', '_')}-9.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
    if files is not None:
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
