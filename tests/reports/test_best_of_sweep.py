"""The pipeline best_of_sweep: which sweeps it accepts, what it trains in the end, what it records."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from src.errors import ConfigError, UserError
from src.reports import best_of_sweep as report
from src.results import BestOfSweepResult, Counts, Interval, RegistrationResult, SweepResult, TrainResult
from src.schema import BestOfSweepConfig, Config, as_tree
from src.space import SweepPlan
from src.study import open_storage
from src.tracking import pipeline_run
from tests.support.configs import composed
from tests.support.runs import config_for, new_run
from tests.support.workplace import Workplace

DONE = Counts(complete=2, pruned=0, failed=0, running=0, retried=0)
SWEPT = ["model.dropout=0,0.1"]
BOTH = "hydra.sweeper.objectives=[val_accuracy,parameters]"
CHOSEN = ["choose.metric=val_accuracy", "choose.within=0.01", "choose.cheapest=parameters"]


def pipeline(*line: str) -> BestOfSweepConfig:
    config = composed(*line, config_name="best_of_sweep")
    assert isinstance(config, BestOfSweepConfig)
    return config


def plan(*line: str, swept: list[str] = SWEPT) -> SweepPlan:
    """The sweep of `python -m pipelines.best_of_sweep <line> <swept>`."""
    return report.plan_best_of_sweep(pipeline(*line), [*line, *swept])


# --- accepted sweeps --------------------------------------------------------------------------------


def test_the_sweep_is_what_was_typed_without_the_pipelines_own_keys() -> None:
    found = plan("seeds=[4]", "registered_model=digits", "alias=best", "training.epochs=3")
    assert [dimension.name for dimension in found.space.dimensions] == ["model.dropout"]
    (config,) = found.space.configs()
    assert (config.training.epochs, config.seed) == (3, 1)


def test_no_trial_sees_the_test_split() -> None:
    assert [trial.evaluate_test for trial in plan().space.configs()] == [False]


@pytest.mark.parametrize(
    ("line", "swept", "sentence"),
    [
        ([], [], r"^nothing to sweep over"),
        (["seeds=[]"], SWEPT, r"^seeds: got \[\], expected different integers"),
        (["seeds=[1,1]"], SWEPT, r"^seeds: got \[1, 1\], expected different"),
        (["alias=latest"], SWEPT, r"^alias: got 'latest'"),
        (["registered_model=a/b"], SWEPT, r"^registered_model: got 'a/b'"),
        (["tracking=off"], SWEPT, r"^tracking=off: a pipeline reads its runs"),
        (["evaluate_test=false"], SWEPT, r"^evaluate_test=false: a pipeline scores its models on the test split"),
        (["evaluate_test=true"], SWEPT, r"^evaluate_test=true: trials must not see the test split"),
        (
            ["choose.metric=val_accuracy"],
            SWEPT,
            r"^choose\.metric: a sweep with one objective has a best trial",
        ),
        (["choose.within=0.1", "choose.cheapest=parameters"], SWEPT, r"^choose\.within: a sweep with one objective"),
        ([BOTH], SWEPT, r"^choose\.metric: .* set .* choose\.metric=val_accuracy; add .* choose\.cheapest=parameters"),
        (
            [BOTH, "choose.metric=val_loss"],
            SWEPT,
            r"^choose\.metric: got 'val_loss', expected a metric .* val_accuracy",
        ),
        ([BOTH, "choose.metric=parameters"], SWEPT, r"^choose\.metric: got 'parameters', expected a metric"),
        ([BOTH, *CHOSEN, "choose.cheapest=model_mb"], SWEPT, r"^choose\.cheapest: got 'model_mb', .* parameters$"),
        ([BOTH, *CHOSEN, "choose.cheapest=null"], SWEPT, r"^choose\.within=0\.01: .* add choose\.cheapest=parameters"),
        ([BOTH, *CHOSEN, "choose.within=null"], SWEPT, r"^choose\.cheapest=parameters: .* add choose\.within=0\.002"),
        ([BOTH, *CHOSEN, "choose.within=-0.1"], SWEPT, r"^choose\.within: got -0\.1, expected at least 0$"),
        (
            ["hydra.sweeper.objectives=[val_accuracy,val_loss]", *CHOSEN],
            SWEPT,
            r"^choose\.cheapest: got 'parameters', expected a cost .* has no cost$",
        ),
        ([], ["evaluate_test=false,true"], r"^evaluate_test=true: trials must not see the test split"),
        (
            ["dataset.validation_size=0"],
            SWEPT,
            r"^dataset\.validation_size=0: the best trial is found by its validation",
        ),
        (["tracking.formats=[keras]"], SWEPT, r"^tracking\.formats: \['keras'\] lacks mlflow, .* registered; add it"),
        (["final_epochs=0"], SWEPT, r"^final_epochs: got 0"),
        (
            ["final_epochs=3", "schedule=cosine", "schedule.warmup_epochs=4", "training.epochs=9"],
            SWEPT,
            r"^final_epochs=3: the final trainings cannot have this length: schedule\.warmup_epochs",
        ),
        (["model.dropuot=0"], SWEPT, r"^no key 'model\.dropuot'; did you mean 'dropout'\?"),
        (["hparams_search=lenott"], [], r"^no hparams_search 'lenott'; did you mean 'lenot'\?"),
    ],
)
def test_a_sweep_that_the_pipeline_could_not_follow_is_refused(
    line: list[str], swept: list[str], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        plan(*line, swept=swept)


@pytest.mark.parametrize(
    ("line", "swept"),
    [
        (["schedule=reduce_on_plateau"], SWEPT),
        ([], ["schedule=cosine,reduce_on_plateau"]),
        # A network that runs with no size but those that are searched:
        (["schedule=reduce_on_plateau"], ["model=choice(alexnet)", "model.input_size=224,227"]),
    ],
)
def test_a_schedule_that_waits_for_a_plateau_is_refused_wherever_it_is_in_the_sweep(
    line: list[str], swept: list[str]
) -> None:
    with pytest.raises(ConfigError, match=r"^schedule=reduce_on_plateau: .*; use schedule=cosine or schedule=none$"):
        plan(*line, swept=swept)


# --- the pipeline's run ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("best_of_sweep"))


def sweep(**changes: Any) -> SweepResult:
    known = SweepResult(
        study_name="study",
        run_id="5eeb",
        counts=DONE,
        best_trial=1,
        best_value=0.98765,
        best_run_id="7a11",
        best_epoch=5,
        best_config={},
    )
    return replace(known, **changes)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            sweep(best_trial=None, best_run_id=None, counts=replace(DONE, complete=0)),
            r"study study has no complete trial, .*; narrow the space$",
        ),
        (
            sweep(best_trial=None, best_run_id=None),
            r"study study has no complete trial within hydra\.sweeper\.constraints, .*; raise the limits",
        ),
        (
            sweep(best_run_id=None, best_config=None),
            r"^trial 1 is the best of study study, but its run is gone .* restore the run, or start a new study",
        ),
        (
            sweep(counts=replace(DONE, running=3)),
            r"^3 trials of study study are still running in other processes",
        ),
    ],
)
def test_a_sweep_without_a_best_trial_or_without_an_end_is_not_followed(found: SweepResult, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence), report.best_of_sweep_run(pipeline(), plan(), found):
        pass


def test_the_same_sweep_is_followed_under_the_same_run_by_one_at_a_time(store: Workplace) -> None:
    storage = f"sqlite:///{store.folder / 'optuna.db'}"
    line = ["dataset=synthetic", f"tracking.uri='{store.uri}'", f"hydra.sweeper.storage='{storage}'"]
    config, planned = pipeline(*line), plan(*line)
    locks = open_storage(storage, store.uri).locks
    found = []
    for _ in range(2):
        with report.best_of_sweep_run(config, planned, sweep()) as run:
            assert not locks.is_free("best_of_sweep study")
            found.append(run.run_id)
        assert locks.is_free("best_of_sweep study")
    assert found[0] == found[1]
    assert MlflowClient(store.uri).get_run(str(run.run_id)).data.tags["mlflow.runName"] == "best of study"


# --- final trainings ----------------------------------------------------------------------------------

TRIAL = [
    "optimizer=adam",
    "optimizer.learning_rate=0.002",
    "schedule=cosine",
    "model.dropout=0.1",
    "training.epochs=9",
    "training.monitor=val_loss",
    "training.early_stopping_patience=4",
    "tracking.detail=light",
    "tracking.save_model=false",
    "evaluate_test=false",
    "tags.trial=mine",
]


def final_configs(
    store: Workplace, *of_trial: str, seeds: str = "[1]", final_epochs: str = "null"
) -> tuple[Config, list[Config]]:
    """The best trial's configuration, and those that are trained in the end; 64 images were set aside."""
    trial = config_for(store.uri, *TRIAL, *of_trial)
    own = [f"seeds={seeds}", f"final_epochs={final_epochs}"]
    config = pipeline("dataset=synthetic", f"tracking.uri='{store.uri}'", *own, "tags.owner=ada")
    return trial, report.final_configs(config, sweep(best_config=as_tree(trial), best_epoch=5))


@pytest.fixture(scope="module")
def trial_and_final(store: Workplace) -> tuple[Config, Config]:
    trial, (final,) = final_configs(store)
    return trial, final


def test_there_is_one_for_each_seed_in_the_order_given(store: Workplace) -> None:
    _, found = final_configs(store, seeds="[3,1]")
    assert [(final.seed, final.tracking.run_name) for final in found] == [(3, "final-s3"), (1, "final-s1")]


def test_it_is_the_trials_setting(trial_and_final: tuple[Config, Config]) -> None:
    trial, final = trial_and_final
    assert (final.model, final.optimizer, final.schedule) == (trial.model, trial.optimizer, trial.schedule)


def test_it_is_trained_for_the_trials_best_epoch_with_nothing_to_monitor(
    trial_and_final: tuple[Config, Config],
) -> None:
    trial, final = trial_and_final
    unmonitored = replace(trial.training, last_epoch=5, monitor="val_accuracy", early_stopping_patience=None)
    assert final.training == unmonitored


def test_its_checkpoints_are_written_where_and_when_the_pipeline_was_asked_to(store: Workplace) -> None:
    trial = config_for(store.uri, *TRIAL, "training.checkpoint_dir=/home/ann")
    typed = ["training.checkpoint_dir=/home/ada", "training.checkpoint_minutes=1", "training.checkpoint_upload=true"]
    config = pipeline("dataset=synthetic", f"tracking.uri='{store.uri}'", "seeds=[1]", *typed)
    (final,) = report.final_configs(config, sweep(best_config=as_tree(trial), best_epoch=5))
    found = (final.training.checkpoint_dir, final.training.checkpoint_minutes, final.training.checkpoint_upload)
    assert found == ("/home/ada", 1, True)


def test_it_is_trained_for_the_final_epochs_with_a_schedule_of_that_length(store: Workplace) -> None:
    _, (final,) = final_configs(store, "training.last_epoch=2", final_epochs="24")
    assert (final.training.epochs, final.training.last_epoch) == (24, None)


FOLD = ["dataset.folds=5", "dataset.fold=2"]


@pytest.mark.parametrize(
    ("of_trial", "limit"),
    [([], None), (["dataset.limit=100"], 164), (FOLD, None), ([*FOLD, "dataset.limit=100"], 100)],
)
def test_the_images_that_were_set_aside_are_trained_on_too(
    store: Workplace, of_trial: list[str], limit: int | None
) -> None:
    trial, (final,) = final_configs(store, *of_trial)
    assert final.dataset == replace(trial.dataset, validation_size=0, folds=None, fold=None, limit=limit)


def test_it_is_scored_and_kept_whole_though_trials_are_not_and_not_done_twice(
    trial_and_final: tuple[Config, Config],
) -> None:
    _, final = trial_and_final
    assert final.evaluate_test
    assert (final.tracking.detail, final.tracking.save_model, final.tracking.on_duplicate) == ("full", True, "reuse")


def test_its_tags_are_the_pipelines_and_lead_to_the_study(trial_and_final: tuple[Config, Config]) -> None:
    assert trial_and_final[1].tags == {"owner": "ada", "best_of": "study"}


# --- what is recorded ------------------------------------------------------------------------------------------

BEST = {"best_val_accuracy": 0.9877, "best_val_loss": 0.25, "best_epoch": 5.0}  # of the best trial
CROWNED = RegistrationResult(
    name="digits", version=4, is_new=True, run_id="f1", alias="champion", moved=True, reason="the first of digits"
)


def outcome(*accuracies: float, **registration: Any) -> BestOfSweepResult:
    """What came of it, with as many seeds as accuracies."""
    trained = [
        TrainResult(
            run_id=f"f{number}",
            best_epoch=5,
            metrics={"test_accuracy": accuracy, "test_loss": 0.125},
            history={"loss": [0.5] * 5},
        )
        for number, accuracy in enumerate(accuracies, 1)
    ]
    return BestOfSweepResult(
        run_id="r",
        sweep=sweep(best_metrics=BEST),
        seeds=list(range(1, len(trained) + 1)),
        experiment_id="9",
        trainings=trained,
        registration=replace(CROWNED, **registration),
    )


@pytest.mark.parametrize(
    ("accuracies", "mean", "spread"), [((0.75,), 0.75, None), ((0.5, 1.0), 0.75, 0.125**0.5), ((0.5, 0.5), 0.5, 0.0)]
)
def test_the_spread_is_the_standard_deviation_and_none_of_one_seed(
    accuracies: tuple[float, ...], mean: float, spread: float | None
) -> None:
    assert outcome(*accuracies).mean == mean
    assert outcome(*accuracies).spread == pytest.approx(spread)


def test_the_description_begins_with_the_result_and_leads_to_sweep_trial_and_trainings() -> None:
    text = report.describe_best_of_sweep(outcome(0.5, 1.0))

    def link(run_id: str) -> str:
        return f"#/experiments/9/runs/{run_id}?workflowType=machine_learning"

    assert text.splitlines() == [
        "Test accuracy 0.7500 (mean of 2 seeds, spread 0.3536); version 4 of digits is now the champion: the first of "
        "digits.",
        "",
        "| seed | test accuracy |",
        "|---|---|",
        f"| [1]({link('f1')}) | 0.5000 |",
        f"| [2]({link('f2')}) | 1.0000 |",
        "",
        f"The best of [study study]({link('5eeb')}) is [trial 1]({link('7a11')}) with 0.9877. Its configuration was "
        "trained again on training and validation images for 5 epochs. Version 4 of digits is the model of seed 1.",
    ]


def test_the_metric_that_decides_leads_the_description_and_each_score_has_its_interval() -> None:
    found = outcome(0.5)
    trained = [replace(found.trainings[0], intervals={"test_loss": Interval(0.1, 0.2)})]
    text = report.describe_best_of_sweep(replace(found, metric="loss", trainings=trained))
    assert text.startswith("Test loss 0.1250 (seed 1); version 4 of digits is now the champion")
    assert "| seed | test loss | test accuracy |" in text
    assert "| 0.1250 (0.1000-0.2000) | 0.5000 |" in text
    assert "\n\nIn parentheses: 95 % intervals.\n\n" in text


@pytest.mark.parametrize(("monitor", "metric"), [("val_accuracy", "accuracy"), ("val_loss", "loss")])
def test_the_metric_of_the_sweep_decides_about_the_champion(monitor: str, metric: str) -> None:
    line = [f"training.monitor={monitor}"]
    ask = report.candidate_registration(pipeline(*line), plan(*line), outcome(0.5).trainings)
    assert (ask.metric, ask.if_better, ask.run_id) == (metric, True, "f1")


def test_the_metric_that_chose_the_trial_decides_about_the_champion() -> None:
    line = [BOTH, "training.monitor=val_loss", "choose.metric=val_accuracy"]
    ask = report.candidate_registration(pipeline("choose.metric=val_accuracy"), plan(*line), outcome(0.5).trainings)
    assert ask.metric == "accuracy"


def test_the_description_says_why_a_trial_of_the_front_was_chosen() -> None:
    chosen = sweep(chosen="it has the best value on the front, val_accuracy 0.9877")
    text = report.describe_best_of_sweep(replace(outcome(0.5), sweep=chosen))
    page = "?workflowType=machine_learning"
    assert (
        f"From the front of [study study](#/experiments/9/runs/5eeb{page}), [trial 1](#/experiments/9/runs/7a11{page}) "
        "was chosen: it has the best value on the front, val_accuracy 0.9877. Its configuration was trained"
    ) in text


def test_a_best_trial_whose_run_is_gone_is_not_linked() -> None:
    text = report.describe_best_of_sweep(replace(outcome(0.5), sweep=sweep(best_run_id=None)))
    study = "[study study](#/experiments/9/runs/5eeb?workflowType=machine_learning)"
    assert f"The best of {study} is trial 1 with 0.9877." in text


def test_a_model_that_does_not_become_the_champion_is_described_with_the_reason() -> None:
    text = report.describe_best_of_sweep(outcome(0.5, moved=False, reason="it is no better"))
    assert text.splitlines()[0] == (
        "Test accuracy 0.5000 (seed 1); version 4 of digits, champion unchanged: it is no better."
    )


def test_warnings_end_the_description_once_each_and_names_are_shown_literally() -> None:
    found = outcome(0.5, 1.0, name="<b>cats*")
    trained = [replace(training, warnings=["NOT the full MNIST"]) for training in found.trainings]
    text = report.describe_best_of_sweep(replace(found, trainings=trained))
    assert text.endswith("\n\n**NOT the full MNIST**")
    assert text.count("NOT the full MNIST") == 1
    assert "version 4 of &#60;b&#62;cats&#42; is now" in text


@dataclass(frozen=True)
class Recorded:
    """A pipeline's run and its artifact `seeds.csv`."""

    data: Any
    inputs: list[str]
    seeds: list[list[str]]


def recorded(store: Workplace, folder: Path, *accuracies: float, swept: list[str] = SWEPT, **of: Any) -> Recorded:
    """Record what came of a sweep over `swept`; the trainings are runs of the store."""
    config = config_for(store.uri)
    found = outcome(*accuracies, **of)
    trained = []
    for training in found.trainings:
        with new_run(config) as run:
            run.log_dataset("synthetic", "d" * 64, "generated", {})
        trained.append(replace(training, run_id=run.run_id))
    line = ["dataset=synthetic", f"tracking.uri='{store.uri}'", f"seeds={found.seeds}"]
    with pipeline_run(config.tracking, "best_of_sweep", str(folder), "best of study") as run:
        again = pipeline(*line), plan(*line, swept=swept)
        report.record_best_of_sweep(run, *again, found.sweep, trained, found.registration)
    client = MlflowClient(store.uri)
    read = client.get_run(str(run.run_id))
    with Path(client.download_artifacts(str(run.run_id), "seeds.csv", str(folder))).open() as file:
        seeds = [[row[0], *row[2:]] for row in csv.reader(file)]
    return Recorded(read.data, [item.dataset.name for item in read.inputs.dataset_inputs], seeds)


@pytest.mark.parametrize(
    ("swept", "columns"),
    [
        ("model.dropout=0,0.1", {"model.name": "lenot", "optimizer.learning_rate": "0.001"}),
        ("optimizer.learning_rate=0.1,0.2", {"model.name": "lenot"}),
        ("model=lenot,dense", {"optimizer.learning_rate": "0.001"}),
    ],
)
def test_the_columns_of_the_ui_show_what_all_trials_have_in_common(
    store: Workplace, tmp_path: Path, swept: str, columns: dict[str, str]
) -> None:
    found = recorded(store, tmp_path, 0.75, swept=[swept])
    assert found.data.params == {"dataset.name": "synthetic"} | columns
    assert found.inputs == ["synthetic"]


def test_recorded_again_after_the_sweep_found_a_better_trial_the_run_has_the_new_result(
    store: Workplace, tmp_path: Path
) -> None:
    for accuracy in (0.5, 0.75):
        found = recorded(store, tmp_path, accuracy)
    assert found.data.metrics["test_accuracy"] == 0.75
    assert found.inputs == ["synthetic"]


def test_no_spread_is_recorded_for_a_single_seed(store: Workplace, tmp_path: Path) -> None:
    metrics = {"test_accuracy": 0.75, "test_accuracy_mean": 0.75} | BEST
    assert recorded(store, tmp_path, 0.75).data.metrics == metrics


@pytest.mark.parametrize(("p_value", "kept"), [(None, {}), (0.25, {"mcnemar_p_value": 0.25})])
def test_scores_of_all_seeds_and_the_p_value_if_there_was_a_test_are_kept_with_the_run(
    store: Workplace, tmp_path: Path, p_value: float | None, kept: dict[str, float]
) -> None:
    found = recorded(store, tmp_path, 0.75, 0.75, p_value=p_value)
    accuracies = {"test_accuracy": 0.75, "test_accuracy_mean": 0.75, "test_accuracy_spread": 0.0}
    assert found.data.metrics == accuracies | BEST | kept
    assert found.seeds == [
        ["seed", "test_loss", "test_accuracy"],
        ["1", "0.125000", "0.750000"],
        ["2", "0.125000", "0.750000"],
    ]
