"""Every command of the documents works, and every option that they should name is named."""

import argparse
import contextlib
import importlib
import json
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml
from click.testing import CliRunner
from mlflow import MlflowClient
from PIL import Image

from src.cli.compose import compose_config
from src.keeping import Keeper
from src.process.interrupt import Interrupted
from src.register import register
from src.schema import EXPORTS
from src.sweep.__main__ import read_arguments
from src.train import train
from tests.models.test_models import TABLE
from tests.support.art import put_picture
from tests.support.exports import need, write_file
from tests.support.extensions import write_example
from tests.support.sweeps import plan
from tests.support.workplace import ROOT, TrainedRun, Workplace, copy_of

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
IN_ORDER = [ROOT / "docs/tutorial.md", ROOT / "docs/own_pictures.md"]  # test_tutorial.py, test_own_pictures.py
FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STARTS = re.compile(r"(\$ )?(python -m|make|mlflow|docker) ")
QUICK = ["training.epochs=1", "training.max_batches=1", "training.early_stopping_patience=null", "schedule=none"]
QUICK += ["tracking.detail=light"]  # what a run keeps is looked at in test_train.py
QUICK_PIPELINE = ["dataset.source=sample", "training.epochs=1", "training.max_batches=1", "seeds=[1]"]
QUICK_SWEEP = ["hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1", "hydra.sweeper.storage=sqlite:///optuna.db"]


def commands() -> list[str]:
    fenced = "\n".join(
        block for document in DOCUMENTS if document not in IN_ORDER for block in FENCE.findall(document.read_text())
    )
    return [line.removeprefix("$ ") for line in fenced.splitlines() if STARTS.match(line)]


PYTHON = dict.fromkeys(command for command in commands() if command.startswith("python -m "))  # each once
LONG = ("src.train model=resnet18", "final_epochs=24")  # large networks: a minute or more
FASHION = {"dataset=fashion_mnist", "experiment=fashion_cnn", "hparams_search=fashion_500k"}  # need the full data
ONLY_LOOKS = {"--help", "--cfg"}


def answered(command: str) -> str | None:
    """The error that a document shows below the command, if it does."""
    for document in DOCUMENTS:
        found = re.search(rf"^\$ {re.escape(command)}\n(error: .*)$", document.read_text(), re.MULTILINE)
        if found:
            return found[1]
    return None


def marks(command: str) -> list[pytest.MarkDecorator]:
    if any(part in command for part in LONG):
        return [pytest.mark.slow]
    is_quick = answered(command) is not None or ONLY_LOOKS & {*shlex.split(command)}
    return [] if is_quick else [pytest.mark.services]


MARKED = [pytest.param(command, marks=marks(command)) for command in PYTHON]


def write_pictures(folder: Path) -> None:
    """A folder for each of two classes, with a few files."""
    for name, color in (("cats", "black"), ("dogs", "white")):
        (folder / name).mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", (40, 30), color).save(folder / name / f"{number}.png")
    rows = (f"{path.relative_to(folder)},{path.parent.name}" for path in folder.rglob("*.png"))
    (folder / "labels.csv").write_text("\n".join(["path,label", *rows]))


def write_arrays(file: Path) -> None:
    images = np.arange(12, dtype=np.uint8).repeat(28 * 28).reshape(12, 28, 28)
    np.savez(file, x_train=images, y_train=np.arange(12) % 2, x_test=images, y_test=np.arange(12) % 2)


def write_own_network(folder: Path) -> None:
    """The file that docs/models.md shows, at the place that it names."""
    page = (ROOT / "docs/models.md").read_text()
    (name, text) = re.findall(r"`(my_conf/model/\w+\.yaml)`:\n\n```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[0]
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text(text)


def stopped_run(uri: str) -> str:
    """The id of a run that was interrupted after its first epoch."""

    def stop(keeper: Keeper, epoch: int, metrics: object) -> None:
        raise Interrupted(signal.SIGTERM)

    typed = [*QUICK, "training.epochs=2", "dataset.source=sample", "model=dense", f"tracking.uri='{uri}'"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Keeper, "note_epoch", stop)
        with pytest.raises(Interrupted):
            train(compose_config([*typed, "tracking.run_name=stopped"]))
    client = MlflowClient(uri)
    return str(client.search_runs(["1"], "attributes.run_name = 'stopped'")[0].info.run_id)


@pytest.fixture(scope="module")
def readers_run(trained: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """The trained run in a copy of its store: the commands add runs and register models."""
    return replace(trained, workplace=copy_of(trained.workplace, tmp_path_factory.mktemp("reader") / "copy"))


@pytest.mark.usefixtures("signals_restored")
@pytest.mark.parametrize("command", MARKED)
def test_every_python_command_works_as_written(
    command: str,
    readers_run: TrainedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
):
    _, _, module, *arguments = shlex.split(command)
    if ONLY_LOOKS & set(arguments):  # Hydra answers these, and ends the process
        done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        return
    expected = answered(command)
    needs_fashion = expected is None and FASHION & set(arguments)
    full_data = request.getfixturevalue("full_data") if needs_fashion else None
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", readers_run.workplace.uri)
    if full_data:
        monkeypatch.setenv("DATA_DIR", full_data)
    else:
        monkeypatch.delenv("DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    if expected is None and any(argument.startswith("hydra/sweeper/engine=") for argument in arguments):
        monkeypatch.setenv("OPTUNA_STORAGE", "postgresql://optuna@db.example/optuna")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
        assert plan(*arguments).settings.engine.is_remote  # the cluster itself: tests/sweep/engines
        return
    if module == "src.train" and arguments == ["resume=RUN"]:
        arguments = [f"resume={stopped_run(readers_run.workplace.uri)}"]
    elif module == "src.train" and expected is None:
        if {"dataset=image_folder", "dataset=manifest"} & set(arguments):
            write_pictures(tmp_path / "pets")
            arguments.append(f"dataset.cache_dir={tmp_path}")
        elif "dataset=arrays" in arguments:
            write_arrays(tmp_path / "shapes.npz")
        elif not full_data:
            arguments = [*arguments, "dataset.source=sample"]
        arguments = [argument for argument in arguments if not argument.startswith("tracking.uri=")] + QUICK
        if not any("metrics" in argument for argument in arguments):
            arguments.append("evaluate_test=false")
        if "model=transfer" in arguments:
            arguments.append("model.weights=null")
        if "model=resnet18" in arguments:
            arguments.append("training.batch_size=8")
        if "-m" in arguments or any(argument.startswith("hparams_search=") for argument in arguments):
            arguments += QUICK_SWEEP
    if module == "src.check_data" and "run_id=RUN" not in arguments:
        write_pictures(tmp_path / "pets")
        arguments.append(f"dataset.cache_dir={tmp_path}")
    if module == "src.export":
        need(*EXPORTS)
        arguments.append("max_drop=1")  # LeNot was trained for two epochs on a sample
    if "model_file=exported/onnx/model.onnx" in arguments:
        write_file(tmp_path / "exported/onnx", "onnx")
    if "--config-dir" in arguments:
        write_own_network(tmp_path)
    if module in ("pipelines.best_of_sweep", "pipelines.compare_models"):
        arguments += [quick for quick in QUICK_PIPELINE if not (full_data and quick == "dataset.source=sample")]
        arguments += QUICK_SWEEP[1:] if module == "pipelines.best_of_sweep" else ["models=[dense]"]
        if any(argument.startswith("hparams_search=") for argument in arguments):
            arguments.append(QUICK_SWEEP[0])
        if "final_epochs=24" in arguments:
            arguments += ["final_epochs=1", "hydra.sweeper.n_trials=1"]
    if module == "pipelines.cross_validate":
        arguments += [*(quick for quick in QUICK_PIPELINE if not quick.startswith("seeds=")), "folds=2"]
    if module in ("src.dream", "src.style"):
        if "resume=RUN" in arguments:  # tests/test_dream.py resumes a picture that was interrupted
            assert compose_config(arguments, module.removeprefix("src.")).resume
            return
        for name in ("photo.jpg", "painting.jpg"):
            put_picture(tmp_path / name)
        arguments += ["size=32", "steps=1"]
    if module == "src.sweep":
        if arguments[0] in ("watch", "resume", "work"):
            # They need a study with a definition; tests/sweep/test_joining.py has one.
            assert read_arguments(arguments).study
            return
        optuna.create_study(study_name="STUDY", storage="sqlite:///optuna.db")
        arguments = arguments[:2]  # on the study of this folder, wherever it may be on the reader's machine
        module = "src.sweep.__main__"
    if module == "src.doctor":
        arguments.append(f"cache_dir={tmp_path}")  # not the reader's own
        if "discard=RUN" in arguments:
            (readers_run.workplace.folder / "checkpoints" / readers_run.run_id).mkdir(parents=True)
    if "models:/NAME@champion" in command:
        register(compose_config([f"run_id={readers_run.run_id}", "name=NAME", "alias=champion"], "register"))
    arguments = [argument.replace("=RUN", f"={readers_run.run_id}") for argument in arguments]
    arguments = [argument.replace("=docs/", f"={ROOT}/docs/") for argument in arguments]
    if any(
        argument.startswith("extensions=") for argument in arguments
    ):  # in a new process, because this one would keep them
        workplace = Workplace(write_example(tmp_path))
        used = [argument for argument in arguments if not argument.startswith("dataset.source=")]
        done = workplace.run(module, *used, MLFLOW_TRACKING_URI=readers_run.workplace.uri)
        assert (done.returncode, done.stderr) == (0, "")
        return
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    main = importlib.import_module(module).main
    if expected is None:
        main()
    else:
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 2
        assert capsys.readouterr().err.strip() == expected


def test_the_backup_command_copies_a_database_that_is_in_use(tmp_path: Path):
    (script,) = re.findall(r"^python -c \"(.*mlflow\.db.*)\"$", (ROOT / "docs/runs.md").read_text(), re.MULTILINE)
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as store:
        store.execute("PRAGMA journal_mode = WAL")
        store.execute("CREATE TABLE runs (number INTEGER)")
        store.executemany("INSERT INTO runs VALUES (?)", [(number,) for number in range(1000)])
        store.execute("BEGIN IMMEDIATE")  # a transaction of another process that is not finished
        store.execute("INSERT INTO runs VALUES (1000)")
        subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    with contextlib.closing(sqlite3.connect(tmp_path / "backup-mlflow.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert copy.execute("SELECT count(*) FROM runs").fetchall() == [(1000,)]


@pytest.mark.parametrize("target", sorted({c.split()[1] for c in commands() if c.startswith("make ")}))
def test_every_make_target_of_the_documents_exists(target: str):
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [command for command in commands() if command.startswith("mlflow ")])
def test_every_option_of_an_mlflow_command_is_one(command: str):
    from mlflow.cli import cli  # takes seconds, which other tests need not wait for

    answer = CliRunner().invoke(cli, [*shlex.split(command)[1:], "--help"])
    assert answer.exit_code == 0, answer.output


def in_files() -> list[str]:
    """The Docker commands that the first lines of the container files name."""
    text = "\n".join((ROOT / name).read_text() for name in ("Dockerfile", "compose.yaml"))
    return re.findall(r"^#   (docker .*?)(?:   .*)?$", text, re.MULTILINE)


SERVICES = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
PROFILES = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}


def service(word: str) -> str:
    """The service that begins the word: `mlflow`, or `worker=3` where there are several of it."""
    name = word.partition("=")[0]
    if name not in SERVICES:
        raise ValueError(word)
    return name


def docker() -> argparse.ArgumentParser:
    """As much of Docker's command line as the documents use, with the names of this project."""
    parser = argparse.ArgumentParser("docker", allow_abbrev=False)
    verbs = parser.add_subparsers(required=True)
    build, run, compose = (verbs.add_parser(verb, allow_abbrev=False) for verb in ("build", "run", "compose"))
    images = [SERVICES[name]["image"] for name in ("trainer", "trainer-gpu")]
    build.add_argument("--build-arg", choices=["GPU=1"])
    build.add_argument("--tag", choices=images, required=True)
    build.add_argument("folder", choices=[SERVICES["trainer"]["build"]])
    run.add_argument("--rm", action="store_true")
    run.add_argument("--volume")
    run.add_argument("--gpus", choices=["all"])
    run.add_argument("image", choices=images)
    run.add_argument("overrides", nargs=argparse.REMAINDER)
    compose.add_argument("--profile", choices=PROFILES)
    verbs = compose.add_subparsers(required=True)
    up, start, stop, execute = (verbs.add_parser(verb, allow_abbrev=False) for verb in ("up", "run", "stop", "exec"))
    for option in ("--detach", "--wait"):
        up.add_argument(option, action="store_true")
    up.add_argument("--scale", type=service)
    up.add_argument("services", type=service, nargs="*")
    start.add_argument("--rm", action="store_true")
    start.add_argument("service", choices=["trainer", "trainer-gpu"])
    start.add_argument("overrides", nargs=argparse.REMAINDER)
    stop.add_argument("services", type=service, nargs="*")
    execute.add_argument("--no-TTY", action="store_true")
    execute.add_argument("service", type=service)
    execute.add_argument("program", nargs=argparse.REMAINDER)
    return parser


@pytest.mark.parametrize("command", sorted({c for c in commands() if c.startswith("docker ")} | set(in_files())))
def test_every_docker_command_names_what_there_is(command: str):
    words = shlex.split(re.sub(r" [<>]\S+$", "", command))
    read = docker().parse_args(words[1:])
    compose_config(getattr(read, "overrides", []))


GROUPS = ["dataset", "model", "augmentation", "optimizer", "loss", "schedule", "tracking", "experiment", "debug"]


@pytest.mark.parametrize("group", GROUPS)
def test_the_settings_page_lists_every_option_of_a_group(group: str):
    (row,) = re.findall(rf"^\| `{group}` \|([^|]*)\|", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", row)) == sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))


def test_the_models_page_has_the_sizes_of_every_network():
    row = r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \| [^|]+ \| (\d+)"
    rows = re.findall(row, (ROOT / "docs/models.md").read_text(), re.MULTILINE)
    for name, parameters, smallest in rows:
        config = compose_config([f"model={name}", "dataset.image_size=[512,512]"])
        assert int(smallest) == config.model.smallest_input, name
        assert name == "transfer" or int(parameters.replace(",", "")) == TABLE[name].trainable, name
    assert sorted(name for name, _, _ in rows) == sorted(TABLE)


def test_the_architecture_page_lists_every_module_and_package_of_src():
    text = (ROOT / "docs/architecture.md").read_text()
    names = {path.name for path in (ROOT / "src").iterdir() if not path.name.startswith("__")}
    assert not [name for name in names if f"src/{name}" not in text]


def test_the_readme_links_every_page():
    text = (ROOT / "README.md").read_text()
    assert not [page.name for page in (ROOT / "docs").glob("*.md") if f"](docs/{page.name})" not in text]


def test_every_picture_and_page_that_a_document_names_exists():
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert target.startswith("http") or (document.parent / target).exists(), f"{document.name}: {target}"


@pytest.mark.services
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    docs = tmp_path / "docs"
    docs.mkdir()
    shutil.copy(ROOT / "docs/notebook.ipynb", docs)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(docs)
    notebook = json.loads(Path("notebook.ipynb").read_text())
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert names["result"].metrics["test_accuracy"] > 0.8  # type: ignore[attr-defined]
    assert names["early"].stopped == "observer"  # type: ignore[attr-defined]
    assert (tmp_path / "mlflow.db").exists()  # the project's own store, which `make ui` shows
    assert [path.name for path in docs.iterdir()] == ["notebook.ipynb"]
