"""An exception apart and together again, for client and runner.

Pickle makes an exception again by calling its class with its ``args``. Where the class forgets that, the text is doubled,
or nothing comes of it. So what was made again is compared with what was raised, and where they differ the parts
travel instead: class, ``args``, attributes. No code of the class runs when they are put together. An exception that is a
value, or within one, travels as parts whenever its class has an ``__init__`` or the like of its own.
"""

from __future__ import annotations

import importlib
import re
import sys
import types

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from typing import Any

#: Of a message.
TEXT_CHARACTERS_MAX = 100_000
#: Exceptions within exceptions, and containers within their arguments.
DEPTH_MAX = 20
_MARK = "argon exception"
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+")
_FIELDS = (types.MemberDescriptorType, types.GetSetDescriptorType)
#: Attributes of a class that take part when pickle makes an instance again.
_PARTICIPANTS = frozenset({"__init__", "__new__", "__setattr__", "__slots__"})
_WRITTEN = (types.FunctionType, staticmethod)
_BUILTIN_REDUCES = tuple(
    kind.__reduce__ for kind in (BaseException, OSError, ImportError, AttributeError) if "__reduce__" in vars(kind)
)
#: Of this file where tasks run. Both sides call it so in their pickles.
_NAME = "_argon._exceptions"
_PLAIN = (str, int, float, complex, bytes, bool, type(None))
#: An object that the interpreter keeps for suggestions.
_LEFT_OUT = frozenset({"args", "obj"})


def text(error: BaseException) -> str:
    """The text that ``str`` gives, or a substitute if the class raises."""
    try:
        return str(error)[:TEXT_CHARACTERS_MAX]
    except BaseException as trouble:
        return f"(its text cannot be had: {type(trouble).__module__}.{type(trouble).__qualname__})"


def is_text(error: BaseException, wanted: str) -> bool:
    """True if this is its text, but for addresses of objects."""
    return _ADDRESS.sub("", text(error)).strip() == _ADDRESS.sub("", wanted).strip()


def is_same(error: BaseException, other: object, depth: int = 0) -> bool:
    """True if one looks as the other, as far as their classes let that be seen."""
    try:
        return (
            isinstance(other, BaseException)
            and type(other) is type(error)
            and is_text(other, text(error))
            and _are_alike(error.args, other.args, depth)
            and _are_alike(vars(error), vars(other), depth)
            and _are_alike(_fields(error), _fields(other), depth)
        )
    except BaseException:
        return False


def parts(error: BaseException, depth: int = 0) -> tuple[Any, ...]:
    """The parts of an exception, as a value to be pickled."""
    if depth > DEPTH_MAX:
        raise RecursionError("exceptions within exceptions without end")
    return (
        _MARK,
        type(error),
        _taken_apart(_made_of(error), depth),
        _taken_apart(error.args, depth),
        dict(vars(error)),
        _fields(error),
    )


def together(apart: tuple[Any, ...]) -> BaseException:
    """The exception of its parts. Raises TypeError if there is none."""
    _, kind, made_of, args, attributes, fields = apart
    error = blank(kind, _together(made_of))
    fill(error, (_together(args), attributes, fields))
    return error


def is_made_of_args(kind: type[BaseException]) -> bool:
    """True if pickle can make its instances again: the class defines nothing for that, or all of it."""
    if kind.__reduce__ not in _BUILTIN_REDUCES or kind.__reduce_ex__ is not object.__reduce_ex__:
        return True
    for base in kind.__mro__:
        if base.__module__ != "builtins" and any(
            name == "__slots__" or type(vars(base)[name]) in _WRITTEN for name in _PARTICIPANTS & vars(base).keys()
        ):
            return False
    return True


def reduced(error: BaseException) -> tuple[Any, ...]:
    """The right result of ``__reduce_ex__``: its parts, and the function that joins them."""
    known: Any = sys.modules[_NAME]
    state = (error.args, dict(vars(error)), _fields(error))
    return known.blank, (type(error), _made_of(error)), state, None, None, known.fill


def blank(kind: type[BaseException], made_of: tuple[Any, ...]) -> BaseException:
    """An exception of the class, made without its ``__init__``. Raises TypeError if there is none."""
    for base in kind.__mro__:
        if base.__module__ == "builtins" and issubclass(base, BaseException):
            try:
                return base.__new__(kind, *made_of)
            except TypeError:
                continue
    raise TypeError(f"no exception of the class {kind!r} can be made")


def fill(error: BaseException, state: tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]) -> None:
    """Gives a blank exception its parts."""
    args, attributes, fields = state
    for name, value in fields.items():
        for base in type(error).__mro__:
            field = vars(base).get(name)
            if type(field) in _FIELDS:
                _set(field, error, value)
                break
    # Descriptors of the base class, because the class may forbid changes.
    BaseException.__dict__["args"].__set__(error, args)
    vars(error).update(attributes)


def set_cause(error: BaseException, cause: BaseException) -> None:
    """Sets the cause also of an exception whose class forbids changes."""
    BaseException.__dict__["__cause__"].__set__(error, cause)


def _made_of(error: BaseException) -> tuple[Any, ...]:
    if _is_group(error):
        return getattr(error, "message", ""), list(error.exceptions)  # type: ignore[attr-defined]
    return error.args


def _set(field: Any, error: BaseException, value: object) -> None:
    try:
        # An unset attribute reads as None; set to None it would appear in the text.
        if field.__get__(error, type(error)) is value:
            return
    except (AttributeError, TypeError):
        pass
    try:
        field.__set__(error, value)
    except (AttributeError, TypeError):  # Read-only: made of its arguments.
        return


def _fields(error: BaseException) -> dict[str, Any]:
    """State outside of its dictionary: slots, and fields of built-in classes in C."""
    found: dict[str, Any] = {}
    for base in type(error).__mro__:
        for name, field in vars(base).items():
            if type(field) in _FIELDS and name not in _LEFT_OUT and name[:2] != "__" and name != "exceptions":
                try:
                    found.setdefault(name, field.__get__(error, type(error)))
                except (AttributeError, TypeError):  # It was never set.
                    continue
    return found


def _is_group(error: BaseException) -> bool:
    return any(base.__name__ == "BaseExceptionGroup" and base.__module__ == "builtins" for base in type(error).__mro__)


def _taken_apart(value: Any, depth: int) -> Any:
    if isinstance(value, BaseException):
        return parts(value, depth + 1)
    if type(value) in (tuple, list):
        return type(value)(_taken_apart(item, depth + 1) for item in value)
    return value


def _together(value: Any) -> Any:
    if type(value) is tuple and len(value) == 6 and type(value[0]) is str and value[0] == _MARK:
        return together(value)
    if type(value) in (tuple, list):
        return type(value)(_together(item) for item in value)
    return value


def _are_alike(value: Any, other: Any, depth: int) -> bool:
    if type(value) is not type(other) or depth > DEPTH_MAX:
        return False
    if isinstance(value, BaseException):
        return is_same(value, other, depth + 1)
    if type(value) in _PLAIN:
        return bool(value == other) or repr(value) == repr(other)
    if type(value) in (tuple, list):
        return len(value) == len(other) and all(_are_alike(*pair, depth + 1) for pair in zip(value, other))
    if type(value) is dict:
        return list(value) == list(other) and all(_are_alike(value[name], other[name], depth + 1) for name in value)
    # An object of another class: pickle answers for it.
    return True


if __name__ != _NAME:
    blank.__module__ = fill.__module__ = _NAME
    if "_argon" not in sys.modules:
        sys.modules["_argon"] = types.ModuleType("_argon", "The name of this package where tasks run.")
        sys.modules[_NAME] = sys.modules[__name__]
    # In a task that uses this package, the runner's own file stays what the name means.
    importlib.import_module(_NAME)
