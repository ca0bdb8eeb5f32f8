"""The device to train on, whether it computes bfloat16 natively, and the number of threads."""

import pytest
import torch

from pocketgan_trainer import devices
from pocketgan_trainer.devices import choose_device, choose_threads, supports_bfloat16
from pocketgan_trainer.errors import TrainingError


@pytest.mark.parametrize(
    ("gpus", "name", "number", "expected"),
    [
        (0, "auto", 0, "cpu"),
        (0, "cpu", 0, "cpu"),
        (0, "cuda", 0, "--device cuda: torch finds no CUDA device here; use --device cpu"),
        (2, "auto", 1, "cuda:1"),
        (2, "cpu", 0, "cpu"),
        (2, "cuda", 0, "cuda:0"),
        (2, "cuda", 2, "process 2 of this machine has no GPU: torch finds 2; start fewer"),
        (2, "auto", 2, "process 2 of this machine has no GPU: torch finds 2; start fewer"),
    ],
)
def test_each_process_gets_the_device_that_was_chosen(
    monkeypatch: pytest.MonkeyPatch, gpus: int, name: str, number: int, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    try:
        found = str(choose_device(name, number))
    except TrainingError as error:
        found = str(error)
    assert found.startswith(expected)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({}, False),
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"bf16": True}, True),
    ],
)
def test_a_cpu_supports_bfloat16_if_it_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert supports_bfloat16(torch.device("cpu")) is expected


@pytest.mark.parametrize("native", [False, True])
def test_emulated_bfloat16_on_cuda_does_not_count(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    assert supports_bfloat16(torch.device("cuda")) is native


@pytest.fixture(autouse=True)
def _threads_as_before() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("seconds_of_one", "seconds_of_four", "chosen"), [(4.0, 1.0, 4), (4.0, 3.9, 1), (1.0, 9.0, 1)])
def test_all_threads_are_used_where_they_are_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, seconds_of_one: float, seconds_of_four: float, chosen: int
) -> None:
    measured: list[int] = []

    def seconds(work: object) -> float:
        measured.append(torch.get_num_threads())
        return seconds_of_one if torch.get_num_threads() == 1 else seconds_of_four

    monkeypatch.setattr(devices, "_seconds", seconds)
    assert choose_threads(lambda: None, 4) == chosen == torch.get_num_threads()
    assert measured == ([1, 4] if seconds_of_four > 2 * seconds_of_one else [1, 4] * 3)


def test_with_one_thread_nothing_is_measured() -> None:
    assert choose_threads(lambda: pytest.fail("measured"), 1) == 1
