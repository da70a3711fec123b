"""The client: hands functions and their arguments to a manager and gives back what they return."""

from __future__ import annotations

import atexit
import os
import sys
import types
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, Callable, TypeVar, Union

from ._calls.call import Calls, share
from ._calls.chunked_map import ChunkedMap, can_chunk
from ._calls.lazy_map import Map, Shown, UnorderedMap
from ._code import shipping
from ._local import choice as local_choice
from ._local.choice import LocalAddress
from ._outcome import result
from ._session import environment as environments
from ._session import waiting
from ._session.durations import Duration, seconds_or_none
from ._session.options import Options
from ._session.packages import Packages
from ._session.reconnect import Reconnect
from ._session.session import Session
from ._session.task import Blob
from ._shown import facts
from ._shown import progress as bars
from ._wire import protocol as wire
from ._wire import ticket as tickets
from ._wire import trust
from ._wire.address import Addresses, parse_all
from ._wire.worker_socket import of_environment
from .deferred import Deferred
from .errors import Lost, OptionError, Rejected, Unreachable
from .remote import Named
from .shared import Shared

__all__ = ["Client", "current_client", "local"]

T = TypeVar("T")
Target = Union[Callable[..., T], Named]

AHEAD = 1000

_alive: weakref.WeakSet[Session] = weakref.WeakSet()


class Client:
    """A connection to the pool.

    `Client("mgrhost:8000")`; several managers as `"a:8000,b:8000"` or a list, of which the first that answers serves;
    none for what ARGON_MANAGER names, else 127.0.0.1:8000. Where nothing is named and no manager answers there, the client
    starts a pool of this machine, which ends with the program; `local` and the address "local" ask for that. In a task, a
    client without address and key reaches the pool through the task's worker (`current_client`). The connection is made by
    the first call that needs it, and comes back by itself when it is lost: unfinished tasks are offered again under the
    same ids, and callers notice nothing but time.

    `key` is a file or the line `argon1-…` itself; without it the environment variable ARGON_KEY is used, then the file
    in which a manager of the same user keeps the key. `give_up_after` is the time after which a waiting call raises
    `Unreachable` instead of looking for a manager for ever. A time is a number of seconds, a `datetime.timedelta`, or
    text as "90s", "5m" or "1h30m".

    Connections that leave the machine are encrypted with TLS 1.3, and the manager must be the one that the key names by
    its pin. `tls_ca` is a file of an organisation's CA that vouches for the manager in place of the pin (else
    ARGON_TLS_CA). `insecure_plaintext=True` (else ARGON_INSECURE_PLAINTEXT=1) encrypts nothing; the manager must allow
    it. With `remote_modules=False` the text of this program's
    modules is never given to tasks that lack them.

    Tasks run in the environment of this program (`sys.prefix`: a venv, a conda environment, …) on workers of machines
    that have it, and elsewhere in the worker's own Python. `environment=False` asks for the worker's own everywhere.
    With `packages` they run in an environment with these packages, which each worker makes once and keeps: a list such as
    `["numpy==2.4"]`, or the path of a requirements.txt, pyproject.toml or uv.lock.

    A client that has waited for 2 seconds without an outcome reports why (no worker, none with this Python, the queue
    full, no manager …), each reason once: `on_waiting` gets it as a dict with code, message, runtime and tasks. By
    default it is a warning of the logger "argon"; None silences it. When a signal ends the program, its attached tasks
    are cancelled; with `on_interrupt="leave"` they go on until the manager's `--session-grace` has passed. All other
    options are those of `with_options`.

    A client may be used by any number of threads. A forked child begins a session of its own.
    """

    def __init__(
        self,
        address: Addresses | LocalAddress = None,
        *,
        key: str | os.PathLike[str] | None = None,
        give_up_after: Duration | None = None,
        insecure_plaintext: bool | None = None,
        tls_ca: str | os.PathLike[str] | None = None,
        remote_modules: bool = True,
        environment: bool = True,
        packages: Packages | None = None,
        on_waiting: waiting.Hook | None = waiting.log,
        on_interrupt: str = "cancel",
        **options: Any,
    ):
        if on_waiting is not None and not callable(on_waiting):
            raise OptionError(f"Client: on_waiting must be a callable or None, not {on_waiting!r}")
        if on_interrupt not in ("cancel", "leave"):
            raise OptionError(f"Client: on_interrupt must be 'cancel' or 'leave', not {on_interrupt!r}")
        place = of_environment() if address is None and key is None else None
        choice = local_choice.of(address, key) if place is None else None
        addresses = parse_all(None if choice is not None else address)  # type: ignore[arg-type]
        trusted = trust.trust(insecure_plaintext, tls_ca)
        trusted.prepare(addresses)
        reconnect = Reconnect(addresses, key, seconds_or_none("give_up_after", give_up_after), trusted, place, choice)
        self._options = Options().changed(options)
        if packages is not None:
            self._environment = environments.with_packages(packages)
        else:
            self._environment = environments.of_program() if environment else environments.NONE
        self._session = Session(reconnect, remote_modules, on_waiting)
        self._session.leaves_tasks = on_interrupt == "leave"
        self._shared: dict[bytes, Blob] = {}
        self._calls = Calls(self._options, self._shared, self._environment)
        self._owner: Client | None = None
        _alive.add(self._session)

    def with_options(self, **options: Any) -> Client:
        """The same client with other options for its tasks; both use one connection.

        priority: "high", "normal" or "low". timeout: how long one attempt may run. retries: further attempts after
        a failure; retry_on: for which ends ("error", "died", "timeout"); backoff: the pause before the first of
        them, doubling. never_twice: any doubt whether the task ran ends it as `Lost`. memory: MiB that the task may use.
        capture: what the task prints is not shown but kept, see `Deferred.output`. label: how people see it in
        `argon status`. wait: False to get `Rejected` when the queue is full instead of waiting.
        """
        other = Client.__new__(Client)
        other._options = self._options.changed(options)
        other._session = self._session
        other._shared = self._shared
        other._owner = self._owner or self
        other._environment = self._environment
        other._calls = Calls(other._options, other._shared, other._environment)
        return other

    def connect(self) -> Client:
        """Connects now, or raises `Unreachable`; returns itself."""
        self._session.here().connect()
        return self

    def queue(self, function: Target[T], /, *args: Any, **kwargs: Any) -> T:
        """Calls the function on the pool, waits for the value and returns it. `call` is another name of it."""
        session = self._session.here()
        if not session.connections:
            session.connect()
        calls = self._calls
        task = calls.task(self, session, calls.of(function), args, kwargs, is_waited_for=True)
        try:
            session.offer(task, hurry=True)
            return task.result()  # type: ignore[no-any-return]
        finally:
            if not task._done:
                # Left by what a signal handler raised.
                session.cancel(task)

    call = queue

    def defer(self, function: Target[T], /, *args: Any, **kwargs: Any) -> Deferred[T]:
        """Sends the call off and returns at once; `result()` of what it returns waits for the value."""
        session = self._session.here()
        if not session.connections:
            session.connect()
        calls = self._calls
        task = calls.task(self, session, calls.of(function), args, kwargs)
        session.offer(task)
        return task

    def map(
        self,
        function: Target[T],
        /,
        *iterables: Iterable[Any],
        ahead: int = AHEAD,
        ordered: bool = True,
        star: bool = False,
        chunksize: int | None = None,
        progress: bool = False,
    ) -> Iterator[Any]:
        """Calls the function for each item, as the built-in `map` does, and yields the results in order.

        With `ordered=False` it yields pairs of position and result as they come. At most `ahead` items have been taken
        whose results were not yielded yet, so that endless iterators are welcome. `star=True` unpacks each item of one
        iterable as the arguments. `progress=True` counts the results with a bar, that of tqdm if it is installed. The
        first error is raised, and what is under way is cancelled.

        `chunksize` items travel together as one task. Without it, items that take less than 2 ms do, if the function
        cannot change what its next call finds in it; 1 makes a task of each.
        """
        if not iterables:
            raise TypeError("map needs at least one iterable")
        if not isinstance(ahead, int) or ahead < 1:
            raise OptionError(f"Client: ahead must be a whole number from 1 on, not {ahead!r}")
        if chunksize is not None and (not isinstance(chunksize, int) or chunksize < 1):
            raise OptionError(f"Client: chunksize must be a whole number from 1 on, or None, not {chunksize!r}")
        self._session.here().connect()
        given = iterables if not star else iterables[:1]
        items: Iterable[Any] = zip(*iterables) if not star else (tuple(item) for item in iterables[0])
        total = bars.total(given)
        shown = Shown(facts.name_of(function), total, bool(progress))
        call = self._calls.of(function)
        if can_chunk(function, self._options, total, ahead, chunksize):
            are_there = all(type(one) in (list, tuple, range) for one in given)
            return ChunkedMap(self, call, items, ahead, shown, function, chunksize, ordered, are_there)
        kind = Map if ordered else UnorderedMap
        return kind(self, call, items, ahead, shown)

    def submit(self, function: Target[Any], /, *args: Any, **kwargs: Any) -> str:
        """Hands over a task that outlives this program; returns its ticket once the manager has it safely.

        The ticket is text, `<48 hexadecimal digits>-<32 hexadecimal digits>`. Anyone with it and a key can `collect`
        the outcome, once. Its first part is the id that `argon status` shows; the id alone opens nothing.
        """
        session = self._session.here()
        session.connect()
        calls = self._calls
        task = calls.task(self, session, calls.of(function, wire.DETACHED), args, kwargs)
        session.offer(task, hurry=True)
        task._wait(None)
        if task._status != wire.OK:
            raise result.error(task) or Rejected("the task was not accepted")
        return result.ticket(task)

    def collect(self, ticket: str, timeout: Duration | None = None) -> Any:
        """Waits for the outcome of a submitted task, from any program that holds a key; as `queue` returns it."""
        return self.collect_later(ticket).result(timeout)

    def collect_later(self, ticket: str) -> Deferred[Any]:
        """The same without waiting."""
        found = tickets.parse(ticket)
        if found is None:
            raise OptionError(f"Client: collect needs the ticket that submit returned; {tickets.reason(ticket)}")
        session = self._session.here()
        session.connect()
        question = wire.frame(wire.COLLECT, found.id + found.token)
        deferred: Deferred[Any] = Deferred(self, session, found.id, question, 0, self._options)
        session.collect(deferred)
        return deferred

    def cancel(self, ticket: str) -> bool:
        """Cancels a submitted task, waiting or running: True. False if it had ended; raises `Lost` if there is none."""
        found = tickets.parse(ticket)
        if found is None:
            raise OptionError(f"Client: cancel needs the ticket that submit returned; {tickets.reason(ticket)}")
        reply = self._asked("cancel", tasks=[ticket])
        answers = reply.get("tasks")
        answer = answers[0] if isinstance(answers, list) and answers and isinstance(answers[0], dict) else reply
        ended = {"cancelled": True, "ended": False}.get(str(answer.get("result")))
        if ended is None:
            kind = Lost if answer.get("result") == "unknown" else Rejected
            reason = answer.get("message", "the manager gives no reason")
            raise kind(f"the task cannot be cancelled: {reason}", found.id.hex())
        return ended

    def share(self, value: T) -> Shared[T]:
        """Makes a value ready to be used by many tasks: it travels once to each worker, when a task first needs it.

        Pass the handle as an argument, or let a function capture it: the task finds the value. It is kept as long as
        this client.
        """
        handle: Shared[T] = share(value)
        self._shared[handle._blob.hash] = handle._blob
        return handle

    def by_value(self, *modules: types.ModuleType | str) -> Client:
        """Sends functions and classes of these modules, and of their submodules, as they are in this program now.

        Without it a worker imports a module by its name, its own or from this program's file. Takes modules or their
        names, is for the whole program, and returns the client.
        """
        for one in modules:
            shipping.send_by_value(one)
        return self

    def status(self) -> dict[str, Any]:
        """The status of the manager: workers, queues and clients, as in `argon status --json`."""
        reply = self._asked("status")
        if not reply.get("ok"):
            raise Rejected(str(reply.get("message", "the manager gives no status")))
        return {name: item for name, item in reply.items() if name not in ("request", "ok")}

    def _asked(self, what: str, **fields: Any) -> dict[str, Any]:
        session = self._session.here()
        session.connect()
        request = session.request(what, **fields)
        session.wait(request)
        if request._error is not None:
            raise request._error
        return request._value  # type: ignore[no-any-return]

    @property
    def unfinished(self) -> int:
        """Number of tasks without an outcome."""
        return self._session.unfinished()

    def shutdown(self) -> None:
        """Says goodbye: unfinished tasks are cancelled, detached ones go on. So does the end of a `with` block."""
        self._session.close()

    def __repr__(self) -> str:
        session = self._session
        unfinished = session.unfinished()
        tasks = f", {facts.count(unfinished, 'task')} unfinished" if unfinished else ""
        return f"<argon.Client {facts.manager(session)}: {facts.state(session)}{tasks}>"

    def _repr_html_(self) -> str:
        return facts.table("argon.Client", [*facts.of_session(self._session), *facts.more(self._session)])

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.shutdown()

    def __del__(self) -> None:
        # A view leaves the session to the client that made it.
        if getattr(self, "_owner", self) is None:
            self._session.abandon()

    def __reduce__(self) -> Any:
        raise TypeError("an argon.Client cannot travel: make one where it is needed")


def local(workers: int | None = None, **options: Any) -> Client:
    """A client of a pool of this machine that belongs to this program: with `workers` slots, else one for each CPU.

    The pool is started by the first call, is shared by all clients of the program and by its forks, and ends with the
    last of them. It has nothing to do with a manager that runs here. `options` are those of `Client`.
    """
    return Client(LocalAddress(workers), **options)


def current_client() -> Client:
    """The client of the task that this process executes: it needs no address and no key.

    Its tasks are children of the task: they have the same owner, and end with it. While the task waits for them, its
    slot is lent to others. Raises `Unreachable` outside of a task.
    """
    place = of_environment()
    if place is None:
        raise Unreachable(
            "There is no current client here: only a task has one, on a worker that offers it "
            "(ARGON_WORKER_SOCKET). Elsewhere name the manager: argon.Client('HOST:PORT')"
        )
    if _current.get("place") != place:
        _current.update(place=place, client=Client())
    return _current["client"]  # type: ignore[no-any-return]


#: The task, and its client.
_current: dict[str, Any] = {}


def _close_all() -> None:
    # Set by the interpreter when no one has caught it.
    is_interrupted = getattr(sys, "last_type", None) is KeyboardInterrupt
    for session in list(_alive):
        if not (is_interrupted and session.leaves_tasks):
            session.close()


def _begin_all_after_fork() -> None:
    for session in list(_alive):
        session.begin_after_fork()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all_after_fork)
