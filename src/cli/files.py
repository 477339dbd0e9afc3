"""Reading the YAML files of `conf/` and of folders like it.

A file that cannot be read is reported with its name, line and column, and so is a number where a string is expected:
YAML reads `version: 1.10` as 1.1.
"""

import dataclasses
import os
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf
from omegaconf._utils import get_yaml_loader
from omegaconf.errors import OmegaConfBaseException

from src.cli.conf import CONF
from src.cli.strings import NOTHING, Types, is_string, root_types, types_in, types_of
from src.errors import ConfigError

_STRING, _NULL = "tag:yaml.org,2002:str", "tag:yaml.org,2002:null"
_NOT_STRINGS = {
    "tag:yaml.org,2002:int": "a number",
    "tag:yaml.org,2002:float": "a number",
    "tag:yaml.org,2002:bool": "true or false",
}
EXTENSIONS = "extensions"  # a key that only files of `conf/local` may have; it is read before anything is composed
_PARAMS = ("hydra", "sweeper", "params")  # dotted names and what would be typed after their equals signs


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # its base is chosen at run time
    """YAML as OmegaConf reads it (`1e-3` is a number, a date is a string), parsed in C: five times as fast."""

    yaml_implicit_resolvers = get_yaml_loader().yaml_implicit_resolvers


class ConfFiles(FileConfigSource):
    """A folder of YAML files that Hydra composes from.

    Attributes:
        read: the file that was last read for each config, such as `experiment/lenot_mnist`.
    """

    read: ClassVar[dict[str, Path]] = {}

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider, path)
        if provider.startswith("hydra.searchpath") and not os.path.isdir(self.path):  # noqa: PTH112
            raise ConfigError(f"hydra.searchpath: there is no folder {self.path!r}; remove it from the list")

    def is_config(self, config_path: str) -> bool:
        """Return whether there is a file, a folder or a broken link of this name; `load_config` says what is wrong."""
        return os.path.lexists(self._file(config_path))

    def is_group(self, config_path: str) -> bool:
        return os.path.isdir(os.path.join(self.path, config_path))  # noqa: PTH112, PTH118 - called 1,000 times at a start

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        try:
            return super().list(config_path, results_filter)
        except OSError as error:
            raise ConfigError(f"{_shown(Path(self.path, config_path))}: cannot be read ({error.strerror})") from error

    def load_config(self, config_path: str) -> ConfigResult:
        """Read a file.

        Raises:
            ConfigError: it cannot be read, is not YAML, is not a mapping, or has a number where a string is expected.
        """
        file, text = Path(self._file(config_path)), self.version(config_path)
        try:
            header = self._get_header_dict(text)
        except ValueError as error:
            raise ConfigError(f"{_shown(file)}, line 1: {error}; expected '# @package _global_'") from error
        content = _parse(file, text, _types_of_file(config_path, header["package"]))
        if content is None and header["package"] is None and not config_path.startswith("local/"):
            raise ConfigError(f"{_shown(file)}: the file is empty; add settings, or do not choose it")
        if content is not None and EXTENSIONS in content and file.parent == CONF / "local":
            del content[EXTENSIONS]
        try:
            config = OmegaConf.create({} if content is None else content)
        except (OmegaConfBaseException, RecursionError, ValueError) as error:
            raise ConfigError(f"{_shown(file)}: {str(error).splitlines()[0]}") from error
        return ConfigResult(config=config, path=self.full_path(), provider=self.provider, header=header)

    def version(self, config_path: str) -> str:
        """Return the text of a file, which is read again for each composition, and parsed if it has changed."""
        file = self.read[config_path.removesuffix(".yaml")] = Path(self._file(config_path))
        return _read(file)

    def _file(self, config_path: str) -> str:
        return os.path.join(self.path, self._normalize_file_name(config_path))  # noqa: PTH118 - see `is_group`


def place_of(config_path: str, key: str) -> str:
    """Return the file of a config, with the line and the column of a key where it has that key.

    Args:
        config_path: such as `experiment/lenot_mnist`.
        key: its dotted name in the composed configuration.
    """
    file = ConfFiles.read.get(config_path)
    if file is None:
        return f"{config_path}.yaml"
    text = _read(file)
    package = _package(config_path, ConfFiles._get_header_dict(text)["package"])
    names = (key.removeprefix(package).strip(".") if key.startswith(package) else key).split(".")
    node, mark = yaml.compose(text, _Loader), None
    for name in names:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        for key_node, value in pairs:
            if key_node.value == name:
                node, mark = value, key_node.start_mark
                break
        else:
            break
    return _shown(file) if mark is None else f"{_shown(file)}, line {mark.line + 1}, column {mark.column + 1}"


def place_of_option(group: str, option: str) -> str | None:
    """Return the file whose defaults list chooses an option, with the line and the column; None where none does."""
    for file in ConfFiles.read.values():
        content = yaml.compose(_read(file), _Loader)
        lists = [value for key, value in content.value if key.value == "defaults"] if content else []
        for item in lists[0].value if lists else []:
            for key, value in item.value if isinstance(item, yaml.MappingNode) else []:
                if key.value.split()[-1].partition("@")[0].strip("/") == group and value.value == option:
                    return f"{_shown(file)}, line {value.start_mark.line + 1}, column {value.start_mark.column + 1}"
    return None


def use_conf_files() -> None:
    """Have Hydra read files by `ConfFiles`."""
    Plugins.instance()  # registers Hydra's own reader
    SourcesRegistry.instance().types["file"] = ConfFiles


def _read(file: Path) -> str:
    if not file.exists():
        raise ConfigError(f"{_shown(file)}: a link to {file.readlink()}, which does not exist")
    if not file.is_file():
        raise ConfigError(f"{_shown(file)}: a folder or a device, expected a file")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{_shown(file)}: cannot be read ({error.strerror})") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        raise ConfigError(
            f"{_shown(file)}, line {line}, column {column}: not UTF-8; save the file with that encoding"
        ) from error


def _parse(file: Path, text: str, types: Types) -> dict[Any, Any] | None:
    """Return the content of a file, None where there is only white space and comments."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None or node.tag == _NULL:
            return None
        if not isinstance(node, yaml.MappingNode):
            _refuse(file, node.start_mark, "expected keys with values, such as `seed: 1`")
        problems = (*_problems(node, types, ()), *_problems_of_defaults(node), *_problems_of_extensions(file, node))
        for mark, problem in problems:
            _refuse(file, mark, problem)
        content: dict[Any, Any] = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _refuse(file, mark, _reason(error, text.splitlines()[mark.line :][:1]) if mark else str(error))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{_shown(file)}: not YAML: {str(error).splitlines()[0]}") from error
    finally:
        loader.dispose()
    return content


def _reason(error: yaml.MarkedYAMLError, line: list[str]) -> str:
    if line and "\t" in line[0][: len(line[0]) - len(line[0].lstrip())]:
        return "found a tab; YAML is indented with spaces"
    if str(error.problem).startswith("but "):
        return f"not YAML: {error.context} {error.problem}"
    context = f" {error.context}" if error.context else ""
    started = f" that begins in line {error.context_mark.line + 1}" if context and error.context_mark else ""
    return f"not YAML: {error.problem}{context}{started}"


def _problems(node: yaml.Node, types: Types, path: tuple[str, ...]) -> Iterator[tuple[Any, str]]:
    """Yield the place and the sentence of each key that occurs twice, and of each string that YAML would change.

    Args:
        node: what the keys in `path` lead to in the file.
        types: what it may be.
        path: the keys from the top of the file.
    """
    name = ".".join(path)
    if path and (expected := _other_shape(node, types)):
        group = "/".join(path)
        if isinstance(node, yaml.ScalarNode) and node.tag != _NULL and (CONF / group).is_dir():
            expected += f"; an option is chosen in the defaults list, `- override /{group}: {node.value}`"
        yield node.start_mark, f"{name}: expected {expected}"
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.tag == _STRING and not key.value.strip():
                yield key.start_mark, "an empty string as a key; give it a name, or remove it"
            if key.tag == _STRING and key.value in seen:
                yield key.start_mark, f"{'.'.join((*path, key.value))} is in the file twice; keep one"
            seen.add(key.value if isinstance(key.value, str) else "")
            inner = types_in(types, str(key.value))
            if path == _PARAMS:  # what would be typed: for a string key a string, for others often one
                inner = frozenset((str, NOTHING) if is_string(types_of(root_types("train"), key.value)) else ())
            yield from _problems(value, inner, (*path, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _problems(item, types_in(types, str(index)), (*path, str(index)))
    elif node.tag in _NOT_STRINGS and is_string(types):
        yield (
            node.start_mark,
            f"{name}: expected a string, but YAML reads {node.value} as {_NOT_STRINGS[node.tag]}; quote it: "
            f'"{node.value}"',
        )


def _other_shape(node: yaml.Node, types: Types) -> str | None:
    """Return what is expected in place of the node, None where its shape fits."""
    if not types or Any in types or (isinstance(node, yaml.ScalarNode) and "${" in node.value):
        return None
    if node.tag == _NULL:
        return None if NOTHING in types else "a value, got null"
    shapes = {_shape(kind) for kind in types - {NOTHING}}
    return None if type(node) in {shape for shape, _ in shapes} else " or ".join(sorted(text for _, text in shapes))


def _shape(kind: Any) -> tuple[type[yaml.Node], str]:
    if dataclasses.is_dataclass(kind) or typing.get_origin(kind) is dict:
        return yaml.MappingNode, "keys with values"
    return (yaml.SequenceNode, "a list") if typing.get_origin(kind) is list else (yaml.ScalarNode, "a single value")


def _problems_of_defaults(content: yaml.MappingNode) -> Iterator[tuple[Any, str]]:
    """Yield the place and the sentence of each entry of a defaults list that chooses nothing."""
    for key, value in content.value:
        if key.value != "defaults":
            continue
        if not isinstance(value, yaml.SequenceNode):
            yield key.start_mark, "defaults: expected a list, such as `- override /model: lenot`; or remove the key"
            return
        for item in value.value:
            pairs = item.value if isinstance(item, yaml.MappingNode) else []
            if item.tag == _STRING and item.value.strip():
                continue
            if len(pairs) != 1:
                yield item.start_mark, "defaults: expected one group and its option, such as `- override /model: lenot`"
                continue
            group, option = pairs[0]
            options = option.value if isinstance(option, yaml.SequenceNode) else [option]
            if group.tag != _STRING or any(one.tag not in (_STRING, _NULL) for one in options):
                yield option.start_mark, f"defaults: {group.value}: expected the name of an option; quote a number"


def _problems_of_extensions(file: Path, content: yaml.MappingNode) -> Iterator[tuple[Any, str]]:
    """Yield the place of a key that would import code in a file that may not, and a message."""
    if file.parent == CONF / "local":
        return
    for key, _ in content.value:
        if key.value == EXTENSIONS:
            yield (
                key.start_mark,
                f"{EXTENSIONS} would import code, which this file may not do; name them on the command line, "
                f"{EXTENSIONS}=[...], or in conf/local/default.yaml",
            )


def read_mapping(file: Path) -> dict[Any, Any]:
    """Return the content of a file without checks of its values.

    Raises:
        ConfigError: it cannot be read, is not YAML, or is not a mapping.
    """
    return _parse(file, _read(file), frozenset()) or {}


def _types_of_file(config_path: str, package: str | None) -> Types:
    """Return what a file holds."""
    group, _, name = config_path.removesuffix(".yaml").rpartition("/")
    root, package = root_types("" if group else name), _package(config_path, package)
    return types_of(root, package) if package else root


def _package(config_path: str, package: str | None) -> str:
    """Return the dotted name of what a file holds, by the package that its first line names, or by its group."""
    if package is None or package == "_group_":
        package = config_path.rpartition("/")[0].replace("/", ".")
    return package.removeprefix("_global_").strip(".")


def _refuse(file: Path, mark: Any, problem: str) -> NoReturn:
    raise ConfigError(f"{_shown(file)}, line {mark.line + 1}, column {mark.column + 1}: {problem}")


def _shown(file: Path) -> str:
    """Return the path as short as it can be written from here."""
    absolute = Path(os.path.abspath(file))  # noqa: PTH100 - resolve() would follow links
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute)
