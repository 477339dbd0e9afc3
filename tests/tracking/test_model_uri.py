"""URIs of models lead to the store that was asked, also after the process has opened another store."""

from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.models import Model

from src.errors import StoreError
from src.tracking.model_uri import fixed_uri, model_location, run_of_model
from src.tracking.store import client_of
from tests.support.runs import config_for, new_run


@pytest.fixture
def client(tmp_path: Path) -> MlflowClient:
    """The client of a store with `models:/digits/1`, the champion. Another store was opened after it."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with new_run(config_for(uri)) as run:
        pass
    client = MlflowClient(uri)
    model = client.create_logged_model("1", "keras", source_run_id=run.run_id)
    client.create_registered_model("digits")
    client.create_model_version("digits", str(model.artifact_location), run_id=run.run_id, model_id=model.model_id)
    client.set_registered_model_alias("digits", "champion", "1")
    with new_run(config_for(f"sqlite:///{tmp_path}/other.db")):
        pass
    assert mlflow.get_tracking_uri().endswith("other.db")
    return client


def test_a_version_an_alias_and_an_id_lead_to_the_same_run_and_files(client: MlflowClient):
    (model,) = client.search_logged_models(["1"])
    for uri in ("models:/digits/1", "models:/digits@champion", f"models:/{model.model_id}"):
        assert run_of_model(client, uri) == model.source_run_id
        assert model_location(client, uri) == model.artifact_location


def test_an_alias_is_fixed_to_the_version_that_it_names_now(client: MlflowClient):
    assert fixed_uri(client, "models:/digits@champion") == "models:/digits/1"


def test_files_of_a_run_lead_to_the_run(client: MlflowClient):
    assert run_of_model(client, "runs:/0123456789abcdef/model") == "0123456789abcdef"


def test_a_folder_leads_to_the_run_that_its_file_names_and_is_refused_without_one(client: MlflowClient, tmp_path: Path):
    for name, run_id in (("with", "0123456789abcdef"), ("without", None)):
        (tmp_path / name).mkdir()
        Model(run_id=run_id).save(str(tmp_path / name / "MLmodel"))
    assert run_of_model(client, str(tmp_path / "with")) == "0123456789abcdef"
    with pytest.raises(StoreError, match="was not logged by a run, so its data set is unknown"):
        run_of_model(client, str(tmp_path / "without"))


def test_a_version_whose_source_is_a_folder_leads_to_the_run_that_the_file_names(client: MlflowClient, tmp_path: Path):
    Model(run_id="0123456789abcdef").save(str(tmp_path / "MLmodel"))
    client.create_model_version("digits", tmp_path.as_uri())
    assert run_of_model(client, "models:/digits/2") == "0123456789abcdef"


def test_the_client_of_a_store_makes_it_the_one_that_mlflow_asks(client: MlflowClient, tmp_path: Path):
    client_of(f"sqlite:///{tmp_path}/mlflow.db")  # MLflow saves a model where its process opened a store last
    assert mlflow.get_tracking_uri().endswith("mlflow.db")
