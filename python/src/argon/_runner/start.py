"""The first text that a runner's interpreter reads: makes the other files of the runner importable, and runs it.

The worker sends this file behind a line ``files = {"_runner/link.py": "…"}``. The files are found as the package
``_argon``, so that a task finds the package ``argon`` only if the machine or its client has it. Each is compiled when it
is imported first, since most runners never need half of them.
"""

import sys

_ROOT = "_argon"


class _Embedded:
    """Finds the files that came with this text."""

    def __init__(self, files):
        self.files = files

    def find_spec(self, name, path=None, target=None):
        root, _, below = name.partition(".")
        if root != _ROOT:
            return None
        below = below.replace(".", "/")
        for file in (f"{below}.py", f"{below}/__init__.py") if below else ("",):
            if not file or file in self.files:
                spec = type(sys.__spec__)(name, self, origin=f"<argon {file}>")
                spec.submodule_search_locations = None if file and not file.endswith("__init__.py") else []
                spec.loader_state = self.files.get(file, "")
                return spec
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        spec = module.__spec__
        exec(compile(spec.loader_state, spec.origin, "exec", dont_inherit=True), module.__dict__)


def start(files):
    sys.meta_path.insert(0, _Embedded(files))
    # A task's program has a main module of its own, and finds nothing of ours in it.
    main = sys.modules["__main__"] = type(sys)("__main__")
    main.__builtins__ = sys.modules["builtins"]
    sys.argv[:] = [""]
    from _argon._runner.tasks import Runner

    Runner().run()


start(files)  # noqa: F821
