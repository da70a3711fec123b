"""Cases of what travels: one for each sentence of the guide about what goes along. A case says its sentence.

They run as a main program's text, so nothing here can be imported by a worker. `remote` is that of
test_shipping.py. test_guide.py checks that the sentences stand in the guide.
"""

# The sentences are as long as they are in the guide.
# ruff: noqa: E501

import functools
import sys
import types
from decimal import Decimal
from fractions import Fraction

CASES = []
SENTENCES = []


def says(sentence):
    def kept(function):
        SENTENCES.append(sentence)
        CASES.append(function)
        return function

    return kept


rate = 1.19


def gross(*prices):
    return round(sum(prices) * rate, 2)


class Basket:
    def __init__(self, prices):
        self.prices = prices

    def total(self):
        return gross(*self.prices)


class Bag(Basket):
    def total(self):
        return super().total() + 1


def module_of(name, text):
    """A module of this program that the runner lacks."""
    module = types.ModuleType(name)
    spec = __import__("importlib.machinery").machinery.ModuleSpec(name, None, origin=f"/nowhere/{name}.py")
    spec.loader = types.SimpleNamespace(get_source=lambda _: text)
    module.__spec__ = spec
    sys.modules[name] = module
    exec(compile(text, name, "exec"), vars(module))
    return module


@says(
    "Its captured variables, the functions and classes of your script that it uses, and what they need in turn go with it."
)
def captured_variables_functions_and_classes_go_along_and_what_they_need(remote):
    extra = 1
    assert remote(lambda n: gross(n) + extra, 10) == 12.9
    assert remote(lambda: Basket([4, 7]).total()) == 13.09
    assert remote(Bag([4, 7]).total) == 14.09


@says("Modules of\nyours that the worker lacks are fetched from your machine.")
def modules_that_the_worker_lacks_are_fetched(remote):
    module_of("guide_tax", "TAX = 3\n")
    module_of("guide_shop", "import guide_tax\ndef price(n): return n + guide_tax.TAX\n")
    before = list(remote.runner.asked)
    assert remote.runner.by_name("guide_shop:price", 4).value == 7
    assert remote.runner.asked[len(before) :] == ["guide_shop", "guide_tax"]


@says("A worker needs a `python3` of the same version (3.11 for a client of 3.11), and no package at all.")
def a_worker_needs_no_package(remote):
    assert remote(lambda: [name for name in ("argon", "cloudpickle", "site") if name in __import__("sys").modules]) in (
        [],
        ["cloudpickle"],
    )
    assert "runner is of Python" in remote.runner.task({"call": "math:sqrt", "python": "2.7"}, b"").failure["message"]


@says(
    "The promise is *right or loud, never silently wrong*: what cannot travel is refused at your own line, in a sentence that names it."
)
def what_cannot_travel_is_refused_at_the_call(remote):
    lock = __import__("threading").Lock()
    assert "the variable lock that the lambda" in remote.refused(lambda: lock)


@says("functions and classes of modules: the standard library, installed packages, your own files next to the script")
def by_name_go_functions_and_classes_of_modules(remote):
    assert remote(Fraction, 1, 2) == Fraction(1, 2) and remote(Decimal, "1.5") == Decimal("1.5")
    assert remote(__import__("os.path").path.join, "a", "b") == "a/b"


@says(
    "everything of the main program and of notebooks, lambdas, closures, partials, bound methods, what a decorator made"
)
def by_value_goes_everything_of_the_main_program(remote):
    def decorated(function):
        @functools.wraps(function)
        def inner(*args):
            return function(*args) * 2

        return inner

    base = 5
    assert remote(lambda n: n + base, 1) == 6
    assert remote(functools.partial(gross, 4), 7) == 13.09
    assert remote(Basket([1]).total) == 1.19
    assert remote(decorated(gross), 4, 7) == 26.18


@says(
    "Installed packages and the standard library are those of the interpreter that runs the task: your own environment "
    "where the worker has it, else the worker's."
)
def the_workers_own_module_comes_first(remote):
    before = list(remote.runner.asked)
    assert remote(__import__("math").sqrt, 4) == 2.0 and remote.runner.asked == before


@says("Tracebacks show your file and your lines.")
def tracebacks_show_the_callers_file(remote):
    def fail():
        raise ValueError("here")

    assert f'File "{__file__}"' in remote.fails(fail)["traceback"]


@says(
    "By value, nothing is remembered from the call before: change a global variable, or define a function again in a notebook, and the next call takes what it is *now*."
)
def nothing_is_remembered_from_the_call_before(remote):
    global rate, gross
    old = gross
    try:
        rate = 2
        assert remote(old, 3) == 6
        exec("def gross(*prices): return 'again'", globals())
        assert remote(lambda: gross(1)) == "again"
    finally:
        rate, gross = 1.19, old


@says("A worker changes its copy, not your variable, and the next task does not see it, whichever runner it gets.")
def a_worker_changes_its_copy(remote):
    seen = []

    def remember(x):
        seen.append(x)
        return len(seen)

    assert [remote(remember, n) for n in range(3)] == [1, 1, 1] and seen == []


@says("What a task leaves *in a module* stays for the life of its process, as it would in a program of yours.")
def what_a_task_leaves_in_a_module_stays(remote):
    remote(lambda: setattr(__import__("string"), "left", 7))
    assert remote(lambda: __import__("string").left) == 7


@says(
    "The environment, the working folder, signal handlers and alarms, `sys.path`, `sys.argv` and the standard streams are put back after each task."
)
def what_belongs_to_the_process_is_put_back(remote):
    def look():
        import os
        import signal
        import sys

        streams = sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__
        return os.environ.get("GUIDE"), os.getcwd(), signal.getsignal(signal.SIGUSR1), sys.path, sys.argv, streams

    def change():
        import io
        import os
        import signal
        import sys

        os.environ["GUIDE"] = "set"
        os.chdir("/")
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.alarm(60)
        sys.path.insert(0, "/guide")
        sys.argv.append("guide")
        sys.stdout = sys.stderr = io.StringIO()

    before = remote(look)
    remote(change)
    assert remote(look) == before and remote(lambda: __import__("signal").alarm(0)) == 0


@says(
    "Instances of classes of your main program come back as instances of *that* class, members of an enumeration as themselves"
)
def instances_come_back_as_instances_of_that_class(remote):
    import enum

    Color = enum.Enum("Color", "RED BLUE")
    assert type(remote(lambda one: one, Bag([1]))) is Bag
    assert remote(lambda one: one, Color.RED) is Color.RED


@says("The class here is never changed by what comes back.")
def the_class_here_is_not_changed(remote):
    def change():
        Basket.added = 1
        return Basket([1])

    assert type(remote(change)) is Basket and not hasattr(Basket, "added")
