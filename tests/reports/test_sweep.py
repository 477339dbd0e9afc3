"""What a sweep leaves to look at; tests/sweep/ has it from whole sweeps."""

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from src.cli.compose import compose_config
from src.reports.sweep import describe_sweep, record_results
from src.results import Counts, SweepResult, TrialRow
from src.schema import as_tree
from src.tracking import NullRun
from tests.support.runs import config_for, new_run
from tests.support.sweeps import plan


def row(number: int, value: float, params: dict[str, Any], run_id: str | None = None) -> TrialRow:
    return TrialRow(number, "COMPLETE", value, params, 1.0, 1, 1, {1: value}, run_id, False, "")


SEVEN = Counts(complete=7, pruned=0, failed=0, running=0, retried=0)


def test_the_description_begins_with_the_best_trial_then_counts_table_search_and_warnings() -> None:
    sweep = plan("model.dropout=0.1,0.2")
    rows = [row(0, 0.5, {"model.dropout": 0.1}, "run0"), row(1, 0.75, {"model.dropout": 0.2})]
    parts = describe_sweep(NullRun("9"), sweep, rows, SEVEN, ["a stand-in"]).split("\n\n")
    assert parts[0] == "**val_accuracy 0.7500**: trial-001 with model.dropout=0.2"
    assert parts[1] == "7 trials: 7 complete."
    assert parts[2].startswith("| trial | val_accuracy | model.dropout |\n")
    assert parts[3:] == [
        "Searched with sampler grid and pruner none:",
        "- model.dropout: 0.1, 0.2",
        "**Warning:** a stand-in",
    ]


def test_with_limits_the_description_has_the_costs_what_was_not_trained_and_the_limits() -> None:
    sweep = plan("model.dropout=0.1,0.2", "hydra.sweeper.constraints={parameters:1000}")
    over = row(1, 0.0, {"model.dropout": 0.2})._replace(state="PRUNED", value=None, epochs=0, reason="over")
    rows = [row(0, 0.5, {"model.dropout": 0.1}), over]
    counts = Counts(complete=1, pruned=1, failed=0, running=0, retried=0, skipped=1)
    parts = describe_sweep(NullRun("9"), sweep, rows, counts, costs={"parameters": 12_345}).split("\n\n")
    assert parts[1:3] == ["Its network: parameters 12,345.", "2 trials: 1 complete, 1 pruned (1 over a limit)."]
    assert parts[3].startswith("1 network was over a limit")
    assert parts[-1] == "- model.dropout: 0.1, 0.2\n- parameters: at most 1,000"


def test_limits_that_nothing_met_are_a_warning() -> None:
    sweep = plan("model.dropout=0.1,0.2", "hydra.sweeper.constraints={parameters:1000}")
    over = row(0, 0.0, {})._replace(state="PRUNED", value=None, reason="over", costs={"parameters": 2000})
    counts = Counts(complete=0, pruned=1, failed=0, running=0, retried=0, skipped=1)
    assert "**Warning:** the only network does not meet" in describe_sweep(NullRun("9"), sweep, [over], counts)


def test_the_best_trial_is_within_the_limits_and_a_winner_measured_over_one_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = plan("model.dropout=0.1,0.2", "hydra.sweeper.constraints={latency_ms:2}")
    over = row(0, 0.9, {"model.dropout": 0.1})._replace(costs={"latency_ms": 3.0}, excess="latency_ms 3 > 2")
    rows = [over, row(1, 0.5, {"model.dropout": 0.2})._replace(costs={"latency_ms": 1.5})]
    counts = Counts(complete=2, pruned=0, failed=0, running=0, retried=0)
    with new_run(config_for("sqlite:///mlflow.db")) as run:
        result = record_results(
            run, sweep, "study", rows, counts, set(), lambda _: None, measure=lambda *_: {"latency_ms": 2.5}
        )
    assert (result.best_trial, result.best_costs) == (1, {"latency_ms": 2.5})
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    recorded = client.get_run(str(run.run_id)).data
    assert recorded.metrics["latency_ms"] == 2.5
    assert "**Warning:** trial 1 is over a limit" in recorded.tags["mlflow.note.content"]
    header, first, _ = Path(client.download_artifacts(str(run.run_id), "trials.csv")).read_text().splitlines()
    assert header == "number,state,value,seconds,best_epoch,epochs,run_id,reason,latency_ms,model.dropout"
    assert first.endswith(",3,0.1")


def test_without_a_complete_trial_the_description_says_so() -> None:
    none = Counts(complete=0, pruned=0, failed=1, running=0, retried=0)
    text = describe_sweep(NullRun("9"), plan("model.dropout=0.1,0.2"), [], none)
    assert text.startswith("No trial is complete.\n\n1 trial: 1 failed.\n\nSearched")


def test_the_description_links_the_five_best_trials() -> None:
    sweep = plan("model.dropout=0.1,0.2")
    rows = [row(number, number / 10, {"model.dropout": 0.1}, f"run{number}") for number in range(7)]
    text = describe_sweep(NullRun("9"), sweep, rows, SEVEN)
    assert [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| [")] == [
        f"| [trial-00{number}](#/experiments/9/runs/run{number}?workflowType=machine_learning)"
        for number in (6, 5, 4, 3, 2)
    ]


def results(run: Any, rows: list[TrialRow], known: set[str], config: dict[str, Any] | None) -> SweepResult:
    counts = Counts(complete=len(rows), pruned=0, failed=0, running=0, retried=0)
    return record_results(run, plan("model.dropout=0.1,0.2"), "study", rows, counts, known, lambda _: config)


def test_a_trial_whose_run_is_gone_is_not_linked_and_the_best_is_still_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = as_tree(compose_config(["model.dropout=0.2"]))
    rows = [row(0, 0.5, {"model.dropout": 0.1}, "here"), row(1, 0.75, {"model.dropout": 0.2}, "gone")]
    with new_run(config_for("sqlite:///mlflow.db")) as run:
        result = results(run, rows, {"here"}, config)
    assert (result.best_trial, result.best_run_id, result.best_config) == (1, None, config)
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    described = client.get_run(str(run.run_id)).data.tags["mlflow.note.content"]
    assert "runs/here?" in described
    assert "runs/gone" not in described
    assert "dropout: 0.2" in Path(client.download_artifacts(str(run.run_id), "best.yaml")).read_text()
    assert "gone" in Path(client.download_artifacts(str(run.run_id), "trials.csv")).read_text()  # to be restored by


def test_a_best_trial_of_an_earlier_version_has_its_value_as_the_best_metric_of_that_name() -> None:
    result = results(NullRun(), [row(0, 0.5, {"model.dropout": 0.1})], set(), None)
    assert result.best_metrics == {"best_val_accuracy": 0.5, "best_epoch": 1}


def test_a_best_trial_with_an_unknown_configuration_has_no_recipe() -> None:
    result = results(NullRun(), [row(0, 0.5, {"model.dropout": 0.1})], set(), None)
    assert (result.best_trial, result.best_config) == (0, None)


# --- several objectives --------------------------------------------------------------------------------------------

BOTH = ["model.dropout=0.1,0.2", "hydra.sweeper.objectives=[val_accuracy,parameters]"]
FRONT = [
    row(0, 0.5, {"model.dropout": 0.1}, "run0")._replace(others=(100.0,)),
    row(1, 0.75, {"model.dropout": 0.2}, "run1")._replace(others=(61706.0,)),
    row(2, 0.4, {"model.dropout": 0.2}, "run2")._replace(others=(200.0,)),
]


def test_with_several_objectives_the_description_has_the_front_as_a_table_with_links() -> None:
    three = Counts(complete=3, pruned=0, failed=0, running=0, retried=0)
    parts = describe_sweep(NullRun("9"), plan(*BOTH), FRONT, three).split("\n\n")
    assert parts[0].startswith(
        "**2 of 3 complete trials** are on the front of val_accuracy (maximize) and parameters (minimize)"
    )
    header, _, *lines = parts[2].splitlines()
    assert header == "| trial | val_accuracy | parameters | model.dropout |"
    assert [line.partition("](")[0] for line in lines] == ["| [trial-001", "| [trial-000"]
    assert lines[0].endswith("| 0.7500 | 61,706 | 0.2 |")


def test_with_several_objectives_the_description_lists_twenty_trials_of_a_long_front() -> None:
    rows = [row(n, n / 100, {"model.dropout": 0.1})._replace(others=(float(n),)) for n in range(30)]
    counts = Counts(complete=30, pruned=0, failed=0, running=0, retried=0)
    text = describe_sweep(NullRun("9"), plan(*BOTH), rows, counts)
    assert text.count("| trial-0") == 20
    assert "The first 20 are listed; `front.csv` has all." in text


def test_the_files_of_a_front_follow_its_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config, sweep = as_tree(compose_config(["model.dropout=0.2"])), plan(*BOTH)
    better = row(3, 0.6, {"model.dropout": 0.2}, "run3")._replace(others=(90.0,))
    with new_run(config_for("sqlite:///mlflow.db")) as run:
        for rows in (FRONT, [*FRONT, better]):
            counts = Counts(complete=len(rows), pruned=0, failed=0, running=0, retried=0)
            result = record_results(run, sweep, "study", rows, counts, {"run1", "run3"}, lambda _: config)
    assert [point.trial for point in result.front] == [1, 3]
    assert (result.front[0].run_id, result.front[0].values) == ("run1", {"val_accuracy": 0.75, "parameters": 61706.0})
    assert (result.best_trial, result.best_value, result.best_config) == (None, None, None)
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    folder = Path(client.download_artifacts(str(run.run_id), "front"))
    assert sorted(file.name for file in folder.iterdir()) == ["trial-001.yaml", "trial-003.yaml"]
    recipe = (folder / "trial-003.yaml").read_text().splitlines()
    assert recipe[1:3] == [
        "# python -m src.train experiment=trial-003",
        "# On the front of the study study: trial 3, val_accuracy 0.6000, parameters 90 at its best epoch.",
    ]
    table = Path(client.download_artifacts(str(run.run_id), "front.csv")).read_text().splitlines()
    assert table == [
        "trial,val_accuracy,parameters,model.dropout,run_id",
        "1,0.75,61706.0,0.2,run1",
        "3,0.6,90.0,0.2,run3",
    ]
    trials = Path(client.download_artifacts(str(run.run_id), "trials.csv")).read_text().splitlines()
    assert trials[0].startswith("number,state,val_accuracy,parameters,seconds,")
    assert trials[1].startswith("0,COMPLETE,0.5,100.0,1.00,")


def test_the_table_of_a_front_has_the_costs_of_its_networks_and_one_that_is_over_a_limit_now_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = plan(*BOTH, "hydra.sweeper.constraints={latency_ms:2,model_mb:1}")
    counts = Counts(complete=3, pruned=0, failed=0, running=0, retried=0)

    def measure(row: TrialRow, config: object) -> dict[str, float]:
        return {"parameters": row.values[1], "model_mb": 0.5, "latency_ms": 1.5 + row.number}

    with new_run(config_for("sqlite:///mlflow.db")) as run:
        result = record_results(run, sweep, "study", FRONT, counts, set(), lambda _: None, measure=measure)
    assert [point.costs["latency_ms"] for point in result.front] == [2.5, 1.5]
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    header, first, _ = Path(client.download_artifacts(str(run.run_id), "front.csv")).read_text().splitlines()
    assert header == "trial,val_accuracy,parameters,model_mb,latency_ms_again,model.dropout,run_id"
    assert first == "1,0.75,61706.0,0.5,2.5,0.2,"
    described = client.get_run(str(run.run_id)).data.tags["mlflow.note.content"]
    assert described.count("**Warning:**") == 1
    assert "**Warning:** trial 1 is over a limit when its network is measured again" in described


def test_a_trial_on_the_front_with_an_unknown_configuration_has_no_recipe() -> None:
    counts = Counts(complete=3, pruned=0, failed=0, running=0, retried=0)
    result = record_results(NullRun(), plan(*BOTH), "study", FRONT, counts, set(), lambda _: None)
    assert [(point.trial, point.config) for point in result.front] == [(1, None), (0, None)]
