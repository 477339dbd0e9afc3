"""`python -m src.find_lr`: a suggestion with a picture, a table and the command to type next."""

import shlex
import shutil
from pathlib import Path

import pytest

from src.cli.compose import compose_config
from src.errors import ConfigError
from src.find_lr import PICTURE, TABLE, find_lr, notes
from src.learning_rates import RangeTest
from src.tables import read_table
from tests.support.pictures import put_class
from tests.support.workplace import RunHere, Workplace

QUICK = ("dataset.source=sample", "dataset.limit=400", "training.batch_size=32", "model=dense", "steps=60")


def test_the_command_suggests_a_rate_and_prints_the_training_with_it(workplace: Workplace, run_here: RunHere) -> None:
    typed = ["optimizer=adam", "optimizer.learning_rate=1", "schedule=cosine", "tags.note='a b'"]
    printed = run_here(workplace, "src.find_lr", *QUICK, *typed, "output=found", "min_lr=1e-4").splitlines()
    assert "schedule=cosine was not used: the test sets the learning rate of each batch" in printed
    (suggested,) = (line for line in printed if line.startswith("suggested learning rate: "))
    rate = suggested.split()[3]
    assert 1e-4 < float(rate) < 1
    command = [word for word in shlex.split(printed[-1]) if not word.startswith("tracking.uri=")]
    assert command[:3] == ["python", "-m", "src.train"]
    typed.remove("optimizer.learning_rate=1")
    assert command[3:] == [*QUICK[:-1], *typed, f"optimizer.learning_rate={rate}"]
    trained = compose_config(command[3:])
    assert (trained.optimizer.learning_rate, trained.schedule.name) == (float(rate), "cosine")
    folder = workplace.folder / "found"
    assert {path.name for path in folder.iterdir()} == {PICTURE, TABLE}
    rows = read_table(folder / TABLE)
    assert rows[0]["learning_rate"] == "0.0001"
    assert not (workplace.folder / "mlflow.db").exists()


def test_a_network_that_cannot_learn_gets_no_suggestion(workplace: Workplace) -> None:
    done = workplace.run("src.find_lr", *QUICK, "min_lr=1e-20", "max_lr=1e-18")
    assert done.returncode == 1
    assert "error: the loss did not fall at any learning rate from 1e-20 to 1e-18" in done.stderr
    assert "the loss still fell" not in done.stdout
    assert (workplace.folder / "learning_rate" / TABLE).is_file()


def test_a_loss_that_falls_to_the_end_asks_for_a_larger_rate() -> None:
    config = compose_config(["max_lr=1e-3", "steps=50"], "find_lr")
    losses = [2.0 - step / 50 for step in range(50)]
    falling = RangeTest(config.rates, losses, losses, best=49, suggestion=1e-3 / 2)
    assert notes(falling, config) == [
        "the loss still fell at max_lr=0.001, so a larger rate may be better: raise max_lr"
    ]
    assert notes(falling._replace(best=30), config) == []


def test_an_output_that_is_a_file_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"^output: .*file is a file, not a folder"):
        find_lr(compose_config([*QUICK, f"output='{tmp_path}/file'"], "find_lr"))


def test_an_output_inside_the_data_set_is_refused_because_it_would_be_a_class(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        put_class(tmp_path / "pets", name, 3)
    typed = ["dataset=image_folder", f"dataset.folder='{tmp_path}/pets'", f"output='{tmp_path}/pets/rates'"]
    with pytest.raises(ConfigError, match=r"^output=.*/pets/rates: the folder is inside the data set"):
        find_lr(compose_config(typed, "find_lr"))
    assert not (tmp_path / "pets/rates").exists()


def test_a_warning_about_the_data_refers_to_check_data_and_not_to_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "validation", "test"):
        for name in ("cat", "dog"):
            put_class(tmp_path / "pets" / split, name, 3)
    copied = tmp_path / "pets/train/cat/000.png"
    shutil.copy(copied, tmp_path / "pets/test/cat/000.png")
    typed = ["dataset=image_folder", f"dataset.folder='{tmp_path}/pets'", f"output='{tmp_path}/rates'", "steps=50"]
    typed += ["dataset.image_size=[8,8]", "model=dense", f"dataset.cache_dir='{tmp_path}/cache'"]
    find_lr(compose_config(typed, "find_lr"))
    printed = " ".join(capsys.readouterr().out.replace("│", "").split())
    assert "in two splits with the same pixels" in printed
    assert "python -m src.check_data lists them" in printed
    assert "the run's tables" not in printed
