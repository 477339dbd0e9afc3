"""The run of a training that is not tracked."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from src.errors import NotKept
from src.schema import Config
from src.tracking.run import Run


class NullRun(Run):
    """The run of a training that is not tracked: recording does nothing, and there is nothing to read."""

    def __init__(self, experiment_id: str = "") -> None:
        self._init_state(None, experiment_id)
        self._id = ""

    def log_config(self, config: Config, overrides: Sequence[str]) -> None: ...

    def log_settings(self, config: Any, overrides: Sequence[str]) -> None: ...

    def log_environment(self, only_once: bool = False) -> None: ...

    def log_params(self, params: Mapping[str, Any]) -> None: ...

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None: ...

    def log_new_metrics(self, metrics: Mapping[str, float], step: int) -> None: ...

    def remove_models(self) -> None: ...

    def log_history(self, history: Mapping[str, Sequence[float]]) -> None: ...

    def flush(self) -> None: ...

    def set_tags(self, tags: Mapping[str, str]) -> None: ...

    def _write(self, path: str, text: str) -> None: ...

    def log_array(self, path: str, array: np.ndarray) -> None: ...

    def log_bytes(self, path: str, content: bytes) -> None: ...

    def log_figure(self, path: str, figure: Any) -> None: ...

    def log_image(self, key: str, step: int, pixels: np.ndarray) -> None: ...

    def log_dataset(self, name: str, digest: str, source: str, profile: dict[str, Any]) -> None: ...

    def log_dataset_of(self, run_id: str) -> None: ...

    def log_model(self, model: Any, name: str, images: np.ndarray, probabilities: np.ndarray, step: int) -> None: ...

    @contextlib.contextmanager
    def new_folder(self, path: str) -> Iterator[Path]:
        """Yield a temporary folder to make and fill, which is removed after the block."""
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder) / Path(path).name

    @property
    def folder(self) -> Path | None:
        """None: there are no artifacts."""
        return None

    def reading(self, path: str) -> contextlib.AbstractContextManager[Path]:
        """Raise NotKept."""
        raise NotKept(f"there is no {path}: tracking is off (tracking=off), so nothing was kept")

    def model_folder(self, model_uri: str | None = None) -> contextlib.AbstractContextManager[Path]:
        """Raise NotKept."""
        return self.reading(model_uri or "model")

    def scratch(self, what: str) -> contextlib.AbstractContextManager[Path]:
        """Raise NotKept."""
        return self.reading(what)

    def reserve(self) -> None: ...

    def set_running(self) -> None: ...

    def set_scheduled(self) -> None: ...

    def end(self, status: str, error: BaseException | None = None) -> None:
        """Note the status."""
        self.status = status
