"""The certainty of scores: intervals, comparisons of two models, and calibration, all from probabilities."""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.certainty.calibration import Reliability, calibrate, fit_temperature, reliability_of
    from src.certainty.comparison import McNemar, PairedBootstrap, compare_metric, compare_right
    from src.certainty.intervals import intervals_of, mean_interval
    from src.certainty.resamples import MetricFunction
else:
    __getattr__ = lazy_package(__name__)
