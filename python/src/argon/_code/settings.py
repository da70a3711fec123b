"""Settings of this program that travel with its calls: the levels of its loggers, and its warning filters.

A call looks at them each time, so it asks first whether anything can have changed since the last call.
"""

from __future__ import annotations

import logging
import re
import sys
import warnings
from typing import Any

#: Filters and levels beyond these stay here: a task's meta is small.
FILTERS_MAX = 100
LEVELS_MAX = 200
#: In the cache of the root logger, which `setLevel` of any logger clears: nothing has changed since.
_UNCHANGED = -0x41524730

#: Settings of a new interpreter.
_DEFAULT_FILTERS: list[Any] = [
    ("default", None, DeprecationWarning, "__main__", 0),
    ("ignore", None, DeprecationWarning, None, 0),
    ("ignore", None, PendingDeprecationWarning, None, 0),
    ("ignore", None, ImportWarning, None, 0),
    ("ignore", None, ResourceWarning, None, 0),
]


class _Known:
    """The settings as they were when a call last looked."""

    filters: list[Any] | None = None
    settings: dict[str, Any]
    text = ""


def current() -> dict[str, Any]:
    """Their form in the meta of a task: the same object as long as they do not change, and empty for the defaults."""
    if _Known.filters == warnings.filters and logging.root._cache.get(_UNCHANGED):  # type: ignore[attr-defined]
        return _Known.settings
    logging.root._cache[_UNCHANGED] = True  # type: ignore[attr-defined]
    _Known.filters = list(warnings.filters)
    settings: dict[str, Any] = {}
    levels = _levels()
    if levels:
        settings["logging"] = levels
    filters = _filters()
    if filters is not None:
        settings["warnings"] = filters
    if repr(settings) != _Known.text:
        _Known.settings, _Known.text = settings, repr(settings)
    return _Known.settings


_Known.settings = {}


def _levels() -> dict[str, Any]:
    root = logging.root
    named = [
        (name, one.level) for name, one in list(root.manager.loggerDict.items()) if isinstance(one, logging.Logger)
    ]
    levels = {name: level for name, level in named[-10 * LEVELS_MAX :] if level != logging.NOTSET}
    levels = dict(list(levels.items())[:LEVELS_MAX])
    if root.level != logging.WARNING:
        levels[""] = root.level
    found: dict[str, Any] = {"levels": levels} if levels else {}
    if root.manager.disable:
        found["disable"] = root.manager.disable
    return found


def _filters() -> list[list[Any]] | None:
    """The filters as they travel; None for those of every interpreter."""
    found = [(action, _pattern(text), kind, _pattern(module), line) for action, text, kind, module, line in _first()]
    if found == _DEFAULT_FILTERS:
        return None
    return [
        [action, text, f"{kind.__module__}.{kind.__qualname__}", module, line]
        for action, text, kind, module, line in found
        if kind.__module__ != "__main__" and "." not in kind.__qualname__
    ]


def _first() -> list[Any]:
    return list(warnings.filters)[:FILTERS_MAX]


def _pattern(pattern: Any) -> Any:
    return pattern.pattern if isinstance(pattern, re.Pattern) else pattern


if sys.flags.dev_mode or hasattr(sys, "gettotalrefcount"):
    # Such an interpreter begins with others, which its caller did not ask for.
    _DEFAULT_FILTERS = [
        (action, _pattern(text), kind, _pattern(module), line) for action, text, kind, module, line in _first()
    ]
