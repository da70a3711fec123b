"""The form in which Python's values travel (``spec/runner.md``, section 5).

Owns the bundle: a pickle and its out-of-band buffers behind a table of lengths. Client and runner share this file, so
it imports nothing that a runner could do without, and knows nothing of sessions or sockets. What plain pickle cannot
carry is handed to ``by_value``, which needs cloudpickle.
"""

from __future__ import annotations

import _pickle
import io
import struct
import sys

from .reducers import CannotTravel
from .reducers import Reducers, is_found_by_name

TYPE_CHECKING = False  # As in typing, which would take a third of a runner's start.
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Callable, Optional, Union

    Buffer = Union[bytes, bytearray, memoryview]
    #: Returns the hash of a shared value's blob for its handle, and None for every other object.
    Shared = Callable[[object], Optional[bytes]]
    #: Gives the shared value whose blob has this hash.
    Lookup = Callable[[bytes], object]

__all__ = ["CannotTravel", "aside", "dumps", "is_one_part", "joined", "loads", "plain", "split"]

#: ``bytes`` from this size on travel next to the pickle instead of being copied into it.
ASIDE_BYTES_MIN = 64 << 10
#: Alignment of the first buffer, so that arrays in it are aligned.
ALIGNMENT = 16
#: Number of buffers that one bundle may hold; no value needs more.
PARTS_MAX = 1 << 20
#: In which kinds of values ``aside`` may find something.
_LOOKED_INTO = frozenset((bytes, bytearray, tuple))
_SIMPLE = frozenset((int, float, str, bool, type(None)))
_PROTOCOL = 5

_COUNT = struct.Struct(">I")
_ONE = struct.Struct(">IQ")
_ONE_BYTES = _ONE.size


def dumps(value: object, shared: Shared | None = None) -> tuple[list[Buffer], set[bytes]]:
    """The bundle of a value as buffers to be sent one after another, and the hashes of the shared values it names.

    The buffers refer to the memory of the value's big parts and copy nothing: send them before the value changes.
    Raises CannotTravel.
    """
    if shared is None:
        bundle = plain(value)
        if bundle is not None:
            return bundle, set()
    from . import by_value

    buffers: list[Any] = []
    hashes: set[bytes] = set()
    pickled = by_value.dumps(aside(value), buffers.append, shared, hashes)
    return joined(pickled, buffers), hashes


def plain(value: object) -> list[Buffer] | None:
    """The bundle of a value if plain pickle can make it, and the result can be read in another program."""
    if _is_simple(value):
        # The hot path: nothing in it has a class to be looked at.
        return joined(_pickle.dumps(value, _PROTOCOL), [])
    cloudpickle = sys.modules.get("cloudpickle.cloudpickle")
    by_value = cloudpickle._PICKLE_BY_VALUE_MODULES if cloudpickle is not None else ()
    buffers: list[Any] = []
    file = io.BytesIO()
    try:
        _Plain(file, _PROTOCOL, buffer_callback=buffers.append).dump(aside(value))
    except Exception:  # Whatever the reason: cloudpickle is tried next, and reports its own.
        return None
    pickled = file.getvalue()
    # A class or function of the main program is nowhere else: its name alone would not be enough.
    if b"__main__" in pickled or any(name.encode() in pickled for name in by_value):
        # Nor is what the program wants to travel by value, of which plain pickle knows nothing.
        return None
    if b"getattr" in pickled and not _holds_no_alias(value):
        return None
    return joined(pickled, buffers)


def _is_simple(value: Any) -> bool:
    """True for numbers and text, and for a call with nothing else as its arguments."""
    kind = type(value)
    if kind is not tuple:
        return kind in _SIMPLE
    return (
        len(value) == 2
        and type(value[0]) is tuple
        and type(value[1]) is dict
        and not value[1]
        and _SIMPLE.issuperset(map(type, value[0]))
    )


def _holds_no_alias(value: Any) -> bool:
    """True if a bound method, and nothing else of the value, is found by its name, and is itself what is found."""
    if not is_found_by_name(value):
        return False
    return b"getattr" not in _pickle.dumps(value.__self__, _PROTOCOL, buffer_callback=lambda buffer: None)


def loads(buffer: Buffer, lookup: Lookup | None = None) -> Any:
    """The value of a bundle. Its big parts stay where they are: the value refers to the buffer.

    Raises ValueError for bytes that are not a bundle, and what reading the pickle raises.
    """
    view = memoryview(buffer).cast("B")
    size = len(view)
    if lookup is None and size > _ONE_BYTES and _ONE.unpack_from(view) == (1, size - _ONE_BYTES):
        return _pickle.loads(view[_ONE_BYTES:])
    parts = split(view)
    if lookup is None:
        return _pickle.loads(parts[0], buffers=parts[1:])
    return _with_lookup(parts, lookup)


def is_one_part(bundle: memoryview) -> bool:
    """True for a bundle without buffers next to its pickle."""
    return bytes(bundle[:4]) == b"\0\0\0\1"


def split(view: memoryview) -> list[memoryview]:
    """The parts of a bundle. Raises ValueError."""
    size = len(view)
    count = _COUNT.unpack_from(view)[0] if size >= 4 else 0
    begin = 4 + 8 * count
    if not 1 <= count <= PARTS_MAX or begin > size:
        raise ValueError(f"these {size} bytes are not a bundle of values")
    if count == 1:
        lengths: Iterable[int] = (_ONE.unpack_from(view)[1],)
    else:
        lengths = struct.unpack_from(f">{count}Q", view, 4)
    parts = []
    for length in lengths:
        parts.append(view[begin : begin + length])
        begin += length
    if begin != size:
        raise ValueError(f"a bundle of {begin} bytes was announced, and {size} came")
    return parts


def _with_lookup(parts: list[memoryview], lookup: Lookup) -> object:
    class Unpickler(_pickle.Unpickler):
        def persistent_load(self, pid: Any) -> object:
            return lookup(pid)

    return Unpickler(io.BytesIO(parts[0]), buffers=parts[1:]).load()


def joined(pickled: bytes, buffers: list[Any]) -> list[Buffer]:
    """The bundle of a pickle and its out-of-band buffers."""
    if not buffers:
        return [_ONE.pack(1, len(pickled)) + pickled]
    views = [buffer.raw() for buffer in buffers]
    count = 1 + len(views)
    # A pickle ends at its last opcode: what is behind it is not looked at.
    padding = -(4 + 8 * count + len(pickled)) % ALIGNMENT
    lengths = [len(pickled) + padding, *(view.nbytes for view in views)]
    head = struct.pack(f">I{count}Q", count, *lengths) + pickled + bytes(padding)
    return [head, *views]


class _Plain(_pickle.Pickler):
    dispatch_table = Reducers()


class _Aside:
    """Stands in for a big ``bytes`` or ``bytearray`` and travels next to the pickle."""

    __slots__ = ("value",)

    def __init__(self, value: bytes | bytearray) -> None:
        self.value = value

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return type(self.value), (_pickle.PickleBuffer(self.value),)


def aside(value: Any, depth: int = 2) -> Any:
    """The value with its big strings of bytes replaced; looks into tuples only, which are equal to their copies."""
    kind = type(value)
    if kind is bytes or kind is bytearray:
        return _Aside(value) if len(value) >= ASIDE_BYTES_MIN else value
    if kind is tuple and depth:
        for item in value:
            if type(item) in _LOOKED_INTO and aside(item, depth - 1) is not item:
                return tuple([aside(item, depth - 1) for item in value])
    return value
