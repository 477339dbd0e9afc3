"""Recording runs in MLflow: config, metrics, files, status.

`start_run` opens a run in the store that `open_store` returned, and yields a `Run` to record with. With `tracking=off`
it yields a `NullRun`, whose calls do nothing. Secrets are hidden in everything that is recorded.
"""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.tracking.artifacts import abandon_model
    from src.tracking.delivery import Delivery, deliver
    from src.tracking.null_run import NullRun
    from src.tracking.opening import explain_store_errors, resume_run, start_art_run, start_run
    from src.tracking.pages import experiment_page
    from src.tracking.parents import pipeline_run, record_common
    from src.tracking.probes import is_outage
    from src.tracking.provenance import code_digest, origin_tags, packages, result_code_digest
    from src.tracking.records import ModelRecord, RunRecord, VersionRecord, local_time
    from src.tracking.registry import Registry, Version, data_of_run
    from src.tracking.resuming import (
        CHANGED,
        RESUMED,
        UPLOADED,
        WRITTEN,
        alone,
        interrupted_run,
        interrupted_runs,
        last_checkpoint,
    )
    from src.tracking.reuse import fingerprint, finished_result, origin_of_result, recorded_result
    from src.tracking.run import Run, as_param
    from src.tracking.store import Store, artifact_root, open_store
    from src.tracking.survey import Survey
    from src.tracking.sweep import (
        StudyId,
        TrialRun,
        adopt_orphans,
        earlier_parents,
        end_left_runs,
        has_parent_run,
        open_parent_run,
        read_config,
        record_costs,
        record_failed_trial,
        record_lost_trial,
        record_skipped_trial,
        study_runs,
        tag_run,
    )
    from src.tracking.tags import (
        ART,
        CHECKPOINTS,
        COMMAND,
        EPOCHS,
        FINGERPRINT,
        PARENT,
        PLANNED,
        UNRECOGNIZED,
        calibration_tag,
        host_of,
        interval_tag,
        read_calibration,
        read_intervals,
    )
    from src.tracking.undelivered import UNDELIVERED, Undelivered, count_kept_points, kept_files, names_store
    from src.tracking.view import COLUMN_SETTINGS
else:
    __getattr__ = lazy_package(__name__)
