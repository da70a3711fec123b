"""The first text that a runner's interpreter reads: makes the other files of the runner importable, and runs it.

The worker sends this file behind a line ``files = {"_runner/channel.py": "…"}``. The files are found as the package
``_argon``, so that a task finds the package ``argon`` only if the machine or its client has it. Each is compiled when
it is imported first, since most runners never need half of them.
"""

import sys

TYPE_CHECKING = False  # As in typing, which would take a third of a runner's start.
if TYPE_CHECKING:
    from typing import Any

_files: dict[str, str] = globals().get("files", {})
_ROOT = "_argon"
_builtins = dict(vars(sys.modules["builtins"]))


class _Embedded:
    """Finds the files that came with this text."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> "Any":
        root, _, below = name.partition(".")
        if root != _ROOT:
            return None
        below = below.replace(".", "/")
        for file in (f"{below}.py", f"{below}/__init__.py") if below else ("",):
            if not file or file in _files:
                make: Any = type(sys.__spec__)
                spec = make(name, self, origin=f"<argon {file}>", is_package=not file.endswith(below + ".py"))
                spec.loader_state = _files.get(file, "")
                return spec
        return None

    def create_module(self, spec: object) -> None:
        """Make the usual kind of module."""

    def exec_module(self, module: "Any") -> None:
        spec = module.__spec__
        # A copy: a task that patches a builtin breaks its own code, not the runner.
        module.__dict__["__builtins__"] = _builtins
        exec(compile(spec.loader_state, spec.origin, "exec", dont_inherit=True), module.__dict__)


def _start() -> None:
    finders: Any = sys.meta_path
    finders.insert(0, _Embedded())
    # A task's program has a main module of its own, and finds nothing of ours in it.
    main: Any = type(sys)("__main__")
    main.__builtins__ = sys.modules["builtins"]
    sys.modules["__main__"] = main
    sys.argv[:] = [""]
    __import__("_argon._runner.tasks")
    sys.modules["_argon._runner.tasks"].main()


if _files:
    _start()
