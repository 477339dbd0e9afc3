"""Optuna: the trials of a study, the samplers that propose their parameters, and the claims of workers.

Several processes, terminals and machines may work on one study. Optuna's own locks have no effect on SQLite, so a trial
is claimed and ended under a lock of ours (`claims`, `locks`). So the number of trials is exact, even if a process is
killed at any time.
"""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.study.attempts import count_trials
    from src.study.claims import Claims, NoTrial
    from src.study.importances import rank_parameters
    from src.study.numbers import front, is_worth_keeping, ranked, trial_rows
    from src.study.patience import HURRY_SECONDS, MAX_OUTAGE_SECONDS, Patience, is_outage, reason_of, refusals_explained
    from src.study.presence import is_attended, note_queued
    from src.study.records import StudyRecord, TrialRecord, end_dead_trials, study_records
    from src.study.sampling import check_sampler, picker
    from src.study.shared import COSTS
    from src.study.storage import SETTING, Storage, open_existing, open_storage
    from src.study.studies import (
        LIMIT,
        ORIGIN,
        Order,
        WorkerRecord,
        ask_to_stop,
        check_setting,
        costs_again,
        directions_of,
        find_study,
        first_of_setting,
        has_report,
        is_stopped,
        keep_definition,
        kept_definition,
        limits_of,
        note_costs,
        note_report,
        note_worker,
        open_study,
        order_of,
        place_order,
        study_names,
        unique_id,
        worker_records,
    )
    from src.study.watch import STOPPED, Stopped, TrialLost, TrialWatch
else:
    __getattr__ = lazy_package(__name__)
