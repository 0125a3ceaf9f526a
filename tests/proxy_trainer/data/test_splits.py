"""Splits: disjoint, whole, the same everywhere, and each moving on its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_trainer.data.config import Split, Splits
from proxy_trainer.data.errors import DataError
from proxy_trainer.data.splits import divide, ranked, record

IDS = list(range(100, 1100, 5))


def test_parts_are_disjoint_and_whole() -> None:
    parts = divide(IDS, Splits(reward=0.25, confirm=13))
    assert {split: len(ids) for split, ids in parts.items()} == {
        Split.TRAIN: 137,
        Split.REWARD: 50,
        Split.CONFIRM: 13,
    }
    assert sorted(sum(parts.values(), ())) == IDS
    assert all(list(ids) == sorted(ids) for ids in parts.values())


def test_the_division_is_the_same_everywhere() -> None:
    """Pinned from the first run: blake2b of "split||ID", so a change here moves every campaign's images."""
    assert ranked(range(8), "split|") == [0, 3, 2, 1, 5, 7, 4, 6]


@given(st.permutations(IDS[:30]))
def test_order_of_the_file_does_not_matter(ids: list[int]) -> None:
    assert divide(ids, Splits()) == divide(IDS[:30], Splits())


@given(st.integers(0, 90), st.integers(0, 90), st.integers(0, 90))
def test_one_part_does_not_move_the_other(reward: int, confirm: int, other: int) -> None:
    one, two = (divide(IDS, Splits(reward=reward, confirm=n)) for n in (confirm, other))
    assert one[Split.REWARD] == two[Split.REWARD]
    one, two = (divide(IDS, Splits(reward=n, confirm=confirm)) for n in (reward, other))
    assert one[Split.CONFIRM] == two[Split.CONFIRM]


def test_salt_divides_anew() -> None:
    assert divide(IDS, Splits(salt="a")) != divide(IDS, Splits(salt="b"))


def test_added_images_leave_the_others_mostly_where_they_are() -> None:
    before, after = (divide(ids, Splits(reward=0.5, confirm=0)) for ids in (IDS, [*IDS, 1, 2, 3, 4]))
    assert len(set(before[Split.REWARD]) - set(after[Split.REWARD])) <= 2


@pytest.mark.parametrize(("reward", "confirm"), [(0.5, 0.5), (200, 0), (150, 60), (0.9, 0.2)])
def test_something_must_be_left_to_train(reward: float, confirm: float) -> None:
    with pytest.raises(DataError, match="of 200 training images, expected some to be left to train"):
        divide(IDS, Splits(reward=reward, confirm=confirm))


def test_the_record_has_a_hash_of_its_ids() -> None:
    parts = divide(IDS, Splits())
    same, other = record(dict(reversed(parts.items()))), record(divide(IDS, Splits(salt="x")))
    assert record(parts).content_hash == same.content_hash != other.content_hash
