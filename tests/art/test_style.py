"""Neural style transfer on a small network."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from src.art.style import StyleTransfer, gram, total_variation
from tests.support.art import put_picture, small_network
from tests.support.configs import composed

MODEL = small_network()


def transfer(folder: Path, *overrides: str) -> StyleTransfer:
    content, style = (put_picture(folder / f"{seed}.png", 24 + 8 * seed, 40, seed) for seed in (1, 2))
    named = f"content='{content}'", f"style='{style}'"
    return StyleTransfer(MODEL, composed("run_id=x", "size=40", "steps=4", *named, *overrides, config_name="style"))


def finished(work: StyleTransfer) -> StyleTransfer:
    while work.done < work.total:
        work.step()
    return work


def test_a_gram_matrix_has_the_mean_products_of_the_maps() -> None:
    maps = np.random.default_rng(0).random((1, 3, 5, 2), dtype=np.float32)
    expected = [[(maps[..., one] * maps[..., other]).mean() for other in range(2)] for one in range(2)]
    np.testing.assert_allclose(gram(tf.constant(maps)), expected, rtol=1e-5)


def test_the_total_variation_is_the_mean_square_of_the_differences_of_neighbors() -> None:
    picture = tf.constant([[[0.0], [0.5]], [[0.0], [1.0]]])
    assert float(total_variation(picture)) == pytest.approx((0 + 0.25) / 2 + (0.25 + 1) / 2)


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_steps_lower_the_loss(method: str, tmp_path: Path) -> None:
    work = transfer(tmp_path, f"method={method}", "steps=3")
    before, after = work.step(), finished(work).step()
    assert after["loss"] < before["loss"]
    assert after["style_loss"] < before["style_loss"]
    assert work.pixels.shape == (32, 40, 3)  # that of the content


def test_the_content_has_no_content_loss_and_the_style_no_style_loss(tmp_path: Path) -> None:
    work = transfer(tmp_path, "content_weight=2", "style_weight=3", "tv_weight=0")
    same = transfer(tmp_path, f"style='{tmp_path}/1.png'")
    first, other = work.step(), same.step()
    assert first["content_loss"] == pytest.approx(0, abs=1e-6)
    assert other["style_loss"] == pytest.approx(0, abs=1e-6)
    assert first["loss"] == pytest.approx(2 * first["content_loss"] + 3 * first["style_loss"])


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_a_picture_that_continues_from_a_step_is_the_same(method: str, tmp_path: Path) -> None:
    overrides = f"method={method}", "init=noise"
    whole, first, second = (transfer(tmp_path, *overrides) for _ in range(3))
    finished(whole)
    first.step()
    second.restore(first.done, first.arrays())
    assert finished(second).picture.tobytes() == whole.picture.tobytes()


def test_default_layers_are_of_all_depths(tmp_path: Path) -> None:
    settings = transfer(tmp_path).settings()
    assert settings["content_layer"] == "relu_2"
    assert settings["style_layers"] == {"relu_0": 1.0, "relu_1": 1.0, "relu_2": 1.0}
