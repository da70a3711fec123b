"""What the corpus tries: calls that stand in documentation, and functions with arguments from a pool.

A unit yields calls one after another: (label, function, args, kwargs). The caller runs each on the pool and then here, and sends
what it gave here back into the generator, so that the lines of an example go on with it. Chance has the seed of the unit.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import datetime
import doctest
import fractions
import importlib
import inspect
import io
import pkgutil
import random
import re
import types
import warnings
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

import local
import modules
from local import Raised


class Call(NamedTuple):
    """A call to be made here and there."""

    label: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Unit(NamedTuple):
    """A piece of documentation, or a function: what is drawn in a sample."""

    name: str
    calls: Callable[[], Generator[Call, Any, None]]


#: Lines of documentation that are not run, and why.
NOT_RUN = {
    "reads or writes files, or the network": r"\bopen\(|memmap|savetxt|loadtxt|np\.save|np\.load|tofile|fromfile|\.to_(?:csv|excel|sql|hdf|feather"
    r"|parquet|stata|pickle|orc|clipboard|xml|html)\(|read_(?:csv|excel|sql|hdf|table|pickle|xml|html|clipboard|fwf|sas|spss)|fetch_|tempfile|urlopen|ExcelWriter",
    "draws pictures": r"\bplt\.|\.plot\b|\.hist\(|\.boxplot\(|Display",
    "changes the process, or starts others": r"\bos\.|sys\.|set_option|set_config|options\.|seterr|set_printoptions|n_jobs|sleep|setbufsize|subprocess"
    r"|np\.test|ctypes|register_|set_output|_libs|warnings\.|socket|threading|parallel_backend",
    "shows memory that nobody wrote": r"\bempty(?:_like)?\(|chararray\(\(|as_strided|np\.ndarray\(|max_work",
    "shows how chance or time differ": r"now\(|\btoday\(|\bid\(",
}
_PRINTS = {"print", "help", "dir", "vars", "globals", "locals", "exec", "eval"}


def of_documentation(folder: str, preamble: str) -> list[Unit]:
    """The documented examples of a package: of its functions, its classes and their methods."""
    found: dict[str, tuple[str, str]] = {}
    for module in _modules_of(folder):
        for name, text in _documented(module):
            if ">>>" in text:
                found.setdefault(text, (name, module.__name__))
    return [Unit(name, _examples(name, module, text, preamble)) for text, (name, module) in found.items()]


def _modules_of(folder: str) -> Iterator[types.ModuleType]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = importlib.import_module(folder)
        yield package
        for found in pkgutil.walk_packages(getattr(package, "__path__", []), folder + ".", lambda _: None):
            parts = found.name.split(".")
            if any(
                part.startswith("_") or part in ("tests", "conftest", "testing", "f2py", "distutils") for part in parts
            ):
                continue
            with contextlib.suppress(Exception, SystemExit):
                yield importlib.import_module(found.name)


def _documented(module: types.ModuleType) -> Iterator[tuple[str, str]]:
    for name, value in sorted(vars(module).items()):
        # Also of a private module, from which a public one imports it.
        of_package = (
            str(getattr(value, "__module__", None) or module.__name__).split(".")[0] == module.__name__.split(".")[0]
        )
        if name.startswith("_") or isinstance(value, types.ModuleType) or not of_package:
            continue
        yield f"{module.__name__}.{name}", _text(value)
        if isinstance(value, type):
            for method in sorted(dir(value)):
                if not method.startswith("__"):
                    yield f"{module.__name__}.{name}.{method}", _text(inspect.getattr_static(value, method, None))


def _text(value: Any) -> str:
    value = getattr(value, "__func__", value)
    text = getattr(value, "__doc__", None)
    return text if isinstance(text, str) else ""


def _examples(name: str, module: str, text: str, preamble: str) -> Callable[[], Generator[Call, Any, None]]:
    def run() -> Generator[Call, Any, None]:
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(preamble, names)
        names.update(
            (key, value) for key, value in vars(importlib.import_module(module)).items() if not key.startswith("_")
        )
        try:
            examples = doctest.DocTestParser().get_examples(text)
        except ValueError:
            return
        for example in examples:
            if any(re.search(pattern, example.source) for pattern in NOT_RUN.values()):
                return
            try:
                statements = ast.parse(example.source).body
            except SyntaxError:
                return
            for statement in statements:
                if not (yield from _statement(name, statement, names)):
                    return

    return run


def _statement(name: str, statement: ast.stmt, names: dict[str, Any]) -> Generator[Call, Any, bool]:
    """Runs a statement; the call that it consists of goes out. False when the example cannot go on."""
    call = getattr(statement, "value", None)
    is_name = isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    if (
        not isinstance(call, ast.Call)
        or not isinstance(statement, (ast.Expr, ast.Assign))
        or (is_name and call.func.id in _PRINTS)
    ):
        return _ran(lambda: exec(compile(ast.Module([statement], []), "<example>", "exec"), names))
    parts: list[Any] = []

    def evaluate() -> None:
        holder = ast.Call(ast.Name("_take", ast.Load()), [call.func, *call.args], call.keywords)
        taking = ast.fix_missing_locations(ast.Expression(ast.copy_location(holder, call)))
        exec_names = {**names, "_take": lambda function, /, *args, **kwargs: parts.extend((function, args, kwargs))}
        eval(compile(taking, "<example>", "eval"), exec_names)

    if not _ran(evaluate):
        return False
    value = yield Call(f"{name}: {ast.unparse(statement)[:100]}", *parts)
    if isinstance(value, Raised):
        return False
    if isinstance(statement, ast.Assign):
        names["_value"] = value
        target = ast.Assign(statement.targets, ast.Name("_value", ast.Load()))
        return _ran(
            lambda: exec(
                compile(
                    ast.fix_missing_locations(ast.Module([ast.copy_location(target, statement)], [])),
                    "<example>",
                    "exec",
                ),
                names,
            )
        )
    return True


def _ran(run: Callable[[], object]) -> bool:
    """What examples print or warn of is nobody's business here."""
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            run()
    except Exception:
        return False
    return True


#: Small values of many kinds, for functions without an example.
POOL: list[Any] = [
    0, 1, 2, 7, -3, 255, 2.5, -0.5, 1e300, float("nan"), True, None, 3 + 4j, "", "abc", "a, b;c", "Straße 42", "2024-02-29", "10.0.0.1",
    "utf-8", "<a href='x'>y&amp;</a>", '{"a": [1, 2.5]}', "x = [1, 2]\n", b"", b"abc\x00\xff", bytearray(b"xyz"), [], [3, 1, 2], [1.5, 2.5, 4.0],
    ["b", "a"], (1, 2), ((1, 2), (3, 4)), {}, {"a": 1, "b": [2]}, {1, 2, 3}, frozenset((4, 5)), range(5), slice(1, 3),
    datetime.date(2024, 2, 29), datetime.datetime(2020, 1, 2, 3, 4, 5), datetime.timedelta(hours=5), fractions.Fraction(1, 3),
    len, str, int, abs, list, max, re.compile("b+"),
]  # fmt: skip
_TRIES = 80
_VALUES = 4
_BUILTIN_TYPES = (str, bytes, bytearray, int, float, complex, list, tuple, dict, set, frozenset, range)


def of_functions(seed: int) -> list[Unit]:
    """The functions of the standard library that depend on their arguments only, and the methods of its basic types."""
    found: dict[int, Unit] = {}
    for module_name in modules.PURE:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = importlib.import_module(module_name)
        except ImportError:
            continue
        for name, value in sorted(vars(module).items()):
            full = f"{module_name}.{name}"
            home = getattr(value, "__module__", module_name) or module_name
            is_other = (
                isinstance(value, types.ModuleType) or home.lstrip("_").split(".")[0] != module_name.split(".")[0]
            )
            if (
                name.startswith("_")
                or not callable(value)
                or not modules.is_called(full)
                or (is_other and module_name != "builtins" and module_name != "math")
            ):
                continue
            found.setdefault(id(value), Unit(full, _pooled(full, value, seed)))
    for kind in _BUILTIN_TYPES:
        for name in sorted(vars(kind)):
            value = getattr(kind, name)
            if callable(value) and name not in (
                "__class__",
                "__init_subclass__",
                "__subclasshook__",
                "__hash__",
                "__sizeof__",
                "__dir__",
            ):
                full = f"{kind.__name__}.{name}"
                found.setdefault(id(value), Unit(full, _pooled(full, value, seed)))
    return list(found.values())


def _pooled(name: str, function: Callable[..., Any], seed: int) -> Callable[[], Generator[Call, Any, None]]:
    def run() -> Generator[Call, Any, None]:
        chance = random.Random(f"{seed} {name}")
        seen: list[str] = []
        for _ in range(_TRIES):
            args = tuple(chance.choice(POOL) for _ in range(_arity(function, chance)))
            try:
                probed = local.call(function, copy.deepcopy(args), {})
            except local.TooLong:
                return
            kind = type(probed.error).__name__ if isinstance(probed, Raised) else ""
            # A few values, and one error of each class.
            if seen.count(kind) < (1 if kind else _VALUES):
                seen.append(kind)
                yield Call(f"{name}{args!r}"[:140], function, copy.deepcopy(args), {})
            if seen.count("") >= _VALUES:
                return

    return run


def _arity(function: Callable[..., Any], chance: random.Random) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return chance.choice((0, 1, 1, 1, 2, 2, 3))
    needed = sum(
        one.default is one.empty and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters
    )
    possible = sum(
        one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD, one.VAR_POSITIONAL) for one in parameters
    )
    return chance.randint(needed, max(needed, min(possible, needed + 1)))


def of_library(seed: int) -> list[Unit]:
    """All of the standard library: documented examples, then functions with arguments from the pool."""
    documented = [unit for name in modules.PURE if "." not in name for unit in of_documentation(name, "")]
    return documented + of_functions(seed)
