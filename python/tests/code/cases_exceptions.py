"""Cases of what travels: exceptions.

They run as a main program's text, so nothing here can be imported by a worker. `remote` is that of
test_shipping.py.
"""

# Lambdas and leaks are what is tested here.
# ruff: noqa: F821, PLC3002

import sys
import threading

CASES = []


def case(function):
    CASES.append(function)
    return function


class Trouble(Exception):
    pass


class Detailed(Exception):
    def __init__(self, code, *, hint):
        super().__init__(f"{code}: {hint}")
        self.code = code


def raising(error):
    raise error


@case
def an_exception_comes_back_with_class_and_arguments(remote):
    failure = remote.fails(raising, ValueError("bad", 3))
    assert failure["class"] == "builtins.ValueError" and failure["exception"].args == ("bad", 3)
    assert "in raising" in failure["traceback"]


@case
def an_exception_class_of_the_program_comes_back_as_itself(remote):
    failure = remote.fails(lambda: raising(Trouble("t")))
    assert type(failure["exception"]) is Trouble and failure["class"] == "__main__.Trouble"


# kind: exceptions that are hard to rebuild | an exception whose `__init__` changes its text | right | its parts travel
#    where its class cannot be called with its args
@case
def an_exception_whose_class_wants_other_arguments_comes_back_as_it_was(remote):
    thrown = remote.fails(lambda: raising(Detailed(5, hint="look")))["exception"]
    assert type(thrown) is Detailed and str(thrown) == "5: look" and thrown.args == ("5: look",) and thrown.code == 5


@case
def an_exception_that_cannot_be_written_is_told_in_words(remote):
    failure = remote.fails(lambda: raising(Trouble(threading.Lock())))
    assert "exception" not in failure and failure["class"] == "__main__.Trouble"


# kind: exceptions that are hard to rebuild | an exception raised from another | right | the traceback from the
#    worker shows both
@case
def chained_exceptions_are_all_in_the_traceback(remote):
    def f():
        try:
            return {}["x"]
        except KeyError as error:
            raise Trouble("outer") from error

    text = remote.fails(f)["traceback"]
    assert "KeyError: 'x'" in text and "direct cause" in text and text.rstrip().endswith("Trouble: outer")


@case
def groups_and_notes_of_exceptions_travel(remote):
    if sys.version_info < (3, 11):
        assert remote.fails(lambda: ExceptionGroup)["class"] == "builtins.NameError"
        return

    def f():
        error = ValueError("v")
        error.add_note("a note")
        raise ExceptionGroup("several", [error, Trouble("t")])

    group = remote.fails(f)["exception"]
    assert [type(e) for e in group.exceptions] == [ValueError, Trouble]
    assert group.exceptions[0].__notes__ == ["a note"]


@case
def exceptions_beside_exception_come_back(remote):
    assert type(remote.fails(raising, KeyboardInterrupt())["exception"]) is KeyboardInterrupt
    assert remote.fails(lambda: eval("1 +"))["class"] == "builtins.SyntaxError"
    assert remote.fails(lambda: (lambda f: f(f))(lambda f: f(f)))["class"] == "builtins.RecursionError"


# kind: exceptions that are hard to rebuild | an exception whose `__str__` raises | loud | the class and the
#    traceback arrive
@case
def an_exception_whose_text_fails_is_told_all_the_same(remote):
    class Silent(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    assert remote.fails(lambda: raising(Silent()))["class"].endswith("Silent")
