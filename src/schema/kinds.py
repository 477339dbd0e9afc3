"""The registry of kinds: one config class for each kind of model, data set, augmentation, loss, optimizer and so on.

A kind is declared once, next to its fields:

    @dataclass(kw_only=True)
    class ResNetConfig(StemmedConfig, kind="resnet", builds="src.models.resnet:build_resnet"):
        blocks: list[int] = field(default_factory=lambda: [2, 2, 2, 2])

A new kind is one Python file and one YAML file, and no list has to be changed:

1. The Python file contains the config class, and the builder unless a library has it. The file is named after the kind
   and is in the `home` of its group: `src/models/densenet.py` declares the model of family `densenet`. It is imported
   when a configuration asks for the kind. A kind may also be declared in `src/schema`, which is always imported.
   `builds` is a string, so the libraries that the builder needs are imported when it is used.
2. The YAML file is an option of the group: `conf/model/densenet.yaml` begins with `/schema/model/densenet@_here_`.

Behavior that differs between kinds is a method or an attribute of the config class, with a default in the base class of
the group: `model.is_divisible`, `schedule.needs_validation`, `sampler.is_exhaustive`.
"""

import dataclasses
import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from src.errors import ConfigError, UserError
from src.foreign import explain_errors, is_foreign


@dataclasses.dataclass(frozen=True)
class Group:
    """A group of kinds that exclude each other.

    Attributes:
        name: the group's name, as in `/schema/NAME/KIND`.
        key: the field that names the kind in a stored config; None for a group with one kind.
        default: the kind that a stored config without the key means; None if every stored config has the key. A key
            with a default was added after a release, see `ADDED` in `src.schema.checks`.
        home: the package in which a file named after a kind may declare it.
        parent: the dotted name of the node that contains the group, with a trailing dot.
        kinds: the classes by their kinds.
    """

    name: str
    key: str | None = None
    default: str | None = None
    home: str | None = None
    parent: str = ""
    kinds: dict[str, type[Any]] = dataclasses.field(default_factory=dict, compare=False)

    @property
    def dotted(self) -> str:
        """The name that an override of a key begins with: `hydra.sweeper.sampler`."""
        return self.parent + self.name

    @property
    def option(self) -> str:
        """The name that an override of the group has: `hydra/sweeper/sampler`."""
        return self.dotted.replace(".", "/")

    def kind_in(self, settings: Mapping[str, Any]) -> object:
        """Return the kind that stored settings name; there may be no such kind."""
        return settings.get(self.key, self.default) if self.key else self.name

    def find(self, kind: object) -> type[Any] | None:
        """Return the class of a kind, None for one that does not exist."""
        if isinstance(kind, str) and kind not in self.kinds and self.home and kind.isidentifier():
            module = f"{self.home}.{kind}"
            if importlib.util.find_spec(module):
                importlib.import_module(module)  # declares the kind, if it is the file of one
        return self.kinds.get(kind) if isinstance(kind, str) else None


REGISTRY: dict[str, Group] = {}


def load_name(reference: str) -> Callable[..., Any]:
    """Import and return the class or function that `module:name` refers to."""
    module, _, name = reference.partition(":")
    loaded: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return loaded


@dataclasses.dataclass(kw_only=True)
class Kind:
    """A config class that knows what it builds.

    The base class of a group is declared with `group=`, each of its kinds with `kind=` and `builds=`. A class without
    `kind=` is a base class for several kinds. The field that is named by `group.key` gets the kind as its value.

    Attributes:
        group: the group that the class belongs to.
        kind: the kind's name in stored configs.
        builds: `module:name` of what is built from the config; it is imported when it is used.
    """

    group: ClassVar[Group]
    kind: ClassVar[str] = ""
    builds: ClassVar[str] = ""

    @classmethod
    def without_effect(cls, settings: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG003 - for those that look
        """Return the fields, added after a release, that mean nothing with these settings, which may be incomplete."""
        return ()

    def __init_subclass__(cls, *, group: Group | None = None, kind: str = "", builds: str = "", **others: Any) -> None:
        super().__init_subclass__(**others)
        if group is not None:
            cls.group = REGISTRY.setdefault(group.name, group)
        if not kind:
            return
        known = cls.group.kinds.setdefault(kind, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"{cls.group.name}: the kind {kind!r} is declared twice, by {known} and {cls}")
        cls.group.kinds[kind] = cls
        cls.kind, cls.builds = kind, builds
        if cls.group.key:  # the field of the base class, with another default
            cls.__annotations__ = {cls.group.key: str, **cls.__annotations__}
            setattr(cls, cls.group.key, kind)

    def __post_init__(self) -> None:
        """Raises WrongKind when the key that names the kind was set to something else."""
        received = getattr(self, self.group.key) if self.group.key else self.kind
        if received != self.kind or not self.kind:
            raise WrongKind(self, received)

    @classmethod
    def builder(cls) -> Callable[..., Any]:
        """Return what `builds` names: a class or a function of the config, or of its settings."""
        return load_name(cls.builds)

    def build(self, expected: Any, *arguments: Any, **settings: Any) -> Any:
        """Call what `builds` names.

        Args:
            expected: the class of what it must return.

        Raises:
            UserError: it is code of a user, and it failed or returned something else.
        """
        if not self.is_foreign:
            return self.builder()(*arguments, **settings)
        what = f"{self.group.name} {self.kind}: {self.builds}"
        with explain_errors(what):
            built = self.builder()(*arguments, **settings)
        if not isinstance(built, expected):
            name = getattr(expected, "__name__", str(expected))
            raise UserError(f"{what} returned {type(built).__name__}, expected {name}")
        return built

    @property
    def is_foreign(self) -> bool:
        """True for a kind that an extension declares."""
        return is_foreign(type(self).__module__)

    def settings(self) -> dict[str, Any]:
        """Return the fields as nested dicts and lists, without the one that names the kind."""
        settings = dataclasses.asdict(self)
        settings.pop(self.group.key or "", None)
        return settings


class WrongKind(ConfigError):
    """The key that names a kind has another value than the config class gives it."""

    def __init__(self, config: Kind, received: object) -> None:
        self.group, self.kind, self.received = config.group, config.kind, received
        super().__init__(f"{self.what}; choose another with {self.group.option}=NAME")

    @property
    def what(self) -> str:
        """The value and the expected one, without a remedy."""
        return (
            f"{self.group.dotted}.{self.group.key}: got {self.received!r}, but the chosen {self.group.name} is of the "
            f"kind {self.kind!r}"
        )


def find_kind(group: str, kind: object) -> type[Any]:
    """Return the class of a kind.

    Raises:
        ConfigError: the group has no such kind.
    """
    found = REGISTRY[group].find(kind)
    if found is None:
        raise ConfigError(f"{group}: no kind {kind!r}; known: {', '.join(REGISTRY[group].kinds)}")
    return found
