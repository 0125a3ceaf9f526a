"""Which image belongs to which split: by hash of its id, so that it never depends on order or chance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proxy_trainer.data.config import Split, Splits
from proxy_trainer.data.errors import DataError


@dataclass(frozen=True, slots=True)
class SplitRecord:
    """The ids of the images of every split, sorted, and a hash of them all: stored with a campaign."""

    ids: Mapping[Split, tuple[int, ...]]
    content_hash: str


def ranked(image_ids: Iterable[int], salt: str) -> list[int]:
    """Image ids in an order that only the ids and the salt determine."""

    def rank(image_id: int) -> tuple[bytes, int]:
        return hashlib.blake2b(f"{salt}|{image_id}".encode(), digest_size=8).digest(), image_id

    return sorted(image_ids, key=rank)


def divide(train_ids: Iterable[int], splits: Splits) -> dict[Split, tuple[int, ...]]:
    """Train, reward and confirm, disjoint and together all ids.

    Raises DataError when nothing is left to train.
    """
    order = ranked(train_ids, f"split|{splits.salt}")
    reward, confirm = splits.counts(len(order))
    if reward + confirm >= len(order):
        raise DataError(
            f"splits: reward={splits.reward} and confirm={splits.confirm} take {reward} + {confirm} of "
            f"{len(order)} training images, expected some to be left to train; ask for less"
        )
    end = len(order) - confirm
    return {
        Split.TRAIN: tuple(sorted(order[reward:end])),
        Split.REWARD: tuple(sorted(order[:reward])),
        Split.CONFIRM: tuple(sorted(order[end:])),
    }


def record(ids: Mapping[Split, tuple[int, ...]]) -> SplitRecord:
    """The ids with their hash."""
    text = json.dumps({split.value: ids[split] for split in sorted(ids)}, separators=(",", ":"))
    return SplitRecord(ids, hashlib.blake2b(text.encode(), digest_size=16).hexdigest())
