"""Log records of tasks reach the handlers of this program: those of the logger of the same name, with level and place."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .._wire.text import line as line_of
from .._wire.text import read_json

if TYPE_CHECKING:
    import contextvars


def hand_over(text: bytes, task: bytes, context: contextvars.Context | None) -> None:
    """Gives a record to its logger, if that is enabled for its level. Other text is dropped."""
    record = _record(text, task)
    if record is None:
        return
    logger = logging.getLogger(record.name)
    if not logger.isEnabledFor(record.levelno):
        return
    try:
        if context is not None:
            context.copy().run(logger.handle, record)
        else:
            logger.handle(record)
    except KeyboardInterrupt:
        raise
    except BaseException:  # A handler of the user's may raise what it likes; the tasks go on.
        return


def _record(text: bytes, task: bytes) -> logging.LogRecord | None:
    try:
        told: Any = read_json(text)
        level, created = int(told["level"]), float(told.get("time") or 0.0)
        name, message = line_of(str(told.get("logger") or "root")), str(told["message"])
        file, line = str(told.get("file") or ""), int(told.get("line") or 0)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
    record = logging.LogRecord(name, level, file, line, message, None, None, told.get("function"))
    if created:
        record.relativeCreated += (created - record.created) * 1000
        record.created, record.msecs = created, float(int((created % 1) * 1000))
    record.exc_text = told.get("traceback")
    record.task = task.hex()
    return record
