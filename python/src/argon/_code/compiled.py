"""Packages with compiled parts: they cannot travel, and no part of them does. Owns the sentence that says what to do."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import os
import sys

#: Files of a package that are looked at.
_FILES_MAX = 10_000
_SUFFIXES = tuple(importlib.machinery.EXTENSION_SUFFIXES)

#: By the top-level name and its folders, whether something in them is compiled.
_known: dict[tuple[str, ...], bool] = {}


def refusal(top: str, spec: importlib.machinery.ModuleSpec) -> str | None:
    """Why nothing of the module with this top-level name is given; None if it is all Python."""
    if top in getattr(sys, "stdlib_module_names", ()):
        return None
    folders = spec.submodule_search_locations
    if folders is None:
        is_compiled = isinstance(spec.loader, importlib.machinery.ExtensionFileLoader)
    else:
        is_compiled = spec.has_location and _has_compiled_parts(tuple(map(str, folders)))
    if not is_compiled:
        return None
    wanted = _requirement(top)
    install = (
        "install it there" if wanted is None else f"let workers install it with argon.Client(packages=[{wanted!r}])"
    )
    return (
        f"{top} has compiled parts, which cannot travel; {install}, or give that machine the environment of the client, "
        f"{sys.prefix}"
    )


def _has_compiled_parts(folders: tuple[str, ...]) -> bool:
    known = _known.get(folders)
    if known is None:
        known = _known[folders] = any(map(_is_one_compiled, folders))
    return known


def _is_one_compiled(folder: str) -> bool:
    seen = 0
    for _, _, files in os.walk(folder):
        if any(file.endswith(_SUFFIXES) for file in files):
            return True
        seen += len(files)
        if seen > _FILES_MAX:
            return False
    return False


def _requirement(top: str) -> str | None:
    """What to ask for: the distribution that has the module, in the version that is here."""
    try:
        named: dict[str, list[str]] = getattr(importlib.metadata, "packages_distributions", dict)()
        name = (named.get(top) or [top])[0]
        return f"{name}=={importlib.metadata.version(name)}"
    except Exception:  # Whatever is wrong with what is installed here, the sentence is wanted.
        return None
