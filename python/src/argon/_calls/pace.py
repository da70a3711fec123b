"""How many items of a map travel as one task: one each until some have ended, then as many as run in about 2 ms.

Keeps a moving average of the time of an item, and decides nothing else.
"""

from __future__ import annotations

from math import exp, log

#: Microseconds of work of a task of several items.
_CHUNK_US = 2_000
#: Seconds after which a worker begins no further item of a chunk: longer, so that a busy machine does not cut it short.
LIMIT_S = 0.02
#: Items that have ended before the first chunk.
_KNOWN_MIN = 4
#: Weight of a new time in the average, which is one of logarithms: a busy machine makes a task a thousand times longer.
_NEW = 0.2
#: Parts of `ahead` that a chunk may take: workers are busy while others come back.
SHARE = 16


class Pace:
    """The size of the next chunk: `fixed`, or found, with at most `most` items."""

    def __init__(self, fixed: int | None, most: int) -> None:
        self._fixed = fixed
        self._most = most
        self._seen = 0
        self._log_us = 0.0
        #: Seconds after which a chunk is cut short; 0 if its size was asked for.
        self.limit = 0.0 if fixed else LIMIT_S

    def size(self) -> int:
        """Number of items for the next task."""
        if self._fixed is not None:
            return self._fixed
        if self._seen < _KNOWN_MIN:
            return 1
        return max(1, min(self._most, int(_CHUNK_US / exp(self._log_us))))

    def learn(self, items: int, run_us: int) -> None:
        """A task of this number of items has run for this time."""
        log_us = log((run_us + 1) / items)
        self._log_us = self._log_us + _NEW * (log_us - self._log_us) if self._seen else log_us
        self._seen += items
