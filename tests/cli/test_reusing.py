"""What a composition reuses of earlier ones, and that it is what Hydra would make itself."""

from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import OmegaConf
from omegaconf.base import Node

from src.cli import reusing
from src.cli.compose import compose
from src.errors import ConfigError


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    reusing.forget_configs()


def nodes(node: Any, path: str = "") -> list[tuple[Any, ...]]:
    """All nodes of a configuration, with their types, flags and values."""
    of_node = {name: value for name, value in vars(node).items() if name not in ("_parent", "_flags_cache", "_content")}
    content: Any = vars(node).get("_content")
    found: list[tuple[Any, ...]] = [(path, type(node), repr(of_node))]
    if not isinstance(content, Node | dict | list):
        return [*found, (path, content)]
    below = [content] if isinstance(content, Node) else content
    for name, item in below.items() if isinstance(below, dict) else enumerate(below):
        assert vars(item)["_parent"] is node
        found += nodes(item, f"{path}.{name}")
    return found


def write_model(folder: Path, text: str) -> list[str]:
    """Write `model=mine` and return the overrides that choose it."""
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "mine.yaml").write_text(text)
    return [f"hydra.searchpath=['{folder}']", "model=mine"]


@pytest.mark.parametrize(
    ("command", "typed"),
    [
        ("train", ["model=resnet50", "schedule=cosine"]),
        ("train", ["hparams_search=architecture", "debug=fast_dev_run"]),
        ("evaluate", ["run_id=a"]),
        ("best_of_sweep", ["hydra.help.header=mine"]),
    ],
)
def test_a_composition_equals_that_of_hydra_the_first_time_and_later(
    command: str, typed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    composed = [compose(command, typed, with_hydra=True) for _ in range(3)]
    monkeypatch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", reusing._merge_anew)
    expected = compose(command, typed, with_hydra=True)
    for config in (*composed, expected):
        OmegaConf.clear_cache(config)  # it has the time of day
    assert [nodes(config) for config in composed] == [nodes(expected)] * 3


def test_what_is_done_to_a_composition_does_not_show_in_the_next_one() -> None:
    first = compose("train", [])
    before = nodes(first)
    first.model.conv[0].filters = 99
    first.tags.owner = "ada"
    OmegaConf.set_readonly(first, True)
    assert nodes(compose("train", [])) == before


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    typed = write_model(tmp_path, "defaults: [lenot, _self_]\ndropout: 0.25\n")
    assert compose("train", typed).model.dropout == 0.25
    write_model(tmp_path, "defaults: [lenot, _self_]\ndropout: 0.75\n")
    assert compose("train", typed).model.dropout == 0.75
    write_model(tmp_path, "defaults: [lenet5]\n")
    assert compose("train", typed).model.dropout == 0


def test_a_file_that_is_wrong_is_refused_each_time_and_read_once_it_is_right(tmp_path: Path) -> None:
    typed = write_model(tmp_path, "defaults: [lenot, _self_]\ndropout: [\n")
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"mine\.yaml, line 3, column 1: not YAML"):
            compose("train", typed)
    write_model(tmp_path, "defaults: [lenot, _self_]\ndropout: 0.5\n")
    assert compose("train", typed).model.dropout == 0.5


def test_files_of_the_same_name_in_two_folders_are_two(tmp_path: Path) -> None:
    for name, dropout in (("one", 0.25), ("other", 0.75)):
        (tmp_path / name).mkdir()
        typed = write_model(tmp_path / name, f"defaults: [lenot, _self_]\ndropout: {dropout}\n")
        assert compose("train", typed).model.dropout == dropout


def test_overrides_of_keys_need_no_composition_of_their_own_and_no_more_than_the_latest_ones_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reusing, "MAX_MERGED", 3)
    for seed in range(3):
        assert compose("train", [f"seed={seed}"]).seed == seed
    assert len(reusing._merged) == 1
    for model in ("dense", "lenet5", "alexnet"):
        compose("train", [f"model={model}"])
    assert len(reusing._merged) == 3
