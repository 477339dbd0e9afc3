"""DeepDream on a small network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src import fitting
from src.art.dream import Dream, tiles
from src.art.features import Extractor
from src.errors import DataError, NotEnoughMemory, TrainingDiverged
from tests.support.art import peak_memory, put_kinds, put_picture, small_network
from tests.support.configs import composed

MODEL = small_network()


def dream_of(image: Path | None, *overrides: str) -> Dream:
    named = [] if image is None else [f"image='{image}'"]
    config = composed("run_id=x", "size=40", "steps=3", "octaves=2", *named, *overrides, config_name="dream")
    return Dream(MODEL, config)


def finished(dream: Dream) -> Dream:
    while dream.done < dream.total:
        dream.step()
    return dream


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return put_picture(tmp_path / "a.png")


def test_steps_make_the_layers_more_active(image: Path) -> None:
    dream = dream_of(image, "steps=10", "octaves=1", "jitter=0")
    losses = [dream.step()["loss"] for _ in range(10)]
    assert losses[-1] > 1.2 * losses[0]
    assert dream.pixels.shape == (30, 40, 3)


def test_the_details_that_small_octaves_lose_come_back(image: Path) -> None:
    dream = finished(dream_of(image, "step_size=1e-9"))
    np.testing.assert_allclose(dream.picture, dream.original, atol=1e-3)


def test_the_loss_is_the_weighted_mean_square_of_the_layers(image: Path) -> None:
    dream = dream_of(image, "layers={conv_0: 1, relu_2: 0.5}", "octaves=1", "jitter=0")
    first, last = (maps.numpy() for maps in dream.extractor(dream.picture[None]))
    assert dream.step()["loss"] == pytest.approx((first**2).mean() + 0.5 * (last**2).mean(), rel=1e-4)


def test_the_default_layers_are_the_last_third_of_the_convolutions(image: Path) -> None:
    assert dream_of(image).settings()["layers"] == {"relu_2": 1.0}


def test_the_seed_decides_noise_and_shifts(image: Path) -> None:
    def pixels(image: Path | None, seed: int) -> bytes:
        return finished(dream_of(image, f"seed={seed}")).pixels.tobytes()

    for start in (image, None):
        assert pixels(start, 1) == pixels(start, 1) != pixels(start, 2)


def test_a_dream_that_continues_from_any_step_is_the_same(image: Path) -> None:
    whole = finished(dream_of(image))
    for stop in (2, 3, 4):  # within an octave, and at its end
        first = dream_of(image)
        for _ in range(stop):
            first.step()
        second = dream_of(image)
        second.restore(first.done, first.arrays())
        assert finished(second).picture.tobytes() == whole.picture.tobytes()


def test_octaves_that_are_too_small_are_left_out_with_a_note(image: Path) -> None:
    dream = dream_of(image, "octaves=6")
    assert dream.shapes == [(21, 29), (30, 40)]
    assert dream.notes == ["octaves=6: the smallest 4 would be too small for small"]


def test_tiles_cover_a_side_and_none_is_longer_than_allowed() -> None:
    for side, tile in ((40, 16), (41, 16), (16, 16), (7, None)):
        parts = list(tiles(side, tile))
        assert [index for part in parts for index in range(side)[part]] == list(range(side))
        assert all(part.stop - part.start <= (tile or side) for part in parts)


def test_the_gradient_of_tiles_is_that_of_each_tile(tmp_path: Path) -> None:
    image = put_picture(tmp_path / "a.png", height=40)
    whole, tiled = dream_of(image, "octaves=1"), dream_of(image, "octaves=1", "tile=20")
    loss, gradient = tiled._tiled_gradient(tiled.picture)
    part, expected = whole._tiled_gradient(tiled.picture[:20, :20])
    assert gradient.shape == tiled.picture.shape
    np.testing.assert_allclose(gradient[:20, :20], expected / 4, rtol=1e-3, atol=1e-7)
    assert loss > 0 < part


def test_a_loss_that_is_not_finite_is_reported(image: Path) -> None:
    dream = dream_of(image, "layers={conv_0: 1e38, conv_1: 1e38, conv_2: 1e38}", "step_size=1")
    dream.picture *= np.float32(1e30)
    with pytest.raises(TrainingDiverged, match=r"^the loss of step 1 is inf; use a smaller step_size$"):
        dream.step()


def test_a_grayscale_network_makes_a_gray_picture(image: Path) -> None:
    config: Any = composed("run_id=x", "size=40", f"image='{image}'", "steps=1", "octaves=1", config_name="dream")
    assert finished(Dream(small_network(channels=1), config)).pixels.shape == (30, 40, 1)


@pytest.mark.parametrize("kind", ["rgba", "16_bits", "gray", "turned"])
def test_a_picture_of_any_kind_becomes_an_upright_dream(kind: str, tmp_path: Path) -> None:
    dream = dream_of(put_kinds(tmp_path)[kind], "steps=1", "octaves=1")
    assert np.isfinite(dream.step()["loss"])
    assert dream.pixels.shape == (30, 40, 3)


def test_a_file_that_is_not_an_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no image")
    with pytest.raises(DataError, match=r"notes\.png is not an image that can be read"):
        dream_of(tmp_path / "notes.png")


@pytest.mark.parametrize("begins_with_noise", [True, False])
def test_a_picture_that_needs_too_much_memory_is_refused_before_it_is_made(
    begins_with_noise: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = None if begins_with_noise else put_picture(tmp_path / "large.png", 1_000, 1_000)
    dream_of(image)  # imports what is needed
    monkeypatch.setattr(fitting, "free_memory", lambda: 0)

    def begin() -> None:
        with pytest.raises(NotEnoughMemory, match="a picture of 1000x1000 pixels needs at least"):
            dream_of(image, "size=1000")

    assert peak_memory(begin) < 4 * 1_000 * 1_000 * 3


def test_with_tiles_the_whole_picture_still_has_to_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    tile = Extractor(MODEL, ["relu_2"]).min_memory(32, 32)
    monkeypatch.setattr(fitting, "free_memory", lambda: 2 * tile)
    with pytest.raises(NotEnoughMemory, match="use a smaller size="):
        dream_of(None, "size=1000", "tile=32")
