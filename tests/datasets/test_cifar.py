"""CIFAR-10 with a small synthetic archive: found, downloaded, verified, and read without trusting its content."""

import hashlib
import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from src.cli.compose import compose_config
from src.datasets import Dataset, find_below, load_dataset
from src.datasets import cifar as cifar_module
from src.datasets.cifar import FOLDER, read_archive
from src.errors import DataError
from src.schema import CifarConfig
from tests.support.mirror import Mirror, gives

PUBLISHED: CifarConfig = compose_config(["dataset=cifar10"]).dataset
COUNT = 10  # images in a batch, one of each class
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (6 * COUNT, 32, 32, 3), np.uint8)
LABELS = np.tile(RANDOM.permutation(COUNT).astype(np.uint8), 6)


def batch(number: int) -> bytes:
    rows = slice(number * COUNT, (number + 1) * COUNT)
    planes = IMAGES[rows].transpose(0, 3, 1, 2).reshape(COUNT, -1)
    return np.concatenate([LABELS[rows, np.newaxis], planes], axis=1).tobytes()


BATCHES = {name: batch(number) for number, name in enumerate(PUBLISHED.batches)}


def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


def packed(batches: dict[str, bytes] = BATCHES, *others: tarfile.TarInfo) -> bytes:
    """An archive of the batches, after other members."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for info in others:
            archive.addfile(info, io.BytesIO(bytes(info.size)))
        archive.addfile(member(FOLDER, kind=tarfile.DIRTYPE))
        archive.addfile(member(f"{FOLDER}/readme.html", 3), io.BytesIO(b"hi!"))
        for name, content in batches.items():
            archive.addfile(member(f"{FOLDER}/{name}", len(content)), io.BytesIO(content))
    return file.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


ARCHIVE = packed()


@pytest.fixture
def config(tmp_path: Path) -> CifarConfig:
    """CIFAR-10's config for the small archive: two folders that do not exist yet, and no mirror."""
    return replace(
        PUBLISHED,
        sha256=sha256(ARCHIVE),
        batches={name: sha256(content) for name, content in BATCHES.items()},
        images_per_batch=COUNT,
        folders=[str(tmp_path / "first"), str(tmp_path / "later")],
        mirrors=[],
        validation_size=10,
    )


@pytest.fixture
def first(tmp_path: Path) -> Path:
    (tmp_path / "first").mkdir()
    return tmp_path / "first"


def is_the_set(dataset: Dataset) -> bool:
    assert dataset.validation is not None
    splits = (dataset.validation, dataset.train, dataset.test)
    np.testing.assert_array_equal(np.concatenate([split.images for split in splits]), IMAGES)
    np.testing.assert_array_equal(np.concatenate([split.labels for split in splits]), LABELS)
    return [len(split) for split in splits] == [10, 40, 10]


def test_the_archive_is_downloaded_once_verified_and_read(
    config: CifarConfig, mirror: Callable[..., Mirror], tmp_path: Path
) -> None:
    server = mirror(partial(gives, ARCHIVE))
    config = replace(config, mirrors=[server.url])
    dataset = load_dataset(config)
    assert is_the_set(dataset)
    assert (dataset.source, dataset.warnings) == ("full", [])
    assert is_the_set(load_dataset(config))
    assert server.requests == ["/data/cifar-10-binary.tar.gz"]
    assert [path.name for path in (tmp_path / "first").iterdir() if not path.name.startswith(".")] == [config.archive]


def test_a_mirror_with_other_content_is_refused(config: CifarConfig, mirror: Callable[..., Mirror]) -> None:
    server = mirror(partial(gives, packed({**BATCHES, "test_batch.bin": bytes(len(BATCHES["test_batch.bin"]))})))
    reason = r"cannot be downloaded: .*differs from the published file.*Put cifar-10-binary.tar.gz into"
    with pytest.raises(DataError, match=reason):
        load_dataset(replace(config, mirrors=[server.url]))


@pytest.mark.parametrize("folder", ["first", "later"])
def test_an_archive_in_any_of_the_folders_is_used(config: CifarConfig, tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / config.archive).write_bytes(ARCHIVE)
    assert is_the_set(load_dataset(config))


def extract(folder: Path) -> None:
    (folder / FOLDER).mkdir(parents=True)
    for name, content in BATCHES.items():
        (folder / FOLDER / name).write_bytes(content)


def test_an_extracted_folder_is_used(config: CifarConfig, first: Path) -> None:
    extract(first)
    assert is_the_set(load_dataset(config))


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [cut_short, Path.unlink])
def test_a_damaged_extracted_folder_is_named_and_the_archive_is_used(
    config: CifarConfig, first: Path, damage: Callable[[Path], None]
) -> None:
    extract(first)
    damage(first / FOLDER / "data_batch_3.bin")
    (first / config.archive).write_bytes(ARCHIVE)
    dataset = load_dataset(config)
    assert is_the_set(dataset)
    assert "data_batch_3.bin" in dataset.warnings[0]


def test_a_damaged_archive_is_renamed_and_downloaded_again(
    config: CifarConfig, first: Path, mirror: Callable[..., Mirror]
) -> None:
    (first / config.archive).write_bytes(ARCHIVE[:100])
    dataset = load_dataset(replace(config, mirrors=[mirror(partial(gives, ARCHIVE)).url]))
    assert is_the_set(dataset)
    assert "renamed to cifar-10-binary.tar.gz.damaged" in dataset.warnings[0]
    assert (first / f"{config.archive}.damaged").read_bytes() == ARCHIVE[:100]


def test_a_damaged_archive_in_another_folder_stays(config: CifarConfig, tmp_path: Path) -> None:
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / config.archive).write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"later/cifar-10-binary\.tar\.gz differs from the published file"):
        load_dataset(config)
    assert (tmp_path / "later" / config.archive).read_bytes() == b"damaged"


def test_it_is_searched_below_another_folder_first(config: CifarConfig, tmp_path: Path) -> None:
    extract(tmp_path / "usb/first")
    assert is_the_set(load_dataset(find_below(config, str(tmp_path / "usb"))))


# --- archives other than CIFAR-10 ------------------------------------------------------------------------------------

LARGE = 1_000_000
SHORT = {**BATCHES, "data_batch_2.bin": BATCHES["data_batch_2.bin"][:-1]}
REFUSED: dict[str, tuple[bytes, str]] = {
    "no archive": (b"<html>", "cannot be read"),
    "cut off": (ARCHIVE[: len(ARCHIVE) // 2], "cannot be read"),
    "a batch is missing": (packed(dict(list(BATCHES.items())[1:])), "does not contain data_batch_1.bin in a folder"),
    "a batch is short": (packed(SHORT), "data_batch_2.bin has 30,729 bytes, expected 30,730: 10 images of 32x32x3"),
    "absolute": (packed(BATCHES, member("/etc/passwd", 1)), "unpacked outside its folder: /etc/passwd"),
    "above": (packed(BATCHES, member(f"{FOLDER}/../../x", 1)), "unpacked outside its folder"),
    "symbolic link": (
        packed(BATCHES, member("x", 0, tarfile.SYMTYPE, "/etc/passwd")),
        "not a regular file or folder: x",
    ),
    "hard link": (packed(BATCHES, member("x", 0, tarfile.LNKTYPE, "y")), "not a regular file or folder: x"),
    "device": (packed(BATCHES, member("x", 0, tarfile.CHRTYPE)), "not a regular file or folder: x"),
    "too large": (packed(BATCHES, member("x", LARGE)), "has a member of 1,000,000 bytes, x"),
    "too many": (packed(BATCHES, *(member(f"{number}") for number in range(40))), "has more than 32 members"),
}


@pytest.mark.parametrize(("content", "sentence"), REFUSED.values(), ids=REFUSED)
def test_an_archive_that_is_not_as_it_should_be_is_refused(
    config: CifarConfig, first: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, sentence: str
) -> None:
    monkeypatch.setattr(cifar_module, "MAX_MEMBER_BYTES", LARGE - 1)
    (first / config.archive).write_bytes(content)
    with pytest.raises(DataError) as refused:
        load_dataset(replace(config, sha256=sha256(content)))
    assert sentence in str(refused.value)


def test_nothing_of_an_archive_is_written_to_disk(config: CifarConfig, first: Path) -> None:
    (first / config.archive).write_bytes(ARCHIVE)
    assert read_archive(first / config.archive, config) == BATCHES
    assert [path.name for path in first.iterdir()] == [config.archive]


def test_the_published_set_has_five_batches_to_train_on_and_one_to_test_on() -> None:
    assert list(PUBLISHED.batches) == [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    assert PUBLISHED.images_per_batch == 10_000
    assert all(len(digest) == 64 for digest in (PUBLISHED.sha256, *PUBLISHED.batches.values()))
