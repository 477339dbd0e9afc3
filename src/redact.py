"""Keeps secrets out of everything that is written or printed: params, tags, config files, logs, error messages."""

import re

HIDDEN = "***"
_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|credential|api_?key|access_?key|private_?key", re.IGNORECASE
)
_USER_INFO = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^/\s'\"]+@", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"(?P<key>[\w.+@/-]*[A-Za-z_])(?P<sep>\s*[=:]\s*)(?P<value>'[^']*'|\"[^\"]*\"|[^\s,}\]]+)")

_secrets: set[str] = set()


def hide(value: str) -> None:
    """Remembers a value that `redact` must never let through, wherever it appears. Very short values are left alone."""
    if len(value) >= 4:
        _secrets.add(value)


def is_secret_name(name: str) -> bool:
    """Whether a variable, key or dotted name says that its value is a secret: `DB_PASSWORD`, `tags.api_key`."""
    return bool(_SECRET_NAME.search(name.rpartition(".")[2]))


def redact(text: str) -> str:
    """The text without passwords in URLs, values of keys that name a secret, and values given to `hide`."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _USER_INFO.sub(rf"\g<scheme>{HIDDEN}@", text)
    return _ASSIGNMENT.sub(_redact_assignment, text)


def _redact_assignment(match: re.Match[str]) -> str:
    if not is_secret_name(match["key"]):
        return match[0]
    return f"{match['key']}{match['sep']}{HIDDEN}"


def redact_tree(value: object, name: str = "") -> object:
    """The same nested dicts and lists, every text in them redacted and every value under a secret name hidden."""
    if isinstance(value, dict):
        return {key: redact_tree(item, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [redact_tree(item, name) for item in value]
    if value is not None and is_secret_name(name):
        return HIDDEN
    return redact(value) if isinstance(value, str) else value
