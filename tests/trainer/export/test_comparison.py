"""Comparisons: the arithmetic of speed ratios, on a fake clock, and onnxruntime's own quantizer."""

import logging
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from lively_generators import POCKET_LATENT_SIZE, lively_pocket

from pocketgan_trainer.export import comparison
from pocketgan_trainer.export.comparison import naive_int8, speed_ratios
from pocketgan_trainer.export.float_graph import float_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import model_inputs
from pocketgan_trainer.export.verify import count_kernels, optimized


class FakeSession:
    """A session whose runs take given times on a fake clock."""

    def __init__(self, clock: list[float], seconds: list[float]) -> None:
        self._clock = clock
        self._seconds = seconds

    def run(self, outputs: list[str], inputs: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]) -> None:
        """Advance the clock by the next time in the list, or by the last one again."""
        self._clock[0] += self._seconds.pop(0) if len(self._seconds) > 1 else self._seconds[0]


def test_ratio_is_how_many_times_as_fast_the_model_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    # Each runs once to warm up, once to be estimated (one run a round), then three rounds.
    sessions = {
        b"model": FakeSession(clock, [9.0, 0.1, 0.1, 0.2, 0.1]),
        b"baseline": FakeSession(clock, [9.0, 0.3, 0.3, 0.3, 0.5]),
        b"other": FakeSession(clock, [9.0, 0.1, 0.05, 0.1, 0.05]),
    }
    monkeypatch.setattr(comparison, "open_session", lambda contents, *_: SimpleNamespace(session=sessions[contents]))
    monkeypatch.setattr(comparison, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    ratio, other = speed_ratios(b"model", [b"baseline", b"other"], {"z": np.zeros((1, 4), dtype=np.float32)}, rounds=3)
    assert (ratio.lowest, ratio.median, ratio.highest) == pytest.approx((1.5, 3.0, 5.0))
    assert (other.lowest, other.median, other.highest) == pytest.approx((0.5, 0.5, 0.5))


def test_quantize_static_quantizes_a_model_with_classes_and_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    model = float_graph(fold(lively_pocket()), POCKET_LATENT_SIZE, np.float32)
    before = onnx.ModelProto.FromString(model.SerializeToString())
    with caplog.at_level(logging.WARNING):
        contents = naive_int8(model, model_inputs(POCKET_LATENT_SIZE, 10, 0, 4))
        assert not caplog.records
        # Still inside: at its end, `at_level` would enable logging again by itself.
        logging.getLogger().warning("logged again")
    assert [record.message for record in caplog.records] == ["logged again"]
    assert count_kernels(optimized(contents)).integer > 0
    assert model == before
