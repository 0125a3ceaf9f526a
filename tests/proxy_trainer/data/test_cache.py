"""The pixel cache: built once, whole or not at all, by whoever comes first."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from proxy_trainer.data import cache as cache_module
from proxy_trainer.data.annotations import Annotations
from proxy_trainer.data.cache import open_annotations, open_pixels
from proxy_trainer.data.coco import read_instances
from proxy_trainer.data.config import CocoData
from proxy_trainer.data.errors import CacheError, DataError

Directory = Callable[..., CocoData]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def many(instances: dict[str, Any], count: int) -> None:
    """So many small images, in place of those of the file."""
    instances["images"] = [
        {"id": n, "file_name": f"{n}.png", "height": 20, "width": 24} for n in range(1, count + 1)
    ]
    instances["annotations"] = [
        {"id": n, "image_id": n, "category_id": 4, "bbox": [1, 1, 3, 3]} for n in (1, 2)
    ]


def files(cache: Path, pattern: str) -> list[Path]:
    return sorted(cache.glob(pattern))


def test_pictures_are_decoded_once(directory: Directory, cache: Path) -> None:
    config = directory()
    annotations = read_instances(config.train)
    first = open_pixels(config.images, annotations, 32, cache)
    stored = files(cache, "pixels-32-*.npy")
    facts = [path.stat() for path in stored]
    second = open_pixels(config.images, annotations, 32, cache)
    assert [path.stat() for path in files(cache, "pixels-32-*.npy")] == facts
    assert len(facts) == 1
    assert isinstance(second.pixels, np.memmap)
    assert not second.pixels.flags.writeable
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert first.pixels.shape == (3, 32, 32, 3)
    assert first.pixels[:, :16, :16].any(axis=(1, 2, 3)).all()
    assert first.usable.all()
    assert not first.bad


def test_the_pixels_are_those_of_the_pictures(
    directory: Directory, instances: dict[str, Any], cache: Path
) -> None:
    many(instances, 300)  # more than are decoded ahead at once
    colours = {f"{n}.png": Image.new("RGB", (24, 20), (n % 256, n // 2, 7)) for n in range(1, 301)}
    config = directory(colours)
    pixels = open_pixels(config.images, read_instances(config.train), 24, cache).pixels
    assert pixels[:, 5, 5].tolist() == [[n % 256, n // 2, 7] for n in range(1, 301)]


@pytest.mark.parametrize("change", ["bytes", "time"])
def test_a_changed_picture_makes_another_cache(directory: Directory, cache: Path, change: str) -> None:
    config = directory()
    annotations = read_instances(config.train)
    before = open_pixels(config.images, annotations, 32, cache)
    path = config.images / "b.png"
    if change == "bytes":
        Image.new("RGB", (80, 40), (200, 10, 10)).save(path)
        after = open_pixels(config.images, annotations, 32, cache)
        assert after.pixels[1, 2, 2].tolist() == [200, 10, 10]
        assert after.digests[1].tolist() != before.digests[1].tolist()
        assert after.digests[0].tolist() == before.digests[0].tolist()
    else:
        os.utime(path, ns=(1, 1))
        after = open_pixels(config.images, annotations, 32, cache)
        np.testing.assert_array_equal(after.digests, before.digests)
    assert len(files(cache, "pixels-32-*.npy")) == 2


@pytest.mark.parametrize("left", [0, 50, 5000])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_truncated_cache_is_built_again(directory: Directory, cache: Path, left: int, suffix: str) -> None:
    config = directory()
    annotations = read_instances(config.train)
    whole = np.array(open_pixels(config.images, annotations, 32, cache).pixels)
    (stored,) = files(cache, f"pixels-32-*.{suffix}")
    stored.write_bytes(stored.read_bytes()[: min(left, stored.stat().st_size - 1)])
    np.testing.assert_array_equal(open_pixels(config.images, annotations, 32, cache).pixels, whole)


def test_a_disk_that_fails_once_leaves_nothing_behind(
    directory: Directory, instances: dict[str, Any], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(instances, 300)  # one of them may be bad
    config = directory({f"{n}.png": Image.new("RGB", (24, 20), (n % 256, 1, 7)) for n in range(1, 301)})
    annotations = read_instances(config.train)
    with monkeypatch.context() as patch:
        patch.setattr("proxy_trainer.data.cache._read", stale_at("7.png", cache_module._read))
        with pytest.raises(DataError, match=r"7\.png: cannot be read: Stale file handle; try again"):
            open_pixels(config.images, annotations, 24, cache)
    assert files(cache, "pixels-24-*.np?") == []
    assert open_pixels(config.images, annotations, 24, cache).usable.all()


def stale_at(name: str, read: Callable[[Path], bytes]) -> Callable[[Path], bytes]:
    """Reading, but of this file; no real disk that can be had in a test answers so."""

    def reading(file: Path) -> bytes:
        if file.name == name:
            raise OSError(errno.ESTALE, "Stale file handle")
        return read(file)

    return reading


def test_truncated_columns_are_read_again(directory: Directory, cache: Path) -> None:
    config = directory()
    whole = open_annotations(config.train, "refuse", cache)
    (stored,) = files(cache, "annotations-*.npz")
    stored.write_bytes(stored.read_bytes()[:200])
    assert open_annotations(config.train, "refuse", cache).coco() == whole.coco()
    assert open_annotations(config.train, "refuse", cache).coco() == whole.coco()


def test_changed_annotations_are_read_again(
    directory: Directory, instances: dict[str, Any], cache: Path
) -> None:
    config = directory()
    open_annotations(config.train, "refuse", cache)
    instances["annotations"].pop()
    assert len(open_annotations(directory().train, "refuse", cache).boxes) == 3


PROCESS = """
import sys, time
from pathlib import Path
from proxy_trainer.data import cache
from proxy_trainer.data.coco import read_instances

images, train, store, start = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4])
annotations = read_instances(train)
decode_all = cache._decode_all

def counted(*arguments):
    print("decodes")
    time.sleep(0.3)  # the others come while one is at it
    return decode_all(*arguments)

cache._decode_all = counted
time.sleep(max(0, start - time.time()))
print(cache.open_pixels(images, annotations, 48, store).pixels.sum())
"""


def test_processes_that_come_at_once_build_once(
    directory: Directory, instances: dict[str, Any], cache: Path
) -> None:
    many(instances, 60)
    config = directory()
    command = [sys.executable, "-c", PROCESS]
    command += [str(config.images), str(config.train), str(cache), str(time.time() + 1.5)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    lines = [process.communicate()[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sum(line.count("decodes") for line in lines) == 1
    assert len({line[-1] for line in lines}) == 1
    assert not files(cache, "*.part")


def spoil(config: CocoData, names: list[str]) -> None:
    for name in names:
        path = config.images / name
        path.write_bytes(path.read_bytes()[:60])


def test_few_corrupt_pictures_are_named_and_left_out(
    directory: Directory, instances: dict[str, Any], cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    many(instances, 201)
    config = directory()
    spoil(config, ["5.png", "77.png"])
    annotations = read_instances(config.train)
    for _ in range(2):  # when it is decoded, and from the cache
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            found = open_pixels(config.images, annotations, 24, cache)
        assert [bad.file_name for bad in found.bad] == ["5.png", "77.png"]
        assert [record.getMessage().split(": ")[1] for record in caplog.records] == [
            str(config.images / "5.png"),
            str(config.images / "77.png"),
        ]
        assert np.flatnonzero(~found.usable).tolist() == [4, 76]


def test_one_in_a_hundred_is_too_many(directory: Directory, instances: dict[str, Any], cache: Path) -> None:
    many(instances, 200)
    config = directory()
    spoil(config, ["5.png", "77.png"])
    with pytest.raises(
        DataError, match=r"2 of 200 pictures cannot be used, the first is 5\.png: .*mend or remove"
    ):
        open_pixels(config.images, read_instances(config.train), 24, cache)


def test_missing_pictures_are_named(directory: Directory, cache: Path) -> None:
    config = directory()
    (config.images / "a.png").unlink()
    (config.images / "b.png").unlink()
    (config.images / "b.png").mkdir()
    annotations = read_instances(config.train)
    with pytest.raises(DataError, match=r"2 of 3 pictures are missing, the first is a\.png; put them there"):
        open_pixels(config.images, annotations, 24, cache)
    with pytest.raises(DataError, match="is not a directory, expected the one that holds the pictures"):
        open_pixels(config.images / "nowhere", annotations, 24, cache)


FULL = """
import resource, sys
from pathlib import Path
from proxy_trainer.data.cache import open_pixels
from proxy_trainer.data.coco import read_instances
from proxy_trainer.data.errors import CacheError

resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # as good as a full disk
annotations = read_instances(Path(sys.argv[2]))
try:
    open_pixels(Path(sys.argv[1]), annotations, 128, Path(sys.argv[3]))
except CacheError as error:
    print(error)
"""


def test_a_full_disk_is_one_line_and_leaves_nothing(directory: Directory, cache: Path) -> None:
    config = directory()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL), config.images, config.train, cache],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"cache {cache}")
    assert "cannot be written: File too large; free some space or choose another" in done.stdout
    assert done.stdout.count("\n") == 1
    assert not [path for path in cache.iterdir() if path.suffix != ".lock"]


def test_a_cache_that_is_no_directory(directory: Directory, cache: Path) -> None:
    config = directory()
    cache.write_text("in the way")
    with pytest.raises(CacheError, match="cannot be written: File exists"):
        open_pixels(config.images, read_instances(config.train), 24, cache)


def test_restricted_rows_keep_their_boxes(directory: Directory) -> None:
    found = read_instances(directory().train)
    rows = np.array([1, 2])
    some: Annotations = found.restricted(rows)
    assert some.image_ids.tolist() == [7, 12]
    assert some.owners.tolist() == [0, 0, 0]
    assert some.boxes.tolist() == found.boxes[1:].tolist()


@pytest.mark.parametrize("link", ["file", "directory", "file to a file that links out"])
def test_a_link_that_leads_out_is_refused(
    directory: Directory, instances: dict[str, Any], cache: Path, tmp_path: Path, link: str
) -> None:
    config = directory()
    outside = tmp_path / "private"
    outside.mkdir()
    Image.new("RGB", (50, 50)).save(outside / "c.png")
    inside = config.images / "sub" / "c.png"
    inside.unlink()
    if link == "directory":
        inside.parent.rmdir()
        inside.parent.symlink_to(outside)
    elif link == "file":
        inside.symlink_to(outside / "c.png")
    else:
        (config.images / "step.png").symlink_to(outside / "c.png")
        inside.symlink_to(config.images / "step.png")
    del instances
    with pytest.raises(DataError, match=r"c\.png: is a link to .*private.*, outside of the images directory"):
        open_pixels(config.images, read_instances(config.train), 32, cache)
    assert not files(cache, "pixels-*"), "it was read"


def test_links_that_stay_inside_are_followed(directory: Directory, cache: Path, tmp_path: Path) -> None:
    """And the images directory itself may be a link."""
    config = directory()
    real = config.images.rename(tmp_path / "elsewhere")
    config.images.symlink_to(real)
    (real / "b.png").rename(real / "sub" / "real.png")
    (real / "b.png").symlink_to("sub/real.png")
    assert open_pixels(config.images, read_instances(config.train), 32, cache).usable.all()


def test_what_is_no_plain_file_is_no_picture(
    directory: Directory, instances: dict[str, Any], cache: Path
) -> None:
    """A pipe would be read for ever."""
    config = directory()
    (config.images / "b.png").unlink()
    os.mkfifo(config.images / "b.png")
    del instances
    with pytest.raises(DataError, match=r"1 of 3 pictures are missing, the first is b\.png"):
        open_pixels(config.images, read_instances(config.train), 32, cache)


def test_a_file_too_large_for_a_picture_is_not_read_into_memory(
    directory: Directory, instances: dict[str, Any], cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    many(instances, 101)  # one bad one may be left out
    config = directory()
    with (config.images / "7.png").open("r+b") as file:
        file.truncate(2**40)  # takes no room on the disk
    with caplog.at_level(logging.WARNING):
        opened = open_pixels(config.images, read_instances(config.train), 24, cache)
    assert [(bad.file_name, bad.reason) for bad in opened.bad] == [
        ("7.png", "it has more than 268,435,456 bytes")
    ]
    assert "7.png" in caplog.text
