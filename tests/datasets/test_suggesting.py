"""The image size and the batch size that suit a user's own images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.datasets.image_folder import suggest
from src.datasets.suggesting import Size, suggest_batch_size, suggest_image_size
from tests.support.pictures import Photos, put_class


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(28, 28)] * 3, [28, 28]),
        ([(48, 96)] * 3, [48, 96]),  # not square, and nothing is cut off
        ([(8, 8)] * 3, [16, 16]),
        ([(5, 40)] * 3, [16, 16]),  # enlarged, the longer side would be too long
        ([(128, 128)] * 3, [128, 128]),
        ([(300, 300)] * 3, [128, 128]),
        ([(375, 500), (500, 375), (3000, 4000)], [128, 128]),
        ([(60, 80), (62, 90), (70, 64)], [64, 64]),
        ([(3, 2), (2, 3), (4, 4)], [16, 16]),
        ([], [128, 128]),
    ],
)
def test_images_of_one_small_size_keep_it_and_others_become_squares(sizes: list[Size], expected: list[int]) -> None:
    assert suggest_image_size(sizes) == expected


@pytest.mark.parametrize(("count", "expected"), [(0, 8), (399, 8), (400, 16), (3199, 64), (3200, 128), (10**6, 128)])
def test_an_epoch_has_at_least_25_batches_of_8_to_128_images(count: int, expected: int) -> None:
    assert suggest_batch_size(count) == expected


def test_the_batch_size_counts_the_images_of_the_training_split(photos: Photos) -> None:
    for split, count in (("train", 200), ("test", 300)):
        for name in ("cat", "dog"):
            put_class(photos.folder / split, name, count)
    suggested = suggest(photos.config(validation_fraction=0.25))
    assert "about 300 are for training" in suggested.reasons[0]
    assert suggested.batch_size == 8
    assert suggest(photos.config(validation_size=0)).batch_size == 16
    assert suggest(photos.config(validation_size=0, limit=100)).batch_size == 8


def test_what_cropping_cuts_off_is_said(photos: Photos) -> None:
    for name in ("cat", "dog"):
        (photos.folder / name).mkdir(parents=True)
        for number, width in enumerate((300, 302, 304)):
            Image.new("RGB", (width, 150)).save(photos.folder / name / f"{number}.png")
    reasons = suggest(photos.config()).reasons
    assert reasons[0].startswith("6 images of 302x150 pixels, from 300x150 to 304x150")
    assert "50% of an image is cut off; dataset.resize=pad" in reasons[1]
    assert len(suggest(photos.config(resize="pad")).reasons) == 1


def test_a_photo_of_a_camera_that_was_held_upright_is_higher_than_wide(photos: Photos) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    for name in ("cat", "dog"):
        (photos.folder / name).mkdir(parents=True)
        Image.new("RGB", (60, 20)).save(photos.folder / name / "1.jpg", exif=exif)
    assert suggest(photos.config()).image_size == [60, 20]


def test_damaged_files_and_a_manifest_change_nothing(photos: Photos) -> None:
    for name in ("cat", "dog"):
        put_class(photos.folder, name, 4)
    expected = suggest(photos.config())
    manifest = photos.write("labels.csv", *(f"{path},{path[:3]}" for path in photos.paths()))
    from src.datasets.manifest import suggest as suggest_for_manifest

    assert suggest_for_manifest(manifest) == expected
    (photos.folder / "cat" / "damaged.png").write_bytes(b"not an image")
    assert suggest(photos.config()).image_size == expected.image_size


def test_pixels_are_not_read(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cat", "dog"):
        (photos.folder / name).mkdir(parents=True)
        Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(photos.folder / name / "1.png")
        Path(photos.folder / name / "1.png").write_bytes((photos.folder / name / "1.png").read_bytes()[:60])
    assert suggest(photos.config()).image_size == [40, 40]
