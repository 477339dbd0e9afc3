"""Reports of a run, a sweep or a pipeline: tables, figures and a description."""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.reports.champion import AliasDecision, decide_alias
    from src.reports.evaluation import read_predictions, record_evaluation, unrecognized_classes
    from src.reports.explanation import (
        choose_predictions,
        feature_map_pictures,
        no_convolutions_note,
        record_explanation,
        save_pictures,
    )
    from src.reports.recipe import best_recipe, check_recipe_name
    from src.reports.run import image_counts, recorder_for, settings_of
    from src.reports.sweep import record_plots, record_results, record_search
else:
    __getattr__ = lazy_package(__name__)
