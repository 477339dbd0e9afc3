"""One run: how it begins and ends, and what is recorded in between."""

import contextlib
import io
import json
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import yaml
from mlflow.entities import Dataset as MlflowDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import Model, infer_signature

from src.errors import NotKept, StoreError
from src.process.interrupt import deferred
from src.redact import redact, redact_tree
from src.schema import Config, as_tree, flatten
from src.tables import csv_line
from src.tracking.artifacts import Artifacts, abandon_model, reading_model
from src.tracking.provenance import difference, packages, source_tags
from src.tracking.writer import Writer

DIGEST_LENGTH = 36  # MLflow's limit for the digest of a data set input
PARAM_LENGTH = 6_000  # MLflow cuts longer values
TAG_LENGTH = 5_000
BATCH = 100  # params in one request
SERVED_WITH = ("tensorflow", "keras", "numpy", "mlflow")


class Run:
    """One MLflow run. Metrics of epochs are written in the background, in order; all else is written at once."""

    def __init__(self, client: mlflow.MlflowClient | None, run_id: str, experiment_id: str) -> None:
        self._client = client
        self._id = run_id
        self.experiment_id = experiment_id
        self.params: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.status = "RUNNING"
        self.end_time: int | None = None  # in ms since 1970, of a run that has ended and in which nothing ran since
        self.model_ids: list[str] = []  # of the models that it has logged
        self.model_uri: str | None = None  # of the model that the run was found by: always of the same one
        self._writer = Writer("" if client is None else client.tracking_uri)
        self._artifacts = None if client is None else Artifacts(client, run_id)

    @property
    def run_id(self) -> str | None:
        """The run's id, None when tracking is off."""
        return self._id or None

    def log_config(self, config: Config, overrides: list[str]) -> None:
        """The resolved config as params and as YAML, and what was typed."""
        if self._client is None:
            return
        self.log_params(flatten(config))
        self._write("config/config.yaml", yaml.safe_dump(redact_tree(as_tree(config)), sort_keys=False))
        if overrides:
            self.log_overrides(overrides)

    def log_overrides(self, overrides: Sequence[str]) -> None:
        """What was typed."""
        self._write("config/overrides.yaml", yaml.safe_dump(redact_tree(list(overrides))))

    def log_environment(self) -> None:
        """The installed packages, and what the code differs in from its commit."""
        if self._client is None:
            return
        self._write("environment/packages.txt", packages())  # a version is no secret, not even that of `tokenizers`
        if patch := difference():
            self.log_text("environment/git.diff", patch)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Params as they would be typed: null, true, 0.001, [120, 84]."""
        if self._client is None:
            return
        shown = redact_tree(dict(params))
        assert isinstance(shown, dict)
        texts = {name: as_param(value) for name, value in shown.items()}
        self.params |= texts
        entities = [Param(name, text) for name, text in texts.items()]
        for start in range(0, len(entities), BATCH):
            self._client.log_batch(self._id, params=entities[start : start + BATCH])

    def log_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        """An observer: one point per metric at this epoch."""
        self.log_metrics(logs, epoch)

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """One point per metric, written in the background.

        Raises:
            StoreError: an earlier point could not be written.
        """
        if self._client is None:
            return
        client, now = self._client, int(time.time() * 1000)
        entities = [Metric(name, value, now, step) for name, value in metrics.items()]
        self._writer.put(lambda: client.log_batch(self._id, metrics=entities))

    def log_new_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """The same, leaving out what the run already says, so that asking twice adds nothing."""
        if self._client is None:
            return
        known = self._client.get_run(self._id).data.metrics
        self.log_metrics({name: value for name, value in metrics.items() if known.get(name) != value}, step)

    def flush(self) -> None:
        """Waits until everything is written; raises StoreError when something could not be."""
        self._writer.flush()

    def set_tags(self, tags: Mapping[str, str]) -> None:
        if self._client is not None:
            shown = redact_tree(dict(tags))
            assert isinstance(shown, dict)
            self._client.log_batch(
                self._id, tags=[RunTag(name, str(value)[:TAG_LENGTH]) for name, value in shown.items()]
            )

    def describe(self, markdown: str) -> None:
        """The description that the UI shows above everything else."""
        self.set_tags({"mlflow.note.content": _spaced(markdown)})

    def log_text(self, path: str, text: str) -> None:
        """A text file, secrets hidden, at this path of the run's artifacts."""
        self._write(path, redact(text))

    def log_page(self, path: str, page: str) -> None:
        """An HTML page at this path of the run's artifacts, as it is: its maker has hidden the secrets."""
        self._write(path, page)

    def _write(self, path: str, text: str) -> None:
        if self._artifacts is not None:
            with self._artifacts.new_file(path) as file:
                file.write_text(text, encoding="utf-8")

    def log_table(self, path: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A CSV file with a header at this path of the run's artifacts."""
        self._write(path, "".join(map(csv_line, (columns, *rows))))  # numbers and names: nothing in them is a secret

    def log_figure(self, path: str, figure: Any) -> None:
        """A Matplotlib figure as a picture at this path of the run's artifacts."""
        if self._artifacts is not None:
            with self._artifacts.new_file(path) as file, warnings.catch_warnings():
                # Class names come in any script; a box stands for a letter that the font has not.
                warnings.filterwarnings("ignore", r"Glyph .* missing from font")
                figure.savefig(file)

    def new_folder(self, path: str) -> contextlib.AbstractContextManager[Path]:
        """Yield a folder to make and fill, which replaces `path` of the run's artifacts when the block succeeds."""
        assert self._artifacts is not None
        return self._artifacts.new_folder(path)

    def log_dataset(self, name: str, digest: str, source: str, profile: dict[str, Any]) -> None:
        """The data set as an input of the run. MLflow takes 36 characters of the digest; the profile has it whole."""
        if self._client is None:
            return
        described = MlflowDataset(
            name=name,
            digest=digest[:DIGEST_LENGTH],
            source_type="local",
            source=json.dumps({"uri": redact(source)}),
            profile=json.dumps(profile | {"sha256": digest}),
        )
        inputs = [DatasetInput(described, [InputTag("mlflow.data.context", "training")])]
        try:
            self._client.log_inputs(self._id, inputs)
        except MlflowException as error:
            if "unique" not in str(error).lower():
                raise
            self._client.log_inputs(self._id, inputs)  # another process recorded the same new data set just then

    def log_model(self, model: Any, name: str, images: np.ndarray, probabilities: np.ndarray, step: int) -> None:
        """The model as an MLflow LoggedModel that can be served, with the run's params and its metrics at this step.

        Args:
            model: the Keras model.
            name: the LoggedModel's name; never `model`, which MLflow would merge with the run's folder of that name.
            images: uint8, (n, height, width, channels), an input example.
            probabilities: float32, (n, classes), what the model answers to it.
            step: the epoch whose metrics belong to the model.
        """
        if self._client is None:
            return
        import mlflow.tensorflow  # mlflow.keras cannot save an input example

        assert self._artifacts is not None
        self.flush()
        with contextlib.ExitStack() as stack:
            stack.enter_context(deferred())
            stack.enter_context(self._artifacts.failures_told("the MLflow model"))
            stack.enter_context(self._artifacts.temporary_files())
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))  # MLflow's progress bar
            logged = self._client.create_logged_model(
                self.experiment_id,
                name,
                source_run_id=self._id,
                tags=source_tags(),
                params=self.params,
                model_type="classifier",
            )
            try:
                Model.log(
                    artifact_path=None,
                    flavor=mlflow.tensorflow,
                    run_id=self._id,
                    model_id=logged.model_id,
                    step=step,
                    model=model,
                    signature=infer_signature(images, probabilities),
                    input_example=images,
                    pip_requirements=[f"{package}=={version(package)}" for package in SERVED_WITH],
                )
            except BaseException:
                self._artifacts.release()
                with contextlib.suppress(Exception):  # the error that is raised says more
                    abandon_model(self._client, logged.model_id)
                raise

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights were kept, as the run recorded it."""
        return int(self.params.get("resolved.best_epoch", 0))

    @property
    def model_id(self) -> str:
        """The id of the MLflow model that the run logged last; raises StoreError when it logged none."""
        if not self.model_ids:
            raise StoreError(
                f"run {self._id} logged no model; train it with tracking.detail=full and tracking.save_model=true"
            )
        return self.model_ids[-1]

    @contextlib.contextmanager
    def logged_model_folder(self) -> Iterator[Path]:
        """Yield the folder of the MLflow model that the run logged; it must not be changed."""
        with self.model_folder(f"models:/{self.model_id}") as folder:
            yield folder

    def examples(self, logged_model: Path) -> np.ndarray:
        """The images that were kept with a logged model: uint8, (n, height, width, channels)."""
        return np.asarray(Model.load(logged_model).load_input_example(str(logged_model)), np.uint8)

    @property
    def folder(self) -> Path | None:
        """The folder of the run's artifacts on this disk, None when they are behind a server."""
        return None if self._artifacts is None else self._artifacts.folder

    def reading(self, path: str) -> contextlib.AbstractContextManager[Path]:
        """Yield the artifact at `path`, which must not be changed; raises NotKept when there is none."""
        assert self._artifacts is not None
        return self._artifacts.reading(path)

    def read_config(self) -> dict[str, Any]:
        """The resolved config that the run was trained with.

        Raises:
            StoreError: the run is not one of ours.
        """
        with self.reading("config/config.yaml") as file:
            read: dict[str, Any] = yaml.safe_load(file.read_text())
        return read

    def read_overrides(self) -> list[str] | None:
        """What was typed to train the run, None when nothing was."""
        with contextlib.suppress(NotKept), self.reading("config/overrides.yaml") as file:
            return list(yaml.safe_load(file.read_text()))
        return None

    @contextlib.contextmanager
    def model_folder(self, model_uri: str | None = None) -> Iterator[Path]:
        """Yield the run's `model/`, or the model behind the URI; it must not be changed."""
        if model_uri is None:
            with self.reading("model") as folder:
                yield folder
        else:
            with reading_model(model_uri) as folder:
                yield folder

    def reserve(self) -> None:
        """Reserve a little disk space until `end`, so that a run on a full disk can still record how it ended."""
        if self._artifacts is not None:
            self._artifacts.reserve()

    def set_running(self) -> None:
        """Mark the run RUNNING, even if it had ended before."""
        if self._client is not None:
            self._client.update_run(self._id, status="RUNNING")
        self.status, self.end_time = "RUNNING", None

    def end(self, status: str, error: BaseException | None = None) -> None:
        """Sets the final status, and the error as a tag, without ever hiding the error that ended the run.

        The end time is now, or the earlier one if nothing ran in it since.
        """
        assert self._client is not None
        assert self._artifacts is not None
        with deferred():
            self._artifacts.release()
            if status == "FINISHED":
                self._client.set_terminated(self._id, status, self.end_time)
                self.status = status
                return
            with contextlib.suppress(Exception):
                self.flush()
            with contextlib.suppress(Exception):
                self._client.set_terminated(self._id, status, self.end_time)
                self.status = status
                if error is not None:
                    self.set_tags({"error": f"{type(error).__name__}: {error}"})


def as_param(value: object) -> str:
    """A value as its param is written: as it would be typed, very long ones cut."""
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:PARAM_LENGTH]


def _spaced(markdown: str) -> str:
    """The cells of tables with a space behind them: the UI draws a table's columns without any between them."""
    lines = markdown.splitlines()
    return "\n".join(line.replace(" |", " &emsp;|") if line.startswith("|") else line for line in lines)
