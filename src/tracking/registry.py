"""The model registry: numbered versions of models under one name, and aliases such as `champion` for one of them."""

import contextlib
import json
from collections.abc import Mapping
from typing import NamedTuple

from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS as VERSIONS

from src.errors import StoreError
from src.process.interrupt import deferred
from src.redact import redact, redact_tree
from src.schema import TrackingConfig
from src.tracking.probes import GONE
from src.tracking.run import Run
from src.tracking.store import existing_client

# MLflow's error codes for a run that does not exist; a server with users answers all but the admin with the last one.
NO_SUCH_RUN = (GONE, "INVALID_PARAMETER_VALUE", "PERMISSION_DENIED")
DIGEST_TAG = "data_digest"  # of a version


class Version(NamedTuple):
    """One version of a registered model; `run_id` is the run that trained it, empty for a model without a run."""

    name: str
    number: int
    run_id: str


class ModelData(NamedTuple):
    """The data that a model was trained and tested on.

    Attributes:
        digest: of the data set, None when it is unknown.
        class_names: in the order of their labels; empty when they are unknown.
    """

    digest: str | None
    class_names: list[str]


def data_of_run(params: Mapping[str, str]) -> ModelData:
    """Return the data that a run was trained on, from its params."""
    classes: list[str] = []
    with contextlib.suppress(ValueError):  # the names of very many classes are cut
        classes = json.loads(params.get("dataset.class_names", "[]"))
    return ModelData(params.get("resolved.data_digest"), classes)


class Registry:
    """The model registry of a tracking store."""

    def __init__(self, config: TrackingConfig) -> None:
        """Open the registry.

        Raises:
            StoreError: the store does not exist or cannot be reached, or tracking is off.
        """
        if not config.enabled:
            raise StoreError("tracking=off: without a tracking store there is no model registry; remove `tracking=off`")
        self._client = existing_client(config.uri)

    def version_of_run(self, name: str, run_id: str) -> Version | None:
        """Return the run's version under this name, None when the run was not registered."""
        found = self._client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
        return Version(name, min(int(version.version) for version in found), run_id) if found else None

    def versions_of_run(self, run_id: str) -> list[Version]:
        """Return the run's versions under any name, in the order in which they were registered."""
        found = self._client.search_model_versions(f"run_id = '{run_id}'")
        found = sorted(found, key=lambda version: (version.creation_timestamp, version.name))
        return [Version(version.name, int(version.version), run_id) for version in found]

    def add(self, name: str, run: Run, description: str, tags: Mapping[str, str]) -> Version:
        """Register the model that the run logged as the next version of the name, which is created if it is new.

        When several processes do this at once, the first version stays and each process gets that one.
        """
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        shown = redact_tree(dict(tags))
        assert isinstance(shown, dict)
        model_id = run.model_id
        with deferred():
            created = self._client.create_model_version(
                name,
                f"models:/{model_id}",
                run_id=run.run_id,
                model_id=model_id,
                tags=shown,
                description=redact(description),
            )
            version = Version(name, int(created.version), str(run.run_id))
            first = self.version_of_run(name, version.run_id) or version
            if first != version:
                self._client.delete_model_version(name, created.version)
                return first
            self._note_on_model(str(model_id), name, version.number)
            return version

    def _note_on_model(self, model_id: str, name: str, number: int) -> None:
        """Set a tag as `mlflow.register_model` does: without it, the model's page says that it is not registered."""
        known = json.loads(self._client.get_logged_model(model_id).tags.get(VERSIONS, "[]"))
        self._client.set_logged_model_tags(
            model_id, {VERSIONS: json.dumps([*known, {"name": name, "version": number}])}
        )

    def version_of_alias(self, name: str, alias: str) -> Version | None:
        """Return the version that the alias points to, None when there is no such name or alias.

        The model is searched for by name: when asked for a model that does not exist, a server with users answers 403
        to all but the admin.
        """
        for model in self._client.search_registered_models(f"name = '{name}'", max_results=1):
            if number := model.aliases.get(alias):
                found = self._client.get_model_version(name, str(number))
                return Version(name, int(found.version), found.run_id or "")
        return None

    def data_of(self, version: Version) -> ModelData:
        """Return the data of a version's model, from the tag of the version, or else from the run that trained it."""
        tags = self._client.get_model_version(version.name, str(version.number)).tags
        run = self._run_of(version)
        found = data_of_run(run.data.params) if run else ModelData(None, [])
        return found._replace(digest=tags.get(DIGEST_TAG) or found.digest)

    def has_run(self, version: Version) -> bool:
        """Return whether the run that trained the version exists and was not deleted."""
        run = self._run_of(version)
        return run is not None and run.info.lifecycle_stage == "active"

    def _run_of(self, version: Version) -> MlflowRun | None:
        if not version.run_id:
            return None
        try:
            return self._client.get_run(version.run_id)
        except MlflowException as error:
            if error.error_code in NO_SUCH_RUN:
                return None
            raise

    def move_alias(self, version: Version, alias: str) -> None:
        """Make the alias point to this version, and to no other."""
        self._client.set_registered_model_alias(version.name, alias, str(version.number))

    def description(self, version: Version) -> str:
        """Return the description of a version, an empty string if it has none."""
        return str(self._client.get_model_version(version.name, str(version.number)).description or "")

    def describe(self, version: Version, markdown: str) -> None:
        """Set the description of a version."""
        self._client.update_model_version(version.name, str(version.number), redact(markdown))

    def tag(self, version: Version, tags: Mapping[str, str | None]) -> None:
        """Set tags of a version, and delete those whose value is None."""
        existing = self._client.get_model_version(version.name, str(version.number)).tags
        for name, value in tags.items():
            if value is not None:
                self._client.set_model_version_tag(version.name, str(version.number), name, redact(value))
            elif name in existing:
                self._client.delete_model_version_tag(version.name, str(version.number), name)
