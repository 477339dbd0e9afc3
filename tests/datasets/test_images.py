"""Image files: upright and resized in every format; a file that is not a usable image is refused with the reason."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.datasets import images
from src.datasets.images import BadImage, decode, enforce_pixel_limit

GRADIENT = np.linspace(0, 255, 40 * 20 * 3).reshape(20, 40, 3).astype(np.uint8)  # twice as wide as high


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def of(mode: str) -> Image.Image:
    return Image.fromarray(GRADIENT).convert(mode)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., np.ndarray]:
    def read_content(
        content: bytes,
        name: str = "a.png",
        size: tuple[int, int] = (20, 40),
        channels: int = 3,
        resize: str = "crop",
    ) -> np.ndarray:
        (tmp_path / name).write_bytes(content)
        with enforce_pixel_limit():
            return decode(tmp_path / name, *size, channels, resize).pixels

    return read_content


# --- what is read --------------------------------------------------------------------------------------------------

KINDS = {
    "a.png": encoded(of("RGB"), "PNG"),
    "a.PNG": encoded(of("RGB"), "PNG"),
    "palette.png": encoded(of("RGB").quantize(), "PNG"),
    "opaque.png": encoded(of("RGBA"), "PNG"),
    "a.bmp": encoded(of("RGB"), "BMP"),
    "a.gif": encoded(of("RGB"), "GIF"),
    "a.jpg": encoded(of("RGB"), "JPEG", quality=95),
    "a.jpeg": encoded(of("RGB"), "JPEG", quality=95),
    "a.webp": encoded(of("RGB"), "WEBP", lossless=True),
    "phone.jpg": encoded(of("RGB"), "MPO", quality=95, save_all=True, append_images=[of("RGB")]),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", KINDS)
def test_every_format_gives_the_same_pixels(read: Callable[..., np.ndarray], name: str, channels: int) -> None:
    expected = np.asarray(of("L" if channels == 1 else "RGB"), np.int16).reshape(20, 40, channels)
    pixels = read(KINDS[name], name, channels=channels)
    assert (pixels.dtype.name, pixels.shape) == ("uint8", (20, 40, channels))
    assert np.abs(pixels - expected).mean() < 8  # palettes and JPEG lose a little


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_of_eight_bits_or_fewer_is_read(read: Callable[..., np.ndarray], mode: str) -> None:
    assert read(encoded(of(mode), "PNG")).shape == (20, 40, 3)


def test_transparent_pixels_become_white(read: Callable[..., np.ndarray]) -> None:
    nothing = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert read(encoded(nothing, "PNG"), size=(4, 4)).min() == 255


def test_an_image_that_lies_on_its_side_is_turned_upright(read: Callable[..., np.ndarray]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    pixels = read(encoded(of("RGB"), "PNG", exif=exif), size=(40, 20))
    np.testing.assert_array_equal(pixels, np.rot90(GRADIENT, -1))


BARS = np.repeat(np.array([[0, 255, 255, 0]], np.uint8), 8, axis=0).repeat((2, 4, 4, 2), axis=1)  # 12 wide, 8 high


def test_crop_fills_the_size_and_cuts_the_ends(read: Callable[..., np.ndarray]) -> None:
    content = encoded(Image.fromarray(BARS), "PNG")
    pixels = read(content, size=(8, 8), channels=1, resize="crop")
    assert pixels.tolist() == BARS[:, 2:10, np.newaxis].tolist()


def test_pad_keeps_the_whole_image_and_adds_black_borders(read: Callable[..., np.ndarray]) -> None:
    content = encoded(Image.fromarray(BARS), "PNG")
    pixels = read(content, size=(12, 12), channels=1, resize="pad")
    assert pixels[2:10, :, 0].tolist() == BARS.tolist()
    assert not pixels[:2].any()
    assert not pixels[10:].any()


def test_stretch_keeps_the_whole_image_and_changes_its_proportions(read: Callable[..., np.ndarray]) -> None:
    content = encoded(Image.fromarray(BARS), "PNG")
    pixels = read(content, size=(16, 12), channels=1, resize="stretch")
    assert pixels[:, :, 0].tolist() == BARS.repeat(2, axis=0).tolist()


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_a_large_photograph_is_resized(read: Callable[..., np.ndarray], resize: str) -> None:
    photograph = encoded(of("RGB").resize((800, 400)), "JPEG")
    assert read(photograph, "a.jpg", size=(30, 50), resize=resize).shape == (30, 50, 3)


# --- what is refused -----------------------------------------------------------------------------------------------


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_that_says_it_is(width: int, height: int, depth: int = 8, color: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def animated(kind: str) -> bytes:
    return encoded(of("RGB"), kind, save_all=True, append_images=[of("RGB").rotate(90)], duration=100)


LIMIT = Image.MAX_IMAGE_PIXELS or 0
BAD = {
    "empty.png": (b"", "empty file"),
    "text.png": (b"not a picture at all", "not an image of a known format"),
    "really_a_tiff.png": (encoded(of("RGB"), "TIFF"), "not an image of a known format"),
    "really_a_jpeg.png": (encoded(of("RGB"), "JPEG"), "suffix of another format"),
    "really_a_png.jpg": (encoded(of("RGB"), "PNG"), "suffix of another format"),
    "really_a_png.webp": (encoded(of("RGB"), "PNG"), "suffix of another format"),
    "cmyk.jpg": (encoded(of("CMYK"), "JPEG"), "CMYK"),
    "gray16.png": (encoded(Image.fromarray(np.zeros((4, 4), np.uint16)), "PNG"), "16 bits per channel"),
    "rgb16.png": (png_that_says_it_is(2, 2, depth=16, color=2), "16 bits per channel"),
    "animated.gif": (animated("GIF"), "animated"),
    "animated.png": (animated("PNG"), "animated"),
    "animated.webp": (animated("WEBP"), "animated"),
    "warned_of.png": (png_that_says_it_is(LIMIT + 1, 1), "too many pixels"),
    "bomb.png": (png_that_says_it_is(60_000, 60_000), "too many pixels"),
    "broken.png": (png_that_says_it_is(30, 30), "truncated or damaged"),
} | {
    f"cut_off{suffix}": (encoded(of("RGB"), kind)[: -len(encoded(of("RGB"), kind)) // 4], "truncated or damaged")
    for kind, suffix in (("PNG", ".png"), ("JPEG", ".jpg"), ("BMP", ".bmp"), ("GIF", ".gif"), ("WEBP", ".webp"))
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_the_reason(read: Callable[..., np.ndarray], name: str) -> None:
    content, reason = BAD[name]
    with pytest.raises(BadImage) as refused:
        read(content, name)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("name", "reason"),
    [(name, reason) for name, (_, reason) in BAD.items() if reason in images.CONVERTIBLE and name != "rgb16.png"],
)
def test_a_file_of_an_unusual_kind_is_read_when_it_may_be_converted(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / name).write_bytes(BAD[name][0])
    picture = images.decode(tmp_path / name, 4, 4, 3, "stretch", convert=True)
    assert (picture.pixels.shape, picture.converted) == ((4, 4, 3), reason)


@pytest.mark.parametrize("name", [name for name, (_, reason) in BAD.items() if reason not in images.CONVERTIBLE])
def test_a_damaged_file_is_refused_also_when_it_may_be_converted(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(BAD[name][0])
    with images.enforce_pixel_limit(), pytest.raises(BadImage, match=BAD[name][1]):
        images.decode(tmp_path / name, 4, 4, 3, "stretch", convert=True)


def test_values_of_16_bits_are_rounded_to_8_from_black_to_white(tmp_path: Path) -> None:
    values = np.array([[0, 128, 129], [256, 32767, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    pixels = images.decode(tmp_path / "a.png", 2, 3, 1, "stretch", convert=True).pixels
    assert pixels[..., 0].tolist() == [[0, 0, 1], [1, 127, 255]]


def test_an_image_with_the_maximum_of_pixels_is_decoded(
    read: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20 * 40)
    assert read(KINDS["a.png"]).shape == (20, 40, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20 * 40 - 1)
    with pytest.raises(BadImage, match="too many pixels"):
        read(KINDS["a.png"])


def test_every_suffix_belongs_to_one_format() -> None:
    suffixes = [suffix for of_format in images.SUFFIXES.values() for suffix in of_format]
    assert len(set(suffixes)) == len(suffixes)
