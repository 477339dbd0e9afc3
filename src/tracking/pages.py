"""The address of an experiment's page in the UI."""

from mlflow.exceptions import MlflowException

from src import links
from src.schema import TrackingConfig
from src.tracking.store import client_of, explain_unusable_store, prepare_store
from src.tracking.view import TAG, VIEW


def experiment_page(config: TrackingConfig) -> str:
    """Return the page of the experiment's runs, or the list of experiments if the experiment is not found.

    Raises:
        StoreError: the store cannot be reached, or the address is not the address of a store.
    """
    with explain_unusable_store(config.uri):
        prepare_store(config.uri)
        try:
            found = client_of(config.uri).get_experiment_by_name(config.experiment)
        except MlflowException:
            if not links.is_server(config.uri):
                raise
            found = None  # the server requires a login, also of the browser
    if found is None or found.lifecycle_stage != "active":
        return links.EXPERIMENTS
    # MLflow shows an error when the address names a view that does not exist.
    return links.runs_page(found.experiment_id, VIEW if TAG in found.tags else None)
