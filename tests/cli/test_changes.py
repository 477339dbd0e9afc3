"""Settings that are typed with `resume=RUN`: which are composed, and which change the configuration of the run."""

import pytest

from src.cli.changes import change_config, split_changes
from src.cli.compose import compose_config
from src.errors import ConfigError
from src.schema import Config, as_tree, flatten


@pytest.fixture(scope="module")
def recorded() -> Config:
    """The configuration of an interrupted run."""
    config = compose_config(["dataset=synthetic", "training.epochs=4", "tags.team=vision"])
    assert isinstance(config, Config)
    return config


def changed_leaves(recorded: Config, *changes: str) -> dict[str, object]:
    """What the changes make of the configuration, apart from what stays as it was."""
    before, after = flatten(as_tree(recorded)), flatten(as_tree(change_config(recorded, changes)))
    return {name: value for name, value in after.items() if before.get(name) != value}


# --- which are composed -----------------------------------------------------------------------------------------------

COMPOSED = [
    "resume=0123",
    "on_change=continue",
    "local=office",
    "~local",
    "extensions=[mine]",
    "hydra.verbose=true",
    "tracking=off",
    "tracking.uri=http://127.0.0.1:5000",
    "tracking.enabled=false",
]
CHANGES = ["training.epochs=5", "training.checkpoint_dir=there", "tags.team=vision", "model=lenot", "resumed=1"]


def test_what_is_typed_for_the_command_is_composed_and_the_rest_changes_the_run() -> None:
    typed = [word for pair in zip(COMPOSED, [*CHANGES, *[""] * 4], strict=True) for word in pair if word]
    assert split_changes(typed) == (COMPOSED, CHANGES)


@pytest.mark.parametrize("first", [[], ["resume=null"]])
def test_without_a_run_to_resume_everything_is_composed(first: list[str]) -> None:
    assert split_changes([*first, *CHANGES]) == ([*first, *CHANGES], [])


# --- what they change -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "leaf", "value"),
    [
        ("training.epochs=9", "training.epochs", 9),
        ("training.checkpoint_minutes=0", "training.checkpoint_minutes", 0.0),
        ("training.checkpoint_dir=/mnt/a b", "training.checkpoint_dir", "/mnt/a b"),
        ("training.checkpoint_dir=2026", "training.checkpoint_dir", "2026"),
        ("tags.team=audio", "tags.team", "audio"),
        ("tags.owner=ada", "tags.owner", "ada"),
    ],
)
def test_places_tags_and_epochs_are_changed_and_nothing_else(
    recorded: Config, change: str, leaf: str, value: object
) -> None:
    assert changed_leaves(recorded, change) == {leaf: value}


def test_without_changes_the_configuration_stays_as_it_was(recorded: Config) -> None:
    assert change_config(recorded, []) == recorded


@pytest.mark.parametrize(
    "change",
    [
        "model=lenot",
        "model.dropout=0.3",
        "optimizer.learning_rate=0.1",
        "dataset.validation_size=10",
        "training.batch_size=8",
        "seed=2",
        "~tags.team",
        "+training.epochs=9",
        "training.epochs=5,6",
        "training.epochs=range(5,9)",
    ],
)
def test_a_change_of_the_result_is_refused_with_what_to_remove(recorded: Config, change: str) -> None:
    with pytest.raises(ConfigError) as refused:
        change_config(recorded, ["training.checkpoint_minutes=0", change])
    assert str(refused.value).startswith(f"{change}: a resumed run keeps its own settings; remove `{change}`")


def test_a_place_that_the_data_set_of_the_run_does_not_have_is_refused(recorded: Config) -> None:
    with pytest.raises(ConfigError, match=r"^dataset.data_dir=x: .*'dataset.data_dir'"):
        change_config(recorded, ["dataset.data_dir=x"])


@pytest.mark.parametrize("change", ["training.epochs=many", "training.epochs=0", "training.checkpoint_minutes=-1"])
def test_a_value_that_does_not_fit_is_refused_with_its_key(recorded: Config, change: str) -> None:
    with pytest.raises(ConfigError, match=change.partition("=")[0]):
        change_config(recorded, [change])


def test_what_cannot_be_parsed_is_refused(recorded: Config) -> None:
    with pytest.raises(ConfigError):
        change_config(recorded, ["training.epochs"])
