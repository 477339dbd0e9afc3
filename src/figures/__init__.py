"""Pictures in two steps: `*_data` computes plain numbers, which tests compare, and `plot_*` draws them."""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.figures.augmentation import plot_augmentation
    from src.figures.class_curves import ClassCurves, class_curves_data, plot_class_curves
    from src.figures.confusion import Confusion, confusion_data, plot_confusion
    from src.figures.curves import LearningCurves, learning_curves_data, plot_learning_curves
    from src.figures.embedding import MapPoint, class_looks, plot_embedding
    from src.figures.filters import plot_filters
    from src.figures.folds import plot_folds
    from src.figures.frames import Mistake, maps_frame, mistakes_frame
    from src.figures.heats import GRAD_CAM, INTEGRATED_GRADIENTS, OCCLUSION, HeatStyle, plot_class_heats, plot_heats
    from src.figures.interactive import interactive_plots, plotly_script
    from src.figures.leaderboard import plot_leaderboard
    from src.figures.learning_rates import plot_range_test
    from src.figures.maps import MapRow, feature_maps_data, plot_feature_maps
    from src.figures.pairs import MAX_PAIRS, ShownImage, plot_pairs
    from src.figures.patterns import PatternRow, plot_class_patterns, plot_filter_patterns
    from src.figures.predictions import (
        Prediction,
        image_name,
        plot_label_issues,
        plot_mistakes,
        right_predictions_data,
        worst_mistakes_data,
    )
    from src.figures.reliability import plot_reliability
    from src.figures.samples import ClassSamples, plot_samples, samples_data
    from src.figures.sweep import SweepNumbers, sweep_figures, sweep_numbers
    from src.figures.trials import TrialCurve, plot_trial_curves, trial_curves_data
else:
    __getattr__ = lazy_package(__name__)
