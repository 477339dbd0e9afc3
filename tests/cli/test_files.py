"""Files of `conf/` that cannot be read are reported in a sentence with the file, the line and the column."""

import os
import re
from pathlib import Path

import pytest

from src.cli.compose import compose_config
from src.errors import ConfigError

GLOBAL = "# @package _global_\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with options of the user's own, which is the working folder too."""
    for group in ("experiment", "hparams_search", "model", "local"):
        (tmp_path / group).mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(folder: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as refused:
        compose_config([*overrides, f"hydra.searchpath=['{folder}']"])
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


UNREADABLE = [
    ("training:\n\tepochs: 3\n", "line 3, column 1: found a tab; YAML is indented with spaces"),
    ("training: {epochs: 3\n", "line 3, column 1: not YAML: did not find expected ',' or '}'"),
    ("seed: 1\nseed: 2\n", "line 3, column 1: seed is in the file twice; keep one"),
    ("training:\n  epochs: 1\n  epochs: 2\n", "line 4, column 3: training.epochs is in the file twice; keep one"),
    ("seed: 1\n---\nseed: 2\n", "line 3, column 1: not YAML: expected a single document"),
    ("training: *nope\n", "line 2, column 11: not YAML: found undefined alias"),
    ("training: &a {epochs: *a}\n", "line 2, column 11: training.epochs: expected a single value"),
    ("extra: &a [*a]\n", "not YAML: maximum recursion depth exceeded"),
    ("seed: !mine 3\n", "line 2, column 7: not YAML: could not determine a constructor for the tag '!mine'"),
    ("extra: !!python/object/apply:os.getcwd []\n", "line 2, column 8: not YAML: could not determine a constructor"),
    ("? [a, b]\n: 2\n", "line 2, column 3: not YAML: found unhashable key"),
    ("extra: !!set {a, b}\n", "Value 'set' is not a supported primitive type"),
    ("seed: 1\0\n", "not YAML: unacceptable character #x0000"),
    ("seed: ${\n", "no viable alternative at input '${'"),
    ("- seed\n", "line 2, column 1: expected keys with values, such as `seed: 1`"),
    ("seed 1\n", "line 2, column 1: expected keys with values, such as `seed: 1`"),
    ('"": 1\n', "line 2, column 1: an empty string as a key"),
    ("1: 2\n", "line 2, column 1: no key '1'; known: augmentation"),
    ("defaults:\nseed: 1\n", "line 2, column 1: defaults: expected a list"),
    ("defaults: lenot\n", "line 2, column 1: defaults: expected a list"),
    ("defaults:\n  - override /model: 3\n", "line 3, column 22: defaults: override /model: expected the name"),
    ("defaults:\n  - [a]\n", "line 3, column 5: defaults: expected one group and its option"),
    ("defaults:\n  - override /model: lennot\n", "line 3, column 22: no model 'lennot'; did you mean 'lenot'?"),
    ("defaults:\n  - override /modle: lenot\n", "Could not override 'modle'. No match in the defaults list"),
    ("training: {epochs: many}\n", "line 2, column 12: training.epochs: got 'many', expected an integer"),
    ("training: {epocs: 3}\n", "line 2, column 12: no key 'training.epocs'; did you mean 'epochs'?"),
    ("training: {epochs: [3]}\n", "line 2, column 20: training.epochs: expected a single value"),
    ("dataset: {class_names: cat}\n", "line 2, column 24: dataset.class_names: expected a list"),
    ("model: lenot\n", "line 2, column 8: model: expected keys with values; an option is chosen in the defaults list"),
    ("tracking: {uri: }\n", "line 2, column 17: tracking.uri: expected a value, got null"),
    ("hydra: {searchpath: [x]}\n", "Overriding hydra.searchpath is only supported from the primary config"),
    ('hydra: {sweeper: {params: {"": 1}}}\n', "line 2, column 28: an empty string as a key"),
    ("hydra: {sweeper: {params: [seed]}}\n", "line 2, column 27: hydra.sweeper.params: expected keys with values"),
    ("hydra: {sweeper: {n_trails: 3}}\n", "line 2, column 19: no key 'hydra.sweeper.n_trails'; did you mean"),
]


@pytest.mark.parametrize(("content", "sentence"), UNREADABLE)
def test_a_file_that_cannot_be_read_is_named_with_the_place_in_it(content: str, sentence: str, folder: Path) -> None:
    (folder / "experiment" / "mine.yaml").write_text(GLOBAL + content)
    found = refusal(folder, "experiment=mine")
    assert re.match(rf"experiment/mine\.yaml(: |, ){re.escape(sentence)}", found), found


@pytest.mark.parametrize("name", ["experiment/mine", "local/default", "model/mine", "hparams_search/mine"])
def test_files_of_every_group_are_checked(name: str, folder: Path) -> None:
    (folder / f"{name}.yaml").write_text("seed: {\n")
    group, _, option = name.partition("/")
    typed = [] if group == "local" else [f"{group}={option}"]
    assert refusal(folder, *typed).startswith(f"{name}.yaml, line 2, column 1: not YAML")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "experiment/mine.yaml: the file is empty; add settings, or do not choose it"),
        (b"# only a comment\n", "experiment/mine.yaml: the file is empty"),
        (b"a: 1\nb: \xff\n", "experiment/mine.yaml, line 2, column 4: not UTF-8"),
        ("seed: 1\n".encode("utf-16"), "experiment/mine.yaml, line 1, column 1: not UTF-8"),
        (b"# @package\nseed: 1\n", "experiment/mine.yaml, line 1: Expected header format"),
        (b"seed: 1\n", "experiment/mine.yaml: no key 'experiment'; .* begins with the line `# @package _global_`"),
    ],
)
def test_a_file_without_settings_encoding_or_first_line_is_reported(
    content: bytes, sentence: str, folder: Path
) -> None:
    (folder / "experiment" / "mine.yaml").write_bytes(content)
    assert re.match(sentence, refusal(folder, "experiment=mine"))


@pytest.mark.parametrize("kind", ["folder", "pipe", "broken link", "circular link", "no permission"])
@pytest.mark.parametrize("name", ["experiment/mine", "local/default"])
def test_what_is_not_a_readable_file_is_reported(kind: str, name: str, folder: Path) -> None:
    file = folder / f"{name}.yaml"
    match kind:
        case "folder":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "broken link":
            file.symlink_to("nowhere.yaml")
        case "circular link":
            file.symlink_to(file.name)
        case "no permission":
            file.write_text(GLOBAL)
            file.chmod(0)
            if os.access(file, os.R_OK):
                pytest.skip("the superuser may read everything")
    typed = ["experiment=mine"] if name.startswith("experiment") else []
    assert refusal(folder, *typed).startswith(f"{name}.yaml: ")


def test_a_defaults_list_that_leads_back_to_its_own_file_is_reported(folder: Path) -> None:
    (folder / "experiment" / "mine.yaml").write_text(f"{GLOBAL}defaults:\n  - other\n")
    (folder / "experiment" / "other.yaml").write_text(f"{GLOBAL}defaults:\n  - mine\n")
    assert refusal(folder, "experiment=mine").startswith("a defaults list in conf/ includes its own file")


def test_a_file_that_begins_with_a_byte_order_mark_is_read(folder: Path) -> None:
    (folder / "experiment" / "mine.yaml").write_bytes(b"\xef\xbb\xbf" + GLOBAL.encode() + b"seed: 7\n")
    assert compose_config(["experiment=mine", f"hydra.searchpath=['{folder}']"]).seed == 7


@pytest.mark.parametrize(
    ("searchpath", "sentence"),
    [
        ('[""]', "hydra.searchpath: there is no folder ''"),
        ("[nowhere]", "hydra.searchpath: there is no folder 'nowhere'"),
        ('["pkg://nowhere"]', "hydra.searchpath: there is no package 'nowhere'"),
        ('["ftp://nowhere"]', "hydra.searchpath: got ftp://"),
        ("3", "hydra.searchpath must be a list of strings"),
    ],
)
def test_a_search_path_that_leads_nowhere_is_reported(searchpath: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        compose_config([f"hydra.searchpath={searchpath}"])


@pytest.mark.filterwarnings("ignore:In the sequence")  # as `src.cli.compose` has it; pytest makes errors of warnings
@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("seed=${oc.env:}", "${oc.env:} names no environment variable"),
        ("seed=${oc.env:CONVLAB_UNSET,}", "seed: got '', expected an integer"),
        ("seed=${oc.nope:x}", "seed: unsupported interpolation type oc.nope"),
        ("seed=${seed}", "seed: recursive interpolation detected"),
    ],
)
def test_an_interpolation_that_gives_nothing_is_reported(typed: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        compose_config([typed])
