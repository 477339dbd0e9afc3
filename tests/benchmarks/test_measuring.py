"""Whole commands timed, contestants in turn, everything kept as JSON."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import measuring
from benchmarks.measuring import (
    Failed,
    Figures,
    arguments,
    changes,
    chosen,
    in_trees,
    in_turn,
    keep,
    kept_before,
    medians,
    ratio,
    ready,
    run,
)

MEASURED = {"a": [{"seconds": 3.0}, {"seconds": 1.0}, {"seconds": 2.0}], "b": [{"seconds": 4.0}]}


def test_a_command_is_timed_whole_with_its_memory_and_what_it_prints(tmp_path: Path) -> None:
    program = "import time; kept = b'1' * 200_000_000; time.sleep(0.4); print('done')"
    done = run(["-c", program], tmp_path)
    assert done.output == "done\n"
    assert done.seconds > 0.4
    assert 200 < done.peak_mb < 250  # no matter how much this process holds


def test_a_command_that_fails_is_reported_with_its_output(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="ended with 3:\nfull disk"):
        run(["-c", "import sys; print('full disk'); sys.exit(3)"], tmp_path)
    assert run(["-c", "import sys; sys.exit(3)"], tmp_path, expected=3).seconds > 0


def test_a_command_sees_little_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "OPTUNA_STORAGE", "TF_NUM_INTRAOP_THREADS", "HYDRA_FULL_ERROR"):
        monkeypatch.setenv(name, "here")
    output = run(["-c", "import os; print(os.environ)"], tmp_path, GIVEN="there").output
    assert "'here'" not in output
    assert "'there'" in output


def test_contestants_take_turns_each_in_an_empty_folder_of_its_own() -> None:
    order: list[str] = []

    def contestant(name: str) -> Callable[[Path], Figures]:
        def measure(folder: Path) -> Figures:
            assert not list(folder.iterdir())
            (folder / "left behind").touch()
            order.append(name)
            return {"seconds": float(len(order))}

        return measure

    measured = in_turn({name: contestant(name) for name in "abc"}, 2, ["a", "c"])
    assert order == ["a", "c", "c", "a"]  # another one begins each time
    assert measured == {"a": [{"seconds": 1.0}, {"seconds": 4.0}], "c": [{"seconds": 2.0}, {"seconds": 3.0}]}


def test_a_contestant_that_fails_is_left_out_and_costs_nobody_elses_figures(capsys: pytest.CaptureFixture[str]) -> None:
    tried: list[str] = []

    def fails(folder: Path) -> Figures:
        tried.append("b")
        raise Failed("full disk")

    assert in_turn({"a": lambda folder: {"seconds": 1.0}, "b": fails}, 3) == {"a": [{"seconds": 1.0}] * 3}
    assert tried == ["b"]
    assert "failed: full disk" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="nothing was measured"):
        in_turn({"b": fails}, 3)


@pytest.mark.parametrize("value", ["0", "-1", "two"])
def test_less_than_one_repetition_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(None, ["a"], repetitions=3).parse_args([f"--repeat={value}"])
    assert f"got '{value}', expected an integer of at least 1" in capsys.readouterr().err


def test_a_benchmark_without_repetitions_refuses_repeat(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(None, ["a"]).parse_args(["--repeat=2"])
    assert "unrecognized arguments: --repeat=2" in capsys.readouterr().err


def test_missing_tensorboard_is_reported_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install tensorboard"):
        ready(["lenot/ours", "lenot/autolog"])


def test_without_the_full_mnist_nothing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(measuring, "TRAIN", (*measuring.TRAIN, "dataset.mirrors=[]"))
    with pytest.raises(SystemExit, match="ended with 1"):
        ready(["lenot/ours"])


@pytest.mark.parametrize(("publish", "folder"), [(True, "published"), (False, "unpublished")])
def test_what_the_readme_shows_changes_only_when_that_is_asked_for(
    publish: bool, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RESULTS", raising=False)
    monkeypatch.setattr(measuring, "PUBLISHED", tmp_path / "published")
    monkeypatch.setattr(measuring, "UNPUBLISHED", tmp_path / "unpublished")
    keep("some_speed", MEASURED, publish)
    assert [file.parent.name for file in tmp_path.rglob("*.json")] == [folder]


def test_results_are_kept_with_every_repetition_the_machine_and_the_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESULTS", str(tmp_path / "results"))
    keep("some_speed", MEASURED, epochs=3, ratios={"a / b": 0.5})
    (file,) = (tmp_path / "results").iterdir()
    kept = json.loads(file.read_text())
    assert file.name == "some_speed.json"
    assert (kept["medians"], kept["repetitions"]) == ({"a": {"seconds": 2.0}, "b": {"seconds": 4.0}}, MEASURED)
    assert (kept["epochs"], kept["ratios"]) == (3, {"a / b": 0.5})
    assert kept["machine"].keys() >= {"processor", "cores", "memory_gb", "instructions"}
    assert kept["versions"].keys() >= {"python", "tensorflow", "keras", "mlflow"}


def test_earlier_results_are_shown_with_new_ones_only_if_the_machine_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESULTS", str(tmp_path))
    assert kept_before("some_speed", publish=False) == {}
    keep("some_speed", MEASURED)
    assert kept_before("some_speed", publish=False) == MEASURED
    monkeypatch.setattr(measuring, "versions", lambda: {"python": "2.7"})
    with pytest.raises(SystemExit, match="measure all of it again"):
        kept_before("some_speed", publish=False)


def test_a_ratio_is_the_median_of_the_repetitions_ratios() -> None:
    seconds = {"a": (1.0, 10.0, 3.0), "b": (1.0, 5.0, 6.0, 9.0)}
    measured = {name: [{"s": each} for each in found] for name, found in seconds.items()}
    assert ratio(measured, "a", "b", "s") == 1.0  # of 1, 2 and 0.5; the medians' is 0.55


def test_the_median_of_each_figure_is_taken_by_itself() -> None:
    assert medians({"a": [{"x": 1, "y": 9}, {"x": 2, "y": 8}, {"x": 3, "y": 7}]}) == {"a": {"x": 2, "y": 8}}


def test_another_checkout_is_measured_directly_after_this_one(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/train.py").touch()

    def measure(name: str, tree: Path, folder: Path) -> Figures:
        return {"is_ours": float(tree == measuring.ROOT)}

    measured = in_turn(in_trees(["a", "b"], tmp_path, measure), 1)
    assert list(measured) == ["a", "a, before", "b", "b, before"]
    assert [found[0]["is_ours"] for found in measured.values()] == [1.0, 0.0, 1.0, 0.0]
    assert list(in_turn(in_trees(["a"], None, measure), 1)) == ["a"]


def test_a_folder_that_is_not_a_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="is not a checkout of convlab"):
        in_trees(["a"], tmp_path, lambda name, tree, folder: {})


def test_the_change_of_a_figure_is_a_ratio_to_the_other_checkout() -> None:
    measured = {"a": [{"s": 1.0}], "a, before": [{"s": 4.0}], "b": [{"s": 1.0}]}
    assert changes(measured, ["s", "mb"]) == {"s of a / before": 0.25}


@pytest.mark.parametrize(("typed", "names"), [([], ["a", "b"]), (["b"], ["b"])])
def test_all_contestants_run_unless_some_are_named(typed: list[str], names: list[str]) -> None:
    assert chosen(arguments(None, ["a", "b"], repetitions=3).parse_args(typed), ["a", "b"]) == names


def test_an_unknown_contestant_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SystemExit, match="no contestant c; known: a, b"):
        chosen(arguments(None, ["a", "b"], repetitions=3).parse_args(["c"]), ["a", "b"])


@pytest.mark.parametrize(
    "benchmark",
    [
        "startup",
        "train_speed",
        "tracking_overhead",
        "metrics_overhead",
        "input_speed",
        "sweep_speed",
        "trial_overhead",
        "sweep_overhead",
        "peers",
        "transfer_speed",
        "setting_speed",
        "recipes",
        "unbalanced",
        "ablation",
    ],
)
def test_every_benchmark_says_what_it_compares(benchmark: str, tmp_path: Path) -> None:
    shown = run(["-m", f"benchmarks.{benchmark}", "--help"], tmp_path).output
    assert f"python -m benchmarks.{benchmark}" in shown
    assert "repetitions of each" in shown


def test_a_benchmark_runs_whole(tmp_path: Path) -> None:
    done = run(["-m", "benchmarks.startup", "typo", "bare typo", "--repeat", "1"], tmp_path, RESULTS=str(tmp_path))
    kept = json.loads((tmp_path / "startup.json").read_text())
    assert kept["medians"].keys() == {"typo", "bare typo"}
    middle = {name: found["seconds"] for name, found in kept["medians"].items()}
    assert kept["ratios"]["typo / bare typo"] == middle["typo"] / middle["bare typo"]
    assert "typo / bare typo: " in done.output
    assert sys.executable not in json.dumps(kept)


@pytest.mark.slow
@pytest.mark.parametrize(
    "typed", [["sweep_overhead", "10"], ["trial_overhead", "same networks", "--trials=3", "--epochs=2"]]
)
def test_a_benchmark_of_sweeps_runs_whole_also_against_another_checkout(
    typed: list[str], tmp_path: Path, full_data: str
) -> None:
    name, contestant, *more = typed
    command = ["-m", f"benchmarks.{name}", contestant, *more, "--repeat=1", f"--against={measuring.ROOT}"]
    run(command, tmp_path, RESULTS=str(tmp_path), DATA_DIR=full_data)
    kept = json.loads((tmp_path / f"{name}.json").read_text())
    assert list(kept["medians"]) == [contestant, f"{contestant}, before"]
    assert kept["ratios"]
    assert all(value > 0 for found in kept["medians"].values() for value in found.values())
