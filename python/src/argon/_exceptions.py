"""The functions that put an exception together, under the name that pickles give them (``spec/runner.md``, section 5)."""

from __future__ import annotations

from ._code.exceptions import blank, fill

__all__ = ["blank", "fill"]
