"""The cache of decoded images."""

from pathlib import Path

import pytest
from filelock import FileLock

from src.datasets import remove_cached
from src.diagnosis import CLEAN
from src.diagnosis.cache import find_cached_images
from src.errors import DataError
from tests.support.patients import Patient, repair_all

KEY = "0123456789abcdef" * 2


@pytest.fixture
def cached(patient: Patient) -> Path:
    folder = patient.folder / "cache" / KEY
    folder.mkdir(parents=True)
    (folder / "images.npy").write_bytes(bytes(1000))
    return folder


def test_cached_images_are_information_that_only_cleaning_removes(patient: Patient, cached: Path) -> None:
    (finding,) = find_cached_images(patient.case())
    assert (finding.is_fault, finding.size, finding.subject) == (False, 1000, str(cached.parent))
    assert finding.repair is not None
    assert finding.repair.setting == CLEAN
    repair_all([finding])
    assert not cached.exists()


def test_images_that_a_process_is_decoding_stay(cached: Path) -> None:
    with FileLock(cached.with_name(f".{cached.name}.lock")), pytest.raises(DataError, match="is writing"):
        remove_cached(cached)
    assert cached.exists()


@pytest.mark.parametrize("name", ["mine", KEY[:-1], f"{KEY}0", "notes.txt"])
def test_other_folders_in_the_cache_are_not_touched(patient: Patient, name: str) -> None:
    (patient.folder / "cache" / name).mkdir(parents=True)
    assert list(find_cached_images(patient.case())) == []
