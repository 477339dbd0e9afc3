"""A user's own modules: what they add, what is refused, what a run records of them."""

import re
import sys
import zipfile
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from src import extensions
from src.cli.compose import compose_config
from src.errors import ConfigError
from src.extensions import (
    extension_param,
    is_extension,
    load_extensions,
    loaded_extensions,
    recorded_extensions,
    require_extensions,
)
from src.schema import METRICS, find_kind, metric_names
from tests.support.extensions import METRIC, OPTIMIZER, write_example, write_files
from tests.support.workplace import Workplace, copy_of

LION, ERROR = OPTIMIZER.format(kind="lion"), METRIC.format(name="error")
DEFAULTS = "defaults:\n  - /schema/optimizer/lion@_here_\n  - _self_\n"

pytestmark = pytest.mark.usefixtures("extensions_forgotten")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that Python finds modules in."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def digest_of(name: str) -> str:
    (loaded,) = (extension for extension in loaded_extensions() if extension.name == name)
    return loaded.digest


# --- what an extension adds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"mine.py": LION}, id="module"),
        pytest.param({"mine/__init__.py": LION}, id="package"),
        pytest.param({"mine/__init__.py": "import mine.lion", "mine/lion.py": LION}, id="package of several modules"),
    ],
)
def test_its_kinds_can_be_used_without_a_yaml_file_when_a_run_is_read_back(files: dict[str, str], folder: Path) -> None:
    write_files(folder, files)
    assert load_extensions(["mine"])
    assert find_kind("optimizer", "lion")().note == "none"
    assert (is_extension("mine"), is_extension("mine.lion"), is_extension("minecraft")) == (True, True, False)


def test_it_is_imported_once(folder: Path) -> None:
    write_files(folder, {"mine.py": LION})
    assert [load_extensions(["mine", "mine"]), load_extensions(["mine"])] == [True, False]


@pytest.mark.parametrize("package", ["mine/", "lab/mine/", ""])
def test_the_files_in_its_folder_conf_are_options(package: str, folder: Path) -> None:
    module = package.rstrip("/").replace("/", ".") or "mine"
    code = {f"{package}__init__.py" if package else "mine.py": LION}
    write_files(folder, {**code, f"{package}conf/optimizer/lion.yaml": f"{DEFAULTS}learning_rate: 0.5\n"})
    config = compose_config([f"extensions=[{module}]", "optimizer=lion"])
    assert (config.optimizer.name, config.optimizer.learning_rate) == ("lion", 0.5)
    with pytest.raises(ConfigError, match="no optimizer 'lionn'; did you mean 'lion'"):
        compose_config(["optimizer=lionn"])
    with pytest.raises(ConfigError, match=r"choose optimizer=lion, or remove `optimizer\.name`"):
        compose_config(["optimizer.name=lion"])


def test_a_string_of_a_new_kind_stays_as_it_was_typed(folder: Path) -> None:
    compose_config(["optimizer.name=rmsprop"])  # the types of keys are kept from here on
    write_files(folder, {"mine.py": LION, "conf/optimizer/lion.yaml": DEFAULTS})
    config = compose_config(["extensions=[mine]", "optimizer=lion", "optimizer.note=1.10"])
    assert config.optimizer.note == "1.10"


def test_an_option_of_the_project_is_not_replaced(folder: Path) -> None:
    write_files(folder, {"mine.py": LION, "conf/optimizer/adam.yaml": f"{DEFAULTS}learning_rate: 0.5\n"})
    assert compose_config(["extensions=[mine]", "optimizer=adam"]).optimizer.name == "adam"


def test_its_metrics_can_be_monitored(folder: Path) -> None:
    write_files(folder, {"mine.py": METRIC.format(name="error")})
    config = compose_config(["extensions=[mine]", "training.monitor=val_error"])
    assert (config.training.monitor, metric_names()) == ("val_error", ["loss", "accuracy", "error"])


# --- what is refused -----------------------------------------------------------------------------------------------

BROKEN = [
    ({}, "mine", r"there is no module mine; run the command in the folder that contains mine, or add that folder to "),
    ({"lab/__init__.py": ""}, "lab.mine", r"no module lab\.mine; run the command in the folder that contains lab"),
    ({"mine.py": LION}, "mine.py", r"there is no module mine\.py; write extensions=\[mine\], without \.py"),
    (
        {"mine.py": "import nowhere_at_all"},
        "mine",
        r"ModuleNotFoundError: No module named 'nowhere_at_all' \(.*/mine\.py, line 1\)",
    ),
    (
        {"mine.py": "\n\n1 / 0"},
        "mine",
        r"mine cannot be imported: ZeroDivisionError: division by zero \(.*/mine\.py, line 3\)",
    ),
    ({"mine.py": "def f(:"}, "mine", r"mine cannot be imported: SyntaxError: .* \(.*/mine\.py, line 1\); correct it"),
    ({"mine.py": "import sys; sys.exit(3)"}, "mine", r"mine cannot be imported: SystemExit: 3 \("),
    (
        {"mine.py": "import helper", "helper.py": "import json\njson.loads('')"},
        "mine",
        r"JSONDecodeError: .* \(.*/helper\.py, line 2\)",
    ),
    ({"mine.py": OPTIMIZER.format(kind="adam")}, "mine", r"TypeError: optimizer: the kind 'adam' is declared twice"),
    ({"mine.py": "x = 1"}, "mine", r"the module mine declares neither a kind nor a metric; name the module that does"),
    ({}, "statistics", r"the module statistics declares neither a kind nor a metric"),
    ({"mine.py": METRIC.format(name="loss")}, "mine", r"mine replaces the metric loss; choose another name"),
    ({"mine.py": "from src.schema import METRICS\ndel METRICS['loss']"}, "mine", r"mine replaces the metric loss"),
    (
        {"mine.py": LION.replace("@dataclass(kw_only=True)", "")},
        "mine",
        "declares LionConfig, which is not a dataclass",
    ),
    *(
        ({"mine.py": ERROR.replace(written, wrong)}, "mine", rf"declares the metric 'error' with {sentence}")
        for written, wrong, sentence in (
            ('"minimize"', '"min"', "direction='min'; expected maximize or minimize"),
            ('"math:fabs"', "None", "in_epoch=None; expected 'module:name'"),
            ('"math:fabs"', "abs", "in_epoch=<built-in function abs>; expected 'module:name'"),
            ('"math:fabs"', '"math.fabs"', r"in_epoch='math\.fabs'; expected 'module:name'"),
            ("in_test=None", "in_test=3", "in_test=3; expected 'module:name'"),
        )
    ),
    (
        {"mine.py": "from src.schema import METRICS\nMETRICS['error'] = {}"},
        "mine",
        "'error' as dict; expected a Metric",
    ),
    *(
        ({"mine.py": METRIC.format(name=name)}, "mine", rf"declares the metric '{name}'; its name may contain letters")
        for name in ("val_error", "test_error", "best_error", "an error", "a/b", "", "learning_rate", "epoch_seconds")
    ),
    *(
        ({}, name, r"got .*, expected the name of a Python module, such as my_networks")
        for name in ("my-networks", "./mine", "mine/lion", "mine.", ".mine", "os;x", "1st", "a b", "${oc.env:HOME}")
    ),
]


@pytest.mark.parametrize(("files", "name", "sentence"), BROKEN)
def test_a_module_that_cannot_be_used_is_refused_with_the_reason(
    files: dict[str, str], name: str, sentence: str, folder: Path
) -> None:
    write_files(folder, files)
    before = dict(METRICS)
    with pytest.raises(ConfigError, match=rf"^extensions: .*{sentence}") as refused:
        load_extensions([name])
    assert "\n" not in str(refused.value)
    assert (loaded_extensions(), METRICS) == ([], before)


def test_an_extension_in_an_archive_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(folder / "nets.zip", "w") as archive:
        archive.writestr("mine.py", LION)
    monkeypatch.syspath_prepend(folder / "nets.zip")
    with pytest.raises(ConfigError, match=r"^extensions: mine is in an archive, .*/nets\.zip/mine\.py; unpack it"):
        load_extensions(["mine"])


# --- what a run records --------------------------------------------------------------------------------------------

PACKAGE = {"mine/__init__.py": LION, "mine/later.py": "x = 1", "helper.py": "y = 2"}


def digest_with(folder: Path, **changes: str) -> str:
    """The digest in a new process, as far as modules are concerned."""
    for name in ("mine", "mine.later", "helper"):
        sys.modules.pop(name, None)
    extensions._loaded.clear()
    write_files(folder, PACKAGE | {"mine/__init__.py": f"import helper, json, yaml\n{LION}"} | changes)
    load_extensions(["mine"])
    return digest_of("mine")


@pytest.mark.parametrize("file", ["mine/__init__.py", "mine/later.py", "mine/new.py", "helper.py"])
def test_the_digest_changes_with_its_code(file: str, folder: Path) -> None:
    text = f"import helper\n{LION}\nz = 3\n" if file == "mine/__init__.py" else "z = 3"
    assert digest_with(folder) != digest_with(folder, **{file: text})


@pytest.mark.parametrize("file", ["mine/notes.txt", "mine/conf/optimizer/lion.yaml", "other.py"])
def test_the_digest_stays_when_something_else_changes(file: str, folder: Path) -> None:
    assert digest_with(folder) == digest_with(folder, **{file: "x"})


def test_a_link_to_nowhere_and_a_folder_with_the_name_of_a_file(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine/gone.py").symlink_to("nowhere.py")
    digest_with(folder)
    (folder / "mine/taken.py").mkdir()
    with pytest.raises(ConfigError, match=r"^extensions: .*/mine/taken\.py cannot be read \(Is a directory\)"):
        digest_with(folder)


def test_the_digest_is_the_same_in_another_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = digest_with(folder)
    monkeypatch.syspath_prepend(folder / "copy")
    assert digest_with(folder / "copy") == first
    assert str(sys.modules["mine"].__file__).startswith(str(folder / "copy"))


def test_names_and_digests_are_read_back_as_they_were_recorded(folder: Path) -> None:
    assert extension_param() == {}
    write_files(folder, {"mine.py": LION, "lab/__init__.py": "", "lab/metrics.py": METRIC.format(name="error")})
    load_extensions(["mine", "lab.metrics"])
    expected = {name: digest_of(name)[:12] for name in ("mine", "lab.metrics")}
    assert recorded_extensions(extension_param()) == expected
    assert recorded_extensions({}) == {}


@pytest.mark.parametrize("text", [",", "mine", "mine, ", "a b c", " 0123", "../mine 0123"])
def test_a_param_that_convlab_did_not_write_is_refused(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^the param resolved\.extensions of a run is damaged: .*; train the run again"
    ):
        recorded_extensions({"resolved.extensions": text})


def test_a_run_that_was_trained_with_an_extension_asks_for_it_and_does_not_import_it(folder: Path) -> None:
    write_files(folder, {"mine.py": LION, "other.py": METRIC.format(name="error")})
    load_extensions(["other"])
    params = {"resolved.extensions": "mine 0123456789ab"}
    sentence = "run 7 was trained with the extension mine; to load its code, add 'extensions=[other,mine]'"
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        require_extensions(params, "7")
    assert "mine" not in sys.modules
    load_extensions(["mine"])
    require_extensions(params, "7")


# --- the example of docs/extensions.md ----------------------------------------------------------------------------

USED = ["extensions=[my_networks]", "model=small_net", "dataset=shapes", "loss=generalized", "loss.q=0.5"]
USED += [
    "augmentation=noise",
    "optimizer=lion",
    "training.monitor=val_top_2",
    "training.batch_size=64",
    "training.deterministic=true",
]
NAMED = "extensions=[my_networks]"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workplace, str]:
    """A run that was trained with one kind of each group from the example, in the folder that contains the package."""
    workplace = Workplace(write_example(tmp_path_factory.mktemp("example")))
    done = workplace.run("src.train", *USED, "training.epochs=10")
    assert (done.returncode, done.stderr) == (0, "")
    assert "loss          generalized, q 0.5" in done.stdout
    (run,) = runs_of(workplace)
    return workplace, run.info.run_id


def runs_of(workplace: Workplace) -> list[Run]:
    return list(MlflowClient(workplace.uri).search_runs(["1"], order_by=["attributes.start_time DESC"]))


@pytest.mark.services
def test_a_run_is_trained_by_them_and_records_them(example: tuple[Workplace, str]) -> None:
    workplace, run_id = example
    run = MlflowClient(workplace.uri).get_run(run_id)
    kinds = {name: run.data.params[name] for name in ("model.family", "dataset.loader", "loss.name", "optimizer.name")}
    assert kinds == {
        "model.family": "small_net",
        "dataset.loader": "shapes",
        "loss.name": "generalized",
        "optimizer.name": "lion",
    }
    assert run.data.params["augmentation.deviation"] == "10.0"
    assert list(recorded_extensions(run.data.params)) == ["my_networks"]
    assert run.data.metrics["test_accuracy"] > 0.6  # a third of the images is of each class
    assert 0.8 < run.data.metrics["best_val_top_2"] <= 1
    assert 0 < run.data.metrics["test_loss"] < 2  # of the generalized cross-entropy, at most 1 / q


REPLAYING_TOO = [
    pytest.param(name, marks=pytest.mark.slow) for name in ("pipelines.reproduce", "src.register", "src.explain")
]


@pytest.mark.services
@pytest.mark.parametrize("command", ["src.evaluate", *REPLAYING_TOO])
def test_a_run_asks_for_them_and_every_command_that_replays_it_works_with_them(
    command: str, example: tuple[Workplace, str]
) -> None:
    workplace, run_id = example
    refused = workplace.run(command, f"run_id={run_id}")
    assert refused.returncode == 2
    assert refused.stderr.startswith(
        f"error: run {run_id} was trained with the extension my_networks; to load its code"
    )
    before = MlflowClient(workplace.uri).get_run(run_id).data.metrics
    done = workplace.run(command, f"run_id={run_id}", NAMED)
    assert (done.returncode, done.stderr) == (0, "")
    after = MlflowClient(workplace.uri).get_run(run_id).data.metrics
    assert {name: value for name, value in after.items() if not name.startswith("explanation/")} == before


@pytest.mark.services
def test_a_reproduced_run_is_the_same_bit_for_bit_and_changed_code_is_reported(
    example: tuple[Workplace, str], tmp_path: Path
) -> None:
    workplace, run_id = copy_of(example[0], tmp_path / "copied"), example[1]
    shapes = workplace.folder / "my_networks/shapes.py"
    shapes.write_text(shapes.read_text() + "\n# changed\n")
    done = workplace.run("pipelines.reproduce", f"run_id={run_id}", NAMED)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [re.split(r"\s{2,}", line.strip()) for line in done.stdout.splitlines()]
    verdicts = {row[0]: row[-1] for row in rows if len(row) == 4}
    assert verdicts["extension my_networks (SHA-256)"] == "CHANGED"
    assert {verdicts[name] for name in ("test_loss", "test_top_2", "val_top_2", "val_loss", "data")} == {"same"}


@pytest.mark.slow  # test_docs.py runs such a sweep too
def test_a_sweep_with_two_workers_searches_their_settings_with_their_pruner(
    example: tuple[Workplace, str], tmp_path: Path
) -> None:
    workplace = copy_of(example[0], tmp_path / "copied")
    used = [override for override in USED if override != "loss.q=0.5"]
    sweep = ["-m", *used, "model.dropout=choice(0,0.3)", "loss.q=choice(0.3,0.7)", "training.epochs=2"]
    sweep += ["hydra/sweeper=optuna", "hydra/sweeper/pruner=gap", "hydra.sweeper.pruner.gap=0.0"]
    done = workplace.run("src.train", *sweep, "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=2")
    assert (done.returncode, done.stderr) == (0, "")
    parent, *trials = sorted(runs_of(workplace)[:7], key=lambda run: "trial" in run.data.tags)
    assert {run.info.status for run in trials} == {"FINISHED"}
    assert {recorded_extensions(run.data.params).keys() == {"my_networks"} for run in trials} == {True}
    states = [run.data.tags.get("trial_state") for run in trials]
    assert states.count("PRUNED") >= 1  # with no gap allowed, only a trial that is the best so far is not pruned
    recipe = MlflowClient(workplace.uri).download_artifacts(parent.info.run_id, "best.yaml", str(tmp_path))
    made_with = recorded_extensions(trials[0].data.params)["my_networks"]
    lines = Path(recipe).read_text().splitlines()
    assert lines[1] == "# python -m src.train experiment=best 'extensions=[my_networks]'"
    assert lines[3] == f"# Made with the extension my_networks, SHA-256 {made_with}."
    network = workplace.folder / "my_networks/small_net.py"
    network.write_text(network.read_text() + "\n# changed\n")
    resumed = workplace.run("src.train", *sweep, "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=2")
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert "trials 0-5 used other code of extensions" in " ".join(resumed.stdout.replace("│", " ").split())
    recipe = MlflowClient(workplace.uri).download_artifacts(parent.info.run_id, "best.yaml", str(tmp_path))
    assert lines == Path(recipe).read_text().splitlines()


NET_WITH_TOKENS = """
from dataclasses import dataclass

from src.schema import ModelConfig


@dataclass(kw_only=True)
class TokenNetConfig(ModelConfig, kind="token_net", builds=f"{__name__}:build"):
    token_size: int = 8
    class_token: bool = True
    secret_rate: float = 0.25
    api_key_count: int = 3
    passes: int = 2
    token_kind: str = "mean"


def build(config, input_shape, num_classes):
    import keras

    from src.models.layers import classifier, pixels

    settings = (config.token_size, config.class_token, config.secret_rate, config.api_key_count, config.passes)
    assert (*settings, config.token_kind) == (4, True, 0.25, 3, 2, "mean")
    inputs, features = pixels(input_shape, config.input_size)
    features = keras.layers.Conv2D(config.token_size, 3, strides=2)(features)
    return keras.Model(inputs, classifier(features, num_classes, 0.0), name=config.name)
"""


@pytest.mark.services
def test_workers_get_the_settings_of_an_extension_whose_names_are_like_those_of_secrets(workplace: Workplace) -> None:
    conf = "defaults:\n  - /schema/model/token_net@_here_\n  - _self_\nname: token_net\n"
    write_files(workplace.folder, {"nets/__init__.py": NET_WITH_TOKENS, "nets/conf/model/token_net.yaml": conf})
    sweep = ["-m", "extensions=[nets]", "dataset=synthetic", "model=token_net", "seed=choice(1,2)", "training.epochs=1"]
    sweep += ["model.token_size=4", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=1"]
    done = workplace.run("src.train", *sweep)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 trial: 1 complete" in done.stdout


@pytest.mark.services
def test_an_extension_that_only_a_worker_cannot_import_ends_the_sweep_with_the_reason(workplace: Workplace) -> None:
    code = f"import sys\n{LION}\nif 'src.sweep.worker' in sys.modules:\n    raise OSError('one seat is taken')\n"
    write_files(workplace.folder, {"mine.py": code})
    sweep = ["-m", "extensions=[mine]", "dataset=synthetic", "model=dense", "seed=1,2", "training.epochs=1"]
    done = workplace.run("src.train", *sweep)
    assert done.returncode == 1
    assert "extensions: mine cannot be imported: OSError: one seat is taken" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.services
def test_a_layer_of_an_extension_is_saved_and_read_back_only_with_it(
    example: tuple[Workplace, str], tmp_path: Path
) -> None:
    workplace = copy_of(example[0], tmp_path / "copied")
    write_files(workplace.folder, {"my_networks/scale.py": LAYER})
    network = workplace.folder / "my_networks/small_net.py"
    with_layer = (
        "    from my_networks.scale import Scale\n\n    features = Scale(2.0)(features)\n    return keras.Model("
    )
    network.write_text(network.read_text().replace("    return keras.Model(", with_layer))
    done = workplace.run("src.train", *USED, "training.epochs=1")
    assert (done.returncode, done.stderr) == (0, "")
    run_id = runs_of(workplace)[0].info.run_id
    scored = workplace.run("src.evaluate", f"run_id={run_id}", NAMED)
    assert (scored.returncode, scored.stderr) == (0, "")
    started = workplace.run("src.train", "dataset=synthetic", f"training.initial_weights={run_id}", "training.epochs=1")
    assert started.returncode == 1
    assert "it names my_networks.scale.Scale, which is not part of Keras or of a loaded extension" in started.stderr


LAYER = """
import keras


class Scale(keras.layers.Layer):
    def __init__(self, factor, **others):
        super().__init__(**others)
        self.factor = factor

    def call(self, inputs):
        return self.factor * inputs

    def get_config(self):
        return super().get_config() | {"factor": self.factor}
"""
