"""Modules that the machine of a runner lacks come from its client, and never from another."""

from __future__ import annotations

import importlib
import json
import sys

import pytest
from runner_process import SESSION, Ended, RunnerProcess

from argon._code import modules, shipping

OTHER = bytes(range(100, 116))


@pytest.fixture
def bare():
    """A runner that has nothing but the standard library."""
    with RunnerProcess(sys._base_executable, ["-I", "-S"]) as runner:
        yield runner


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder whose modules this program has and the runner has not."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(place, **texts):
    for name, text in texts.items():
        path = place / (name.replace("__", "/", 1).replace("/init__", "/__init__") + ".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    importlib.invalidate_caches()


def answer_with(runner, texts):
    """Lets the client have these modules: a text each, or a list with the text of a package."""

    def answer(question):
        name = json.loads(question)["name"]
        if name.startswith("cloudpickle"):
            return modules.reply(question)
        if name not in texts:
            return False, b"not here"
        text = texts[name]
        is_package = isinstance(text, list)
        found = {"package": is_package, "file": f"/client/{name}.py", "source": text[0] if is_package else text}
        return True, json.dumps(found).encode()

    runner.answer = answer


def test_a_function_of_the_callers_module_travels_by_name(bare, place):
    write(place, tasks_one="import tasks_two\ndef f(x):\n    return tasks_two.double(x) + 1\n")
    write(place, tasks_two="def double(x):\n    return 2 * x\n")
    import tasks_one

    assert shipping.prepare(tasks_one.f).blob is None
    assert bare.call(tasks_one.f, 4) == 9
    assert bare.asked == ["tasks_one", "tasks_two"]
    assert bare.call(tasks_one.f, 5) == 11
    assert bare.asked == ["tasks_one", "tasks_two"], "each is asked for once"


def test_packages_and_their_relative_imports_work(bare, tmp_path, place):
    package = tmp_path / "pack"
    (package / "sub").mkdir(parents=True)
    (package / "__init__.py").write_text("from .first import one\n")
    (package / "first.py").write_text("from . import sub\none = 1\n")
    (package / "sub" / "__init__.py").write_text("from ..sub.deep import two\n")
    (package / "sub" / "deep.py").write_text("two = 2\ndef f():\n    return __name__, __package__, __file__\n")
    importlib.invalidate_caches()
    from pack.sub import deep

    assert bare.call(deep.f) == ("pack.sub.deep", "pack.sub", str(package / "sub" / "deep.py"))
    assert bare.call(lambda: __import__("pack").one) == 1


def test_a_folder_without_text_is_a_package_too(bare, place):
    (place / "folder").mkdir()
    (place / "folder" / "part.py").write_text("value = 7\n")
    importlib.invalidate_caches()
    assert bare.by_name("folder.part.value.__add__", 1).value == 8


def test_exceptions_and_instances_of_the_callers_modules_come_back_as_themselves(bare, place):
    write(place, tasks_three="class E(Exception): pass\nclass P: pass\ndef f():\n    raise E('x')\n")
    import tasks_three

    assert type(bare.fails(tasks_three.f)["exception"]) is tasks_three.E
    assert type(bare.call(tasks_three.P)) is tasks_three.P


def test_tracebacks_show_lines_that_the_machine_does_not_have(bare):
    answer_with(bare, {"remote_one": "def f():\n    raise ValueError('in a line of the client')\n"})
    traceback = bare.by_name("remote_one.f").failure["traceback"]
    assert 'File "/client/remote_one.py", line 2, in f' in traceback
    assert "raise ValueError('in a line of the client')" in traceback
    answer_with(bare, {"remote_two": "import remote_three\n", "remote_three": "1 / 0\n"})
    traceback = bare.by_name("remote_two.f").failure["traceback"]
    assert "import remote_three" in traceback and "1 / 0" in traceback and "<argon" not in traceback


def test_what_the_client_does_not_give_is_told_and_asked_once(bare):
    answer_with(bare, {})
    for _ in range(2):
        message = bare.by_name("not_there.f").failure["message"]
        assert message.startswith("No module named 'not_there' on the worker here:1 (Python 3."), message
        assert message.endswith("); its client does not give it: not here"), message
    assert bare.asked == ["not_there"]


def test_a_library_that_wraps_the_failure_shows_what_the_client_said(bare):
    text = "try:\n    import inner\nexcept ImportError as error:\n    raise ImportError(f'broken: {error}')\n"
    answer_with(bare, {"outer": text})
    message = bare.by_name("outer.f").failure["message"]
    assert message.startswith("broken: No module named 'inner' on the worker here:1 (Python 3."), message


def test_a_module_can_be_probed_without_an_error(bare):
    answer_with(bare, {})
    assert bare.call(lambda: __import__("importlib.util").util.find_spec("not_there")) is None


def test_compiled_modules_are_refused_in_words():
    is_given, why = modules.reply(b'{"kind":"python-module","name":"_struct"}')
    assert not is_given and b"compiled" in why
    assert modules.answer("sys") is None


@pytest.mark.parametrize("question", [b"", b"[]", b'{"kind":"perl-module","name":"A.pm"}', b'{"kind":"python-module"}'])
def test_questions_that_make_no_sense_are_answered_with_no(question):
    assert modules.reply(question)[0] is False


@pytest.mark.parametrize("name", ["", "..", "a/b", "../x", "__main__", "a..b", "a b"])
def test_only_names_of_modules_are_answered(name):
    assert modules.answer(name) is None


def test_answering_imports_nothing(place):
    write(place, loud="raise SystemExit('imported')\n")
    assert json.loads(modules.answer("loud"))["source"] == "raise SystemExit('imported')\n"


def test_local_modules_win(tmp_path):
    (tmp_path / "both.py").write_text("def f():\n    return 'local'\n")
    with RunnerProcess(sys._base_executable, PYTHONPATH=str(tmp_path)) as runner:
        answer_with(runner, {"both": "def f():\n    return 'remote'\n"})
        assert runner.by_name("both.f").value == "local"
        assert runner.asked == []


def test_a_part_that_a_local_package_lacks_is_not_mixed_in(bare):
    answer_with(bare, {"json.extra": "x = 1\n"})
    assert bare.by_name("json.extra.x").status == 1
    assert bare.asked == []


def test_a_worker_can_turn_it_off():
    with RunnerProcess(sys._base_executable, ["-S"], ARGON_NO_REMOTE_MODULES="1") as runner:
        answer_with(runner, {"remote": "x = 1\n"})
        assert runner.by_name("remote.x").failure["message"] == "No module named 'remote'"
        assert runner.asked == []
        assert runner.call(__import__("os").getenv, "ARGON_NO_REMOTE_MODULES") is None


def test_a_task_of_another_client_ends_the_runner(bare):
    assert bare.by_name("math.sqrt", 4).value == 2
    with pytest.raises(Ended):
        bare.task({"call": "math.sqrt"}, b"[4]", codec=1, session=OTHER)
    assert bare.ended() == 1


# kind: modules that changed | two clients with different modules of one name | right | a process serves one client
def test_a_client_of_a_task_has_the_modules_of_the_tasks_client(bare):
    child = bytes(range(8)) + b"a client"
    answer_with(bare, {"mine": "def f():\n    return 1\n"})
    for session in (SESSION, child, SESSION):
        assert bare.task({"call": "mine.f"}, b"[]", codec=1, session=session).value == 1
    assert bare.asked == ["mine"]


def test_a_client_that_is_away_for_a_moment_is_asked_again(bare):
    answers = [(False, b""), (False, b""), modules.reply(b'{"kind":"python-module","name":"textwrap"}')]
    bare.answer = lambda _question: answers.pop(0)
    assert bare.by_name("away.dedent", " a").value == "a"
    assert bare.asked == ["away"] * 3


def test_a_client_that_stays_away_is_asked_again_by_the_next_task(monkeypatch):
    from argon._runner import family, modules

    class Worker:
        said = 0

        def send(self, _kind, _task, ask, _question):
            self.said += 1
            self.ask = ask

        def next_of(self, _kind):
            return [0, bytes(28) + self.ask + b"\1", b""]

    monkeypatch.setattr(modules, "PATIENCE_S", 0.01)
    monkeypatch.setattr(modules, "AGAIN_S", 0.001)
    known, worker = family.Family(), Worker()
    remote = modules.RemoteModules(worker, known)
    session = known.modules
    for _ in range(2):
        before = worker.said
        remote.begin(bytes(28))
        assert remote.ask("away") is None and session.refused == {"away": "it is away"}
        asked = worker.said
        assert asked > before
        assert remote.ask("away") is None and worker.said == asked, "not again in this task"


def test_a_local_module_that_holds_a_clients_module_goes_with_it(tmp_path):
    (tmp_path / "local_holder.py").write_text("import mine\ndef f():\n    return mine.word\n")
    with RunnerProcess(sys._base_executable, PYTHONPATH=str(tmp_path)) as runner:
        for generation, word in enumerate("abc"):
            answer_with(runner, {"mine": f"word = {word!r}\n"})
            assert runner.task({"call": "local_holder.f", "modules": generation}, b"[]", codec=1).value == word


def test_a_module_that_fails_while_it_is_made_is_made_anew(bare):
    answer_with(
        bare, {"bad": "import sys\nsys.count = getattr(sys, 'count', 0) + 1\n1 / (sys.count - 1)\ndef f(): return 5\n"}
    )
    assert bare.by_name("bad.f").failure["class"] == "builtins.ZeroDivisionError"
    assert bare.by_name("bad.f").value == 5


# kind: modules that changed | `importlib.reload` of a module here | right | workers fetch it again
def test_a_module_that_was_loaded_again_is_fetched_again(bare, place):
    write(place, changing="def f():\n    return 'old'\n")
    import changing

    assert bare.call(changing.f) == "old"
    write(place, changing="def f():\n    return 'newer'\n")
    importlib.reload(changing)
    assert changing.f() == "newer"
    assert bare.call(changing.f) == "newer"
    assert bare.call(lambda: __import__("changing").f()) == "newer"
    assert bare.asked.count("changing") == 2


def test_a_thread_of_a_task_may_import_too(bare):
    answer_with(bare, {"threaded": "value = 3\n"})

    def f():
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(2) as pool:
            return [future.result().value for future in [pool.submit(__import__, "threaded") for _ in range(4)]]

    assert bare.call(f) == [3] * 4


def test_code_by_value_needs_no_cloudpickle_on_the_machine(bare):
    assert bare.call(lambda x: x + 1, 1) == 2
    assert bare.asked[:2] == ["cloudpickle", "cloudpickle.cloudpickle"]


def test_the_clients_own_cloudpickle_is_used_where_the_machine_has_another(tmp_path):
    (tmp_path / "cloudpickle.py").write_text("raise RuntimeError('the wrong one')\n")
    with RunnerProcess(sys._base_executable, PYTHONPATH=str(tmp_path)) as runner:
        assert runner.call(lambda x: x + 1, 1) == 2


def test_without_cloudpickle_anywhere_it_is_told_in_words():
    with RunnerProcess(sys._base_executable, ["-I", "-S"], ARGON_NO_REMOTE_MODULES="1") as runner:
        assert runner.fails(lambda: 1)["message"] == "No module named 'cloudpickle'"
        failure = runner.fails(eval, "(i for i in ())")
        assert failure["message"].startswith("the task returned a generator")
        failure = runner.fails(eval, "lambda: 1")
        assert "cloudpickle is not to be had here" in failure["message"]
