"""A trained model that classifies images: a tracked one, or an exported file without its run and without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from src import certainty, exporting, fitting, reports
from src.places import local_path, resolve_address
from src.schema import ClassifierConfig
from src.tracked import TrackedModel, open_tracked_model

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Compute = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A model, and how images are read for it.

    Attributes:
        name: of the model, as it was asked for.
        input_shape: height, width and channels of its images.
        resize_mode: how images are resized: `crop`, `pad` or `stretch`.
        converts: True if images are read that are not usable without a conversion.
        class_names: the class of each probability.
        load: returns the function that computes the probabilities, float32, (n, classes), of uint8 images,
            (n, height, width, channels). For a tracked model it imports TensorFlow.
        temperature: that corrects the probabilities, None for those of the model.
    """

    name: str
    input_shape: tuple[int, int, int]
    resize_mode: str
    converts: bool
    class_names: Sequence[str]
    load: Callable[[], Compute]
    temperature: float | None = None

    def calibrated(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return probabilities corrected with the temperature, if there is one; the predicted classes are the same."""
        return probabilities if self.temperature is None else certainty.calibrate(probabilities, self.temperature)


@contextmanager
def open_classifier(config: ClassifierConfig) -> Iterator[Classifier]:
    """Yield the exported file or the tracked model of the config, which is loaded inside the block.

    Raises:
        ConfigError: the package that runs the exported file is not installed.
        StoreError: no such run or model, or with `calibrated` a run without a temperature.
        ModelFileError: the model's files are missing or altered.
    """
    if config.model_file is not None:
        exported = exporting.open_export(local_path(config.model_file))
        yield Classifier(
            name=config.model_file,
            input_shape=exported.manifest.input_shape,
            resize_mode=exported.manifest.resize_mode,
            converts=exported.manifest.converts,
            class_names=exported.manifest.class_names,
            load=lambda: exported.probabilities,
        )
        return
    with open_tracked_model(config) as tracked:
        dataset = tracked.config.dataset
        yield Classifier(
            name=f"run {tracked.run.run_id}" if config.model_uri is None else resolve_address(config.model_uri),
            input_shape=dataset.input_shape,
            resize_mode=dataset.resize_mode,
            converts=dataset.converts,
            class_names=dataset.class_names,
            load=partial(_load, tracked, config.tta),
            temperature=reports.temperature_of(tracked.run, tracked.config.has_monitor) if config.calibrated else None,
        )


def _load(tracked: TrackedModel, tta: bool) -> Compute:
    model = tracked.load_model()
    if tta:
        return partial(fitting.averaged_probabilities, model, flips=tracked.was_mirrored)
    return partial(fitting.probabilities, model)
