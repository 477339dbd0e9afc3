"""Results of the commands, as plain values: `run_id` is the only handle between two steps."""

from src.results.commands import (
    ArtResult,
    Calibration,
    ClassScore,
    DoctorResult,
    EvaluationResult,
    ExplanationResult,
    ExportResult,
    ExportRow,
    Interval,
    PredictionResult,
    RegistrationResult,
    TrainResult,
)
from src.results.formatting import (
    MEGABYTE,
    format_calibration,
    format_interval,
    format_metric,
    format_score,
    format_scores,
    printable,
    short_name,
)
from src.results.pipelines import (
    BestOfSweepResult,
    ComparisonResult,
    CrossValidationResult,
    DriftRow,
    FoldRow,
    FoldSummary,
    LeaderboardRow,
    ReproductionResult,
    standard_deviation,
)
from src.results.sweep import Counts, FrontPoint, Parameter, SweepResult, TrialRow, trial_name
