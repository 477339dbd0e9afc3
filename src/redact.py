"""Keep secrets out of everything that is written or printed: params, tags, config files, logs, error messages."""

import re
from collections.abc import Iterable, Mapping

HIDDEN = "***"
PUBLIC_VARIABLES = {"DATA_DIR", "MLFLOW_TRACKING_URI", "OPTUNA_STORAGE", "HOME", "USER", "XDG_CACHE_HOME"}
ENV_REFERENCE = re.compile(r"\$\{oc\.env:\s*['\"]?(\w+)")
_SETTINGS = ("true", "false", "none", "null")  # TOKENIZERS_PARALLELISM=false is not a secret
_SECRET_NAME = re.compile(r"pass(word|wd|phrase)?$|secret|token|credential|(api|access|private)[_-]?key", re.IGNORECASE)
_USER_INFO = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<user>[^/\s\"<>]+)@", re.IGNORECASE)
# Databases whose users have names. The user of another address may be a token: https://TOKEN@host
_NAMED_USERS = re.compile(r"(postgres(ql)?|mysql|mariadb)(\+\w+)?://", re.IGNORECASE)
_PASSWORD = re.compile(r"[\w+.-]+://[^:/@]*:(?P<password>[^@]+)@")
_ASSIGNMENT = re.compile(
    r"(?P<key>[\w-]{0,64}(?:pass(?:word|wd|phrase)?|(?:secret|token|credential|(?:api|access|private)[_-]?key)[\w-]*))"
    r"(?P<sep>['\"]?\s*[=:]\s*)(?P<value>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\s,}\]]+)",
    re.IGNORECASE,
)

_OVERRIDE = re.compile(r"(?P<key>[+~]{0,2}[\w.@/-]+)=")

_secrets: set[str] = set()


def hide(value: str) -> None:
    """Remember a value that `redact` hides wherever it appears. Values of fewer than four characters are ignored."""
    if len(value) >= 4:
        _secrets.update((value, repr(value)[1:-1]))  # an error message shows it escaped


def hide_password(address: str) -> None:
    """Hide the password of a database's address, which SQLAlchemy reads up to the @, slashes included."""
    if found := _PASSWORD.match(address):
        hide(found["password"])


def hide_inputs(arguments: Iterable[str], variables: Mapping[str, str]) -> None:
    """Hide the passwords, and the values under secret names, that a process was given.

    Args:
        arguments: its command line, in which `${oc.env:NAME}` refers to a variable.
        variables: its environment.
    """
    arguments = list(arguments)
    for text in (*arguments, *variables.values()):
        for found in _PASSWORD.finditer(text):
            hide(found["password"])
    for argument in arguments:
        if (typed := _OVERRIDE.match(argument)) and is_secret_name(typed["key"]):
            hide(argument[typed.end() :].strip("'\" "))
        for name in ENV_REFERENCE.findall(argument):
            if name not in PUBLIC_VARIABLES:
                hide(variables.get(name, ""))
    for name, value in variables.items():
        if is_secret_name(name) and value.lower() not in _SETTINGS:
            hide(value)


def is_secret_name(name: str) -> bool:
    """Return whether the name of a variable or key says that its value is a secret: `DB_PASSWORD`, `tags.api_key`."""
    return bool(_SECRET_NAME.search(name.rpartition(".")[2]))


def redact(text: str) -> str:
    """Return the text without passwords in URLs, values of keys that name a secret, and values given to `hide`."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return redact_forms(text)


def redact_forms(text: str) -> str:
    """Return the text without what looks like a secret: passwords in URLs, and values of keys that name a secret."""
    text = _USER_INFO.sub(_redact_user, text)
    return _ASSIGNMENT.sub(_redact_assignment, text)


def _redact_user(match: re.Match[str]) -> str:
    """Return the beginning of an address without its password. The user of a database stays, so it can be pasted."""
    user, colon, _ = match["user"].partition(":")
    if not _NAMED_USERS.fullmatch(match["scheme"]):
        return f"{match['scheme']}{HIDDEN}@"
    return f"{match['scheme']}{user}{colon}{HIDDEN if colon else ''}@"


def _redact_assignment(match: re.Match[str]) -> str:
    if not is_secret_name(match["key"]):
        return match[0]
    return f"{match['key']}{match['sep']}{HIDDEN}"


def redact_tree(value: object, name: str = "") -> object:
    """Return the same dicts and lists with every string redacted and every value under a secret name hidden."""
    if isinstance(value, dict):
        return {key: redact_tree(item, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [redact_tree(item, name) for item in value]
    if isinstance(value, str) and (typed := _OVERRIDE.match(value)) and is_secret_name(typed["key"]):
        return f"{typed['key']}={HIDDEN}"  # the whole rest: an override's value may hold spaces and commas
    if value is not None and is_secret_name(name):
        return HIDDEN
    return redact(value) if isinstance(value, str) else value
