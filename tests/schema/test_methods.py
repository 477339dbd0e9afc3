"""The methods of `src.explain`: names, and which of them show an image."""

import pytest

from src.cli.compose import compose_config
from src.errors import ConfigError
from src.schema import METHODS, chosen_methods, load_name


def test_every_method_names_a_function() -> None:
    assert all(callable(load_name(method.draws)) for method in METHODS.values())


def test_methods_are_in_the_order_of_the_table_and_by_default_all() -> None:
    assert chosen_methods(["occlusion", "filters"]) == ["filters", "occlusion"]
    assert chosen_methods(None) == list(METHODS)


def test_an_image_has_the_methods_that_show_images() -> None:
    expected = ["feature_maps", "grad_cam", "occlusion", "integrated_gradients"]
    assert chosen_methods(None, is_image=True) == expected


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("methods=[grad_cma]", "methods: got 'grad_cma', expected one of filters, feature_maps, grad_cam"),
        ("methods=[]", "methods: got \\[\\], expected at least one of filters"),
        ("layers=[]", "layers: got \\[\\], expected names of layers, or null"),
    ],
)
def test_a_name_that_does_not_exist_and_an_empty_list_are_refused(override: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        compose_config(["run_id=RUN", override], "explain")


def test_a_method_that_shows_the_model_is_refused_for_an_image() -> None:
    with pytest.raises(ConfigError, match="methods: embedding shows the model, not an image; remove image=, or choose"):
        compose_config(["run_id=RUN", "image=a.png", "methods=[occlusion,embedding]"], "explain")
