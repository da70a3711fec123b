"""Runs the code that the pages show, as scripts/try-pages says: each block of README.md and docs/guide.

Every block names its language. A perl block is a program, the python blocks of a page are one program, a console block is
a session of bash whose output is compared where the page shows some. Comments right above a block, which readers of the
page do not see, complete it:

  <!-- setup for all: CODE -->  before every block of that language that follows on the page
  <!-- setup: CODE -->          before this block
  <!-- check: CODE -->          behind this block; it dies, raises or fails if the block did not do what the page says
  <!-- prints: TEXT -->         what the block prints, white space aside
  <!-- part of: FILE -->        the block's lines stand in this example, which scripts/try-examples runs
  <!-- run by: FILE -->         this test runs it
  <!-- not run: REASON -->

usage: python3 scripts/pages.py HOST:PORT [PAGE...]     with ARGON_KEY in the environment
"""

from __future__ import annotations

import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(?P<notes>(?:^<!--(?:(?!-->).)*-->\n)*)^```(?P<language>[^\n]*)\n(?P<code>.*?)^```$", re.M | re.S)
NOTE = re.compile(r"<!-- (setup for all|setup|check|prints|part of|run by|not run): ?((?:(?!-->).)*?) ?-->", re.S)
PROGRAMS = ("perl", "python", "console", "rust")
DATA = ("text", "toml", "ini", "json", "mermaid", "yaml")
#: Pages whose blocks of a language another test runs.
RUN_BY = {
    ("docs/guide/coming-from.md", "perl"): "perl/t/client/coming_from.t",
    ("docs/guide/coming-from.md", "python"): "python/tests/test_pages.py",
    ("docs/guide/python.md", "python"): "python/tests/test_pages.py",
    ("python/README.md", "python"): "python/tests/test_pages.py",
    ("docs/guide/python-code-that-travels.md", "python"): "python/tests/code/test_guide.py",
    ("docs/guide/rust.md", "rust"): "tests/tests/cluster/rust_programs.rs",
}
# It ends a hang; nested tasks take long on a busy machine.
SECONDS_MAX = 300
PERL_HEAD = "use strict; use warnings; alarm 300;\n"
BASH_HEAD = "set -euo pipefail\n"


@dataclass
class Block:
    """One block of a page, with the notes above it."""

    page: str
    line: int
    language: str
    code: str
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line} ({self.language})"


def main() -> int:
    if len(sys.argv) < 2 or "ARGON_KEY" not in os.environ:
        print(__doc__, file=sys.stderr)
        return 2
    address = sys.argv[1]
    pages = sys.argv[2:] or [
        "README.md",
        "python/README.md",
        *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/guide/*.md")),
    ]
    blocks = [block for page in pages for block in read(page)]
    problems = [problem for block in blocks if (problem := unusable(block))]
    to_run = [block for block in joined(blocks) if not problems and is_run_here(block)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for block, problem in zip(to_run, pool.map(lambda block: run(block, address), to_run)):
            print(f"{'FAILED' if problem else 'ok'}: {block.name}")
            problems += [f"{block.name}: {problem}"] if problem else []
    print("\n".join(problems), end="\n" if problems else "")
    programs = [block for block in blocks if block.language in PROGRAMS]
    left = [block for block in programs if "not run" in block.notes]
    for block in left:
        print(f"not run: {block.name}: {block.notes['not run']}")
    print(f"pages: {len(programs)} blocks of code, {len(problems)} with a problem, {len(left)} not run")
    return 1 if problems else 0


def read(page: str) -> list[Block]:
    """The blocks of a page; a note for all is copied to each that follows."""
    text = (ROOT / page).read_text()
    blocks, for_all = [], {}
    for found in BLOCK.finditer(text):
        language = found["language"].strip()
        notes = dict(NOTE.findall(found["notes"]))
        if "setup for all" in notes:
            for_all[language] = notes.pop("setup for all")
        if language in for_all:
            notes["setup"] = for_all[language] + "\n" + notes.get("setup", "")
        elsewhere = RUN_BY.get((page, language))
        if elsewhere:
            notes["run by"] = elsewhere
        line = text.count("\n", 0, found.start("language")) + 1
        blocks.append(Block(page, line, language, found["code"], notes))
    return blocks


def unusable(block: Block) -> str | None:
    """Why a block can neither be run nor be left."""
    if block.language not in (*PROGRAMS, *DATA):
        return f"{block.name}: a block names its language, one of {', '.join((*PROGRAMS, *DATA))}"
    if runner := block.notes.get("run by"):
        # A runner names the page, and so cannot be taken away without this check.
        if not (ROOT / runner).is_file() or Path(block.page).name not in (ROOT / runner).read_text():
            return f"{block.name}: {runner} does not run it"
    elif example := block.notes.get("part of"):
        whole = squeezed((ROOT / example).read_text()) if (ROOT / example).is_file() else ""
        absent = [line for line in without_comments(block) if squeezed(line) not in whole]
        if absent:
            return f"{block.name}: {example} has no line {absent[0].strip()!r}"
    elif block.language == "rust" and "not run" not in block.notes:
        return f"{block.name}: a block of Rust is part of an example or run by a test; say which"
    return None


def is_run_here(block: Block) -> bool:
    return block.language in ("perl", "python", "console") and not block.notes.keys() & {"run by", "part of", "not run"}


def joined(blocks: list[Block]) -> list[Block]:
    """The blocks as they are run: those of Python that stand on one page as one."""
    programs: list[Block] = []
    for block in blocks:
        last = programs[-1] if programs else None
        if (
            last
            and block.language == last.language == "python"
            and block.page == last.page
            and is_run_here(block)
            and is_run_here(last)
        ):
            last.code += with_notes(block)
        else:
            programs.append(block)
    return programs


def run(block: Block, address: str) -> str | None:
    """Runs a block; what is wrong, if anything is."""
    host, port = address.rsplit(":", 1)
    code = block.code if block.language == "console" else with_notes(block)
    code = code.replace("mgrhost:8000", address).replace("127.0.0.1:8000", address)
    code = re.sub(r"'mgrhost'(, port => 8000)?", f"'{host}', port => {port}", code)
    with tempfile.TemporaryDirectory(prefix="argon-pages-") as folder:
        if block.language == "console":
            return run_console(block, code, folder)
        head = PERL_HEAD if block.language == "perl" else ""
        file = Path(folder) / f"{block.language}-block"
        file.write_text(head + code)
        ended = start([*program(block.language), str(file)], "", folder)
    if ended.returncode != 0:
        return f"it ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}"
    wanted = block.notes.get("prints")
    if wanted is not None and ended.stdout.split() != wanted.split():
        return f"it printed {ended.stdout!r}, and the page says {wanted!r}"
    return None


def run_console(block: Block, code: str, folder: str) -> str | None:
    """Runs the lines behind `$ ` one after another in one bash, and compares what the page shows below them."""
    script, shown = BASH_HEAD + block.notes.get("setup", "") + "\n", []
    for line in code.splitlines():
        if line.startswith("$ "):
            script += f"echo '@@@ {len(shown)}'\n{line[2:]}\n"
            shown.append([])
        elif shown and line.strip():
            shown[-1].append(line)
    # A file of its own: what a command reads as its input must not be the rest of the script.
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write(script + block.notes.get("check", "") + "\n")
        file.flush()
        ended = start(["bash", file.name], "", folder)
    if ended.returncode != 0:
        return f"it ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}"
    printed = re.split(r"^@@@ \d+\n", ended.stdout, flags=re.M)[1:]
    for number, (wanted, text) in enumerate(zip(shown, printed)):
        pattern = r"\n".join(r".*".join(re.escape(part) for part in line.split("…")) for line in wanted)
        if wanted and not re.fullmatch(pattern, text.strip("\n")):
            return f"command {number + 1} printed {text!r}, and the page says {wanted!r}"
    return None if len(printed) == len(shown) else f"only {len(printed)} commands ran:\n{ended.stderr}"


def start(command: list[str], text: str, folder: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ROOT": str(ROOT), "PYTHONPATH": str(ROOT / "python" / "src")}
    try:
        return subprocess.run(
            command,
            check=False,
            input=text,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
        )
    except subprocess.TimeoutExpired as late:
        return subprocess.CompletedProcess(command, 124, str(late.stdout), f"it did not end within {SECONDS_MAX} s")


def program(language: str) -> list[str]:
    return {"perl": ["perl", f"-I{ROOT}/perl/lib"], "python": [sys.executable]}[language]


def with_notes(block: Block) -> str:
    return "\n".join([block.notes.get("setup", ""), block.code, block.notes.get("check", ""), ""])


def without_comments(block: Block) -> list[str]:
    lines = (re.sub(r"\s*//.*", "", line) for line in block.code.splitlines())
    return [line for line in lines if line.strip()]


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


if __name__ == "__main__":
    sys.exit(main())
