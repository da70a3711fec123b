"""Facts about clients, tasks and maps, as `repr` and as a table for notebooks.

Only what this process knows already: nothing here waits, takes a lock or talks to the manager.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._outcome import result
from .._wire import protocol as wire
from ..remote import Named

if TYPE_CHECKING:
    from .._session.session import Session
    from .._session.task import Task

#: Name and value, in the order in which they are shown.
Facts = list[tuple[str, str]]


def table(title: str, facts: Facts) -> str:
    """The HTML of a notebook; all text is escaped."""
    from html import escape

    rows = "".join(
        f'<tr><th style="text-align: left">{escape(name)}</th><td style="text-align: left">{escape(value)}</td></tr>'
        for name, value in facts
    )
    return f"<div><strong>{escape(title)}</strong><table>{rows}</table></div>"


def count(number: int, what: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number:,} {what}" + "s" * (number != 1)


def manager(session: Session) -> str:
    """Where the pool of a session is."""
    reconnect = session.reconnect
    if reconnect.place is not None:
        return "the pool of this task"
    if reconnect.local is not None:
        own = reconnect.local.pool
        if own is not None:
            return f"a pool of this machine, {count(own.slots, 'slot')}"
        if reconnect.local.explicit:
            return "a pool of this machine"
    return ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in reconnect.addresses)


def state(session: Session) -> str:
    """The state of the connection of a session."""
    if session.closed:
        return "closed"
    if session.connection is not None:
        return "connected"
    if session.unreachable is not None:
        return "unreachable"
    return (
        "looks for its manager" if session.reconnect.since is not None or session.connections else "not connected yet"
    )


def of_session(session: Session) -> Facts:
    """What a table about a client has."""
    facts = [("manager", manager(session)), ("state", state(session))]
    trouble = session.unreachable.message if session.unreachable is not None else session.reconnect.trouble
    if session.connection is None and trouble and not session.closed:
        facts.append(("reason", trouble))
    facts.append(("unfinished", count(session.unfinished(), "task")))
    return facts


def more(session: Session, what: str = "client.status()") -> Facts:
    """The command that shows what the pool does."""
    reconnect = session.reconnect
    commands = [what] if what else []
    if reconnect.place is None and reconnect.local is None:
        host, port = reconnect.addresses[0]
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        commands.append(f"in a shell: argon status --manager {where}")
    return [("more", "; ".join(commands))] if commands else []


def of_task(task: Task) -> Facts:
    """What a table about a task has."""
    facts = [("state", state_of_task(task)), ("id", task._id.hex())]
    if task._options.label is not None:
        facts.append(("label", task._options.label))
    if not task._done:
        return facts
    if task._error is not None:
        facts.append(("error", f"{type(task._error).__name__}: {_text(task._error)}"))
    report = result.report(task)
    for name in ("worker", "host", "message"):
        if report.get(name):
            facts.append((name, str(report[name])))
    if task._run_us:
        facts.append(("run time", f"{task._run_us / 1e6:.3g} s"))
    if task._attempt > 1:
        facts.append(("attempt", str(task._attempt)))
    return facts


def state_of_task(task: Task) -> str:
    """`under way`, or how it ended."""
    if not task._done:
        return "under way"
    return wire.STATUS_NAMES[task._status] if task._status >= 0 else "lost"


def name_of(function: Any) -> str:
    """A function as people name it."""
    if isinstance(function, Named):
        return str(function)
    name = getattr(function, "__name__", None)
    if isinstance(name, str):
        return name
    inner = getattr(function, "func", None)
    return name_of(inner) if inner is not None else type(function).__name__


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return ""
