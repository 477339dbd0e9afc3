"""Neural style transfer on a small network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy import optimize

from src import fitting
from src.art.features import COPIES
from src.art.style import StyleTransfer, gram, total_variation
from src.errors import NotEnoughMemory, TrainingDiverged
from tests.support.art import peak_memory, put_kinds, put_picture, small_network
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


def test_the_recorded_terms_of_lbfgs_are_those_of_the_recorded_loss_if_it_evaluates_a_worse_picture_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minimize = optimize.minimize

    def end_with_a_worse_one(evaluate: Any, start: Any, **settings: Any) -> Any:
        found = minimize(evaluate, start, **settings)
        evaluate(np.zeros_like(start))  # as in a line search that fails
        return found

    monkeypatch.setattr(optimize, "minimize", end_with_a_worse_one)
    found = transfer(tmp_path, "method=lbfgs", "size=24").step()
    terms = found["content_loss"] + found["style_loss"] + found["total_variation"]
    assert found["loss"] == pytest.approx(terms, rel=1e-5)


DIVERGED = {"adam": "a smaller learning_rate", "lbfgs": "a smaller content_weight and style_weight, or method=adam"}


@pytest.mark.parametrize("method", DIVERGED)
def test_a_loss_that_is_not_finite_is_reported_with_what_the_method_has(method: str, tmp_path: Path) -> None:
    work = transfer(tmp_path, f"method={method}", "init=noise", "content_weight=3e38", "style_weight=3e38")
    with pytest.raises(TrainingDiverged, match=rf"^the loss of step 1 is (inf|nan); use {DIVERGED[method]}$"):
        work.step()


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_a_picture_that_continues_from_a_step_is_the_same(method: str, tmp_path: Path) -> None:
    overrides = f"method={method}", "init=noise"
    whole, first, second = (transfer(tmp_path, *overrides) for _ in range(3))
    finished(whole)
    first.step()
    second.restore(first.done, first.arrays())
    assert finished(second).picture.tobytes() == whole.picture.tobytes()


@pytest.mark.parametrize("kind", ["rgba", "16_bits", "gray", "turned"])
@pytest.mark.parametrize("key", ["content", "style"])
def test_a_picture_of_any_kind_is_a_content_or_a_style(key: str, kind: str, tmp_path: Path) -> None:
    work = transfer(tmp_path, f"{key}='{put_kinds(tmp_path)[kind]}'")
    assert np.isfinite(work.step()["loss"])
    assert work.pixels.shape == (30 if key == "content" else 32, 40, 3)


def test_default_layers_are_of_all_depths(tmp_path: Path) -> None:
    settings = transfer(tmp_path).settings()
    assert settings["content_layer"] == "relu_2"
    assert settings["style_layers"] == {"relu_0": 1.0, "relu_1": 1.0, "relu_2": 1.0}


@pytest.mark.parametrize("large", ["content", "style"])
def test_pictures_that_need_too_much_memory_are_refused_before_they_are_read(
    large: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = transfer(tmp_path)  # imports what is needed
    free = work.extractor.min_memory(40, 40) + 4 * COPIES * 3 * 40 * 40
    file = put_picture(tmp_path / "large.png", 1_000, 1_000)
    monkeypatch.setattr(fitting, "free_memory", lambda: free)

    def begin() -> None:
        with pytest.raises(NotEnoughMemory, match=r"^a picture of 1000x1000 pixels .* are free; use a smaller size=$"):
            transfer(tmp_path, f"{large}='{file}'", "size=1000")

    assert peak_memory(begin) < 4 * 1_000 * 1_000 * 3


def test_a_step_of_lbfgs_needs_memory_for_earlier_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = transfer(tmp_path)
    free = work.extractor.min_memory(40, 40) + 4 * COPIES * 3 * 40 * 40
    monkeypatch.setattr(fitting, "free_memory", lambda: free)
    transfer(tmp_path, "method=adam")
    with pytest.raises(NotEnoughMemory):
        transfer(tmp_path, "method=lbfgs")
