"""Which values transfer learning may have."""

from functools import partial

import pytest

from src.cli.compose import compose_config
from src.errors import ConfigError
from src.schema import TransferConfig
from tests.support.configs import NAN, Ranges, range_tests

transfer = partial(TransferConfig, name="net", family="transfer", backbone="MobileNetV2")
RANGES: Ranges = [
    (transfer, "model.mode", ["feature_extraction", "fine_tuning"], ["frozen", ""]),
    (transfer, "model.head_epochs model.unfrozen_blocks", [1], [0, -1]),
    (transfer, "model.learning_rate_factor", [1e-6, 1.0], [0.0, 1.1, NAN]),
    (transfer, "model.dropout", [0.0, 0.99], [1.0, -0.1, NAN]),
]
test_the_edge_is_taken, test_what_lies_beyond_is_refused_by_its_dotted_name = range_tests(RANGES)


REFUSED = [
    (["model.backbone=MobileNetV9"], r"model\.backbone: no backbone 'MobileNetV9'; known: ConvNeXtTiny, "),
    (
        ["model.mode=fine_tuning", "model.head_epochs=10"],
        r"model\.head_epochs: 10 leaves nothing of training\.epochs=10",
    ),
    (["model.mode=fine_tuning", "model.weights=null"], r"model\.weights=null: random weights cannot be fine-tuned"),
    (
        ["model.mode=fine_tuning", "schedule=cosine", "schedule.warmup_epochs=3"],
        r"3 leaves nothing of a phase of 3 epochs",
    ),
    (["model.input_size=31"], r"model\.input_size: 31 is too small for transfer, which needs at least 32x32"),
    (["model.backbone=Xception", "model.input_size=70"], r"model\.input_size: 70 is too small .* at least 71x71"),
]


@pytest.mark.parametrize(("overrides", "sentence"), REFUSED)
def test_what_cannot_be_is_refused_before_anything_is_built(overrides: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        compose_config(["model=transfer", *overrides])
