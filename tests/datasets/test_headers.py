"""Headers of image files: sizes, color modes and formats."""

import numpy as np
from PIL import Image

from src.cli.compose import compose_config
from src.datasets import Header, read_headers
from tests.support.parquet import write_images
from tests.support.pictures import Photos, put_class


def test_a_header_has_the_size_the_mode_and_the_format_of_the_file(photos: Photos) -> None:
    put_class(photos.folder, "cat", 1)
    (photos.folder / "dog").mkdir()
    Image.new("RGB", (8, 5), "red").save(photos.folder / "dog/a.jpg")
    Image.new("P", (3, 4)).save(photos.folder / "dog/b.gif")
    assert sorted(read_headers(photos.config())) == [
        Header(4, 3, "P", "GIF"),
        Header(5, 8, "RGB", "JPEG"),
        Header(6, 6, "L", "PNG"),
    ]


def test_the_size_is_that_of_the_upright_image(photos: Photos) -> None:
    put_class(photos.folder, "cat", 1)
    (photos.folder / "dog").mkdir()
    exif = Image.Exif()
    exif[274] = 6  # the camera was held upright
    Image.new("RGB", (8, 5)).save(photos.folder / "dog/a.jpg", exif=exif)
    assert max(read_headers(photos.config())) == Header(8, 5, "RGB", "JPEG")


def test_files_that_cannot_be_opened_have_no_header(photos: Photos) -> None:
    put_class(photos.folder, "cat", 2)
    put_class(photos.folder, "dog", 2)
    (photos.folder / "dog/broken.png").write_bytes(b"not an image")
    (photos.folder / "dog/empty.png").touch()
    assert len(read_headers(photos.config())) == 4


def test_the_files_of_a_manifest_are_those_of_its_rows(pets: Photos) -> None:
    manifest = pets.write("labels.csv", "cat/000.png,cat", "dog/001.png,dog")
    assert read_headers(manifest) == [Header(6, 6, "L", "PNG")] * 2


def test_the_images_inside_a_parquet_file_have_headers_too(pets: Photos) -> None:
    paths = pets.paths()[:3]
    write_images(pets.folder / "images.parquet", pets.folder, paths, [0, 1, 0])
    assert read_headers(pets.manifest("images.parquet")) == [Header(6, 6, "L", "PNG")] * 3


def test_data_without_image_files_has_no_headers(tmp_path) -> None:
    np.savez(tmp_path / "pets.npz", images=np.zeros((4, 28, 28), np.uint8), labels=[0, 1, 0, 1])
    for typed in (["dataset=synthetic"], ["dataset=arrays", f"dataset.file={tmp_path}/pets.npz"]):
        assert read_headers(compose_config(typed).dataset) == []
