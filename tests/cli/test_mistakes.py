"""The sentences that answer a mistake in an override."""

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from src.cli.compose import CONF, compose_config
from src.cli.mistakes import explain
from src.errors import ConfigError
from src.schema import RUN_GROUPS

# --- mistakes ------------------------------------------------------------------------------------------------------

MISTAKES = [
    (["model.conv.-1.filters=3"], r"^cannot read 'model\.conv\.-1\.filters=3'(?!.*quote the value)"),
    (["+training.epocs=3"], r"^no key 'training\.epocs'; did you mean 'epochs'\?"),
    (["+qqq=3"], r"^no key 'qqq'; .*known: augmentation, dataset, "),
    (["model=null"], r"^no model 'null'; known: alexnet, .*; or remove `model=null`$"),
    (["training=3"], r"^no training '3'; known: default, fast, modern$"),
    (["model=null", "training.early_stopping_patience=null"], r"^no model 'null'[^;]*; known: [^;]*; or remove `"),
    (["tracking.uri=${nope}"], r"^tracking\.uri: interpolation key 'nope' not found"),
    (["model.conv.x.filters=3"], r"^got 'x', expected the index of a list item, counted from 0"),
    (["model.conv.0=3"], r"^model\.conv\.0: got 3, expected settings; give each with model\.conv\.0\.KEY=VALUE$"),
    (["dataset=manifest", "dataset.columns=label"], r"^dataset\.columns: got label, expected settings; give each with"),
    (
        ["dataset=manifest", "dataset.columns=[a,b]"],
        r"^dataset\.columns: got \[a,b\], expected settings; give each with",
    ),
    (["tags=5"], r"^tags: got 5, expected settings; give each with tags\.KEY=VALUE$"),
    (
        ["dataset=arrays", "dataset.value_range=1"],
        r"^dataset\.value_range: got 1, expected a list .*, such as \[1,\.\.\.",
    ),
    (
        ["hydra.sweeper.objectives=val_loss"],
        r"objectives: got val_loss, expected a list .*, such as \[val_loss,\.\.\.\]$",
    ),
    (["model.dense.5=3"], r"^no item 'model\.dense\.5': the list is shorter"),
    (["evaluate_test=perhaps"], r"^evaluate_test: got 'perhaps', expected true or false$"),
    (["model=lenot,dense"], r"^model=lenot,dense: several values; add -m to run each of them$"),
    (["model.family=alexnt"], r"^model\.family: got 'alexnt', but .* choose with model=NAME; did you mean 'alexnet'\?"),
    (["model=lennot"], r"^no model 'lennot'; did you mean 'lenot'\? known: .*\blenot\b"),
    (["dataset=mnst"], r"^no dataset 'mnst'; did you mean 'mnist'\? known: .*\bmnist\b"),
    (["optimizer=adm"], r"^no optimizer 'adm'; did you mean 'adam'\? known: .*\badam\b"),
    (["training.epocs=3"], r"^no key 'training\.epocs'; did you mean 'epochs'\? known: .*\bepochs\b"),
    (["model.conv.0.fliters=3"], r"^no key 'model\.conv\.0\.fliters'; did you mean 'filters'\?"),
    (["qqq=3"], r"^no key 'qqq'; known: augmentation, dataset, "),
    (["training.epochs=many"], r"^training\.epochs: got 'many', expected an integer$"),
    (["training.epochs=1.5"], r"^training\.epochs: got '1\.5', expected an integer$"),
    (["optimizer.learning_rate=fast"], r"^optimizer\.learning_rate: got 'fast', expected a number$"),
    (["model.dense=[120,many]"], r"^model\.dense.*: got 'many', expected an integer$"),
    (["model.conv.9.filters=3"], r"^no item 'model\.conv\.9\.filters': the list is shorter .*give the whole list"),
    (["training.batch_size=0"], r"^training\.batch_size: got 0, expected at least 1$"),
    (["seed=1,2"], r"^seed=1,2: several values; add -m .*'seed=\[1,2\]'"),
    (["model=lenot,dense"], r"^model=lenot,dense: several values; add -m to run each of them"),
    (["training.epochs"], r"^cannot read 'training\.epochs': an override is KEY=VALUE or GROUP=OPTION$"),
]


@pytest.mark.parametrize(("overrides", "sentence"), MISTAKES)
def test_a_mistake_is_answered_with_what_came_what_is_known_and_what_to_type(
    overrides: list[str], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        compose_config(overrides)


@pytest.mark.parametrize(
    ("place", "typed", "command"),
    [
        ("pets/cats/", "pets", "dataset=image_folder dataset.folder=pets"),
        ("pets/cats/", "pets/", "dataset=image_folder dataset.folder=pets/"),
        ("data/pets/", "data/pets", "dataset=image_folder dataset.folder=data/pets"),
        ("My Pets/", '"My Pets"', "dataset=image_folder 'dataset.folder=\"My Pets\"'"),
        ("pets/", "~/pets", "dataset=image_folder 'dataset.folder=\"~/pets\"'"),
        ("pets.csv", "./pets.csv", "dataset=manifest dataset.file=./pets.csv"),
        ("pets.parquet", "pets.parquet", "dataset=manifest dataset.file=pets.parquet"),
        ("shapes.npz", "shapes.npz", "dataset=arrays dataset.file=shapes.npz"),
    ],
)
def test_a_folder_or_a_file_in_place_of_a_data_set_is_answered_with_the_command(
    place: str, typed: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    if place.endswith("/"):
        Path(place).mkdir(parents=True)
    else:
        Path(place).write_bytes(b"")
    with pytest.raises(ConfigError) as refusal:
        compose_config([f"dataset={typed}"])
    kind, typed = "folder" if place.endswith("/") else "file", typed.strip('"')
    assert str(refusal.value) == f"dataset={typed}: this is a {kind}, not the name of a data set; use {command}"
    assert compose_config(shlex.split(command)).dataset.root == typed


def test_a_path_that_does_not_exist_is_answered_like_a_mistyped_name() -> None:
    with pytest.raises(ConfigError, match=r"^no dataset 'data/none'; known: arrays, cifar10"):
        compose_config(["dataset=data/none"])


@pytest.mark.parametrize("group", RUN_GROUPS)
def test_an_unknown_option_is_answered_with_the_files_of_its_group_and_no_others(group: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        compose_config([f"{group}=qqq"])
    known = ", ".join(sorted(path.stem for path in (CONF / group).glob("*.yaml")))
    assert str(refusal.value) == f"no {group} 'qqq'; known: {known}"


@pytest.mark.parametrize("command", ["check_data", "summary", "evaluate"])
def test_a_group_of_another_command_is_answered_with_what_to_remove(command: str) -> None:
    with pytest.raises(ConfigError, match=r"^optimizer: this command has no such group; remove it, or see --help"):
        compose_config(["optimizer=adam"], command)


# --- values that Hydra's grammar cannot read -----------------------------------------------------------------------


def proposed(sentence: str) -> list[str]:
    """What a shell makes of the override that the sentence proposes."""
    return shlex.split(sentence.rpartition("for the shell: ")[2])


@pytest.mark.parametrize("value", ["http://host/x?a=b", "Müller/a(1).png", "[draft", "a=b", "50% {sic"])
def test_an_unreadable_value_is_answered_with_an_override_that_works(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^cannot read 'tracking\.run_name=.*': quote the value") as refusal:
        compose_config([f"tracking.run_name={value}"])
    assert compose_config(proposed(str(refusal.value))).tracking.run_name == value


PRINTABLE = st.characters(exclude_categories=["C"])


@settings(deadline=None)
@given(value=st.text(PRINTABLE) | st.text("ab0 '\"\\=:,$(){}[]#;!~+@|%&", max_size=8))
def test_the_proposed_quotes_survive_the_shell_and_hydra_with_the_value_unchanged(value: str) -> None:
    parser = OverridesParser.create()
    try:
        parser.parse_overrides([f"tracking.run_name={value}"])
    except OverrideParseException as error:
        (read,) = parser.parse_overrides(proposed(explain(error)))
        assert (read.key_or_group, read.value()) == ("tracking.run_name", value)
    else:
        assume(False)
