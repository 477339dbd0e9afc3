"""Recording in one run: params, metrics, files, status."""

import contextlib
import io
import json
import math
import time
import uuid
import warnings
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import yaml
from mlflow.entities import Dataset as MlflowDataset
from mlflow.entities import DatasetInput, InputTag, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import Model, infer_signature
from mlflow.tracking.multimedia import compress_image_size
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_IMAGES
from PIL import Image

from src.errors import NotKept, StoreError
from src.process.interrupt import deferred
from src.redact import redact, redact_tree
from src.schema import Config, as_tree, flatten
from src.tables import csv_line
from src.tracking.artifacts import Artifacts, abandon_model, abandon_models
from src.tracking.outage import Outages, PatientClient, patiently
from src.tracking.probes import GONE
from src.tracking.provenance import command_tags, difference, packages, process_tags, source_tags
from src.tracking.stored_run import CONFIG, OVERRIDES, SETTINGS, StoredRun
from src.tracking.tags import is_parent, renamed_tags
from src.tracking.undelivered import Points, Undelivered, read_points
from src.tracking.writer import Writer

DIGEST_LENGTH = 36  # MLflow's limit for the digest of a data set input
ROUNDING = 1e-6  # relative; float32 has seven digits
PARAM_LENGTH = 6_000  # MLflow cuts longer values
TAG_LENGTH = 5_000
BATCH = 100  # params in one request
ERROR = "error"  # the tag with the error that ended a run
PACKAGES = "environment/packages.txt"
TIMES = ("epoch_seconds", "images_per_second", "checkpoint/seconds", "checkpoint/megabytes")  # differ each time
SERVED_WITH = ("tensorflow", "keras", "numpy", "mlflow")


class Run(StoredRun):
    """An MLflow run to record in and to read. Metrics are written in the background, in order, everything else at once.

    Attributes, besides those of `StoredRun`:
        is_continued: True for an interrupted run that this process continues.
        earlier_points: metric name -> step -> value, which such a run has already.
    """

    def __init__(self, client: mlflow.MlflowClient, run_id: str, experiment_id: str) -> None:
        undelivered = Undelivered(client.tracking_uri, run_id, experiment_id)
        super().__init__(client, run_id, experiment_id, Artifacts(client, run_id, undelivered))
        self._impatient = client.impatient if isinstance(client, PatientClient) else client
        self._outages: Outages | None = client.outages if isinstance(client, PatientClient) else None
        self._undelivered: Undelivered | None = undelivered
        self._writer = Writer(self._impatient, run_id, undelivered, self._outages)

    def _init_state(self, run_id: str | None, experiment_id: str) -> None:
        super()._init_state(run_id, experiment_id)
        self.is_continued = False
        self.earlier_points: dict[str, dict[int, float]] = {}
        self._outages = self._undelivered = None

    def log_config(self, config: Config, overrides: Sequence[str]) -> None:
        """Record the resolved config as params and as `config/config.yaml`, and the overrides.

        `config/config.yaml` comes last: a run with it can be resumed, and nothing is missing in it then.
        """
        self._record_config(CONFIG, config, overrides)

    def log_settings(self, config: Any, overrides: Sequence[str]) -> None:
        """Record the config of a run that trains nothing as params and as `config/settings.yaml`, and the overrides."""
        self._record_config(SETTINGS, config, overrides)

    def _record_config(self, path: str, config: Any, overrides: Sequence[str]) -> None:
        self.log_params(flatten(config))
        if overrides:
            self.log_overrides(overrides)
        self._write(path, yaml.safe_dump(redact_tree(as_tree(config)), sort_keys=False))

    def log_overrides(self, overrides: Sequence[str]) -> None:
        """Record what was typed as `config/overrides.yaml`."""
        self._write(OVERRIDES, yaml.safe_dump(redact_tree(list(overrides))))

    def log_environment(self, only_once: bool = False) -> None:
        """Record the installed packages, and the difference between the code and its commit.

        Args:
            only_once: keep what is recorded.
        """
        if only_once:
            with contextlib.suppress(NotKept), self.reading(PACKAGES):
                return
        self._write(PACKAGES, packages())  # a version is not a secret, even if the package is called `tokenizers`
        if patch := difference():
            self.log_text("environment/git.diff", patch)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record params as they would be typed: null, true, 0.001, [120, 84].

        In a run that is continued, the params that it has already keep their values: MLflow does not change params.
        """
        shown = redact_tree(
            {name: value for name, value in params.items() if not (self.is_continued and name in self.params)}
        )
        assert isinstance(shown, dict)
        texts = {name: as_param(value) for name, value in shown.items()}
        self.params |= texts
        entities = [Param(name, text) for name, text in texts.items()]
        for start in range(0, len(entities), BATCH):
            self._client.log_batch(self._id, params=entities[start : start + BATCH])

    def log_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        """Record one point per metric at this epoch; an observer of `fitting.fit`."""
        self.log_metrics(logs, epoch)

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record one point per metric in the background.

        In a run that is continued, an epoch that was trained again with the same result adds no second points.

        Raises:
            StoreError: the store refused an earlier point.
        """
        values = {name: float(value) for name, value in self._unrecorded(metrics, step).items()}
        if not values:
            return
        self._writer.put(Points(values, step, int(time.time() * 1000)))

    def continue_from(self, earlier_points: Mapping[str, Mapping[int, float]]) -> None:
        """Continue an interrupted run that has these points, metric name -> step -> value.

        Points that an earlier process could not deliver are delivered now.
        """
        self.is_continued = True
        self.earlier_points = {name: dict(points) for name, points in earlier_points.items()}
        if self.undelivered is not None:
            for points in read_points(self.undelivered.folder):
                for name, value in points.metrics.items():
                    self.earlier_points.setdefault(name, {})[points.step] = value
            self._writer.start()

    def log_history(self, history: Mapping[str, Sequence[float]]) -> None:
        """Record the epochs of an earlier process, one value per metric and epoch, unless they are recorded."""
        for epoch in range(1, 1 + max(map(len, history.values()), default=0)):
            self.log_epoch(epoch, {name: values[epoch - 1] for name, values in history.items()})

    def _unrecorded(self, metrics: Mapping[str, float], step: int) -> Mapping[str, float]:
        """Return the metrics without those that the run has at this step, if their results are the same there."""
        known = {name: self.earlier_points[name][step] for name in metrics if step in self.earlier_points.get(name, {})}
        if any(metrics[name] != value for name, value in known.items() if name not in TIMES):
            return metrics
        return {name: value for name, value in metrics.items() if name not in known}

    def log_new_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record one point per metric whose last value in the run is another one, so that repeating adds nothing.

        Values that differ by a rounding error count as equal: TensorFlow may add numbers in another order each time.
        """
        known = self._client.get_run(self._id).data.metrics
        self.log_metrics(
            {
                name: value
                for name, value in metrics.items()
                if not math.isclose(value, known.get(name, math.nan), rel_tol=ROUNDING)
            },
            step,
        )

    def flush(self) -> None:
        """Wait until every metric is written; raise StoreError if one could not be."""
        self._writer.flush()

    def close(self) -> None:
        """End the thread that writes metrics; `flush` waits for it."""
        self._writer.close()

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, their secrets hidden and very long values cut."""
        shown = redact_tree(dict(tags))
        assert isinstance(shown, dict)
        self._client.log_batch(self._id, tags=[RunTag(name, str(value)[:TAG_LENGTH]) for name, value in shown.items()])

    def describe(self, markdown: str) -> None:
        """Set the description, which the UI shows above everything else."""
        self.set_tags({"mlflow.note.content": _spaced(markdown)})

    def log_text(self, path: str, text: str) -> None:
        """Write a text file, its secrets hidden, to this path of the run's artifacts."""
        self._write(path, redact(text))

    def log_page(self, path: str, page: str) -> None:
        """Write an HTML page, unchanged, to this path of the run's artifacts; the caller has hidden its secrets."""
        self._write(path, page)

    def _write(self, path: str, text: str) -> None:
        with self._artifacts.new_file(path) as file:
            file.write_text(text, encoding="utf-8")

    def log_table(self, path: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write a CSV file with a header to this path of the run's artifacts."""
        self._write(path, "".join(map(csv_line, (columns, *rows))))  # numbers and names: nothing in them is a secret

    def log_array(self, path: str, array: np.ndarray) -> None:
        """Write a NumPy array, without pickled objects, to this path of the run's artifacts."""
        with self._artifacts.new_file(path) as file, file.open("wb") as opened:
            np.save(opened, array, allow_pickle=False)

    def log_figure(self, path: str, figure: Any) -> None:
        """Write a Matplotlib figure to this path of the run's artifacts."""
        with self._artifacts.new_file(path) as file, warnings.catch_warnings():
            # Class names may be in any script. A letter that the font does not have is drawn as a box.
            warnings.filterwarnings("ignore", r"Glyph .* missing from font")
            figure.savefig(file)

    def promise_images(self) -> None:
        """Note that the run will have pictures of steps."""
        self.set_tags({MLFLOW_LOGGED_IMAGES: "True"})

    def log_image(self, key: str, step: int, pixels: np.ndarray) -> None:
        """Write a picture of a step, as MLflow's `log_image` does; the UI shows those of one key as a film.

        It shows them only in runs of which `promise_images` was called.

        Args:
            key: what the pictures of all steps have in common; it must not contain a `/` or a `+`.
            step: the epoch.
            pixels: uint8, (height, width, channels), of 1 or 3 channels. A picture of the same step is replaced.
        """
        image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        identity = uuid.uuid5(uuid.NAMESPACE_OID, f"{key} {step}")
        name = f"images/{key}+step+{step}+timestamp+{step}+{identity}"
        for path, content in ((f"{name}.png", image), (f"{name}+compressed.webp", compress_image_size(image))):
            with self._artifacts.new_file(path) as file:
                content.save(file, path.rpartition(".")[2])

    def log_bytes(self, path: str, content: bytes) -> None:
        """Write a file to this path of the run's artifacts."""
        with self._artifacts.new_file(path) as file:
            file.write_bytes(content)

    def new_folder(self, path: str) -> contextlib.AbstractContextManager[Path]:
        """Yield a folder to make and fill, which replaces `path` of the run's artifacts when the block succeeds."""
        return self._artifacts.new_folder(path)

    def scratch(self, what: str) -> contextlib.AbstractContextManager[Path]:
        """Yield an empty folder on the disk of the artifacts, which is removed after the block.

        Args:
            what: is written there, for the message of an error.
        """
        return self._artifacts.scratch(what)

    def log_dataset(self, name: str, digest: str, source: str, profile: dict[str, Any]) -> None:
        """Record the data set as an input of the run; its profile has the whole digest."""
        entity = MlflowDataset(
            name=name,
            digest=digest[:DIGEST_LENGTH],
            source_type="local",
            source=json.dumps({"uri": redact(source)}),
            profile=json.dumps(profile | {"sha256": digest}),
        )
        inputs = [DatasetInput(entity, [InputTag("mlflow.data.context", "training")])]
        try:
            self._client.log_inputs(self._id, inputs)
        except MlflowException as error:
            if "unique" not in str(error).lower():
                raise
            self._client.log_inputs(self._id, inputs)  # another process recorded the same new data set just then

    def log_dataset_of(self, run_id: str) -> None:
        """Record the data set of another run as an input of this one too."""
        inputs = self._client.get_run(run_id).inputs
        if inputs is not None and inputs.dataset_inputs:
            self._client.log_inputs(self._id, inputs.dataset_inputs)

    def log_model(self, model: Any, name: str, images: np.ndarray, probabilities: np.ndarray, step: int) -> None:
        """Log the model as an MLflow LoggedModel that can be served, with the run's params and metrics of this step.

        Args:
            model: the Keras model.
            name: the LoggedModel's name; never `model`, which MLflow would merge with the run's folder of that name.
            images: uint8, (n, height, width, channels), an input example.
            probabilities: float32, (n, classes), the model's output for it.
            step: the epoch whose metrics belong to the model.
        """
        self.flush()
        attempts = 0

        def log() -> None:
            nonlocal attempts
            attempts += 1
            if attempts > 1:
                abandon_models(self._impatient, self.experiment_id, self._id)
            _log_model(self, model, name, images, probabilities, step)

        with deferred():
            patiently(self._client, log)

    def remove_models(self) -> None:
        """Remove the MLflow models that the run has logged, except those that are versions of a registered model."""
        versions = self._client.search_model_versions(f"run_id = '{self._id}'")
        places = [self._client.get_model_version_download_uri(version.name, version.version) for version in versions]
        registered = [model_id for model_id in self.model_ids if any(model_id in place for place in places)]
        for model_id in self.model_ids:
            if model_id not in registered:
                self._client.delete_logged_model(model_id)
        self.model_ids = registered

    @property
    def undelivered(self) -> Undelivered | None:
        """The folder with what a store that does not answer did not take, None when there is nothing."""
        return self._undelivered if self._undelivered is not None and self._undelivered.exists else None

    @property
    def is_cut_off(self) -> bool:
        """True while the store does not answer."""
        return self._outages is not None and self._outages.since is not None

    def reserve(self) -> None:
        """Reserve a little disk space until `end`, so that a run on a full disk can still record how it ended."""
        self._artifacts.reserve()

    def set_running(self) -> None:
        """Mark the run RUNNING in this process, even if it had ended before or another process began it.

        The tag with the error that ended it before is removed.
        """
        tags = self._client.get_run(self._id).data.tags
        self.set_tags({**renamed_tags(tags), **process_tags(), **(command_tags() if is_parent(tags) else {})})
        self._client.update_run(self._id, status="RUNNING")
        self.status, self.end_time = "RUNNING", None
        if ERROR in tags:
            _delete_tag(self._client, self._id, ERROR)

    def set_scheduled(self) -> None:
        """Mark the run SCHEDULED: workers that are still queued will set it RUNNING."""
        self._client.update_run(self._id, status="SCHEDULED")
        self.status, self.end_time = "SCHEDULED", None

    def end(self, status: str, error: BaseException | None = None) -> None:
        """Set the final status, and the error as a tag; problems of the store never hide the error that ended the run.

        The end time is now, or the earlier one if nothing ran in it since. A run that is KILLED does not wait for a
        store that does not answer.
        """
        with deferred():
            self._artifacts.release()
            if status == "FINISHED":
                if ERROR in self.tags:
                    _delete_tag(self._client, self._id, ERROR)
                self._client.set_terminated(self._id, status, self.end_time)
                self.status = status
                self._writer.close()
                return
            if status == "KILLED" and self._outages is not None:
                self._outages.hurry()
            with contextlib.suppress(Exception):
                self.flush()
            with contextlib.suppress(Exception):
                self._client.set_terminated(self._id, status, self.end_time)
                self.status = status
                if error is not None:
                    self.set_tags({ERROR: f"{type(error).__name__}: {error}"})
            self._writer.close()
            if self._undelivered is not None:  # a run that its store gave up on can be resumed
                self._undelivered.set_status("KILLED" if isinstance(error, StoreError) else status)


def _log_model(run: Run, model: Any, name: str, images: np.ndarray, probabilities: np.ndarray, step: int) -> None:
    import mlflow.tensorflow  # it imports TensorFlow; mlflow.keras cannot save an input example

    with contextlib.ExitStack() as stack:
        stack.enter_context(run._artifacts.explain_disk_errors("the MLflow model"))
        stack.enter_context(run._artifacts.temporary_files())
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))  # MLflow's progress bar
        logged = run._impatient.create_logged_model(
            run.experiment_id,
            name,
            source_run_id=run._id,
            tags=source_tags(),
            params=run.params,
            model_type="classifier",
        )
        try:
            Model.log(
                artifact_path=None,
                flavor=mlflow.tensorflow,
                run_id=run._id,
                model_id=logged.model_id,
                step=step,
                model=model,
                signature=infer_signature(images, probabilities),
                input_example=images,
                pip_requirements=[f"{package}=={version(package)}" for package in SERVED_WITH],
            )
        except BaseException:
            run._artifacts.release()
            with contextlib.suppress(Exception):  # the error that is raised says more
                if not run.is_cut_off:
                    abandon_model(run._impatient, logged.model_id)
            raise


def as_param(value: object) -> str:
    """Return the text of a param: the value as it would be typed, cut if it is very long."""
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:PARAM_LENGTH]


def _spaced(markdown: str) -> str:
    """Add a space after each cell of a table: the UI shows no space between columns."""
    lines = markdown.splitlines()
    return "\n".join(line.replace(" |", " &emsp;|") if line.startswith("|") else line for line in lines)


def _delete_tag(client: mlflow.MlflowClient, run_id: str, name: str) -> None:
    """Delete a tag of a run, which may have been deleted already: the answer to an earlier attempt may be lost."""
    try:
        client.delete_tag(run_id, name)
    except MlflowException as error:
        if error.error_code != GONE:
            raise
