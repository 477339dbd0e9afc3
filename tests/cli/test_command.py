"""What a command answers and how it ends: mistakes as sentences, exit codes, signals, help."""

import importlib
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from mlflow import MlflowClient

from src.cli.command import entry_point
from src.cli.compose import CONF
from src.train import main
from tests.support.workplace import Workplace

# Wherever a check below fails to stop a run, the run is a small one that leaves nothing behind.
HARMLESS = ["dataset=synthetic", "tracking=off", "training.max_batches=1"]
DRIVER = "import sys\nfrom src.train import main\ntry:\n    main()\nfinally:\n    print(*sys.modules)"


def train(*arguments: str, start: tuple[str, ...] = ("-m", "src.train"), **variables: str) -> Any:
    kept = {name: value for name, value in os.environ.items() if name != "HYDRA_FULL_ERROR"}
    command = [sys.executable, *start, *arguments, *HARMLESS]
    return subprocess.run(command, cwd=CONF.parent, env=kept | variables, capture_output=True, text=True, check=False)


WRONG = [
    (["model=lennot"], "no model 'lennot'; did you mean 'lenot'?"),
    (["training.epocs=3"], "did you mean 'epochs'?"),
    (["training.epochs=-1"], "training.epochs: got -1, expected at least 1"),
    (["optimizer.learning_rate=0"], "optimizer.learning_rate: got 0.0, expected a finite number above 0"),
    (["model.dropout=1.5"], "model.dropout: got 1.5, expected 0 or more and less than 1"),
    (["model.conv.0.kernel_size=40"], "model.conv.0.kernel_size: 40 is larger than the 32x32 map"),
    (["tracking.run_name=a=b"], "'tracking.run_name=\"a=b\"'"),
    (["seed=1,2"], "add -m"),
    (["-m", "--cfg", "job"], "remove -m to see the configuration"),
    (["--config-name", "summary"], "--config-name: each command has its own configuration; this one's is train"),
    (["-m", "hydra.sweeper.params={seed: 1}"], "hydra.sweeper.params belongs in a file of conf/hparams_search"),
    (["--cfg", "job", "model=lennot"], "no model 'lennot'; did you mean 'lenot'?"),
    (["--cfg", "job", "model=null"], "no model 'null'; known: alexnet"),
    (["--cfg", "job", "model.conv.x.filters=8"], "got 'x', expected the index of a list item"),
    (["--resolve"], "--resolve flag can only be used in conjunction with --cfg"),
    (["--cfg", "job", "--resolve", "tracking.uri=${nope}"], "${nope} refers to nothing: there is no key 'nope'"),
    (["--config-dir", "conf", "hydra.searchpath=[conf]"], "cannot be combined"),
    (["local=defautl"], "no local 'defautl'"),
    (["--experimental-rerun", "run.pickle"], "it reads a pickle, which can run any code"),
    (["--shell-completion", "install=bash"], "--shell-completion: Hydra's completion works for scripts"),
    (["--config-dir", ""], "--config-dir: got an empty string; name a folder"),
    (["="], "cannot read '=': there is no key before the ="),
    (["-m", "seed=1,2", "+=3"], "cannot read '+=3': there is no key before the ="),
    (
        ["training.initial_weights="],
        "training.initial_weights: got nothing after the =; give a value, or null for none",
    ),
    (["--cfg", "job", "tracking.uri="], "tracking.uri: got nothing after the =; give a value"),
    (
        ["-m", "seed=1,2", "hydra.sweeper.study_name="],
        "hydra.sweeper.study_name: got nothing after the =; give a value",
    ),
    (["--config-dir", "nowhere"], "--config-dir nowhere: there is no such folder"),
    (["-m", "--config-dir", "conf", "hydra/sweeper=basic", "seed=1,2"], "hydra/sweeper=basic does not track its runs"),
    (["-m", "--config-dir", "conf", "hydra.sweeper.params={seed: 1}"], "hydra.sweeper.params belongs in a file"),
]


@pytest.mark.usefixtures("signals_restored")
@pytest.mark.parametrize(("arguments", "sentence"), WRONG)
def test_a_command_answers_a_mistake_in_one_line_with_exit_code_2(
    arguments: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setattr(sys, "argv", ["src.train", *arguments, *HARMLESS])
    with pytest.raises(SystemExit) as left:
        main()
    said, complained = capsys.readouterr()
    assert (left.value.code, said, os.environ["HYDRA_FULL_ERROR"]) == (2, "", "0")
    assert re.fullmatch(f"error: .*{re.escape(sentence)}.*\n", complained)


def test_what_is_swept_is_left_out_of_the_configuration_that_a_searching_command_shows() -> None:
    command = ("-m", "pipelines.best_of_sweep", "--cfg", "job", "model.dropout=interval(0,0.5)")
    answer = train("seed=7", start=command)
    assert answer.returncode == 0, answer.stderr
    assert yaml.safe_load(answer.stdout)["seed"] == 7


def test_a_folder_of_further_options_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "it's \"a\\b\\"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "mine.yaml").write_text("defaults:\n  - lenot\n  - _self_\ndropout: 0.25\n")
    answer = train("--config-dir", str(folder), "model=mine", "--cfg", "job")
    assert answer.returncode == 0, answer.stderr
    assert yaml.safe_load(answer.stdout)["model"]["dropout"] == 0.25


def test_a_folder_of_further_options_may_be_in_the_home_folder(tmp_path: Path) -> None:
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text("# @package _global_\nseed: 7\n")
    for folder in ("--config-dir=~/conf", 'hydra.searchpath=["~/conf"]', 'hydra.searchpath=["file://~/conf"]'):
        answer = train(folder, "experiment=mine", "--cfg", "job", HOME=str(tmp_path))
        assert answer.returncode == 0, answer.stderr
        assert yaml.safe_load(answer.stdout)["seed"] == 7


def test_an_error_in_an_environment_variable_s_value_names_the_variable(
    workplace: Workplace,
) -> None:
    done = workplace.run("src.train", "seed=${oc.env:SEED}", *HARMLESS, SEED="seven")
    sentence = "error: seed: got '***', expected an integer (the value comes from the environment: SEED)\n"
    assert (done.returncode, done.stderr) == (2, sentence)
    done = workplace.run("src.train", "dataset=image_folder", "tracking=off", DATA_DIR=" pictures ")
    assert done.returncode == 1
    assert "pictures/images" in done.stderr
    assert "(the value comes from the environment: DATA_DIR)" in done.stderr


def test_a_second_flag_does_not_hide_that_only_training_takes_several_values() -> None:
    answer = train("run_id=A,B", start=("-m", "src.evaluate", "-m", "--config-dir", "conf"))
    assert (answer.returncode, answer.stderr.startswith("error: -m: only python -m src.train takes it")) == (2, True)


@pytest.mark.parametrize(
    ("start", "typed", "sentence"),
    [
        ("src.evaluate", "run_id=a,b", "write a list as 'run_id=[...]', and a string with commas 'run_id=\"a,b\"'"),
        ("src.predict", "images=a,b.png", "'images=\"a,b.png\"'"),
        ("pipelines.compare_models", "model.dropout=0,0.1", "several values, but this command takes one"),
        (
            "pipelines.compare_models",
            "hparams_search=lenot",
            "hparams_search=lenot: only python -m src.train and",
        ),
        ("pipelines.best_of_sweep", "model=lenot", "nothing to sweep over: give several values (seed=1,2,3)"),
    ],
)
def test_advice_about_several_values_is_what_this_command_takes(
    start: str, typed: str, sentence: str, workplace: Workplace
) -> None:
    answer = workplace.run(start, typed)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert sentence in answer.stderr
    assert "-m to run each" not in answer.stderr


def test_a_secret_from_the_environment_is_not_in_the_answer() -> None:
    answer = train("training.epochs=${oc.env:CONVLAB_TEST}", CONVLAB_TEST="hunter2")
    assert answer.returncode == 2
    assert "training.epochs" in answer.stderr
    assert "hunter2" not in answer.stderr


def test_hydra_full_error_shows_the_traceback() -> None:
    answer = train("model=lennot", HYDRA_FULL_ERROR="1")
    assert answer.returncode == 1
    assert answer.stderr.startswith("Traceback")


@pytest.mark.parametrize(
    ("arguments", "exit_code"), [(["--cfg", "job"], 0), (["--help"], 0), (["model=lennot"], 2), (["seed=-1"], 2)]
)
def test_an_answer_does_not_wait_for_tensorflow_mlflow_or_matplotlib(arguments: list[str], exit_code: int) -> None:
    answer = train(*arguments, start=("-c", DRIVER))
    imported = set(answer.stdout.splitlines()[-1].split())
    assert answer.returncode == exit_code
    assert {"hydra", "src.schema"} <= imported
    assert not {"tensorflow", "keras", "mlflow", "matplotlib"} & imported


def test_cfg_prints_the_configuration_with_what_was_typed() -> None:
    answer = train("--cfg", "job", "model=lenet5", "seed=7")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert {"  name: lenet5", "seed: 7"} <= set(answer.stdout.splitlines())


def test_help_lists_the_groups_that_one_can_choose_from_and_no_schemas() -> None:
    answer = train("--help")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "model: alexnet, " in answer.stdout
    assert "schema" not in answer.stdout


def commands() -> list[str]:
    """The modules of the commands that have a primary configuration."""
    names = sorted(path.stem for path in CONF.glob("*.yaml"))
    return [f"{'src' if (CONF.parent / 'src' / f'{name}.py').exists() else 'pipelines'}.{name}" for name in names]


def asked(module: str, flag: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines with which the command answers the flag."""
    monkeypatch.setattr(sys, "argv", [module, flag])
    # Hydra closes all handlers of logging. If another test has imported TensorFlow, absl's closes pytest's stderr.
    monkeypatch.setattr(logging, "_handlerList", [])
    with pytest.raises(SystemExit) as left:
        importlib.import_module(module).main()
    said, complained = capsys.readouterr()
    assert (left.value.code, complained) == (0, "")
    return [line for line in said.splitlines() if line.strip()]


@pytest.mark.usefixtures("signals_restored")
@pytest.mark.parametrize(
    ("flag", "end"), [("--help", "Overrides : Any key=value"), ("--hydra-help", "Use '--cfg hydra' to Show the Hydra")]
)
@pytest.mark.parametrize("module", commands())
def test_help_shows_only_flags_that_the_command_accepts(
    module: str, flag: str, end: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = asked(module, flag, monkeypatch, capsys)
    assert lines[-1].startswith(end)
    named = {line.partition(",")[0].partition(" ")[0] for line in lines if line.startswith("--")}
    assert {"--help", "--cfg", "--config-dir", "--info"} <= named
    assert not {"--shell-completion", "--config-name", "--config-path", "--experimental-rerun"} & named
    assert ("--multirun" in named) == (module == "src.train")
    assert not [line for line in lines if "completion" in line or ".py" in line]


def test_a_reader_who_leaves_early_ends_a_command_that_only_prints_without_a_traceback() -> None:
    start = [sys.executable, "-m", "src.summary", "model=lenot"]
    with subprocess.Popen(start, cwd=CONF.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        assert command.stderr.read() == ""
    assert command.returncode == 1


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A folder with an empty store of each kind."""
    workplace = Workplace(tmp_path_factory.mktemp("looked_at"))
    optuna.create_study(study_name="empty", storage=f"sqlite:///{workplace.folder / 'optuna.db'}")
    MlflowClient(workplace.uri).search_experiments()
    return workplace


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize(
    ("arguments", "is_unbuffered"),
    [
        (["src.sweep", "status"], False),
        (["src.sweep", "status"], True),
        (["src.doctor"], False),
        (["src.summary", "model=dense"], False),
    ],
)
def test_a_full_disk_behind_the_output_of_a_command_that_only_looks_is_one_sentence(
    arguments: list[str], is_unbuffered: bool, looked_at: Workplace
) -> None:
    variables = {"PYTHONUNBUFFERED": "1"} if is_unbuffered else {}
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", *arguments], cwd=looked_at.folder, env=looked_at.environment(**variables),
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: the output cannot be written (No space left on device); ")
    assert done.stderr.count("\n") == 1


def test_what_else_this_machine_uses_keras_with_does_not_matter() -> None:
    assert train("model=dense", "training.epochs=1", KERAS_BACKEND="nonsense").returncode == 0


# --- signals -------------------------------------------------------------------------------------------------------

SIGNALS = pytest.mark.parametrize(("signum", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])

COMMAND = """
import sys
from src.cli.command import entry_point
from src.process.interrupt import deferred

@entry_point("train")
def main(config, overrides):
    with deferred():
        print("writing", flush=True)
        sys.stdin.readline()
        print("written", flush=True)
    print("next step", flush=True)

main()
"""


def command() -> "subprocess.Popen[str]":
    """A command that trains nothing: it says `writing`, waits for a line, says `written` and `next step`."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND], cwd=CONF.parent, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


@SIGNALS
def test_a_command_writes_to_the_end_and_leaves_with_the_signals_exit_code(
    signum: signal.Signals, exit_code: int
) -> None:
    with command() as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signum)
        said, complained = process.communicate("continue\n", timeout=60)
    assert said == "written\n"
    assert complained == f"stopped by {signum.name}\n"
    assert process.returncode == exit_code


def test_a_command_that_is_left_alone_ends_with_exit_code_0() -> None:
    with command() as process:
        said, complained = process.communicate("continue\n", timeout=60)
    assert (said, complained, process.returncode) == ("writing\nwritten\nnext step\n", "", 0)


@pytest.mark.usefixtures("signals_restored")
def test_sys_exit_in_the_code_of_a_user_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["src.train", *HARMLESS])
    with pytest.raises(SystemExit) as left:
        entry_point("train")(lambda *_: sys.exit())()
    complained = capsys.readouterr().err
    assert left.value.code == 1
    line = r"error: the command was ended by SystemExit \(.*/test_command\.py, line \d+\); .*\n"
    assert re.fullmatch(line, complained)


@pytest.mark.usefixtures("signals_restored")
def test_a_search_that_chooses_no_sweeper_is_refused_instead_of_running_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hparams_search").mkdir()
    text = '# @package _global_\nhydra:\n  sweeper:\n    params:\n      seed: "1,2"\n'
    (tmp_path / "hparams_search" / "mine.yaml").write_text(text)
    monkeypatch.setattr(sys, "argv", ["src.train", "-m", "--config-dir", str(tmp_path), "hparams_search=mine"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "a search file chooses it in its defaults list" in capsys.readouterr().err.lower()
