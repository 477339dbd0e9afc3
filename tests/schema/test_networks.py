"""Which values the named architectures may have."""

from functools import partial
from typing import Any

from src.schema import AlexNetConfig, GoogLeNetConfig, InceptionV3Config, ResNetConfig
from tests.support.configs import NAN, Ranges, range_tests

SHARES: tuple[list[Any], list[Any]] = ([0.0, 0.99], [1.0, -0.1, NAN])
STEMS: tuple[list[Any], list[Any]] = (["auto", "imagenet", "small"], ["paper", ""])

alexnet = partial(AlexNetConfig, name="net", family="alexnet")
googlenet = partial(GoogLeNetConfig, name="net", family="googlenet")
inception = partial(InceptionV3Config, name="net", family="inception_v3")
resnet = partial(ResNetConfig, name="net", family="resnet")

RANGES: Ranges = [
    (alexnet, "model.dropout", *SHARES),
    (alexnet, "model.dense", [[], [1]], []),
    (googlenet, "model.dropout", *SHARES),
    (inception, "model.stem", *STEMS),
    (resnet, "model.batch_norm_momentum", [0.0, 0.99], [1.0, -0.1, NAN]),
    (resnet, "model.stem", *STEMS),
    (resnet, "model.blocks", [[1], [1, 1, 1, 1, 1]], [[], [1, 1, 1, 1, 1, 1]]),
    (resnet, "model.filters", [1], [0, -8]),
    (resnet, "model.squeeze_excite_ratio", [None, 1, 64], [0, 65]),
]
test_the_edge_is_taken, test_what_lies_beyond_is_refused_by_its_dotted_name = range_tests(RANGES)
