"""Inputs for the systems that run commands. usage: shell_inputs.py SYSTEM INPUT

Each input is a list of lines, a command for each of them with `{}` in it, and what should be seen. Prints one line of JSON at the end.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[3]


class Input(NamedTuple):
    """Lines for a command; `line` is one for a shell, `words` are none."""

    about: str
    lines: bytes
    words: list[str] = []  # noqa: RUF012 - nobody changes it
    line: str = ""
    output: bytes | None = None
    #: The status must not be 0.
    fails: bool = False
    before: str = ""
    stdout: str = ""
    #: For systems that can be asked for it.
    option: str = ""


MIXED = "for n in 1 2 3 4 5 6; do echo {}; sleep 0.1; done"
INPUTS = {
    "double_quotes": Input('`"{}"` in a line for the shell, and the input `$(touch PWNED)`', b"$(touch PWNED)\n", line='printf "%s\\n" "{}"', output=b"$(touch PWNED)\n"),
    "single_quotes": Input("`'{}'` in a line for the shell, and the input `it's; touch PWNED; '`", b"it's; touch PWNED; '\n", line="printf '%s\\n' '{}'", output=b"it's; touch PWNED; '\n"),
    "bare": Input("a bare `{}` in a line for the shell, and the input `a b; touch PWNED`", b"a b; touch PWNED\n", line="printf '%s\\n' {}", output=b"a b; touch PWNED\n"),
    "tab": Input("a tab in the input of a line for the shell", b"a\tb\n", line="printf '%s\\n' {}", output=b"a\tb\n"),
    "special": Input("quotes, blanks and backslashes in the input of a command", b"it's \"x\"  \\ y\n", words=["printf", "%s\\n", "{}"], output=b"it's \"x\"  \\ y\n"),
    "outer_blanks": Input("blanks around the input", b"  a  \n", words=["printf", "[%s]\\n", "{}"], output=b"[  a  ]\n"),
    "last_line": Input("a last line without its end", b"a\nb", words=["printf", "%s\\n", "{}"], output=b"a\nb\n"),
    "reads_input": Input("a command that reads its standard input to the end", b"a\nb\nc\n", line="cat; echo {}", option="-k", output=b"a\nb\nc\n"),
    "one_fails": Input("one of three commands fails: the status", b"0\n1\n0\n", words=["sh", "-c", "exit $0", "{}"], fails=True),
    "one_is_killed": Input("one of three commands is killed: the status", b"a\nb\nc\n", words=["sh", "-c", 'test "$0" != b || kill -9 $$', "{}"], fails=True),
    "disk_full": Input("standard output is a full disk: the status", b"a\n", words=["echo", "{}"], fails=True, stdout="/dev/full"),
    "missing": Input("there is no such command: the status", b"a\n", words=["no-such-command-here", "{}"], fails=True),
    "mixed": Input("two commands that print a line now and then: no line of one among those of the other", b"a\nb\n", line=MIXED, output=b"a\n" * 6 + b"b\n" * 6),
    "order": Input("the first command takes longest, output wanted in the order of the inputs (`-k` where there is one)", b"0.6\n0.3\n0\n", line="sleep {}; echo {}", option="-k", output=b"0.6\n0.3\n0\n"),
    "umask": Input("the caller's umask 077: the mode of a file that a command makes", b"made\n", words=["sh", "-c", 'touch "$0"; stat -c %a "$0"', "{}"], output=b"600\n", before="umask 077"),
    "variable": Input("a variable of the caller's environment", b"a\n", words=["sh", "-c", 'echo "$SEEN"', "{}"], output=b"there\n", before="export SEEN=there"),
    "bytes": Input("an input that is not UTF-8", b"\xff\xfe\n", words=["printf", "%s\\n", "{}"], output=b"\xff\xfe\n"),
    "long": Input("an input of 100 KB", b"x" * 100_000 + b"\n", words=["printf", "%s\\n", "{}"], output=b"x" * 100_000 + b"\n"),
    "too_long": Input("an input of 300 KB, more than the kernel takes as a word", b"x" * 300_000 + b"\n", words=["printf", "%s\\n", "{}"], fails=True),
}  # fmt: skip


def rows() -> list[tuple[str, str]]:
    """Names and what they are about."""
    return [(name, one.about) for name, one in INPUTS.items()]


def command(system: str, one: Input) -> list[str]:
    """The command line of a system, as its documentation has it."""
    if system == "argon":
        return [
            argon(),
            "map",
            *filter(None, [one.option]),
            *(["--shell", "--", one.line] if one.line else ["--", *one.words]),
        ]
    if system == "parallel":
        return ["parallel", "-j2", *filter(None, [one.option]), *([one.line] if one.line else ["-q", *one.words])]
    return ["xargs", "-P2", "-I{}", *(["sh", "-c", one.line] if one.line else one.words)]


def argon() -> str:
    """The release build if there is one."""
    built = [os.environ.get("ARGON_BIN", ""), str(ROOT / "target/release/argon"), str(ROOT / "target/debug/argon")]
    return next(path for path in built if path and os.path.exists(path))


def start_argon() -> None:
    """A manager and a worker of two slots, named by the environment."""
    os.environ["ARGON_BIN"] = argon()
    sys.path[:0] = [str(ROOT / "python" / "src"), str(ROOT / "python" / "tests")]
    from cluster import Cluster

    cluster = Cluster(Path(tempfile.mkdtemp()))
    atexit.register(cluster.stop)
    cluster.start_manager()
    cluster.add_worker(2)
    os.environ.update(ARGON_MANAGER=cluster.address, ARGON_KEY=str(cluster.key))


def main() -> None:
    """Runs one input on one system."""
    system, name = sys.argv[1:]
    one = INPUTS[name]
    if system == "argon":
        start_argon()
    Path("list").write_bytes(one.lines)
    os.environ["SHELL"] = "/bin/sh"
    script = f'{one.before or ":"}; exec "$@" <list >{one.stdout or "out"} 2>errors'
    status = subprocess.run(["bash", "-c", script, "bash", *command(system, one)], check=False, timeout=50).returncode
    output = Path("out").read_bytes() if not one.stdout else b""
    errors = Path("errors").read_text(errors="replace").strip()
    print("\noutcome " + json.dumps(verdict(one, status, output, errors)), flush=True)


def verdict(one: Input, status: int, output: bytes, errors: str) -> dict[str, Any]:
    """Right, loud or silent."""
    if os.path.exists("PWNED"):
        return {"verdict": "silent", "value": "the input was run as code"}
    if one.fails:
        return {"verdict": "right" if status else "silent", "value": f"status {status}"}
    whole_jobs = sorted([output[:12], output[12:]]) if one.line == MIXED else []
    if status == 0 and (output == one.output or b"".join(whole_jobs) == one.output):
        return {"verdict": "right", "value": ""}
    told = f"{output[:60]!r}, status {status}"
    return {"verdict": "loud" if status and errors else "silent", "value": told}


if __name__ == "__main__":
    main()
