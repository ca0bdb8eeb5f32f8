"""Which device is taken, whether it computes bfloat16 natively, and with how many threads torch computes."""

import pytest
import torch

from pocketgan_trainer import devices
from pocketgan_trainer.devices import choose_device, choose_threads, supports_bfloat16
from pocketgan_trainer.errors import TrainingError


@pytest.fixture(params=[False, True], ids=["without CUDA", "with CUDA"])
def has_cuda(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether torch says that there is a CUDA device."""
    has: bool = request.param
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2 * has)
    return has


def test_auto_takes_cuda_where_there_is_one(has_cuda: bool) -> None:
    assert choose_device("auto").type == ("cuda" if has_cuda else "cpu")


def test_cpu_is_cpu_everywhere(has_cuda: bool) -> None:
    assert choose_device("cpu").type == "cpu"


def test_cuda_that_is_not_there_is_refused_with_a_way_out(has_cuda: bool) -> None:
    if has_cuda:
        assert choose_device("cuda").type == "cuda"
    else:
        with pytest.raises(TrainingError, match=r"--device cuda: torch finds no CUDA device here; use --device cpu"):
            choose_device("cuda")


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_each_process_of_a_machine_has_a_gpu_of_its_own(has_cuda: bool, name: str) -> None:
    if has_cuda:
        assert [choose_device(name, number).index for number in (0, 1)] == [0, 1]
        with pytest.raises(TrainingError, match="process 2 of this machine has no GPU: torch finds 2; start fewer"):
            choose_device(name, 2)


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
def test_a_cpu_is_good_at_bfloat16_if_it_has_instructions_for_it(
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
def test_all_threads_are_taken_where_they_are_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, seconds_of_one: float, seconds_of_four: float, chosen: int
) -> None:
    measured: list[int] = []

    def seconds(work: object) -> float:
        measured.append(torch.get_num_threads())
        return seconds_of_one if torch.get_num_threads() == 1 else seconds_of_four

    monkeypatch.setattr(devices, "_seconds", seconds)
    assert choose_threads(lambda: None, 4) == chosen == torch.get_num_threads()
    assert measured == ([1, 4] if seconds_of_four > 2 * seconds_of_one else [1, 4] * 3)


def test_where_there_is_one_nothing_is_measured() -> None:
    assert choose_threads(lambda: pytest.fail("measured"), 1) == 1
