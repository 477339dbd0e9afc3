"""The page of an experiment, which takes a look into the store to name."""

from mlflow.exceptions import MlflowException

from src import links
from src.schema import TrackingConfig
from src.tracking.store import client_of, prepare_store, problems_told
from src.tracking.view import TAG, VIEW


def experiment_page(config: TrackingConfig) -> str:
    """The table of the experiment's runs; the list of experiments where a server has none of this name, or keeps quiet.

    Raises:
        StoreError: the store cannot be reached, or is not one.
    """
    with problems_told(config.uri):
        prepare_store(config.uri)
        try:
            found = client_of(config.uri).get_experiment_by_name(config.experiment)
        except MlflowException:
            if not links.is_server(config.uri):
                raise
            found = None  # it wants to know who asks; a browser will be asked too
    if found is None or found.lifecycle_stage != "active":
        return links.EXPERIMENTS
    # MLflow shows an error in place of a view that is not there.
    return links.runs_page(found.experiment_id, VIEW if TAG in found.tags else None)
