"""`python -m src.register`: versions and aliases in a real registry, and candidates against champions."""

import contextlib
import json
import shutil
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from src import reports
from src.cli.compose import compose_config
from src.errors import ConfigError, ModelFileError, StoreError, UserError
from src.register import register
from src.results import RegistrationResult
from src.schema import as_tree
from src.tracking import Registry, Version
from src.train import train
from tests.support.stored import Stored
from tests.support.workplace import Workplace, copy_of

pytestmark = pytest.mark.services  # they train several times

SMALL = ["dataset=synthetic", "training.epochs=3"]


@dataclass(frozen=True)
class Runs(Stored):
    """Finished runs on the same data: one that learned, two that did not; one on other data, one of other classes."""

    good: str
    poor: str
    poorer: str
    elsewhere: str
    renamed: str

    def register(self, run_id: str, *overrides: str) -> RegistrationResult:
        return register(
            compose_config([f"tracking.uri='{self.workplace.uri}'", f"run_id={run_id}", *overrides], "register")
        )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    workplace = Workplace(tmp_path_factory.mktemp("registered"))
    changes = [
        [],
        ["optimizer.learning_rate=1e-9"],
        ["optimizer.learning_rate=1e-9", "seed=2"],
        ["dataset.seed=7"],
        ["dataset.class_names=[a,b,c,d,e,f,g,'7','8','9']"],
    ]
    where = f"tracking.uri='{workplace.uri}'"
    return Runs(workplace, *(str(train(compose_config([*SMALL, where, *change])).run_id) for change in changes))


def test_the_command_prints_the_version_of_a_run(runs: Runs):
    done = runs.workplace.run("src.register", f"run_id={runs.good}", "name=by-command", "alias=champion")
    assert done.returncode == 0, done.stderr
    version, alias, where = done.stdout.splitlines()
    assert version == f"version 1 of by-command: the model of run {runs.good}"
    assert alias == "champion now points to it: the first champion of by-command"
    assert where.endswith("/#/models/by-command/versions/1?workflowType=machine_learning")


def test_a_version_is_named_after_the_data_set_and_leads_to_run_and_model(runs: Runs):
    result = runs.register(runs.good)
    version = runs.client.get_model_version(result.name, str(result.version))
    (logged,) = runs.client.get_run(runs.good).outputs.model_outputs
    assert (result.name, version.run_id, version.source) == ("synthetic", runs.good, f"models:/{logged.model_id}")
    assert version.tags["data_digest"] == runs.client.get_run(runs.good).data.params["resolved.data_digest"]


def test_a_new_version_has_a_model_card_as_its_description_and_as_a_page_in_its_run(runs: Runs):
    result = runs.register(runs.good, "name=with-card")
    description = runs.client.get_model_version("with-card", "1").description
    for expected in (
        "lenot on synthetic, test accuracy",
        "### Metrics",
        "SHA-256 ",
        "python -m src.serve model_uri=models:/with-card/1",
    ):
        assert expected in description
    page = (runs.workplace.folder / "mlartifacts" / result.run_id / "artifacts/model_card.html").read_text()
    assert "<h1>Version 1 of with-card</h1>" in page
    assert page.count('<img src="data:image/png;base64,') == 3

    edited = "for the web site"
    runs.client.update_model_version("with-card", "1", edited)
    runs.register(runs.good, "name=with-card")
    assert runs.client.get_model_version("with-card", "1").description == edited


def description(runs: Runs, name: str) -> str:
    return str(runs.client.get_model_version(name, "1").description)


def test_a_card_that_a_killed_process_did_not_write_is_written_when_the_run_is_registered_again(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
):
    def kill(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reports, "write_card", kill)
        with pytest.raises(KeyboardInterrupt):
            runs.register(runs.good, "name=killed")
    assert description(runs, "killed") == f"lenot on synthetic, trained by run {runs.good}"
    assert not runs.register(runs.good, "name=killed").is_new
    assert "### Metrics" in description(runs, "killed")


def test_a_missing_page_is_written_again_and_an_edited_description_stays(copied: Runs):
    copied.register(copied.good, "name=paged")
    page = artifacts(copied) / "model_card.html"
    page.unlink()
    edited = description(copied, "paged") + "\n\nFor the web site."
    copied.client.update_model_version("paged", "1", edited)
    copied.register(copied.good, "name=paged")
    assert "<h1>Version 1 of paged</h1>" in page.read_text()
    assert description(copied, "paged") == edited


SCORES = ["best_val_accuracy", "best_val_loss", "best_epoch", "test_accuracy", "test_loss"]


def test_a_run_of_a_folder_is_registered_under_its_recorded_name_from_any_folder(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    copied = replace(runs, workplace=copy_of(runs.workplace, tmp_path / "older"))
    (file,) = copied.workplace.folder.rglob(f"{runs.good}/artifacts/config/config.yaml")
    config = yaml.safe_load(file.read_text())
    folder = as_tree(compose_config(["dataset=image_folder", "dataset.folder=images"]))["dataset"]
    folder |= {"name": "image_folder", "class_names": config["dataset"]["class_names"]}  # as the first versions did
    file.write_text(yaml.safe_dump(config | {"dataset": folder}))
    results = []
    for name in ("pets", "elsewhere"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        results.append(copied.register(runs.good))
    assert [(result.name, result.is_new) for result in results] == [("image_folder", True), ("image_folder", False)]


def test_a_version_has_the_scores_of_its_run_s_best_epoch_and_test(runs: Runs):
    runs.register(runs.good, "name=scored")
    tags = runs.client.get_model_version("scored", "1").tags
    metrics = runs.client.get_run(runs.good).data.metrics
    assert {name: float(tags[name]) for name in SCORES} == {name: metrics[name] for name in SCORES}
    assert tags["best_epoch"] == str(int(metrics["best_epoch"]))


def test_a_version_without_scores_gets_them_when_its_run_is_registered_again(runs: Runs):
    runs.register(runs.good, "name=older")
    for name in SCORES:
        runs.client.delete_model_version_tag("older", "1", name)
    assert not runs.register(runs.good, "name=older").is_new
    assert set(SCORES) <= runs.client.get_model_version("older", "1").tags.keys()


def test_the_page_of_a_model_knows_all_its_versions(runs: Runs):
    names = ["one", "two"]
    for name in names:
        runs.register(runs.poorer, f"name={name}")
    (logged,) = runs.client.get_run(runs.poorer).outputs.model_outputs
    versions = json.loads(runs.client.get_logged_model(logged.model_id).tags["mlflow.modelVersions"])
    assert versions == [{"name": name, "version": 1} for name in names]


def test_a_run_that_is_registered_twice_has_one_version(runs: Runs):
    first, again = runs.register(runs.good, "name=often"), runs.register(runs.good, "name=often")
    assert (first.version, first.is_new, again.version, again.is_new) == (1, True, 1, False)
    assert len(runs.client.search_model_versions("name = 'often'")) == 1


def test_processes_that_register_a_run_at_once_get_the_same_version(runs: Runs, monkeypatch: pytest.MonkeyPatch):
    found = Registry.version_of_run

    def overtaken(registry: Registry, name: str, run_id: str) -> Version | None:
        monkeypatch.setattr(Registry, "version_of_run", found)
        runs.register(runs.good, "name=at-once")  # another process, just after this one has looked
        return None

    monkeypatch.setattr(Registry, "version_of_run", overtaken)
    assert runs.register(runs.good, "name=at-once").version == 1
    assert [version.version for version in runs.client.search_model_versions("name = 'at-once'")] == [1]


def test_a_champion_that_another_process_has_just_chosen_is_compared_too(runs: Runs, monkeypatch: pytest.MonkeyPatch):
    runs.register(runs.poorer, "name=meanwhile", "alias=champion")
    decide = reports.decide_alias

    def overtaken(*arguments: Any) -> reports.AliasDecision:
        monkeypatch.setattr(reports, "decide_alias", decide)
        decision = decide(*arguments)
        runs.register(runs.good, "name=meanwhile", "alias=champion")
        return decision._replace(moves=True)

    monkeypatch.setattr(reports, "decide_alias", overtaken)
    assert not runs.register(runs.poor, "name=meanwhile", "alias=champion", "if_better=true").moved
    assert runs.client.get_model_version_by_alias("meanwhile", "champion").run_id == runs.good


def test_a_champion_that_no_run_registered_is_not_compared_and_keeps_the_alias(runs: Runs, tmp_path: Path):
    runs.client.create_registered_model("brought")
    version = runs.client.create_model_version("brought", tmp_path.as_uri())
    runs.client.set_registered_model_alias("brought", "champion", version.version)
    result = runs.register(runs.good, "name=brought", "alias=champion", "if_better=true")
    assert not result.moved
    assert "was not registered from a run" in result.reason


def test_an_alias_without_conditions_moves_to_any_version(runs: Runs):
    runs.register(runs.good, "name=asked", "alias=champion")
    result = runs.register(runs.poor, "name=asked", "alias=champion")
    assert (result.moved, result.p_value) == (True, None)
    assert runs.client.get_model_version_by_alias("asked", "champion").run_id == runs.poor


def test_a_better_model_takes_the_alias_from_a_poorer_one_and_the_p_value_is_kept(runs: Runs):
    runs.register(runs.poor, "name=better", "alias=champion", "if_better=true")
    result = runs.register(runs.good, "name=better", "alias=champion", "if_better=true")
    assert result.moved
    assert result.reason.startswith("it beats the former champion (version 1)")
    version = runs.client.get_model_version_by_alias("better", "champion")
    assert version.run_id == runs.good
    assert result.p_value is not None
    assert 0 < float(version.tags["mcnemar_p_value"]) == pytest.approx(result.p_value, rel=1e-4)
    assert result.p_value < 0.05


def test_a_p_value_does_not_stay_on_a_version_that_gets_the_alias_without_a_comparison(runs: Runs):
    runs.register(runs.good, "name=later", "alias=champion")
    runs.register(runs.poor, "name=later", "alias=champion", "if_better=true")
    assert "mcnemar_p_value" in runs.client.get_model_version("later", "2").tags
    assert runs.register(runs.poor, "name=later", "alias=champion").moved
    tags = runs.client.get_model_version("later", "2").tags
    assert "mcnemar_p_value" not in tags
    assert tags["verdict"] == "as requested; version 1 was the champion before"


def test_a_poorer_model_is_registered_but_does_not_move_the_alias(runs: Runs):
    runs.register(runs.good, "name=poorer", "alias=champion", "if_better=true")
    result = runs.register(runs.poor, "name=poorer", "alias=champion", "if_better=true")
    assert (result.version, result.moved) == (2, False)
    assert result.reason.startswith("it is not better than the champion (version 1)")
    assert runs.client.get_model_version_by_alias("poorer", "champion").run_id == runs.good


def test_chance_alone_does_not_move_the_alias(runs: Runs):
    def accuracy(run_id: str) -> float:
        return float(runs.client.get_run(run_id).data.metrics["test_accuracy"])

    holder, challenger = sorted((runs.poor, runs.poorer), key=accuracy)
    runs.register(holder, "name=chance", "alias=champion", "if_better=true")
    result = runs.register(challenger, "name=chance", "alias=champion", "if_better=true")
    assert not result.moved
    assert result.p_value is not None
    assert result.p_value >= 0.05


def test_a_champion_of_other_data_is_not_compared_and_keeps_the_alias(runs: Runs):
    runs.register(runs.elsewhere, "name=other", "alias=champion", "if_better=true")
    result = runs.register(runs.good, "name=other", "alias=champion", "if_better=true")
    assert (result.moved, result.p_value) == (False, None)
    assert "was trained and tested on other data (digest " in result.reason


def test_a_champion_whose_run_was_deleted_is_not_compared_and_keeps_the_alias(copied: Runs):
    copied.register(copied.poor, "alias=champion")
    copied.client.delete_run(copied.poor)
    result = copied.register(copied.good, "alias=champion", "if_better=true")
    assert not result.moved
    assert f"came from run {copied.poor}, which is gone or cannot be read" in result.reason


# --- an alias and other data -------------------------------------------------------------------------------------

MOVE = "on_other_data=move"


def versions(runs: Runs, name: str) -> dict[str | None, str | None]:
    """Each run that is registered under the name, and the alias that points to it."""
    found = runs.client.search_model_versions(f"name = '{name}'")
    aliases = {int(number): alias for alias, number in runs.client.get_registered_model(name).aliases.items()}
    return {version.run_id: aliases.get(int(version.version)) for version in found}


def test_the_command_moves_no_alias_to_other_data_and_registers_nothing(runs: Runs):
    runs.register(runs.elsewhere, "name=apart", "alias=champion")
    done = runs.workplace.run("src.register", f"run_id={runs.good}", "name=apart", "alias=champion")
    assert (done.returncode, done.stdout) == (1, "")
    digests = [runs.client.get_run(run).data.params["resolved.data_digest"] for run in (runs.elsewhere, runs.good)]
    assert f"(digest {digests[0][:12]}, here {digests[1][:12]})" in done.stderr
    assert "under another name (name=NAME), or move the alias anyway with on_other_data=move" in done.stderr
    assert versions(runs, "apart") == {runs.elsewhere: "champion"}


def test_classes_of_other_names_are_other_data_and_are_named(runs: Runs):
    runs.register(runs.good, "name=classes", "alias=champion")
    sentence = r"missing classes: 0, 1, 2, 3, 4 and 2 more; new classes: a, b, c, d, e and 2 more"
    with pytest.raises(UserError, match=sentence):
        runs.register(runs.renamed, "name=classes", "alias=champion")
    assert not runs.register(runs.renamed, "name=classes", "alias=champion", "if_better=true").moved


@pytest.mark.parametrize("if_better", [False, True])
def test_an_alias_moves_to_other_data_if_asked_and_the_reason_says_so(runs: Runs, if_better: bool):
    name, line = f"moved-{if_better}", ["alias=champion", f"if_better={if_better}"]
    runs.register(runs.elsewhere, f"name={name}", "alias=champion")
    result = runs.register(runs.poor, f"name={name}", *line, MOVE)
    assert result.moved
    assert result.reason.startswith("on_other_data=move; the former champion (version 1) was trained and tested on")
    again = runs.register(runs.poor, f"name={name}", *line)  # it is there already
    assert (again.version, again.is_new, again.moved) == (result.version, False, False)
    assert versions(runs, name) == {runs.elsewhere: None, runs.poor: "champion"}


def test_models_of_the_same_data_are_compared_even_with_on_other_data_move(runs: Runs):
    runs.register(runs.good, "name=same", "alias=champion")
    result = runs.register(runs.poor, "name=same", "alias=champion", "if_better=true", MOVE)
    assert not result.moved
    assert result.reason.startswith("it is not better")


def test_a_champion_without_a_run_loses_its_alias_only_when_asked_for(runs: Runs, tmp_path: Path):
    runs.client.create_registered_model("given")
    version = runs.client.create_model_version("given", tmp_path.as_uri())
    runs.client.set_registered_model_alias("given", "champion", version.version)
    with pytest.raises(
        UserError, match=r"\(version 1\) of given was not registered from a run, so its data is not known"
    ):
        runs.register(runs.good, "name=given", "alias=champion")
    assert versions(runs, "given") == {None: "champion"}
    assert runs.register(runs.good, "name=given", "alias=champion", MOVE).moved


def test_the_data_of_a_champion_is_read_from_its_tag_or_else_from_its_run(copied: Runs):
    line = ["name=known", "alias=champion"]
    copied.register(copied.elsewhere, *line)
    copied.client.delete_model_version_tag("known", "1", "data_digest")
    with pytest.raises(UserError, match="was trained and tested on other data"):
        copied.register(copied.good, *line)
    with contextlib.closing(sqlite3.connect(copied.workplace.folder / "mlflow.db")) as database, database:
        for table in ("params", "latest_metrics", "metrics", "tags", "runs"):
            database.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (copied.elsewhere,))
    with pytest.raises(
        UserError, match=f"came from run {copied.elsewhere}, which is gone or cannot be read, so its data is not known"
    ):
        copied.register(copied.good, *line)
    copied.client.set_model_version_tag("known", "1", "data_digest", digest(copied, copied.good))
    assert copied.register(copied.good, *line).moved


def digest(runs: Runs, run_id: str) -> str:
    return str(runs.client.get_run(run_id).data.params["resolved.data_digest"])


def test_an_alias_that_another_process_moved_to_other_data_stays_there(runs: Runs, monkeypatch: pytest.MonkeyPatch):
    runs.register(runs.poor, "name=raced", "alias=champion")
    decide = reports.decide_alias

    def overtaken(*arguments: Any) -> reports.AliasDecision:
        decision = decide(*arguments)
        monkeypatch.setattr(reports, "decide_alias", decide)
        runs.register(runs.elsewhere, "name=raced", "alias=champion", MOVE)  # another process, just after the check
        return decision

    monkeypatch.setattr(reports, "decide_alias", overtaken)
    with pytest.raises(UserError, match="was trained and tested on other data"):
        runs.register(runs.good, "name=raced", "alias=champion")
    assert versions(runs, "raced") == {runs.poor: None, runs.elsewhere: "champion"}


def test_an_unknown_value_of_on_other_data_is_refused():
    with pytest.raises(ConfigError, match="on_other_data: got 'yes', expected one of error, move"):
        compose_config(["run_id=r", "on_other_data=yes"], "register")


def test_the_champion_itself_stays_the_champion(runs: Runs):
    runs.register(runs.good, "name=itself", "alias=champion", "if_better=true")
    result = runs.register(runs.good, "name=itself", "alias=champion", "if_better=true")
    assert (result.moved, result.reason) == (False, "version 1 is already the champion of itself")


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["if_better=true"], "if_better=true: there is no alias to compare with"),
        (["alias=latest"], "alias: got 'latest'"),
        (["alias=v12"], "alias: got 'v12'"),
        (["'alias=\"a b\"'"], "alias: got"),
        (["name=a/b"], "name: got 'a/b'"),
    ],
)
def test_names_that_the_registry_does_not_accept_are_refused_on_the_command_line(overrides: list[str], sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        compose_config(["run_id=r", *(text.strip("'") for text in overrides)], "register")


def test_a_run_that_does_not_exist_is_named(runs: Runs):
    with pytest.raises(StoreError, match="has no 0123456789abcdef"):
        runs.register("0123456789abcdef")


@pytest.fixture
def light(runs: Runs):
    """A finished run that keeps no model, to be done harm to."""
    overrides = [*SMALL, "training.epochs=1", "tracking.detail=light", "tracking.save_model=false"]
    return str(train(compose_config([*overrides, f"tracking.uri='{runs.workplace.uri}'"])).run_id)


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("FINISHED", "logged no model"),
        ("KILLED", "is KILLED; only the model of a finished run can be registered"),
        ("FAILED", "is FAILED; only the model of a finished run can be registered"),
        ("RUNNING", "is still RUNNING; wait for its end"),
        ("deleted", "was deleted; name another, or restore it"),
    ],
)
def test_a_run_without_a_whole_model_is_refused_by_its_state(runs: Runs, light: str, status: str, sentence: str):
    if status == "deleted":
        runs.client.delete_run(light)
    else:
        runs.client.set_terminated(light, status)
    with pytest.raises(StoreError, match=f"run {light} {sentence}"):
        runs.register(light)


def test_a_data_set_with_a_name_that_the_registry_does_not_accept_needs_another_name(runs: Runs):
    line = ["dataset.name=a/b", "training.epochs=1", "training.max_batches=1", "training.batch_size=1"]
    run_id = str(train(compose_config([*SMALL, f"tracking.uri='{runs.workplace.uri}'", *line])).run_id)
    with pytest.raises(ConfigError, match="name: got 'a/b', expected a name without"):
        runs.register(run_id)
    assert runs.register(run_id, "name=of-one-image").version == 1


@pytest.fixture
def copied(runs: Runs, tmp_path: Path) -> Runs:
    """The same store at another place, to do harm to its files."""
    return replace(runs, workplace=copy_of(runs.workplace, tmp_path / "copied"))


def artifacts(runs: Runs) -> Path:
    return runs.workplace.folder / "mlartifacts" / runs.good / "artifacts"


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "saved_model/saved_model.pb"])
def test_a_format_that_was_altered_is_refused_and_the_alias_does_not_move(copied: Runs, name: str):
    copied.register(copied.poor, "alias=champion")
    file = artifacts(copied) / "model" / name
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(ModelFileError, match=f"{name} missing, added or changed"):
        copied.register(copied.good, "alias=champion")
    assert copied.client.get_model_version_by_alias("synthetic", "champion").run_id == copied.poor


def test_a_format_with_other_predictions_is_refused_even_if_its_manifest_fits(copied: Runs):
    model = artifacts(copied) / "model"
    other = copied.workplace.folder / "mlartifacts" / copied.poor / "artifacts/model"
    shutil.copy(other / "model.h5", model / "model.h5")
    listed = json.loads((model / "manifest.json").read_text())
    listed["model.h5"] = json.loads((other / "manifest.json").read_text())["model.h5"]
    (model / "manifest.json").write_text(json.dumps(listed))
    with pytest.raises(ModelFileError, match=r"model\.h5 reads back as another model"):
        copied.register(copied.good)


def test_a_model_that_contradicts_the_stored_predictions_is_refused(copied: Runs):
    table = artifacts(copied) / "tables/test_predictions.csv"
    shutil.copy(copied.workplace.folder / "mlartifacts" / copied.poor / "artifacts/tables/test_predictions.csv", table)
    with pytest.raises(ModelFileError, match=r"does not give the predictions in the run's tables/test_predictions"):
        copied.register(copied.good)
