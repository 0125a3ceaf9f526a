"""The stream of batches: every image once an epoch, any step reachable, nothing left to chance."""

from __future__ import annotations

import numpy as np
import pytest

from proxy_trainer.data.augment import Augment
from proxy_trainer.data.batches import Batch, batch_at
from proxy_trainer.data.config import RenderedData, Splits
from proxy_trainer.data.image_set import ImageSet, open_split

PLAIN = Augment(flip=0, scale=(1, 1), visible=0, side=0)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    config = RenderedData(train_images=23, val_images=1, size=64)
    return open_split(config, Splits(reward=0, confirm=0), "train", 48, tmp_path_factory.mktemp("cache"))


def same(one: Batch, two: Batch) -> bool:
    return (
        np.array_equal(one.images, two.images)
        and all(map(np.array_equal, one.boxes, two.boxes))
        and all(map(np.array_equal, one.labels, two.labels))
    )


def test_any_step_without_those_before_it(images: ImageSet) -> None:
    stream = [batch_at(images, step, batch=8, seed=5, augment=Augment()) for step in range(10)]
    for step in (9, 0, 4):
        assert same(batch_at(images, step, batch=8, seed=5, augment=Augment()), stream[step])
    assert not same(stream[0], batch_at(images, 0, batch=8, seed=6, augment=Augment()))


def test_shapes(images: ImageSet) -> None:
    batch = batch_at(images, 0, batch=5, seed=1, augment=Augment())
    assert batch.images.shape == (5, 48, 48, 3)
    assert batch.images.dtype == np.uint8
    assert len(batch.boxes) == len(batch.labels) == 5
    for boxes, labels in zip(batch.boxes, batch.labels, strict=True):
        assert boxes.shape == (len(labels), 4)
        assert (str(boxes.dtype), str(labels.dtype)) == ("float32", "int32")


def rows_shown(images: ImageSet, seed: int, steps: int, batch: int) -> list[int]:
    known = {images.pixels[row].tobytes(): row for row in range(len(images))}
    assert len(known) == len(images)
    stream = [batch_at(images, step, batch=batch, seed=seed, augment=PLAIN) for step in range(steps)]
    return [known[picture.tobytes()] for shown in stream for picture in shown.images]


@pytest.mark.parametrize("batch", [1, 8, 50])
def test_every_image_once_an_epoch(images: ImageSet, batch: int) -> None:
    shown = rows_shown(images, 3, -(-4 * 23 // batch), batch)
    epochs = [shown[start : start + 23] for start in range(0, 4 * 23, 23)]
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_pictures_come_with_their_own_boxes(images: ImageSet) -> None:
    shown = rows_shown(images, 3, 3, 8)
    stream = [batch_at(images, step, batch=8, seed=3, augment=PLAIN) for step in range(3)]
    pairs = [pair for batch in stream for pair in zip(batch.boxes, batch.labels, strict=True)]
    for row, (boxes, labels) in zip(shown, pairs, strict=True):
        np.testing.assert_allclose(boxes, images.boxes[row])
        np.testing.assert_array_equal(labels, images.labels[row])


def test_one_picture_changes_from_epoch_to_epoch(images: ImageSet) -> None:
    epochs = [batch_at(images, step, batch=23, seed=3, augment=Augment()) for step in (0, 1)]
    assert len({picture.tobytes() for batch in epochs for picture in batch.images}) == 46
