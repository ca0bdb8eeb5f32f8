"""Parts of a run: all of them in turn are the whole, and nothing else."""

import pytest

from pocketgan.address import Shard, parse_shard, shard_range
from pocketgan.errors import RequestError


@pytest.mark.parametrize("of", [1, 2, 3, 16, 97])
@pytest.mark.parametrize(("start", "count"), [(0, 97), (5, 100), (2**40, 1000), (0, 10**8)])
def test_all_shards_in_turn_are_the_run(start: int, count: int, of: int) -> None:
    ranges = [shard_range(start, count, Shard(number, of)) for number in range(of)]
    expected = start
    for first, length in ranges:
        assert first == expected
        expected += length
    assert expected == start + count
    lengths = {length for _, length in ranges}
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) >= 1


def test_more_shards_than_images_are_refused() -> None:
    with pytest.raises(
        RequestError, match="11 shards are too many for a count of 10: expected at most one for each image or row"
    ):
        shard_range(0, 10, Shard(3, 11))


@pytest.mark.parametrize(("spec", "shard"), [("0/1", Shard(0, 1)), ("3/16", Shard(3, 16)), ("15/16", Shard(15, 16))])
def test_shards_are_written_from_0_on(spec: str, shard: Shard) -> None:
    assert parse_shard(spec) == shard


@pytest.mark.parametrize(
    "spec", ["", "3", "16/16", "17/16", "-1/16", "0/0", "1/", "/2", "1/2/3", "a/b", " 1/2", "1/2 ", "1.0/2", "٣/٤", "9" * 40]
)
def test_what_is_no_shard_is_refused(spec: str) -> None:
    with pytest.raises(RequestError, match=r"is no shard: expected K/N with K below N, such as 0/16 to 15/16"):
        parse_shard(spec)
