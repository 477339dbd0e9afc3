"""Reports of a run, a sweep or a pipeline: tables, figures and a description."""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.reports.assessment import assess, record_assessment, record_assessment_figures, temperature_of
    from src.reports.best_of_sweep import (
        best_of_sweep_run,
        candidate_registration,
        final_configs,
        plan_best_of_sweep,
        record_best_of_sweep,
        summarize_best_of_sweep,
    )
    from src.reports.cards import first_description, lacks_card, write_card
    from src.reports.champion import AliasDecision, decide_alias
    from src.reports.choosing import with_chosen_trial
    from src.reports.compare_models import comparison_run, leaderboard_table, plan_comparison, record_comparison
    from src.reports.cross_validate import (
        cross_validation_run,
        folds_table,
        plan_folds,
        record_cross_validation,
    )
    from src.reports.data_check import DataCheck, check_dataset_contents
    from src.reports.data_page import DataReport, Section, write_report
    from src.reports.evaluation import (
        absent_classes,
        class_scores,
        read_predictions,
        record_evaluation,
        record_evaluation_figures,
        unbalanced_classes,
        unrecognized_classes,
    )
    from src.reports.explanation import (
        Measure,
        check_layers,
        choose_predictions,
        image_subject,
        record_explanation,
        split_subject,
    )
    from src.reports.exports import check_copies, copy_exports, record_exports
    from src.reports.label_check import check_labels, read_predicted
    from src.reports.limits import explain_limits, explain_winner
    from src.reports.model_card import card_of
    from src.reports.recipe import check_recipe_name, trial_recipe
    from src.reports.reproduce import (
        check_origin,
        origin_table,
        record_reproduction,
        require_same_result,
        result_table,
    )
    from src.reports.run import image_counts, recorder_for, result_of, settings_of
    from src.reports.sweep import record_plots, record_results, record_search
else:
    __getattr__ = lazy_package(__name__)
