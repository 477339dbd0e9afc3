"""The settings of `src.dream` and `src.style`."""

import pytest

from src.errors import ConfigError
from tests.support.configs import composed

PICTURES = ("run_id=x", "content=a.png", "style=b.png")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("size=8", "size: got 8, expected 16 to 8,192 pixels, such as 512"),
        ("seed=-1", "seed: got -1, expected an integer from 0 to 4294967295"),
        ("output=a.gif", r"output: got 'a\.gif', expected a file name that ends with \.png, \.jpg, \.jpeg"),
        ("layers={conv_1: -1}", r"layers\.conv_1: got -1\.0, expected a weight above 0, such as 1"),
        ("octaves=0", "octaves: got 0, expected 1 to 20"),
        ("octave_scale=1", r"octave_scale: got 1\.0, expected a number above 1"),
        ("steps=0", "steps: got 0, expected 1 to 100,000"),
        ("step_size=0", r"step_size: got 0\.0, expected"),
        ("jitter=-1", "jitter: got -1, expected at least 0"),
        ("tile=8", "tile: got 8, expected at least 16 pixels"),
        ("checkpoint_minutes=-1", r"checkpoint_minutes: got -1\.0, expected at least 0"),
        ("model_uri=models:/a@b", r"name one model: run_id=RUN, or model_uri="),
    ],
)
def test_a_value_of_a_dream_that_is_out_of_range_is_refused(typed: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        composed("run_id=x", typed, config_name="dream")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("content=null", "content=null: name a picture: content=FILE"),
        ("style=null", "style=null: name a picture: style=FILE"),
        ("method=sgd", "method: got 'sgd', expected one of adam, lbfgs"),
        ("init=black", "init: got 'black', expected one of content, noise"),
        ("tv_weight=-1", r"tv_weight: got -1\.0, expected at least 0"),
        ("learning_rate=0", r"learning_rate: got 0\.0, expected"),
        ("steps=0", "steps: got 0, expected 1 to 100,000, such as 200, or null"),
        ("picture_steps=0", "picture_steps: got 0, expected at least 1"),
        ("style_layers={a: 0}", r"style_layers\.a: got 0\.0, expected a weight above 0"),
    ],
)
def test_a_value_of_a_style_transfer_that_is_out_of_range_is_refused(typed: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        composed(*PICTURES, typed, config_name="style")


def test_a_style_transfer_without_a_goal_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^content_weight=0 with style_weight=0: nothing is left to compare with"):
        composed(*PICTURES, "content_weight=0", "style_weight=0", config_name="style")


def test_the_number_of_steps_depends_on_the_method() -> None:
    assert composed(*PICTURES, config_name="style").num_steps == 200
    assert composed(*PICTURES, "method=lbfgs", config_name="style").num_steps == 20
    assert composed(*PICTURES, "method=lbfgs", "steps=7", config_name="style").num_steps == 7


def test_a_run_that_is_resumed_needs_no_other_setting() -> None:
    for command in ("dream", "style"):
        assert composed("resume=x", config_name=command).run_id is None
