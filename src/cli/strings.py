"""Keys that take strings: their values stay as they were typed, even where they look like numbers.

Hydra's parser reads `2026_11_28` as 20261128, `1.10` as 1.1 and `true` as True before it knows the type of the key. The
types are known from the dataclasses, so such values are put into quotes first.
"""

import dataclasses
import functools
import re
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from hydra.conf import HydraConf
from hydra.core.override_parser.overrides_visitor import HydraErrorListener
from hydra.errors import HydraException
from hydra.grammar.gen.OverrideLexer import (  # type: ignore[attr-defined] # as Hydra's own parser imports them
    CommonTokenStream,
    InputStream,
    OverrideLexer,
)
from hydra.grammar.gen.OverrideParser import OverrideParser

from src.cli.conf import is_group
from src.schema import PRIMARY, SweeperConfig

Types = frozenset[Any]  # all annotations that a key may have, depending on the chosen options

NOTHING = type(None)
NUMBERS = {int, float, bool}
_KEY = re.compile(r"[+~]*(?P<key>[\w$./-]+)=(?P<value>.*)", re.DOTALL)
# A cheap check before a value is parsed. It may match a value that does not change, but never misses one that does.
_MAY_CHANGE = re.compile(
    r"(?:^|[\[,({:\s])[+-]?(?:[\d.][\d._]*(?:e[+-]?[\d_]+)?|true|false|inf|nan)(?=$|[\]),}\s])", re.IGNORECASE
)
_ENUMERATING = ("choice", "shuffle", "str", "tag")  # functions of Hydra's grammar whose arguments are values of the key


def quote_strings(config_name: str, overrides: Sequence[str]) -> list[str]:
    """Return the overrides with quotes around values of string keys that Hydra would change.

    Args:
        config_name: the primary config, which says which keys there are.
        overrides: as typed. Those that Hydra cannot read are returned as they are.
    """
    return [_quote(root_types(config_name), override) for override in overrides]


def root_types(config_name: str) -> Types:
    """Return the types of a primary config; for any other name, those of all primary configs."""
    return frozenset((PRIMARY[config_name],)) if config_name in PRIMARY else frozenset(PRIMARY.values())


def types_of(root: Types, name: str) -> Types:
    """Return the types of the key with this dotted name, an empty set where there is none."""
    return functools.reduce(types_in, name.split("."), root)


@functools.cache
def types_in(parent: Types, key: str) -> Types:
    """Return the types that the value of a key, or of an index, may have in a parent of one of these types."""
    found: set[Any] = set()
    for kind in parent:
        origin: Any = typing.get_origin(kind)
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            found.update(_fields(kind).get(key, ()))
        elif origin in (list, dict):
            found.update(_alternatives(typing.get_args(kind)[-1]))
    return frozenset(found)


def forget_types() -> None:
    """Forget the types of keys, because an extension has declared more dataclasses."""
    types_in.cache_clear()
    _fields.cache_clear()


def is_string(found: Types) -> bool:
    """Return whether a key with these types takes strings and no numbers."""
    return str in found and not found & NUMBERS


@functools.cache
def _fields(kind: type) -> dict[str, Types]:
    """Return the types of each field of a dataclass, those of its subclasses included: a group has several kinds."""
    found: dict[str, Types] = {}
    one: Any
    for one in (kind, *_subclasses(kind)):
        hints: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(one)}
        if any(isinstance(hint, str) for hint in hints.values()):  # a user's file may defer them, ours do not
            hints = typing.get_type_hints(one)
        for field in dataclasses.fields(one):
            found[field.name] = found.get(field.name, frozenset()) | _alternatives(hints[field.name])
    if kind in PRIMARY.values():
        found["hydra"] = frozenset((HydraConf,))
    if kind is HydraConf:
        found["sweeper"] = frozenset((SweeperConfig,))
    return found


def _subclasses(kind: Any) -> Iterator[Any]:
    for one in kind.__subclasses__():
        yield one
        yield from _subclasses(one)


def _alternatives(annotation: Any) -> Types:
    """Return the members of `A | B | None`."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return frozenset().union(*map(_alternatives, typing.get_args(annotation)))
    return frozenset((annotation,))


def _quote(root: Types, override: str) -> str:
    found = _KEY.fullmatch(override)
    if found is None or not _MAY_CHANGE.search(found["value"]):
        return override
    chooses = is_group(found["key"])
    expected = frozenset((str,)) if chooses else types_of(root, found["key"])
    if expected <= {*NUMBERS, NOTHING}:
        return override
    try:
        spans = list(_spans(_parse(override), expected, chooses))
    except HydraException:
        return override
    for first, last in reversed(spans):
        override = f'{override[:first]}"{override[first : last + 1]}"{override[last + 1 :]}'
    return override


def _parse(override: str) -> Any:
    """Return the tree of the value that Hydra's parser makes of an override."""
    listener = HydraErrorListener()
    lexer = OverrideLexer(InputStream(override))
    parser = OverrideParser(CommonTokenStream(lexer))
    for part in (lexer, parser):
        part.removeErrorListeners()
        part.addErrorListener(listener)
    return parser.override().value()  # type: ignore[no-untyped-call]


def _spans(node: Any, expected: Types, chooses: bool) -> Iterator[tuple[int, int]]:
    """Yield the first and the last position of each number and boolean where a string is expected.

    Args:
        node: a value or a part of it.
        expected: the types that it may have.
        chooses: whether the value is an option of a group, which is a string in every case. Elsewhere a number that
            prints as it was typed stays one, as it is stored in older studies.
    """
    if isinstance(node, OverrideParser.PrimitiveContext):
        tokens = [child.symbol for child in node.getChildren() if child.symbol.type != OverrideLexer.WS]
        if len(tokens) == 1 and is_string(expected) and _is_changed(tokens[0], chooses):
            yield tokens[0].start, tokens[0].stop
    elif isinstance(node, OverrideParser.ListContainerContext):
        for element in node.element():
            yield from _spans(element, expected if chooses else types_in(expected, "0"), chooses)
    elif isinstance(node, OverrideParser.DictContainerContext):
        for pair in node.dictKeyValuePair():
            yield from _spans(pair.element(), types_in(expected, pair.dictKey().getText().strip()), chooses)
    elif isinstance(node, OverrideParser.FunctionContext):
        if node.getChild(0).getText() in _ENUMERATING:
            for argument in node.element():
                yield from _spans(argument, expected, chooses)
    elif node is not None and hasattr(node, "getChildren"):
        for child in node.getChildren():
            yield from _spans(child, expected, chooses)


def _is_changed(token: Any, chooses: bool) -> bool:
    read = {OverrideLexer.INT: int, OverrideLexer.FLOAT: float}.get(token.type)
    if token.type == OverrideLexer.BOOL:
        return True
    return read is not None and (chooses or str(read(token.text)) != token.text)
