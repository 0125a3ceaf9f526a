"""The boxes of a data set as columns: what an instances file says, checked, in arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Category:
    """A class of objects: its id in the file (COCO's have gaps) and its name. Its label is its position."""

    id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Annotations:
    """N images in the order of their ids, and A boxes in the order of (image, annotation id).

    `image_ids` int64 [N]; `sizes` int64 [N, 2], (height, width) in pixels; `owners` int64 [A], the row of
    the image that a box belongs to; `boxes` float64 [A, 4] as the file has them, (x, y, width, height) in
    pixels of the original image; `areas` float64 [A], the file's own; `labels` int32 [A], positions in
    `categories`; `crowds` bool [A], regions that hold many objects.
    """

    image_ids: NDArray[np.int64]
    file_names: tuple[str, ...]
    sizes: NDArray[np.int64]
    owners: NDArray[np.int64]
    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    labels: NDArray[np.int32]
    crowds: NDArray[np.bool_]
    categories: tuple[Category, ...]

    def __len__(self) -> int:
        return len(self.image_ids)

    def restricted(self, rows: NDArray[np.int64]) -> Annotations:
        """Only these images; `rows` ascending."""
        place = np.full(len(self), -1, np.int64)
        place[rows] = np.arange(len(rows))
        mine = place[self.owners] >= 0
        return replace(
            self,
            image_ids=self.image_ids[rows],
            file_names=tuple(self.file_names[row] for row in rows),
            sizes=self.sizes[rows],
            owners=place[self.owners[mine]],
            boxes=self.boxes[mine],
            areas=self.areas[mine],
            labels=self.labels[mine],
            crowds=self.crowds[mine],
        )

    def with_classes(self, labels: tuple[int, ...]) -> Annotations:
        """Only boxes of these labels, which become 0, 1, ... in the given order; all images stay."""
        new = np.full(len(self.categories), -1, np.int32)
        new[list(labels)] = np.arange(len(labels))
        mine = new[self.labels] >= 0
        return replace(
            self,
            owners=self.owners[mine],
            boxes=self.boxes[mine],
            areas=self.areas[mine],
            labels=new[self.labels[mine]],
            crowds=self.crowds[mine],
            categories=tuple(self.categories[label] for label in labels),
        )

    def coco(self) -> dict[str, Any]:
        """The same in COCO's format, ready for an evaluator, with the file's category ids.

        Annotation ids are counted from 1 anew: pycocotools takes a match with id 0 for no match.
        """
        return {
            "info": {},
            "images": [
                {"id": int(image_id), "file_name": name, "height": int(height), "width": int(width)}
                for image_id, name, (height, width) in zip(
                    self.image_ids, self.file_names, self.sizes, strict=True
                )
            ],
            "categories": [{"id": category.id, "name": category.name} for category in self.categories],
            "annotations": [
                {
                    "id": number + 1,
                    "image_id": int(self.image_ids[self.owners[number]]),
                    "category_id": self.categories[self.labels[number]].id,
                    "bbox": self.boxes[number].tolist(),
                    "area": float(self.areas[number]),
                    "iscrowd": int(self.crowds[number]),
                }
                for number in range(len(self.boxes))
            ],
        }


_COLUMNS = ("image_ids", "sizes", "owners", "boxes", "areas", "labels", "crowds")


def write_annotations(file: IO[bytes], annotations: Annotations) -> None:
    """As .npz, without pickle."""
    np.savez(
        file,
        file_names=np.array(annotations.file_names, dtype=np.str_),
        category_ids=np.array([category.id for category in annotations.categories], np.int64),
        category_names=np.array([category.name for category in annotations.categories], dtype=np.str_),
        **{name: getattr(annotations, name) for name in _COLUMNS},
    )


def load_annotations(path: Path) -> Annotations:
    """What `write_annotations` wrote. Raises OSError, ValueError, KeyError or BadZipFile on anything else."""
    # Opened here: NumPy leaves a broken file open.
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        names = file["category_names"].tolist()
        ids = file["category_ids"].tolist()
        return Annotations(
            file_names=tuple(file["file_names"].tolist()),
            categories=tuple(Category(*pair) for pair in zip(ids, names, strict=True)),
            **{name: file[name] for name in _COLUMNS},
        )
