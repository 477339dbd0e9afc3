"""From the command line to dataclasses and back, and the sentences that answer a mistake."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import hydra
import pytest

from src.compose import CONF, compose_config, config_from_dict
from src.errors import ConfigError
from src.schema import Config, SequentialConfig, as_tree, flatten

# --- as a function -------------------------------------------------------------------------------------------------


def test_overrides_become_a_checked_dataclass() -> None:
    config = compose_config(["model=lenot", "training.epochs=2", "model.conv.0.filters=8", "tags.owner=ada"])
    assert isinstance(config, Config)
    assert isinstance(config.model, SequentialConfig)
    picked = (config.model.name, config.training.epochs, config.model.conv[0].filters, config.tags)
    assert picked == ("lenot", 2, 8, {"owner": "ada"})


def test_what_was_composed_before_leaves_nothing_behind() -> None:
    before = compose_config()
    assert compose_config(["seed=7", "optimizer=adam", "tags.owner=ada"]) != before
    assert compose_config() == before


def test_composing_works_while_hydra_is_in_use_elsewhere() -> None:
    before = compose_config()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        assert compose_config() == before


def test_every_leaf_can_be_set_by_its_own_dotted_name() -> None:
    config = compose_config()
    overrides = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in flatten(config).items()]
    assert compose_config(overrides) == config


# --- read back from a run ------------------------------------------------------------------------------------------


def changed(**leaves: Any) -> dict[str, Any]:
    """The default configuration as a tree, with the values at these names (`__` for a dot) set."""
    tree = as_tree(compose_config())
    for name, value in leaves.items():
        *path, key = name.split("__")
        node = tree
        for step in path:
            node = node[int(step)] if isinstance(node, list) else node[step]
        node[key] = value
    return tree


NOT_A_CONFIG = [
    ({"model": "lenot"}, r"^model: got 'lenot', expected a mapping"),
    ({"model__family": "alexnt"}, r"^model: no kind 'alexnt'; known: .*sequential"),
    ({"dataset__loader": None}, r"^dataset: no kind None; known: .*idx"),
    ({"optimizer__name": "adm"}, r"^optimizer: no kind 'adm'; known: .*adam"),
    ({"schedule": {}}, r"^schedule: no kind None; known: .*none"),
    ({"model__fliters": 3}, r"^no key 'model\.fliters'; .*known: .*family"),
    ({"model__conv__0__fliters": 3}, r"fliters'; did you mean 'filters'\?"),
    ({"extra": 1}, r"^no key 'extra'; known: dataset, "),
    ({"optimizer___target_": "os.system"}, r"^no key 'optimizer\._target_'"),
    ({"training__epochs": "many"}, r"^training\.epochs: got 'many', expected a whole number"),
    ({"training__epochs": 0}, r"^training\.epochs: got 0, expected at least 1"),
]


@pytest.mark.parametrize("text", ["costs ${x}", "${oc.env:HOME}", "a\\b ${x}"])
def test_a_text_with_a_dollar_sign_reads_back_as_it_was(text: str) -> None:
    assert config_from_dict(changed(tags={"note": text})).tags == {"note": text}


@pytest.mark.parametrize(("leaves", "sentence"), NOT_A_CONFIG)
def test_a_tree_that_is_no_config_is_refused(leaves: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        config_from_dict(changed(**leaves))


# --- as a command --------------------------------------------------------------------------------------------------

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
    (["-m", "--cfg", "job"], "leave out -m to see the configuration"),
    (["--config-name", "summary"], "--config-name: each command has its own configuration; this one's is train"),
    (["--cfg", "job", "model=lennot"], "no model 'lennot'; did you mean 'lenot'?"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG)
def test_a_command_answers_a_mistake_in_one_line_with_exit_code_2(arguments: list[str], sentence: str) -> None:
    answer = train(*arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert re.fullmatch(f"error: .*{re.escape(sentence)}.*\n", answer.stderr)


def test_a_secret_from_the_environment_is_not_in_the_answer() -> None:
    answer = train("training.epochs=${oc.env:CONVLAB_TEST}", CONVLAB_TEST="hunter2")
    assert answer.returncode == 2
    assert "training.epochs" in answer.stderr
    assert "hunter2" not in answer.stderr


def test_whoever_asks_hydra_for_the_whole_error_gets_the_traceback() -> None:
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
    assert "model: cnn_64_64, " in answer.stdout
    assert "schema" not in answer.stdout


def test_a_reader_who_leaves_early_ends_the_command_without_a_traceback() -> None:
    start = [sys.executable, "-m", "src.train", *HARMLESS, "training.epochs=40"]
    with subprocess.Popen(start, cwd=CONF.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        assert command.stdout.readline().startswith("lenot on synthetic")
        command.stdout.close()
        assert command.stderr.read() == ""
    assert command.returncode == 1


@pytest.mark.parametrize("backend", ["jax", "nonsense"])
def test_what_else_this_machine_uses_keras_with_does_not_matter(backend: str) -> None:
    assert train(KERAS_BACKEND=backend).returncode == 0
