"""The settings of pipelines: those of a training, and a few of their own."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

from src.errors import ConfigError
from src.schema.checks import PLACE, at_least, require
from src.schema.metrics import VALIDATION
from src.schema.run import Config
from src.schema.training import MLFLOW, TrackingConfig
from src.schema.verbs import check_registry_names


@dataclass(kw_only=True)
class PipelineConfig(Config):
    """A pipeline that trains."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resume is not None:
            raise ConfigError(
                f"resume={self.resume}: a pipeline continues its interrupted training by itself; remove `resume`, and "
                "run the same command again"
            )
        if not self.tracking.enabled:
            raise ConfigError("tracking=off: a pipeline reads its runs from the tracking store; remove `tracking=off`")
        if not self.tracking.save_model or self.tracking.detail != "full":
            raise ConfigError(
                "tracking.detail, tracking.save_model: a pipeline needs runs with all their files; remove both settings"
            )


@dataclass(kw_only=True)
class SeedsConfig(PipelineConfig):
    """A pipeline that trains with several seeds, and scores the models on the test split."""

    seeds: list[int] = field(default_factory=lambda: [1, 2, 3])

    def __post_init__(self) -> None:
        super().__post_init__()
        is_usable = len(set(self.seeds)) == len(self.seeds) >= 1 and all(0 <= seed < 2**32 for seed in self.seeds)
        require(is_usable, "seeds", self.seeds, "different integers from 0 to 4294967295, at least one")
        if not self.evaluate_test:
            raise ConfigError(
                "evaluate_test=false: a pipeline scores its models on the test split; remove `evaluate_test=false`"
            )


@dataclass(kw_only=True)
class ChooseConfig:
    """The trial of a front that `pipelines.best_of_sweep` trains again; needed with several objectives."""

    metric: str | None = None  # the objective that matters
    within: float | None = None  # keep the trials of the front within this distance of its best value
    cheapest: str | None = None  # of these, train the one with the least of this cost

    def __post_init__(self) -> None:
        at_least(0, "choose.within", self.within)
        if self.within is not None and self.cheapest is None:
            raise ConfigError(
                f"choose.within={self.within:g}: it keeps several trials; add choose.cheapest=parameters or another "
                "cost of hydra.sweeper.objectives to choose one of them"
            )
        if self.cheapest is not None and self.within is None:
            raise ConfigError(
                f"choose.cheapest={self.cheapest}: the cheapest trial of the front may be very bad; add "
                "choose.within=0.002 or another distance from the best value"
            )


@dataclass(kw_only=True)
class BestOfSweepConfig(SeedsConfig):
    """Settings of `pipelines.best_of_sweep`."""

    registered_model: str | None = None  # null: the name of the data set
    alias: str = "champion"
    choose: ChooseConfig = field(default_factory=ChooseConfig)
    final_epochs: int | None = None  # of the final trainings; null: up to the best epoch of the best trial

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, "final_epochs", self.final_epochs)
        check_registry_names(self.registered_model or self.dataset.name, self.alias, "registered_model")
        if MLFLOW not in self.tracking.formats:
            raise ConfigError(
                f"tracking.formats: {self.tracking.formats} lacks {MLFLOW}, in which the model is registered; add it"
            )


@dataclass(kw_only=True)
class CompareModelsConfig(SeedsConfig):
    """Settings of `pipelines.compare_models`."""

    models: list[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        is_usable = len(set(self.models)) == len(self.models) >= 1
        require(is_usable, "models", self.models, "different options of the group model, at least one")
        if not self.has_monitor:
            raise ConfigError(
                "dataset.validation_size=0: networks are ranked by validation accuracy, which needs a validation "
                "split; use dataset.validation_size=null for the data set's own split, or a number of images"
            )


@dataclass(kw_only=True)
class CrossValidateConfig(PipelineConfig):
    """Settings of `pipelines.cross_validate`."""

    folds: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(2, "folds", self.folds)
        if self.dataset.folds is not None:
            raise ConfigError(
                f"dataset.folds={self.dataset.folds}: this pipeline trains every fold; remove `dataset.folds` and "
                f"`dataset.fold`, and use folds={self.dataset.folds}"
            )
        if self.dataset.validation_size is not None:
            raise ConfigError(
                f"dataset.validation_size={self.dataset.validation_size}: each fold is the validation split of one "
                "training; remove `dataset.validation_size`, or set it to null if a recipe sets it"
            )
        monitor = self.training.monitor
        if not monitor.startswith(VALIDATION):
            raise ConfigError(
                f"training.monitor={monitor}: folds are compared by a metric of the images that were not trained on; "
                f"use training.monitor={VALIDATION}{monitor}"
            )


@dataclass(kw_only=True)
class ReproduceConfig:
    """Settings of `pipelines.reproduce`."""

    tracking: TrackingConfig
    run_id: str
    # The folder of the data on this machine; null: where the run found it
    data_dir: str | None = field(default=None, metadata=PLACE)

    def __post_init__(self) -> None:
        if not self.tracking.enabled:
            raise ConfigError("tracking=off: the result is recorded in the store of the old run; remove `tracking=off`")
        if self.tracking.on_duplicate != "train":
            raise ConfigError(
                "tracking.on_duplicate=reuse: the run would be reused and compared with itself; remove "
                "`tracking.on_duplicate=reuse`"
            )


def for_training(config: Config, overrides: Sequence[str]) -> list[str]:
    """Return the overrides without a command's own keys: those that `src.train` would get."""
    names, trained = ({item.name for item in dataclasses.fields(kind)} for kind in (config, Config))
    return [
        typed for typed in overrides if typed.lstrip("+~").partition("=")[0].partition(".")[0] not in names - trained
    ]
