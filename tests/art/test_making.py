"""Notes about the network with which a picture is made."""

import pytest

from src.art.making import _notes
from src.cli.compose import compose_config


def test_a_backbone_without_pretrained_weights_is_named_with_what_to_do() -> None:
    (note,) = _notes(compose_config(["model=transfer", "model.weights=null", "dataset=synthetic"]))
    assert note.startswith("the backbone MobileNetV2 was trained with model.weights=null, so it has random weights")
    assert note.endswith("train the run again with model.weights=imagenet, or with the path of a weights file")


@pytest.mark.parametrize("model", [["model=transfer", "model.weights=imagenet"], ["model=lenot"]])
def test_other_networks_have_no_note(model: list[str]) -> None:
    assert _notes(compose_config([*model, "dataset=synthetic"])) == []
