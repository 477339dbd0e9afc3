"""The tables of README.md and docs/results.md come from what was measured."""

import io
from typing import Any

import pytest

from benchmarks.measuring import PUBLISHED
from benchmarks.report import DOCUMENTS, KINDS, plot_speed, with_tables

MACHINE = {
    "machine": {"cores": 2, "processor": "a processor", "instructions": ["avx2", "avx512f"]},
    "versions": {"tensorflow": "2.21", "mlflow": "3.17"},
}


def speeds(*names: str) -> dict[str, Any]:
    found = {
        name: [
            {"epoch_seconds": 2.0 + at, "command_seconds": 30.0, "peak_mb": 1234.0, "test_accuracy": 0.99 + at / 1000}
        ]
        for at, name in enumerate(names)
    }
    for name in set(names) - {"lenot/notebook"}:
        found[name][0]["closing_seconds"] = 4.2
    middle = {name: each[0] for name, each in found.items()}
    return (
        {"command": "python -m benchmarks.train_speed", "date": "2026-01-02", "epochs": 10}
        | MACHINE
        | {"repetitions": found, "medians": middle}
    )


MEASURED = {"command": "python -m benchmarks.some", "date": "2026-01-02"} | MACHINE


def results(found: dict[str, Any], **more: Any) -> dict[str, Any]:
    return MEASURED | {"medians": found, "repetitions": {name: [each] for name, each in found.items()}} | more


RECIPES = {
    "command": "python -m benchmarks.recipes",
    "date": "2026-01-02",
    "published": {"lenot_mnist": 0.9911, "fashion_cnn": 0.92},
    "repetitions": {
        "lenot_mnist": [{"test_accuracy": accuracy, "minutes": 1.0} for accuracy in (0.99, 0.98)],
        "dense": [{"test_accuracy": 0.97, "minutes": 0.5}],
    },
    "medians": {
        "lenot_mnist": {"test_accuracy": 0.985, "minutes": 1.0},
        "dense": {"test_accuracy": 0.97, "minutes": 0.5},
    },
} | MACHINE
TEXT = "before\n<!-- results: {0} -->\nold\n<!-- end: {0} -->\nafter\n"


def written(table: str, found: dict[str, Any], benchmark: str | None = None) -> str:
    """A document with the marks of this table, after these results of a benchmark have been written into it."""
    (text,) = with_tables([TEXT.format(table)], {benchmark or table: found})
    return text


def test_a_table_is_written_between_its_marks_and_nothing_else_changes() -> None:
    text = written("train_speed", speeds("lenot/notebook", "lenot/ours"))
    assert text.startswith("before\n<!-- results: train_speed -->\n|")
    assert text.endswith("<!-- end: train_speed -->\nafter\n")
    assert "old" not in text
    assert "| LeNot, `src.train` | 3.0 s (1.50) | 30.0 s (1.00) | 4.2 s | 1.23 GB | 0.9910 (0.9910) |" in text
    assert "on 2026-01-02: 1 repetition, 2 cores (a processor, AVX-512), TensorFlow 2.21, MLflow 3.17." in text


def test_writing_the_same_results_twice_changes_nothing() -> None:
    once = [written("recipes", RECIPES)]
    assert with_tables(once, {"recipes": RECIPES}) == once


def test_a_table_is_written_in_the_document_that_has_its_marks_and_the_others_stay_as_they_are() -> None:
    first, second = with_tables(["no marks", TEXT.format("recipes")], {"recipes": RECIPES})
    assert first == "no marks"
    assert "experiment=lenot_mnist" in second


def test_a_recipe_shows_each_seed_and_one_that_was_not_run_is_left_out() -> None:
    text = written("recipes", RECIPES)
    assert "| `experiment=lenot_mnist` | 0.9911 | 0.9850 (0.9900, 0.9800) | 1.0 |" in text
    assert "| `model=dense` | - | 0.9700 (0.9700) | 0.5 |" in text
    assert "fashion_cnn" not in text


def test_a_search_shows_its_network_and_its_seeds() -> None:
    facts = {"parameters": 81114, "val_accuracy": 0.9968, "trials": 20, "trained": 18, "minutes": 142.3}
    seeds = [{"test_accuracy": accuracy, "minutes": 12.0} for accuracy in (0.9966, 0.9968)]
    found = MEASURED | {"searches": {"mnist_100k": facts}, "repetitions": {"mnist_100k": seeds}}
    text = written("searches", found | {"medians": {"mnist_100k": seeds[0]}})
    assert "| `hparams_search=mnist_100k` | 81,114 | 0.9968 | 0.9967 (0.9966, 0.9968) | 20, 2 of them over" in text


def test_ratios_of_several_benchmarks_stand_in_one_table_and_those_not_measured_are_left_out() -> None:
    measured = {"local / off": [{"epochs_seconds": 1.0}] * 5}
    overhead = {"date": "2026-01-02", "ratios": {"local / off": 1.012}, "repetitions": measured} | MACHINE
    text = written("ratios", overhead, "tracking_overhead")
    (row,) = [line for line in text.splitlines() if "benchmarks." in line]
    assert "| 1.01 | `benchmarks.tracking_overhead` | 2026-01-02 |" in row
    assert row.endswith("| 5 repetitions, 2 cores (a processor, AVX-512) |")


ABLATION = {
    "command": "python -m benchmarks.ablation",
    "date": "2026-01-02",
    "epochs": 30,
    "alone": {"l2": {"mean": -0.001, "error": 0.0004}, "flip": {"mean": 0.0123, "error": 0.001}},
    "steps": {"flip": {"mean": 0.0123, "error": 0.001}},
    "recipe": ["augmentation.flip=horizontal"],
    "test_accuracy": {"baseline": [0.88, 0.89], "recipe": [0.9, 0.91]},
    "repetitions": {"baseline": [{"val_accuracy": 0.9}] * 2},
} | MACHINE


def test_the_parts_of_a_recipe_stand_in_the_order_in_which_they_were_added_and_the_others_below() -> None:
    text = written("ablation", ABLATION)
    rows = [line for line in text.splitlines() if " ± " in line]
    assert rows == [
        "| flip | `augmentation.flip=horizontal` | +1.23 ± 0.10 | +1.23 ± 0.10 | yes |",
        "| l2 | `optimizer.l2=1e-4` | -0.10 ± 0.04 |  | no |",
    ]
    assert "Test accuracy after 30 epochs: 0.8850 (0.8800, 0.8900) baseline, 0.9050 (0.9000, 0.9100) recipe." in text


def test_a_table_without_marks_in_any_document_is_refused() -> None:
    with pytest.raises(SystemExit, match="no document has a place for recipes"):
        with_tables(["no marks", "none either"], {"recipes": RECIPES})


def test_figures_without_the_notebook_that_they_are_shares_of_are_refused() -> None:
    with pytest.raises(SystemExit, match="no lenot/notebook"):
        written("train_speed", speeds("lenot/ours"))


def test_results_that_no_table_shows_change_nothing() -> None:
    assert with_tables(["text"], {"startup": {}}) == ["text"]


def test_the_picture_has_a_bar_for_each_contestant_of_both_networks() -> None:
    figure = plot_speed(speeds(*(f"{network}/{kind}" for network in ("lenot", "cnn_mnist_v2") for kind in KINDS)))
    assert [len(axes.patches) for axes in figure.axes] == [2 * len(KINDS)] * 2
    figure.savefig(io.BytesIO(), format="png")


def test_the_cost_of_a_trial_is_shown_for_both_checkouts_with_the_memory_below() -> None:
    seconds = {"fixed_seconds": 0.75, "trial_seconds": 2.5, "first_epoch_seconds": 1.0, "later_epoch_seconds": 0.5}
    memory = {"peak_mb_10": 800.0, "peak_mb_60": 1234.0, "workers": 1.0}
    found = {
        "new networks": seconds,
        "new networks, before": seconds | {"fixed_seconds": 1.5},
        "memory, before": memory,
    }
    text = written("trial_overhead", results(found, epochs=3))
    assert "### The cost of a trial" in text
    assert "| new networks | 0.75 s | 2.50 s | 1.00 s | 0.50 s |" in text
    assert "| new networks, before | 1.50 s |" in text
    assert "| peak memory of a worker | 10 trials | 60 trials | workers |\n|---|---|---|---|\n" in text
    assert "| new networks, before | 0.80 GB | 1.23 GB | 1 |" in text


def test_the_cost_of_a_large_study_has_a_row_for_each_size() -> None:
    seconds = {"next_trial_seconds": 0.1, "status_seconds": 3.0, "repeat_seconds": 9.0, "report_seconds": 4.0}
    found = {"10": seconds, "2000": seconds, "2000, before": seconds}
    text = written("sweep_overhead", results(found))
    for size in ("10", "2,000", "2,000, before"):
        assert f"| {size} | 0.10 s | 3.00 s | 9.00 s | 4.00 s |" in text


def test_other_tools_are_compared_with_ours_and_those_not_measured_are_left_out() -> None:
    ours = {"trial_seconds": 2.0, "command_seconds": 30.0, "peak_mb": 2000.0, "lost_trials": 0.0, "search_ended": 1.0}
    optuna = ours | {"trial_seconds": 5.0, "lost_trials": 1.0, "search_ended": 0.0}
    found = results({"ours": ours, "optuna": optuna}, trials=20, epochs=3, tools={"optuna": "5.0.0"})
    text = written("peers", found)
    assert "| 20 trials of 3 epochs, two at a time | one trial |" in text
    assert "| convlab | 2.0 s (1.00) | 30.0 s (1.00) | 2.00 GB | 0 | 1 of 1 |" in text
    assert "| Optuna script with its MLflow callback | 5.0 s (2.50) | 30.0 s (1.00) | 2.00 GB | 1 | 0 of 1 |" in text
    assert "Ray Tune" not in text
    assert "The other tools: optuna 5.0.0." in text


def test_epochs_on_several_cores_are_shares_of_those_on_one_and_a_network_not_measured_has_empty_cells() -> None:
    seconds = {"1 core, 1 part, 1 thread": 4.0, "2 cores, 2 parts, 1 thread": 3.0}
    found = {f"lenot: {setting}": {"epoch_seconds": each} for setting, each in seconds.items()}
    text = written("cores", results(found))
    assert "| cores | parts of a batch | threads of an operation | LeNot | 32-64-64 convnet |" in text
    assert "| 2 | 2 | 1 | 3.00 s (0.75) |  |" in text


@pytest.mark.parametrize("name", ["trial_overhead", "sweep_overhead", "peers", "cores"])
def test_what_was_not_measured_has_no_heading_either(name: str) -> None:
    documents = "".join(document.read_text() for document in DOCUMENTS)
    if not (PUBLISHED / f"{name}.json").exists():
        assert f"<!-- results: {name} -->\n<!-- end: {name} -->\n" in documents
