"""The cache of decoded images: written once, complete or not at all, never out of date, mapped when it is large."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from src.datasets import cache, load_dataset
from src.datasets.arrays import BadFile
from src.datasets.cache import decoded_images, reorder
from src.datasets.listing import list_images
from src.errors import DataError
from tests.support.pictures import Photos, put_image


def decode(photos: Photos, **changes: object) -> tuple[np.ndarray, list[BadFile]]:
    files = list_images(photos.folder).files
    return decoded_images(photos.config(**changes), files, lambda: (photos.folder / file.path for file in files))


def kept(photos: Photos) -> list[Path]:
    return sorted(path for path in photos.cache.iterdir() if path.is_dir())


def test_images_are_in_the_order_of_their_paths_without_the_bad_ones(pets: Photos) -> None:
    for shade, name in enumerate(("aa.png", "ab.png", "ac.png")):
        put_image(pets.folder / "cat" / name, shade=shade)
    before, _ = decode(pets)
    (pets.folder / "cat/ab.png").write_bytes(b"\x89PNG")
    after, bad = decode(pets)
    assert bad == [BadFile("cat/ab.png", "not an image of a known format")]
    place = [file.path for file in list_images(pets.folder).files].index("cat/ab.png")
    np.testing.assert_array_equal(after, np.delete(before, place, axis=0))


def test_decoding_by_many_threads_gives_the_same_as_by_one(pets: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = decode(pets)
    monkeypatch.setattr(cache, "cores", lambda: 8)
    monkeypatch.setattr(cache, "BATCH_BYTES", 1)
    many, _ = decode(pets, cache_dir=str(pets.cache / "other"))
    np.testing.assert_array_equal(one, many)


def test_a_second_load_decodes_nothing(pets: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = decode(pets)
    monkeypatch.setattr(cache, "decode", None)
    second, _ = decode(pets)
    np.testing.assert_array_equal(first, second)


def touch(photos: Photos) -> None:
    os.utime(photos.folder / "cat/000.png", (1, 1))


def replace_by_one_of_the_same_age(photos: Photos) -> None:
    path = photos.folder / "cat/000.png"
    stat = path.stat()
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def rename(photos: Photos) -> None:
    (photos.folder / "cat/000.png").rename(photos.folder / "cat/zzz.png")


def remove(photos: Photos) -> None:
    (photos.folder / "cat/000.png").unlink()


@pytest.mark.parametrize("change", [touch, replace_by_one_of_the_same_age, rename, remove])
def test_a_changed_file_is_decoded_again(pets: Photos, change: Callable[[Photos], None]) -> None:
    decode(pets)
    change(pets)
    decode(pets)
    assert len(kept(pets)) == 2


@pytest.mark.parametrize("changes", [{"image_size": [5, 5]}, {"channels": 3}, {"resize": "pad"}])
def test_another_size_is_another_array(pets: Photos, changes: dict[str, object]) -> None:
    decode(pets)
    decode(pets, **changes)
    assert len(kept(pets)) == 2


@pytest.mark.parametrize("changes", [{"split_seed": 5}, {"test_fraction": 0.3}, {"limit": 3}, {"validation_size": 4}])
def test_another_split_decodes_nothing(pets: Photos, changes: dict[str, object]) -> None:
    load_dataset(pets.config())
    load_dataset(pets.config(**changes))
    assert len(kept(pets)) == 1


def cut_off(folder: Path) -> None:
    content = (folder / cache.IMAGES).read_bytes()
    (folder / cache.IMAGES).write_bytes(content[:-1])


def empty(folder: Path) -> None:
    (folder / cache.IMAGES).write_bytes(b"")


def without_images(folder: Path) -> None:
    (folder / cache.IMAGES).unlink()


def without_its_list(folder: Path) -> None:
    (folder / cache.BAD).unlink()


def garbage(folder: Path) -> None:
    (folder / cache.IMAGES).write_bytes(b"garbage" * 100)


def of_another_shape(folder: Path) -> None:
    content = (folder / cache.IMAGES).read_bytes()
    (folder / cache.IMAGES).write_bytes(content.replace(b"(60, 6, 6, 1)", b"(30, 6,12, 1)"))


def of_an_older_version(folder: Path) -> None:
    (folder / "images.npy.crc32").unlink()


DAMAGES = [
    cut_off,
    empty,
    without_images,
    without_its_list,
    garbage,
    of_another_shape,
    of_an_older_version,
    shutil.rmtree,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_written_again(pets: Photos, damage: Callable[[Path], None]) -> None:
    before = np.array(decode(pets)[0])
    damage(kept(pets)[0])
    np.testing.assert_array_equal(decode(pets)[0], before)


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.97])
def test_changed_pixels_are_decoded_again(pets: Photos, place: float) -> None:
    before = np.array(decode(pets)[0])
    change_64_bytes(kept(pets)[0] / cache.IMAGES, place)
    np.testing.assert_array_equal(decode(pets)[0], before)


def change_64_bytes(path: Path, place: float) -> None:
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    content[at : at + 64] = bytes(255 - byte for byte in content[at : at + 64])
    path.write_bytes(content)


LISTS = [
    b"",
    b"[",
    b"null",
    b"[]",
    b"[1, 2]",
    b'[["cat/000.png"]]',
    b'{"cat/000.png": "empty file"}',
    b'[["cat/001.png", "empty file"]]',
    b'[["cat/000.png", "empty file"], ["cat/001.png", "empty file"]]',
    b'[["cat/000.png", "\xff"]]',
]


@pytest.mark.parametrize("content", LISTS)
def test_a_changed_list_of_bad_files_is_written_again(pets: Photos, content: bytes) -> None:
    (pets.folder / "cat/000.png").write_bytes(b"")
    images, bad = decode(pets)
    before = np.array(images)
    (kept(pets)[0] / cache.BAD).write_bytes(content)
    images, again = decode(pets)
    np.testing.assert_array_equal(images, before)
    assert again == bad == [BadFile("cat/000.png", "empty file")]


@pytest.mark.parametrize("file", [cache.BAD, cache.IMAGES])
@pytest.mark.parametrize("content", LISTS[:3] + LISTS[4:6] + LISTS[-1:])
def test_a_file_that_cannot_be_read_is_written_anew_even_if_its_checksum_fits(
    pets: Photos, content: bytes, file: str
) -> None:
    (pets.folder / "cat/000.png").write_bytes(b"")
    before = np.array(decode(pets)[0])
    folder = kept(pets)[0]
    (folder / file).write_bytes(content)
    checksum = cache._checksum(folder / cache.IMAGES, folder / cache.BAD)
    cache._checksum_file(folder / cache.IMAGES).write_text(checksum)
    images, again = decode(pets)
    np.testing.assert_array_equal(images, before)
    assert again == [BadFile("cat/000.png", "empty file")]


@pytest.mark.parametrize("content", [b"", b"0", b"\xff\xfe"])
def test_a_changed_checksum_means_that_the_images_are_decoded_again(pets: Photos, content: bytes) -> None:
    before = np.array(decode(pets)[0])
    (checksum,) = kept(pets)[0].glob("*.crc32")
    checksum.write_bytes(content)
    np.testing.assert_array_equal(decode(pets)[0], before)
    assert len(checksum.read_bytes()) == 8


def test_images_that_do_not_fit_the_list_of_files_are_decoded_again(pets: Photos) -> None:
    whole = np.array(decode(pets)[0])
    old = kept(pets)[0]
    put_image(pets.folder / "cat" / "zz.png")
    longer = len(decode(pets)[0])
    (new,) = (folder for folder in kept(pets) if folder != old)
    for file in new.iterdir():
        shutil.copy(file, old)
    (pets.folder / "cat" / "zz.png").unlink()
    assert len(decode(pets)[0]) == len(whole) == longer - 1


def test_damaged_images_that_cannot_be_written_again_are_never_used(
    pets: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode(pets)
    change_64_bytes(kept(pets)[0] / cache.IMAGES, 0.5)

    def read_only(path: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(cache, "FileLock", read_only)
    with pytest.raises(DataError, match=r"where the existing ones are damaged: Read-only .* set dataset\.cache_dir to"):
        decode(pets)


def test_the_remains_of_an_interrupted_decoding_are_not_used_as_a_cache(
    pets: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cache, "decode", interrupt)
        with pytest.raises(KeyboardInterrupt):
            decode(pets)
    assert kept(pets) == []
    assert len(decode(pets)[0]) == 60


def test_a_cache_that_cannot_be_written_is_an_error_that_names_the_key(pets: Photos) -> None:
    pets.cache.write_text("a file, not a folder")
    with pytest.raises(DataError, match=r"cannot write decoded images .*set dataset\.cache_dir to a writable folder"):
        decode(pets)


def test_a_cache_that_may_only_be_read_is_enough(pets: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    decode(pets)
    monkeypatch.setattr(cache, "FileLock", None)
    assert len(decode(pets)[0]) == 60


def test_a_folder_with_only_bad_files_gives_an_array_without_images(photos: Photos) -> None:
    for name in ("a", "b"):
        put_image(photos.folder / name / "1.png").write_bytes(b"")
    images, bad = decode(photos)
    assert (images.shape, len(bad)) == ((0, 6, 6, 1), 2)


# --- in memory or on disk ------------------------------------------------------------------------------------------


def test_few_images_are_read_into_memory(pets: Photos) -> None:
    images, _ = decode(pets)
    order = np.arange(len(images))[::-1].copy()
    in_memory = reorder(images, order)
    assert not isinstance(in_memory, np.memmap)
    np.testing.assert_array_equal(in_memory, images[::-1])


def test_images_for_which_the_disk_has_no_room_are_refused_before_the_first_is_decoded(pets: Photos) -> None:
    with pytest.raises(DataError, match=r"GB with dataset\.image_size=\[90000,90000\], and .* free; set a smaller"):
        load_dataset(pets.config(image_size=[90_000, 90_000]))
    assert kept(pets) == []


def test_many_images_stay_on_disk_and_are_the_same_data_set(pets: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory = load_dataset(pets.config())
    monkeypatch.setattr(cache, "MAX_MEMORY_SHARE", 0)
    monkeypatch.setattr(cache, "BATCH_BYTES", 1)
    on_disk = load_dataset(pets.config())
    assert on_disk.validation is not None
    for split in (on_disk.train, on_disk.validation, on_disk.test, on_disk.head(3).train):
        assert isinstance(split.images, np.memmap)
        assert not split.images.flags.owndata
    assert on_disk.digest == in_memory.digest
    np.testing.assert_array_equal(on_disk.train.images, in_memory.train.images)


@pytest.mark.parametrize("place", [0.0, 0.5, 0.95])
def test_changed_pixels_of_images_in_order_are_written_again(
    pets: Photos, place: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MAX_MEMORY_SHARE", 0)
    before = load_dataset(pets.config())
    pixels = np.array(before.train.images)
    (file,) = kept(pets)[0].glob("arranged-*.npy")
    change_64_bytes(file, place)
    after = load_dataset(pets.config())
    assert after.digest == before.digest
    np.testing.assert_array_equal(after.train.images, pixels)


def test_images_that_an_older_version_reordered_are_written_again(
    pets: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MAX_MEMORY_SHARE", 0)
    before = load_dataset(pets.config())
    (checksum,) = kept(pets)[0].glob("arranged-*.npy.crc32")
    checksum.unlink()
    assert load_dataset(pets.config()).digest == before.digest
    assert checksum.exists()


def test_the_cache_lists_the_bad_files(pets: Photos) -> None:
    (pets.folder / "cat/000.png").write_bytes(b"")
    decode(pets)
    assert json.loads((kept(pets)[0] / cache.BAD).read_text()) == [["cat/000.png", "empty file"]]
