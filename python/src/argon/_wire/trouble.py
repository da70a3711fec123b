"""Why there is no connection."""

from __future__ import annotations


class DialFailure(Exception):
    """A try that failed, in a sentence; `for_good` when another try would end in the same way."""

    def __init__(self, sentence: str, for_good: bool = False):
        super().__init__(sentence)
        self.for_good = for_good


class Refused(DialFailure):
    """Nothing listens at the address."""


class Keyless(DialFailure):
    """There is no key, and so nothing was dialled."""
