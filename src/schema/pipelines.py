"""The settings of the pipelines: those of training, and a few of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

from src.errors import ConfigError
from src.schema.checks import PLACE, require
from src.schema.run import Config
from src.schema.training import TrackingConfig
from src.schema.verbs import check_registry_names


@dataclass(kw_only=True)
class PipelineConfig(Config):
    """A pipeline that trains."""

    seeds: list[int] = field(default_factory=lambda: [1, 2, 3])

    def __post_init__(self) -> None:
        super().__post_init__()
        usable = len(set(self.seeds)) == len(self.seeds) >= 1 and all(0 <= seed < 2**32 for seed in self.seeds)
        require(usable, "seeds", self.seeds, "different whole numbers from 0 to 4294967295, at least one")
        if not self.tracking.enabled:
            raise ConfigError("tracking=off: the steps of a pipeline read the tracking store; remove `tracking=off`")
        if not self.tracking.save_model or self.tracking.detail != "full":
            raise ConfigError("tracking.detail, tracking.save_model: a pipeline needs complete runs; remove both")
        if not self.evaluate_test:
            raise ConfigError("evaluate_test=false: a pipeline ends with the test split; remove `evaluate_test=false`")


@dataclass(kw_only=True)
class BestOfSweepConfig(PipelineConfig):
    """From a sweep to the champion."""

    registered_model: str | None = None  # null: the data set's name
    alias: str = "champion"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_registry_names(self.registered_model or self.dataset.name, self.alias, "registered_model")


@dataclass(kw_only=True)
class CompareModelsConfig(PipelineConfig):
    """Several networks on the same data."""

    models: list[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        unique = len(set(self.models)) == len(self.models) >= 1
        require(unique, "models", self.models, "different options of the group model, at least one")
        if not self.has_monitor:
            raise ConfigError(
                "dataset.validation_size=0: networks are ranked by validation accuracy, and without a validation split "
                "there is none; use dataset.validation_size=null for the data set's own split, or a number of images"
            )


@dataclass(kw_only=True)
class ReproduceConfig:
    """A tracked run to train again."""

    tracking: TrackingConfig
    run_id: str
    # Where the data is on this machine; null: where the run found it
    data_dir: str | None = field(default=None, metadata=PLACE)

    def __post_init__(self) -> None:
        if not self.tracking.enabled:
            raise ConfigError("tracking=off: the report is stored where the run is; remove `tracking=off`")
        if self.tracking.on_duplicate != "train":
            raise ConfigError(
                "tracking.on_duplicate=reuse: the run would be reused and compared with itself; remove "
                "`tracking.on_duplicate=reuse`"
            )


def for_training(config: PipelineConfig, overrides: Sequence[str]) -> list[str]:
    """Return the overrides without those of the pipeline's own keys: what `src.train` takes."""
    names, trained = ({item.name for item in dataclasses.fields(kind)} for kind in (config, Config))
    return [
        typed for typed in overrides if typed.lstrip("+~").partition("=")[0].partition(".")[0] not in names - trained
    ]
