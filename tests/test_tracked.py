"""A tracked model: its URI is resolved once, and mistakes are reported before TensorFlow is imported."""

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from PIL import Image

from src.cli.compose import compose_config
from src.errors import ModelFileError, StoreError, UserError
from src.evaluate import evaluate
from src.explain import explain
from src.predict import predict
from src.register import register
from src.reports import check_origin
from src.schema import Config
from src.tracked import TrackedModel, check_initial_weights
from src.tracking import Run
from src.train import train
from tests.support.pictures import put_class
from tests.support.stored import Stored
from tests.support.workplace import Workplace, copy_of

Use = Callable[[Workplace, str], object]
QUICK = ["dataset=synthetic", "model=dense", "training.epochs=1", "training.max_batches=4"]


@pytest.mark.parametrize(("augmentation", "was_mirrored"), [("none", False), ("light", False), ("photos", True)])
def test_a_model_has_seen_mirrored_images_if_its_training_mirrored_them(augmentation: str, was_mirrored: bool) -> None:
    config = compose_config(["dataset=fashion_mnist", f"augmentation={augmentation}"])
    assert TrackedModel(cast(Run, None), config, Path()).was_mirrored == was_mirrored


@dataclass(frozen=True)
class Rivals(Stored):
    """Two runs with other weights and other class names; each is a version of the model `rivals`."""

    first: str
    second: str


@pytest.fixture(scope="module")
def rivals(tmp_path_factory: pytest.TempPathFactory) -> Rivals:
    workplace = Workplace(tmp_path_factory.mktemp("rivals"))
    changes = [[], ["seed=2", "dataset.class_names=[a,b,c,d,e,f,g,h,i,j]"]]
    where = f"tracking.uri='{workplace.uri}'"
    both = Rivals(workplace, *(str(train(compose_config([*QUICK, where, *change])).run_id) for change in changes))
    both.client.create_registered_model("rivals")
    for run_id in (both.first, both.second):
        (logged,) = both.client.get_run(run_id).outputs.model_outputs
        both.client.create_model_version(
            "rivals", f"models:/{logged.model_id}", run_id=run_id, model_id=logged.model_id
        )
    Image.fromarray(np.arange(784, dtype=np.uint8).reshape(28, 28)).save(workplace.folder / "image.png")
    return both


def evaluated(workplace: Workplace, model: str) -> object:
    config = [f"tracking.uri='{workplace.uri}'", "data_dir=null", model]
    result = evaluate(compose_config(config, "evaluate"))
    return result.run_id, result.metrics


def explained(workplace: Workplace, model: str) -> object:
    config = [f"tracking.uri='{workplace.uri}'", "data_dir=null", model]
    result = explain(compose_config([*config, "methods=[filters,feature_maps,grad_cam]"], "explain"))
    return result.run_id, result.rows


def predicted(workplace: Workplace, model: str) -> object:
    places = [f"images='{workplace.folder / 'image.png'}'", f"output='{workplace.folder / 'predictions.csv'}'"]
    predict(compose_config([f"tracking.uri='{workplace.uri}'", *places, model], "predict"))
    return (workplace.folder / "predictions.csv").read_text()


@pytest.mark.parametrize("use", [evaluated, explained, predicted])
def test_an_alias_that_moves_meanwhile_does_not_mix_two_models(
    rivals: Rivals, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, other = (use(rivals.workplace, f"run_id={run_id}") for run_id in (rivals.first, rivals.second))
    assert expected != other
    rivals.client.set_registered_model_alias("rivals", "champion", "1")
    resolve = SqlAlchemyStore.get_model_version_by_alias

    def overtaken(store: SqlAlchemyStore, name: str, alias: str) -> object:
        version = resolve(store, name, alias)
        rivals.client.set_registered_model_alias(name, alias, "2")  # another process, just after this one has looked
        return version

    monkeypatch.setattr(SqlAlchemyStore, "get_model_version_by_alias", overtaken)
    assert use(rivals.workplace, "model_uri='models:/rivals@champion'") == expected


# --- runs from which something was removed ----------------------------------------------------------------------------


def registered(workplace: Workplace, model: str) -> object:
    return register(compose_config([f"tracking.uri='{workplace.uri}'", model], "register"))


def reproduced(workplace: Workplace, model: str) -> object:
    """What precedes the training."""
    config = compose_config([f"tracking.uri='{workplace.uri}'", "data_dir=null", model], "reproduce")
    return check_origin(config)


def without(*statements: str) -> Callable[[Rivals], None]:
    """A function that removes rows of the first run from the database."""

    def remove(rivals: Rivals) -> None:
        with contextlib.closing(sqlite3.connect(rivals.workplace.folder / "mlflow.db")) as database, database:
            for statement in statements:
                assert database.execute(f"DELETE FROM {statement} AND run_uuid = ?", (rivals.first,)).rowcount

    return remove


def artifacts(rivals: Rivals) -> Path:
    return rivals.workplace.folder / "mlartifacts" / rivals.first / "artifacts"


def logged_files(rivals: Rivals) -> Path:
    (logged,) = rivals.client.get_run(rivals.first).outputs.model_outputs
    return rivals.workplace.folder / "mlartifacts/models" / str(logged.model_id) / "artifacts"


def remove_example(rivals: Rivals) -> None:
    for file in logged_files(rivals).glob("*example*"):
        file.unlink()


def cut(file: Path) -> None:
    """Remove all rows but the first three."""
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:4]))


Damage = Callable[[Rivals], object]
NO_PARAMS = without("params WHERE 1")
NO_DIGEST = without("params WHERE key = 'resolved.data_digest'")
NO_METRICS = without("metrics WHERE 1", "latest_metrics WHERE 1")
NO_DATASET = {"model": {"name": "dense"}}
REFUSED: dict[str, tuple[Damage, list[Use], str]] = {
    "params": (NO_PARAMS, [evaluated, explained], "has no param resolved.data_digest: .* train it again"),
    "params, for a result": (NO_PARAMS, [registered, reproduced], "no metrics of its best epoch: .* train it again"),
    "the digest": (NO_DIGEST, [evaluated, explained, registered], "no param resolved.data_digest: .* train it again"),
    "metrics": (NO_METRICS, [registered, reproduced], "no metrics of its best epoch: .* train it again"),
    "all files": (
        lambda rivals: shutil.rmtree(artifacts(rivals)),
        [evaluated, explained, predicted, registered, reproduced],
        "keeps no config/config.yaml; restore it from a copy, or train the run again",
    ),
    "the config": (
        lambda rivals: (artifacts(rivals) / "config/config.yaml").write_text("{}"),
        [evaluated, explained, predicted, registered, reproduced],
        r"config/config.yaml is damaged \(it names no model\); restore",
    ),
    "the config's data set": (
        lambda rivals: (artifacts(rivals) / "config/config.yaml").write_text(json.dumps(NO_DATASET)),
        [evaluated, explained, predicted, registered, reproduced],
        r"config/config.yaml is damaged \(it names no dataset\); restore",
    ),
    "some predictions": (
        lambda rivals: cut(artifacts(rivals) / "tables/test_predictions.csv"),
        [registered],
        "does not give the predictions .* python -m src.evaluate run_id=",
    ),
    "the logged model's files": (
        lambda rivals: shutil.rmtree(logged_files(rivals)),
        [registered],
        "the files of .* are gone: .* restore it from a copy",
    ),
    "the logged model": (
        lambda rivals: rivals.client.delete_logged_model(logged_files(rivals).parent.name),
        [registered],
        "models:/m-.* was deleted; name another model, or train its run again",
    ),
    "the example of the logged model": (
        remove_example,
        [registered],
        "has no example images that can be read; restore .* from a copy, or train the run again",
    ),
    "the description of the logged model": (
        lambda rivals: (logged_files(rivals) / "MLmodel").unlink(),
        [registered],
        "restore it from a copy, or train the model again",
    ),
}


@pytest.mark.parametrize(("removed", "use"), [(name, use) for name, (_, uses, _) in REFUSED.items() for use in uses])
def test_a_run_with_something_removed_is_refused_in_a_sentence_with_a_remedy(
    rivals: Rivals, tmp_path: Path, removed: str, use: Use
) -> None:
    damaged = replace(rivals, workplace=copy_of(rivals.workplace, tmp_path / "damaged"))
    remove, _, sentence = REFUSED[removed]
    remove(damaged)
    with pytest.raises(UserError, match=sentence):
        use(damaged.workplace, f"run_id={rivals.first}")


def test_a_run_without_its_tags_can_still_be_used(rivals: Rivals, tmp_path: Path) -> None:
    damaged = replace(rivals, workplace=copy_of(rivals.workplace, tmp_path / "damaged"))
    without("tags WHERE 1")(damaged)
    for use in (evaluated, registered, reproduced):
        use(damaged.workplace, f"run_id={rivals.first}")


# --- runs that a training cannot begin with --------------------------------------------------------------------------


def remove_model(rivals: Rivals) -> None:
    shutil.rmtree(artifacts(rivals) / "model")


def delete_run(rivals: Rivals) -> None:
    rivals.client.delete_run(rivals.first)


def run_again(rivals: Rivals) -> None:
    rivals.client.update_run(rivals.first, "RUNNING")


def beginning_with(uri: str, run_id: str) -> Config:
    config = compose_config([*QUICK, f"tracking.uri='{uri}'", f"training.initial_weights={run_id}"])
    assert isinstance(config, Config)
    return config


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [(remove_model, "keeps no model"), (delete_run, "was deleted"), (run_again, "is still RUNNING")],
)
def test_a_run_that_gives_no_initial_weights_is_a_mistake_and_not_a_fault_of_the_store(
    rivals: Rivals, tmp_path: Path, damage: Damage, sentence: str
) -> None:
    damaged = replace(rivals, workplace=copy_of(rivals.workplace, tmp_path / "damaged"))
    damage(damaged)
    config = beginning_with(damaged.workplace.uri, rivals.first)
    with pytest.raises(ModelFileError, match=f"^training.initial_weights={rivals.first}: .*{sentence}"):
        check_initial_weights(config)


def test_a_store_that_does_not_answer_is_not_taken_for_wrong_initial_weights() -> None:
    with pytest.raises(StoreError, match="does not answer"):
        check_initial_weights(beginning_with("http://127.0.0.1:1", "0" * 32))


# --- mistakes that are reported before TensorFlow is imported ------------------------------------------------------

# Runs commands one after the other in a process that cannot import TensorFlow; prints their exit codes and messages.
WITHOUT_TENSORFLOW = """
import contextlib, importlib, io, json, os, sys
sys.modules["tensorflow"] = None
answers = {}
for name, (module, *arguments) in json.loads(sys.argv[1]).items():
    sys.argv = [module, *arguments]
    messages, code = io.StringIO(), 0
    with contextlib.redirect_stderr(messages):
        try:
            importlib.import_module(module).main()
        except SystemExit as end:
            code = end.code
        except ImportError as error:
            messages.write(f"imports {error.name}")
    answers[name] = code, messages.getvalue()
print("answers:" + json.dumps(answers))
"""
TRAIN = "src.train tracking.uri='{new}' training.epochs=1 dataset=synthetic"
FOLDER = "src.train tracking.uri='{new}' training.epochs=1 dataset=image_folder dataset.folder="
MODEL = "tracking.uri='{whole}' run_id={run}"
NO_MANIFEST = "tracking.uri='{no_manifest}' run_id={run}"
NO_MODEL = "tracking.uri='{no_model}' run_id={run}"
MISTAKES = {  # a command, its exit code, and what it says
    "data set, missing": (FOLDER + "nowhere", 1, "nowhere does not exist"),
    "data set, empty": (FOLDER + "empty", 1, "no folder of images in empty"),
    "data set, other split": (FOLDER + "split", 1, "and also extra; the only splits are"),
    "data set, other classes": (FOLDER + "pets dataset.class_names=[cat,cow]", 1, "missing: cow; extra: dog"),
    "weights, missing": (TRAIN + " training.initial_weights=w.keras", 1, "it is neither a file nor the id"),
    "weights, no model": (TRAIN + " training.initial_weights=notes.keras", 1, "is not a model that Keras can read"),
    "weights, missing run": (TRAIN + " training.initial_weights=" + "0" * 32, 1, "has no " + "0" * 32),
    "weights, no manifest": (
        TRAIN.replace("new", "no_manifest") + " training.initial_weights={run}",
        1,
        "has no readable manifest.json",
    ),
    "weights, run without": (TRAIN.replace("new", "no_model") + " training.initial_weights={run}", 1, "keeps no model"),
    "backbone, missing": (
        TRAIN + " model=transfer model.backbone=MobileNetV2 model.weights=w.h5",
        1,
        "model.weights=w.h5: there is no such file",
    ),
    "images, missing": (f"src.predict {MODEL} images=nowhere", 1, "nowhere does not exist"),
    "images, empty": (f"src.predict {MODEL} images=empty", 1, "there is no image file in empty"),
    "output, below a file": (f"src.predict {MODEL} images=pets output=notes.png/a.csv", 2, "is a file, not a folder"),
    "image, missing": (f"src.explain {MODEL} image=gone.png", 1, "there is no image file gone.png"),
    "image, no image": (f"src.explain {MODEL} image=notes.png", 1, "is not an image that can be read"),
    "pictures, a file": (f"src.explain {MODEL} output=notes.png", 2, "is a file, not a folder"),
    "evaluate, no manifest": (f"src.evaluate {NO_MANIFEST}", 1, "has no readable manifest.json"),
    "explain, no manifest": (f"src.explain {NO_MANIFEST}", 1, "has no readable manifest.json"),
    "predict, no manifest": (f"src.predict {NO_MANIFEST} images=pets", 1, "has no readable manifest.json"),
    "register, no manifest": (f"src.register {NO_MANIFEST}", 1, "has no readable manifest.json"),
    "evaluate, no model": (f"src.evaluate {NO_MODEL}", 1, "keeps no model"),
    "explain, no model": (f"src.explain {NO_MODEL}", 1, "keeps no model"),
    "predict, no model": (f"src.predict {NO_MODEL} images=pets", 1, "keeps no model"),
    "register, no model": (f"src.register {NO_MODEL}", 1, "keeps no model"),
}


@dataclass(frozen=True)
class Answers:
    """The exit code and the message of each command of `MISTAKES`, and the stores that they used."""

    answers: dict[str, tuple[int, str]]
    stores: list[str]


@pytest.fixture(scope="module")
def answers(rivals: Rivals, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    folder = tmp_path_factory.mktemp("mistakes")
    for name in ("pets/cat", "pets/dog", "split/train/cat", "split/val/cat", "split/extra/cat"):
        put_class(folder, name, 3)
    (folder / "empty").mkdir()
    (folder / "notes.keras").write_text("not a model")
    (folder / "notes.png").write_text("not an image")
    no_manifest, no_model = (copy_of(rivals.workplace, folder / name) for name in ("no_manifest", "no_model"))
    model = f"mlartifacts/{rivals.first}/artifacts/model"
    (no_manifest.folder / model / "manifest.json").unlink()
    shutil.rmtree(no_model.folder / model)
    workplaces = {
        "new": Workplace(folder),
        "whole": rivals.workplace,
        "no_manifest": no_manifest,
        "no_model": no_model,
    }
    stores = {name: workplace.uri for name, workplace in workplaces.items()}
    commands = {name: line.format(run=rivals.first, **stores).split() for name, (line, _, _) in MISTAKES.items()}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, json.dumps(commands)],
        cwd=folder,
        env=Workplace(folder).environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return Answers(json.loads(done.stdout.partition("answers:")[2]), list(stores.values()))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported_before_tensorflow_is_imported(answers: Answers, mistake: str) -> None:
    _, expected, sentence = MISTAKES[mistake]
    code, said = answers.answers[mistake]
    assert said.startswith("error: ")
    assert sentence in said
    assert code == expected


def test_such_a_mistake_leaves_no_failed_run(answers: Answers) -> None:
    for uri in answers.stores:
        client = MlflowClient(uri)
        runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
        assert {run.info.status for run in runs} <= {"FINISHED"}
