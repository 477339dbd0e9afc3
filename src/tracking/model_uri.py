"""URIs of models, such as `models:/mnist@champion`.

Everything is asked of the client of one store. MLflow's own functions ask the store that its process opened last.
"""

import mlflow
from mlflow.models import Model
from mlflow.store.artifact.utils.models import get_model_name_and_version

from src.errors import StoreError
from src.places import local_folder

MODELS, RUNS = "models:/", "runs:/"


def fixed_uri(client: mlflow.MlflowClient, model_uri: str) -> str:
    """Return a URI that always leads to the model that this one leads to now; an alias may move at any time."""
    if not model_uri.startswith(MODELS):
        return model_uri
    return MODELS + "/".join(map(str, get_model_name_and_version(client, model_uri)))


def model_location(client: mlflow.MlflowClient, model_uri: str) -> str:
    """Return the address of the model's files; a URI of another kind is returned as it is."""
    if not model_uri.startswith(MODELS):
        return model_uri
    name_or_id, *version = get_model_name_and_version(client, model_uri)
    if version:
        return str(client.get_model_version_download_uri(name_or_id, str(version[0])))
    return str(client.get_logged_model(name_or_id).artifact_location)


def run_of_model(client: mlflow.MlflowClient, model_uri: str) -> str:
    """Return the id of the run that logged the model.

    Raises:
        MlflowException: no such model.
        StoreError: the model was not logged by a run.
    """
    run_id = _recorded_run(client, model_uri)
    if not run_id:
        location = model_location(client, model_uri)
        run_id = Model.load(local_folder(location) or location).run_id
    if not run_id:
        raise StoreError(f"{model_uri} was not logged by a run, so its data set is unknown; name a model of a run")
    return str(run_id)


def _recorded_run(client: mlflow.MlflowClient, model_uri: str) -> str | None:
    if model_uri.startswith(RUNS):
        return model_uri.removeprefix(RUNS).partition("/")[0]
    if not model_uri.startswith(MODELS):
        return None
    name_or_id, *version = get_model_name_and_version(client, model_uri)
    if version:
        return client.get_model_version(name_or_id, str(version[0])).run_id
    return client.get_logged_model(name_or_id).source_run_id
