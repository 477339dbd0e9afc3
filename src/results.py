"""What the verbs hand on: plain values, with `run_id` as the only handle between steps."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What one training run gave.

    Attributes:
        run_id: the MLflow run, or None when tracking is off.
        best_epoch: the epoch whose weights were kept, counted from 1.
        metrics: the metrics of that epoch, and `test_loss` and `test_accuracy` when the test split was scored.
        history: metric name -> one value per epoch.
        stopped: why training ended before its last epoch (`early_stopping`, `observer`), or None.
        warnings: what a reader of the figures must know, such as a stand-in data set.
    """

    run_id: str | None
    best_epoch: int
    metrics: dict[str, float]
    history: dict[str, list[float]]
    stopped: str | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """What one model scored on the test split.

    Attributes:
        run_id: the MLflow run that the model came from.
        metrics: `test_loss`, `test_accuracy`.
        images: the number of images scored.
    """

    run_id: str
    metrics: dict[str, float]
    images: int
