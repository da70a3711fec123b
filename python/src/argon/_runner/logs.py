"""Log records of a task travel to its client (``spec/runner.md``, section 2), and the client's settings come here.

Owns the handler at the root logger, and the levels and warning filters that a task's meta names. ``logging`` takes a
while to load: the handler is put in its place when a task loads it.
"""

from __future__ import annotations

import os
import sys

from .channel import LOG

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from typing import Any

    from .modules import RemoteModules

TEXT_CHARACTERS_MAX = 100_000
#: Records that wait while another thread uses the socket; more are dropped, the oldest first.
WAITING_MAX = 1000


class Logs:
    """Receiver of the records of the running task, and the settings of its client."""

    def __init__(self, modules: RemoteModules) -> None:
        self._modules = modules
        self._process = os.getpid()
        self._waiting: list[bytes] = []
        self._settings: Any = None
        self._names: list[str] = []
        self._filters: Any = None
        self._handler: Any = None
        finders: list[Any] = sys.meta_path
        if "logging" in sys.modules:
            self.install()
        else:
            finders.insert(0, _WhenLoaded(self))

    def install(self) -> None:
        """Puts the handler at the root logger."""
        self._handler = _handler(self)
        sys.modules["logging"].root.addHandler(self._handler)
        if self._settings:
            self._set_levels(self._settings.get("logging") or {})

    def begin(self, meta: dict[str, Any]) -> None:
        """Takes the settings of the client that a task names; the same again are left as tasks changed them."""
        settings = meta.get("settings")
        if settings is self._settings:
            return
        before, self._settings = self._settings or {}, settings
        after = settings or {}
        if before.get("logging") != after.get("logging"):
            levels = after.get("logging") or {}
            if levels and self._handler is None:
                # Its handler takes the levels of the settings.
                __import__("logging")
            elif self._handler is not None:
                self._set_levels(levels)
        if before.get("warnings") != after.get("warnings"):
            self._set_filters(after.get("warnings"))

    def send_waiting(self) -> None:
        """Sends what could not be sent at once. With the lock of the socket held."""
        while self._waiting:
            self._modules.send_of_task(LOG, self._waiting.pop(0))

    def take(self, record: Any) -> None:
        """Sends a record, unless a handler of the task prints it: the client gets what is printed, too."""
        logging = sys.modules["logging"]
        if os.getpid() != self._process or not self._modules.has_task():
            # A forked child, or a thread that a task left.
            if record.levelno >= logging.WARNING:
                logging.lastResort.handle(record)
            return
        if self._is_printed(record):
            return
        self._waiting.append(_encoded(record))
        del self._waiting[:-WAITING_MAX]
        # Never waits: a signal handler may log while its own thread uses the socket.
        if self._modules.lock.acquire(False):
            try:
                self.send_waiting()
            finally:
                self._modules.lock.release()

    def _is_printed(self, record: Any) -> bool:
        logging: Any = sys.modules["logging"]
        logger = logging.getLogger(record.name)
        while logger is not None:
            for handler in logger.handlers:
                stream = getattr(handler, "stream", None)
                if stream is not None and stream in (sys.stdout, sys.stderr) and record.levelno >= handler.level:
                    return True
            logger = logger.parent if logger.propagate else None
        return False

    def _set_levels(self, settings: dict[str, Any]) -> None:
        logging: Any = sys.modules["logging"]
        levels: dict[str, int] = settings.get("levels") or {}
        for name in self._names:
            if name not in levels:
                logging.getLogger(name).setLevel(logging.NOTSET if name else logging.WARNING)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        self._names = list(levels)
        logging.disable(settings.get("disable", logging.NOTSET))

    def _set_filters(self, given: list[Any] | None) -> None:
        import warnings

        if self._filters is None:
            self._filters = list(warnings.filters)
        filters = self._filters if given is None else [one for one in map(_filter, given) if one is not None]
        warnings.filters[:] = filters  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]


class _WhenLoaded:
    """Finds ``logging`` as others do, and has the handler installed once it is loaded."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "logging":
            return None
        finders: list[Any] = sys.meta_path
        if self in finders:
            finders.remove(self)
        for finder in finders:
            spec = finder.find_spec(name, path)
            if spec is not None:
                spec.loader = _Loader(spec.loader, self._logs)
                return spec
        return None


class _Loader:
    def __init__(self, loader: Any, logs: Logs) -> None:
        self._loader, self._logs = loader, logs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        # Code that asks the module for its loader finds the usual one.
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._logs.install()


def _handler(logs: Logs) -> Any:
    logging: Any = sys.modules["logging"]

    class Handler(logging.Handler):  # type: ignore[misc]
        """Sends records to the client of the task."""

        def emit(self, record: Any) -> None:
            try:
                logs.take(record)
            except Exception:  # As every handler of the standard library.
                self.handleError(record)

    return Handler()


def _encoded(record: Any) -> bytes:
    import json

    logging: Any = sys.modules["logging"]
    about: dict[str, Any] = {
        "level": record.levelno,
        "logger": record.name,
        "message": record.getMessage()[:TEXT_CHARACTERS_MAX],
        "file": record.pathname,
        "line": record.lineno,
        "time": record.created,
        "function": record.funcName,
    }
    text = record.exc_text
    if not text and record.exc_info:
        text = logging.Formatter().formatException(record.exc_info)
    if text:
        about["traceback"] = text[:TEXT_CHARACTERS_MAX]
    return json.dumps(about).encode()


def _filter(given: list[Any]) -> Any:
    """A filter of ``warnings`` as it travelled; None if its category is not known here."""
    import re

    action, message, category, module, line = given
    home, _, name = category.rpartition(".")
    kind = getattr(sys.modules.get(home), name, None)
    if kind is None:
        try:
            kind = getattr(__import__(home, fromlist=[name]), name)
        except Exception:  # The module of the caller that defines it is not here.
            return None
    return action, message and re.compile(message, re.I), kind, module and re.compile(module), line
