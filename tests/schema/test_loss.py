"""Which values the settings of losses may have."""

from src.schema.loss import CrossEntropyConfig, FocalConfig
from tests.support.configs import INF, NAN, Make, Ranges, range_tests

cross_entropy: Make = CrossEntropyConfig
focal: Make = FocalConfig

RANGES: Ranges = [
    (cross_entropy, "loss.label_smoothing", [0.0, 0.99], [-0.1, 1.0, NAN]),
    (focal, "loss.label_smoothing", [0.0, 0.99], [-0.1, 1.0, NAN]),
    (focal, "loss.gamma", [0.0, 5.0], [-0.1, NAN, INF]),
    (focal, "loss.alpha", [0.01, 1.0], [0.0, 1.1, NAN]),
]
test_the_edge_is_taken, test_what_lies_beyond_is_refused_by_its_dotted_name = range_tests(RANGES)
