"""onnxruntime's own quantizer, as it is compared with: it leaves transposed convolutions in floating point, and stays quiet."""

import logging

import numpy as np
import onnx
import pytest
from lively_generators import POCKET_LATENT_SIZE, lively_generator, lively_pocket
from numpy.typing import NDArray

from pocketgan.latents import latents
from pocketgan_trainer.export.comparison import naive_int8
from pocketgan_trainer.export.float_graph import float_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.verify import count_kernels, optimized


def test_transposed_convolutions_stay_in_floating_point() -> None:
    model = float_graph(fold(lively_generator("dcgan")), 100, np.float32)
    contents = naive_int8(model, {"z": latents(0, 0, 4, 100)})
    assert len(contents) < 0.5 * len(model.SerializeToString())
    kernels = count_kernels(optimized(contents))
    assert kernels.integer > 0
    assert "ConvTranspose" in kernels.floating_point


def test_a_model_with_classes_is_quantized_too(caplog: pytest.LogCaptureFixture) -> None:
    model = float_graph(fold(lively_pocket()), POCKET_LATENT_SIZE, np.float32)
    feeds: dict[str, NDArray[np.generic]] = {"z": latents(0, 0, 4, POCKET_LATENT_SIZE), "label": np.arange(4)}
    before = onnx.ModelProto.FromString(model.SerializeToString())
    with caplog.at_level(logging.WARNING):
        contents = naive_int8(model, feeds)
    assert count_kernels(optimized(contents)).integer > 0
    assert model == before
    assert not caplog.records
    logging.getLogger().warning("heard again")
    assert [record.message for record in caplog.records] == ["heard again"]
