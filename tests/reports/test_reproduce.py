"""Differences between then and now, and when two results are the same; tests/pipelines/ has whole reproductions."""

import csv
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from src.cli.compose import compose_config
from src.errors import ConfigError, StoreError
from src.reports import reproduce as drift
from src.results import DriftRow, ReproductionResult, TrainResult
from src.schema import Config
from src.tracking import Run, code_digest, origin_tags
from tests.support.runs import config_for, new_run
from tests.support.stored import Stored
from tests.support.workplace import Workplace

LINE = ["dataset=synthetic", "model.dropout=0.1", "training.epochs=2"]


@dataclass(frozen=True)
class Recorded(Stored):
    """A run that says that it was trained, to do harm to."""

    run_id: str

    def file(self, path: str) -> Path:
        return self.workplace.folder / "mlartifacts" / self.run_id / "artifacts" / path

    def edit_config(self, group: str, key: str, value: object) -> None:
        file = self.file("config/config.yaml")
        config = yaml.safe_load(file.read_text())
        config[group][key] = value
        file.write_text(yaml.safe_dump(config))

    def check(self, *line: str) -> tuple[Config, dict[str, DriftRow]]:
        """What would be trained again, and what was looked at, by its name."""
        full = [f"run_id={self.run_id}", f"tracking.uri='{self.workplace.uri}'", "data_dir=null", *line]
        again, rows = drift.check_origin(compose_config(full, "reproduce"))
        assert len({row.what for row in rows}) == len(rows)
        return again, {row.what: row for row in rows}

    def changed(self) -> dict[str, tuple[str, str]]:
        return {name: (row.then, row.now) for name, row in self.check()[1].items() if row.verdict == "CHANGED"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("drift"))


def recorded(store: Workplace, *, typed: list[str] | None = None) -> Recorded:
    """A run of `LINE`, here and now; typed unless said otherwise."""
    line = LINE if typed is None else typed
    config = config_for(store.uri, *LINE, "tracking.run_name=first", "tags.owner=ada")
    with new_run(config, overrides=line) as run:
        run.log_params({"resolved.code_digest": code_digest(), "resolved.best_epoch": 2})
        log_epochs(run)
    return Recorded(store, str(run.run_id))


def log_epochs(run: Run) -> None:
    for epoch, loss in enumerate((0.5, 0.25), 1):
        run.log_epoch(epoch, {"loss": loss})


@pytest.fixture
def original(store: Workplace) -> Recorded:
    return recorded(store)


# --- where it was trained, and where it is trained again -----------------------------------------------------------


def test_here_and_now_everything_is_the_same_and_all_of_it_is_named(original: Recorded) -> None:
    _, rows = original.check()
    assert list(rows) == ["commit", "code (SHA-256 of src/)", "config", "packages", "machine"]
    assert {row.verdict for row in rows.values()} == {"same"}


def test_it_is_trained_again_as_recorded_in_the_store_of_the_old_run(original: Recorded) -> None:
    again, _ = original.check()
    config = config_for(original.workplace.uri, *LINE)
    assert (again.model, again.dataset, again.training) == (config.model, config.dataset, config.training)
    assert again.tags == {"owner": "ada", "reproduces": original.run_id}
    assert again.tracking.run_name == "again-first"


def test_checkpoints_are_written_where_and_when_they_are_by_default(store: Workplace) -> None:
    typed = ["training.checkpoint_dir=/home/ann", "training.checkpoint_minutes=null", "training.checkpoint_upload=true"]
    with new_run(config_for(store.uri, *LINE, *typed)) as run:
        run.log_params({"resolved.best_epoch": 2})
        log_epochs(run)
    again, _ = Recorded(store, str(run.run_id)).check()
    assert again.training == config_for(store.uri, *LINE).training


@pytest.mark.parametrize("line", ["tracking=off", "tracking.on_duplicate=reuse"])
def test_what_would_leave_nothing_to_compare_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{line}: .*; remove `{line}`$"):
        compose_config(["run_id=r", line], "reproduce")


@pytest.mark.parametrize(
    "line",
    [
        "dataset.name=${oc.env:HARMLESS}",
        "dataset.name=${oc.env:${tags.a}}",
        "+hydra.searchpath=[pkg://antigravity]",
        "extensions=[antigravity]",
    ],
)
def test_a_recorded_line_reads_nothing_of_this_machine(
    store: Workplace, line: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HARMLESS", "of-this-machine")
    _, rows = recorded(store, typed=[*LINE, "+tags.a=HARMLESS", line]).check()
    row = rows["config as it was typed"]
    assert (row.verdict, line in row.now) == ("unknown", True)
    assert "of-this-machine" not in f"{rows} {capfd.readouterr()}"


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("RUNNING", "is still RUNNING"),
        ("FAILED", "is FAILED; only a finished run can be reproduced"),
        ("KILLED", "is KILLED; only a finished run can be reproduced"),
    ],
)
def test_a_run_that_is_not_finished_is_refused_by_its_state(original: Recorded, status: str, sentence: str) -> None:
    original.client.set_terminated(original.run_id, status)
    with pytest.raises(StoreError, match=f"^run {original.run_id} {sentence}"):
        original.check()


def test_a_deleted_run_and_one_that_never_was_are_refused(original: Recorded) -> None:
    original.client.delete_run(original.run_id)
    with pytest.raises(StoreError, match=f"^run {original.run_id} was deleted"):
        original.check()
    with pytest.raises(StoreError, match="has no 0123"):
        Recorded(original.workplace, "0123").check()


@pytest.mark.parametrize(
    ("group", "key", "value", "sentence"),
    [
        ("model", "_target_", "os.system", "no key 'model._target_'"),
        ("model", "family", "os.system", "model: no kind 'os.system'"),
        ("dataset", "loader", "subprocess.run", "dataset: no kind 'subprocess.run'"),
        ("optimizer", "name", "builtins.eval", "optimizer: no kind 'builtins.eval'"),
    ],
)
def test_a_recorded_config_that_names_code_is_refused(
    original: Recorded, group: str, key: str, value: str, sentence: str
) -> None:
    original.edit_config(group, key, value)
    with pytest.raises(ConfigError, match=sentence):
        original.check()


def test_another_commit_is_named_and_whether_there_were_changes(original: Recorded) -> None:
    original.client.set_tag(original.run_id, "mlflow.source.git.commit", "0123456789abcdef")
    original.client.set_tag(original.run_id, "git_dirty", "true")
    then, now = original.changed()["commit"]
    assert then == "0123456789ab with changes"
    assert now.startswith(origin_tags().get("mlflow.source.git.commit", "unknown")[:12])


def test_a_run_without_its_origin_is_reproduced_too(store: Workplace) -> None:
    with new_run(config_for(store.uri, "tracking.detail=light")) as run:
        run.log_params({"resolved.best_epoch": 2})
        log_epochs(run)
    client = MlflowClient(store.uri)
    for name in ("host", "convlab.host"):
        client.delete_tag(str(run.run_id), name)
    _, rows = Recorded(store, str(run.run_id)).check()
    assert rows["code (SHA-256 of src/)"].then == rows["machine"].then == "unknown"
    assert rows["packages"] == ("packages", "not recorded", "unknown", "unknown")
    assert rows["config"].now == "no command line was recorded to compare with"


def test_a_user_s_own_tag_does_not_hide_the_machine(store: Workplace) -> None:
    with new_run(config_for(store.uri, "tags.host=a-machine-of-mine")) as run:
        run.log_params({"resolved.best_epoch": 2})
        log_epochs(run)
    assert Recorded(store, str(run.run_id)).check()[1]["machine"].verdict == "same"


def test_a_run_that_an_observer_ended_is_trained_as_far_and_that_is_said(original: Recorded) -> None:
    original.client.set_tag(original.run_id, "stopped", "observer")
    assert original.changed() == {"training ended by": ("an observer", "training.last_epoch=2")}
    assert original.check()[0].training.last_epoch == 2


@pytest.mark.parametrize("value", [0.4, 0.15, 0.0])  # the second begins as the param does
def test_a_recorded_value_that_was_edited_is_named_against_its_param_and_against_the_line(
    original: Recorded, value: float
) -> None:
    original.edit_config("model", "dropout", value)
    assert original.changed() == {
        "config model.dropout: its param and config/config.yaml": ("0.1", str(value)),
        "config model.dropout": (str(value), "0.1"),
    }


def test_a_line_that_composes_to_something_else_today_is_named_by_its_key(store: Workplace) -> None:
    today = recorded(store, typed=[*LINE, "optimizer.learning_rate=0.5"])
    assert today.changed() == {"config optimizer.learning_rate": ("0.001", "0.5")}
    assert today.check()[0].optimizer.learning_rate == 0.001


def test_a_line_that_composes_to_nothing_today_is_named_with_the_reason(store: Workplace) -> None:
    ((then, now),) = recorded(store, typed=["model=gone"]).changed().values()
    assert then == "composed"
    assert now.startswith("no model 'gone'")


def test_what_was_typed_and_hidden_is_not_held_against_the_run(store: Workplace) -> None:
    assert recorded(store, typed=[*LINE, "tags.api_token=tok-5150"]).changed() == {}


def test_where_things_are_is_not_held_against_the_run(store: Workplace, tmp_path: Path) -> None:
    typed = [*LINE, f"tracking.uri='sqlite:///{tmp_path}/gone.db'", "tracking.experiment=other", "tags.note=x"]
    assert recorded(store, typed=typed).changed() == {}


@pytest.mark.parametrize("recorded_name", ["pets", "image_folder"])  # the second by the first versions
def test_a_name_from_the_folder_does_not_count_as_a_change(
    store: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded_name: str
) -> None:
    line = [*LINE, "dataset=image_folder", "dataset.folder=images"]
    for folder in ("pets", "elsewhere"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "pets")
    config = config_for(store.uri, *line)
    assert config.dataset.name == "pets"
    config.dataset.name = recorded_name
    with new_run(config, overrides=line) as run:
        run.log_params({"resolved.code_digest": code_digest(), "resolved.best_epoch": 2})
        log_epochs(run)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert Recorded(store, str(run.run_id)).changed() == {}


def test_packages_of_another_version_missing_and_added_ones_are_named(original: Recorded) -> None:
    file = original.file("environment/packages.txt")
    lines = [line for line in file.read_text().splitlines() if not line.startswith("keras==")]
    lines = ["numpy==1.0.0" if line.startswith("numpy==") else line for line in lines]
    file.write_text("\n".join(["# Python 3.1.4", *lines[1:], "gone==3.2.1"]))
    found = original.changed()
    assert list(found) == ["gone", "keras", "numpy", "Python"]
    assert (found["Python"][0], found["numpy"][0]) == ("3.1.4", "1.0.0")
    assert (found["keras"][0], found["gone"]) == ("not installed", ("3.2.1", "not installed"))


def test_a_package_whose_name_sounds_like_a_secret_is_recorded_with_its_version(
    store: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from src.tracking import run

    monkeypatch.setattr(run, "packages", lambda: "# Python 3.11.9\ntokenizers==0.22.1\n")
    assert recorded(store).changed()["tokenizers"] == ("0.22.1", "not installed")


@pytest.mark.parametrize(
    ("listed", "versions"),
    [
        ("", {}),
        ("# Python 3.11.9\n", {"Python": "3.11.9"}),
        ("a==1\nB.c-d_e==2.0+cpu\n", {"a": "1", "B.c-d_e": "2.0+cpu"}),
        ("a==1\n\n# a comment of words\n", {"a": "1"}),
    ],
)
def test_python_and_packages_are_read_from_their_list_and_nothing_else(listed: str, versions: dict[str, str]) -> None:
    assert drift._versions(listed) == versions


# --- what comes out ----------------------------------------------------------------------------------------------

COMMIT = DriftRow("commit", "a", "b", "CHANGED")

# of 10,000 images, three standard errors of 0.99 are 0.0042
VERDICTS = [
    ("test_accuracy", 0.99, 0.99, True, "same"),
    ("test_accuracy", 0.99, 0.99, False, "same"),
    ("test_accuracy", 0.99, 0.9901, True, "CHANGED"),
    ("test_accuracy", 0.99, 0.9901, False, "within chance"),
    ("test_accuracy", 0.99, 0.9865, False, "within chance"),
    ("test_accuracy", 0.99, 0.984, False, "CHANGED"),
    ("val_accuracy", 0.99, 0.9865, False, "within chance"),
    ("test_accuracy", 1.0, 0.9999, False, "within chance"),
    ("test_accuracy", 0.9999, 1.0, False, "within chance"),
    ("test_accuracy", 1.0, 0.99, False, "CHANGED"),
    ("test_accuracy", 1.0, 0.9999, True, "CHANGED"),
    ("test_loss", 0.5, 0.5000001, True, "CHANGED"),
    ("test_loss", 0.5, 0.524, False, "within chance"),
    ("test_loss", 0.5, 0.476, False, "within chance"),
    ("test_loss", 0.5, 0.526, False, "CHANGED"),
    ("test_loss", 0.5, 0.474, False, "CHANGED"),
    ("test_auc", 0.99, 0.9865, False, "within chance"),
    ("test_auc", 0.99, 0.984, False, "CHANGED"),
    ("val_macro_f1", 0.99, 0.984, False, "CHANGED"),
    ("test_calibration_error", 0.01, 0.02, False, "unknown"),
    ("test_calibration_error", 0.01, 0.02, True, "CHANGED"),
    ("test_brier", 0.1, 0.2, False, "unknown"),
]


@pytest.mark.parametrize(("name", "then", "now", "is_exact", "verdict"), VERDICTS)
def test_results_are_the_same_to_the_last_bit_or_where_kernels_are_free_as_repeated_trainings_are(
    name: str, then: float, now: float, is_exact: bool, verdict: str
) -> None:
    assert drift._result_row(name, then, now, is_exact, 10_000) == (name, repr(then), repr(now), verdict)


def test_of_fewer_images_an_accuracy_may_differ_more() -> None:
    verdicts = [drift._result_row("accuracy", 0.9, 0.88, False, images).verdict for images in (1_000, 100_000)]
    assert verdicts == ["within chance", "CHANGED"]


@pytest.mark.parametrize("is_exact", [True, False])
def test_a_metric_that_is_not_there_any_more_has_changed(is_exact: bool) -> None:
    assert drift._result_row("val_loss", 0.5, None, is_exact, 100) == ("val_loss", "0.5", "not measured", "CHANGED")


def scored(store: Workplace, metrics: dict[str, float], digest: str, images: int) -> TrainResult:
    """A run with these metrics, on data with this digest; of the validation images there are few."""
    with new_run(config_for(store.uri, *LINE)) as run:
        counts = {"resolved.validation_images": images // 100, "resolved.test_images": images}
        run.log_params(counts | {"resolved.data_digest": digest, "resolved.best_epoch": 1})
        run.log_metrics(metrics, step=1)
    return TrainResult(run_id=run.run_id, best_epoch=1, metrics=metrics, history={})


def test_data_and_metrics_are_compared_and_kept_with_the_new_run(store: Workplace, tmp_path: Path) -> None:
    then = {"loss": 0.5, "test_accuracy": 0.99, "val_accuracy": 0.99, "epoch_seconds": 1.0, "learning_rate": 0.1}
    now = {"loss": 0.5, "test_accuracy": 0.95, "val_accuracy": 0.95, "epoch_seconds": 9.0, "learning_rate": 0.2}
    old, new = scored(store, then, "0" * 64, 10_000), scored(store, now, "1" * 64, 10_000)
    config = compose_config([f"run_id={old.run_id}", f"tracking.uri='{store.uri}'"], "reproduce")
    result = drift.record_reproduction(config, config_for(store.uri, *LINE), [COMMIT], new)
    assert (result.run_id, result.reproduces) == (new.run_id, old.run_id)
    assert result.origin == [COMMIT, ("data", "0" * 16, "1" * 16, "CHANGED")]
    assert {row.what: row.verdict for row in result.results} == {
        "loss": "same",
        "test_accuracy": "CHANGED",  # of 10,000 images
        "val_accuracy": "within chance",  # of 100
    }
    client = MlflowClient(store.uri)
    with Path(client.download_artifacts(str(new.run_id), "drift.csv", str(tmp_path))).open() as file:
        assert list(csv.reader(file))[1:] == [list(row) for row in (*result.origin, *result.results)]
    page = f"#/experiments/1/runs/{old.run_id}?workflowType=machine_learning"
    note = client.get_run(str(new.run_id)).data.tags["mlflow.note.content"]
    assert note.startswith(f"DIFFERENT RESULT from [run {old.run_id}]({page}): test_accuracy.\n")


@pytest.mark.parametrize(
    ("line", "added"),
    [
        ([], "test_macro_f1"),
        (["training.metrics=[macro_f1]"], "test_auc"),
        (["evaluate_test=false"], "test_accuracy"),
        ([], "tta_test_accuracy"),
    ],
)
def test_a_metric_of_a_later_evaluation_is_not_compared(store: Workplace, line: list[str], added: str) -> None:
    trained = {"loss": 0.5, "val_accuracy": 0.75}
    old, new = scored(store, trained | {added: 0.5}, "0" * 64, 10_000), scored(store, trained, "0" * 64, 10_000)
    config = compose_config([f"run_id={old.run_id}", f"tracking.uri='{store.uri}'"], "reproduce")
    result = drift.record_reproduction(config, config_for(store.uri, *LINE, *line), [], new)
    assert [row.what for row in result.results] == ["loss", "val_accuracy"]
    assert result.is_same


def test_a_metric_that_was_chosen_is_compared(store: Workplace) -> None:
    trained = {"loss": 0.5, "test_macro_f1": 0.75}
    old, new = (scored(store, trained, "0" * 64, 10_000) for _ in range(2))
    config = compose_config([f"run_id={old.run_id}", f"tracking.uri='{store.uri}'"], "reproduce")
    chosen = config_for(store.uri, *LINE, "training.metrics=[macro_f1]")
    result = drift.record_reproduction(config, chosen, [], new)
    assert [row.what for row in result.results] == ["loss", "test_macro_f1"]


def outcome(origin: list[DriftRow], results: list[DriftRow]) -> ReproductionResult:
    return ReproductionResult(run_id="new", reproduces="old", origin=origin, results=results)


PACKAGES = DriftRow("packages", "9 versions", "9 versions", "same")
EQUAL, NEAR = DriftRow("loss", "0.5", "0.5", "same"), DriftRow("loss", "0.5", "0.51", "within chance")
OTHER = DriftRow("loss", "0.5", "0.9", "CHANGED")
HEAD = ["| what | then | now | verdict |", "|---|---|---|---|"]


@pytest.mark.parametrize(
    ("results", "sentence", "changed"),
    [
        ([EQUAL], "The same result as [run old](#old).", ["commit"]),
        ([NEAR], "The same result, within chance, as [run old](#old).", ["commit"]),
        ([EQUAL, OTHER], "DIFFERENT RESULT from [run old](#old): loss.", ["commit", "loss"]),
    ],
)
def test_the_description_begins_with_the_result_which_decides_alone_whether_a_run_is_reproduced(
    results: list[DriftRow], sentence: str, changed: list[str]
) -> None:
    found = outcome([COMMIT, PACKAGES], results)
    assert drift.describe_reproduction(found, "#old", []).splitlines()[0] == sentence
    assert (found.is_same, found.changed) == (sentence.startswith("The same result"), changed)


@pytest.mark.parametrize(
    ("origin", "results", "lines"),
    [
        ([PACKAGES], [EQUAL], ["Nothing else has changed."]),
        ([COMMIT, PACKAGES], [EQUAL], [*HEAD, "| commit | a | b | CHANGED |"]),
        ([PACKAGES], [NEAR], [*HEAD, "| loss | 0.5 | 0.51 | within chance |"]),
    ],
)
def test_the_description_names_what_is_not_the_same_and_has_no_empty_table(
    origin: list[DriftRow], results: list[DriftRow], lines: list[str]
) -> None:
    text = drift.describe_reproduction(outcome(origin, results), "#old", [])
    assert text.splitlines()[2:-2] == lines
    assert text.endswith(f"{len(origin)} facts about its origin and {len(results)} metrics were compared.")


def test_the_description_ends_with_the_warnings_and_shows_names_literally() -> None:
    setting = DriftRow("config dataset.name", "*cats*", "a|b", "CHANGED")
    text = drift.describe_reproduction(outcome([setting], [EQUAL]), "#old", ["NOT the *full* MNIST"])
    assert text.splitlines()[4] == "| config dataset.name | &#42;cats&#42; | a&#124;b | CHANGED |"
    assert text.endswith("\n\n**NOT the &#42;full&#42; MNIST**")


def test_a_long_list_of_changes_is_cut_in_the_description_and_says_so() -> None:
    rows = [DriftRow(f"package{number}", "1", "2", "CHANGED") for number in range(30)]
    text = drift.describe_reproduction(outcome(rows, [EQUAL]), "#old", [])
    assert text.count("| CHANGED |") == 25
    assert "\n5 more rows are in drift.csv. " in text
