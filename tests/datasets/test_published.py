"""Published data sets: found in folders, verified, renamed when damaged, downloaded when missing."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from src.cli.compose import compose_config
from src.datasets.published import Folder, download_file, find_or_download
from src.errors import DataError
from src.schema import PublishedConfig
from tests.support.mirror import Mirror, gives

NAME = "numbers.txt"
CONTENT = b"1 2 3"
NUMBERS = [1, 2, 3]


def read_numbers(path: Path) -> list[int]:
    """The smallest parser: it accepts the published content only."""
    content = path.read_bytes() if path.is_file() else b""
    if content != CONTENT:
        raise DataError(f"{path} differs from the published file")
    return [int(number) for number in content.split()]


@pytest.fixture
def config(tmp_path: Path) -> PublishedConfig:
    """A data set of one file, with two folders that do not exist yet and no mirror."""
    mnist: PublishedConfig = compose_config(["dataset=mnist"]).dataset
    return replace(mnist, name="numbers", folders=[str(tmp_path / "first"), str(tmp_path / "second")], mirrors=[])


def load(config: PublishedConfig) -> tuple[list[int], list[str]]:
    def find(folder: Folder) -> list[int] | None:
        return folder.read(NAME, read_numbers)

    return find_or_download(config, find, partial(download_file, config, NAME, read_numbers), NAME)


def put(folder: Path, content: bytes) -> Path:
    folder.mkdir()
    (folder / NAME).write_bytes(content)
    return folder / NAME


@pytest.mark.parametrize("folder", ["first", "second"])
def test_a_data_set_is_found_in_each_folder(config: PublishedConfig, tmp_path: Path, folder: str) -> None:
    put(tmp_path / folder, CONTENT)
    assert load(config) == (NUMBERS, [])


def test_a_missing_data_set_is_downloaded_into_the_first_folder(
    config: PublishedConfig, tmp_path: Path, mirror: Callable[..., Mirror]
) -> None:
    assert load(replace(config, mirrors=[mirror(partial(gives, CONTENT)).url])) == (NUMBERS, [])
    assert (tmp_path / "first" / NAME).read_bytes() == CONTENT


def test_a_damaged_file_in_the_first_folder_is_renamed_and_downloaded_again(
    config: PublishedConfig, tmp_path: Path, mirror: Callable[..., Mirror]
) -> None:
    path = put(tmp_path / "first", b"damaged")
    numbers, damaged = load(replace(config, mirrors=[mirror(partial(gives, CONTENT)).url]))
    assert numbers == NUMBERS
    assert damaged == [f"{path} differs from the published file; it was renamed to {NAME}.damaged"]
    assert (path.read_bytes(), path.with_name(f"{NAME}.damaged").read_bytes()) == (CONTENT, b"damaged")


def test_a_damaged_file_in_another_folder_is_reported_and_stays(config: PublishedConfig, tmp_path: Path) -> None:
    path = put(tmp_path / "second", b"damaged")
    with pytest.raises(DataError, match=f"{path} differs from the published file; no mirror is set"):
        load(config)
    assert [entry.name for entry in path.parent.iterdir()] == [NAME]


def test_a_damaged_subfolder_is_reported_and_stays(config: PublishedConfig, tmp_path: Path) -> None:
    (tmp_path / "first" / NAME).mkdir(parents=True)
    with pytest.raises(DataError, match="differs from the published file"):
        load(config)
    assert (tmp_path / "first" / NAME).is_dir()


def test_a_file_that_another_process_has_replaced_meanwhile_is_read(tmp_path: Path) -> None:
    path = put(tmp_path / "first", b"damaged")

    def read(path: Path) -> list[int]:
        try:
            return read_numbers(path)
        finally:
            path.write_bytes(CONTENT)

    damaged: list[str] = []
    assert Folder(path.parent, is_ours=True, damaged=damaged).read(NAME, read) == NUMBERS
    assert damaged == []


def test_a_damaged_file_that_cannot_be_renamed_is_reported(tmp_path: Path) -> None:
    path = put(tmp_path / "first", b"damaged")
    (path.parent / f"{NAME}.damaged").mkdir()
    damaged: list[str] = []
    assert Folder(path.parent, is_ours=True, damaged=damaged).read(NAME, read_numbers) is None
    assert damaged[0].endswith("published file; it was not renamed because its folder cannot be written")


def test_a_mirror_with_other_content_is_reported_by_its_address(
    config: PublishedConfig, mirror: Callable[..., Mirror]
) -> None:
    server = mirror(partial(gives, b"a web page"))
    with pytest.raises(DataError, match=f"{server.url}{NAME}: it differs from the published file"):
        load(replace(config, mirrors=[server.url]))


def test_a_data_set_that_is_nowhere_is_reported_with_folders_and_remedy(
    config: PublishedConfig, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    with pytest.raises(DataError) as raised:
        load(config)
    assert str(raised.value) == (
        f"numbers is not in {first} or {second} and cannot be downloaded: no mirror is set for {NAME}. "
        f"Put {NAME} into {first}, or set DATA_DIR to the folder above it"
    )
