"""How many threads to compute with: as many as there are only where they are clearly faster."""

import pytest
import torch

from pocketgan_trainer import devices
from pocketgan_trainer.devices import choose_threads


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
