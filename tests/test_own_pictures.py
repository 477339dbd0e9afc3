"""The page about own pictures, typed from top to bottom in one process: it ends with a champion that knows them."""

import csv
import importlib
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from src.cli.compose import compose_config
from src.datasets import ImageBytes
from src.serve import load_served_model
from tests.support.sweeps import plan
from tests.support.workplace import ROOT

PAGE = (ROOT / "docs/own_pictures.md").read_text()
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [block for language, block in FENCE.findall(PAGE) if not language]
pytestmark = pytest.mark.services
SHELL = ("python - <<", "python -c")
TAKES_LONG = ("make ", "curl ")  # the server: tests/test_tutorial.py


@dataclass
class Typed:
    """The folder that the page was typed in, and what its commands printed, by how they begin."""

    folder: Path
    said: dict[str, str] = field(default_factory=dict)

    def answer(self, words: str) -> str:
        return next(said for command, said in self.said.items() if words in command)

    def first_run(self) -> str:
        return re.findall(r"^run ([0-9a-f]{32}):", self.answer("src.train"), re.MULTILINE)[0]


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Typed:
    page = Typed(tmp_path_factory.mktemp("page"))
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(page.folder)
        patched.setenv("XDG_CACHE_HOME", str(page.folder / "cache"))
        for name in ("MLFLOW_TRACKING_URI", "DATA_DIR"):
            patched.delenv(name, raising=False)
        for block in BLOCKS:
            for command in [block] if block.startswith(SHELL[0]) else block.splitlines():
                type_command(page, command, patched)
    return page


def type_command(page: Typed, command: str, patched: pytest.MonkeyPatch) -> None:
    if command.startswith(SHELL):
        line = re.sub("^python", sys.executable, command, flags=re.MULTILINE)
        subprocess.run(["bash", "-c", line], check=True, cwd=page.folder)
    elif not command.startswith(TAKES_LONG):
        _, _, module, *arguments = shlex.split(command)
        if "-m" in arguments:
            assert plan(*arguments[1:]).settings.n_trials == 6  # sweeps run in tests/sweep
            return
        if module == "src.train" and any(module in earlier for earlier in page.said):
            compose_config(arguments)  # the first training is the one that is registered
            return
        if "run_id=RUN" in arguments:
            arguments[arguments.index("run_id=RUN")] = f"run_id={page.first_run()}"
        patched.setattr(sys, "argv", [module, *arguments])
        with (page.folder / "said.txt").open("w+") as file, pytest.MonkeyPatch.context() as inner:
            inner.setattr(sys, "stdout", file)
            importlib.import_module(module).main()
            file.seek(0)
            page.said[command] = file.read()


def test_the_page_shows_what_is_chosen_for_its_pictures(typed: Typed):
    said = typed.answer("src.train dataset=image_folder")
    (shown,) = re.findall(r"^```text\n(chosen .*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert said.startswith(shown)


def test_the_next_steps_are_commands_with_the_folder(typed: Typed):
    said = typed.answer("src.train dataset=image_folder")
    commands = re.findall(r"^  (python -m .*)$", said.partition("what to try next:")[2], re.MULTILINE)
    assert [shlex.split(command)[2] for command in commands] == [
        "src.check_data",
        *["src.train"] * 3,
        "src.predict",
    ]
    for command in commands[1:3]:
        compose_config(shlex.split(command)[3:])
    assert all("scenes" in command for command in commands)


def test_the_champion_knows_the_pictures(typed: Typed):
    with (typed.folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 160
    assert sum(row["predicted"] == row["image"].split("/")[0] for row in rows) >= 150


def test_the_picture_that_is_sent_to_the_server_is_recognized(typed: Typed):
    (name,) = re.findall(r"curl .*image=@(\S+)", PAGE)
    store = f"tracking.uri='sqlite:///{typed.folder}/mlflow.db'"
    served = load_served_model(compose_config(["model_uri=models:/scenes@champion", store], "serve"))
    (answer,) = served.classify([ImageBytes(name, (typed.folder / name).read_bytes())])
    assert answer.predicted == "temple"


def test_the_look_inside_and_the_look_at_the_data_are_folders(typed: Typed):
    assert (typed.folder / "inside" / "grad_cam.png").exists()
    assert (typed.folder / "data_check" / "check.html").exists()
