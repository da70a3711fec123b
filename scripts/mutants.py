#!/usr/bin/env python3
"""Plants faults in a copy of the core, one at a time, and counts the seeds until the simulator finds each.

usage: scripts/mutants.py [--seeds N] [--from SEED] [--jobs N] [--only WORD]

The faults are listed in crates/argon-sim/mutants.toml. One build has them all: ARGON_MUTANT chooses. Prints the table
of docs/design/simulator.md. Exit status: 0 if each was found that did not escape before, 1 if one was not.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import tomllib

ROOT = Path(__file__).resolve().parent.parent
TREE = ROOT / "target" / "mutants" / "tree"
CHOICE = """//! Which fault is planted.

use std::sync::OnceLock;

/// True if this one is.
pub(crate) fn is(number: u32) -> bool {
    static CHOSEN: OnceLock<u32> = OnceLock::new();
    let chosen = || std::env::var("ARGON_MUTANT").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    *CHOSEN.get_or_init(chosen) == number
}
"""


def copy_tree() -> None:
    """Copies the files of the workspace. Those that did not change keep their times, so that a second build is short."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in listed.stdout.decode().split("\0"):
        source, target = ROOT / name, TREE / name
        if name and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def plant(mutants: list[dict[str, Any]]) -> None:
    """Replaces each text by the one that has the fault, if it is chosen."""
    core = TREE / "crates/argon-core/src"
    for number, mutant in enumerate(mutants, start=1):
        path = core / mutant["file"]
        text = path.read_text()
        if text.count(mutant["old"]) != 1:
            sys.exit(f"{mutant['file']} has not once what mutant {mutant['name']!r} replaces: {mutant['old']!r}")
        path.write_text(text.replace(mutant["old"], mutant["new"].replace("MUTANT", f"crate::mutant::is({number})")))
    (core / "mutant.rs").write_text(CHOICE)
    library = core / "lib.rs"
    library.write_text(library.read_text().replace("mod arena;", "mod arena;\nmod mutant;"))


def build() -> Path:
    """Builds the simulator with all faults."""
    target = ROOT / "target" / "mutants" / "build"
    command = ["cargo", "build", "--release", "--quiet", "--package", "argon-sim", "--bin", "argon-sim"]
    command += ["--config", "profile.release.lto=false", "--config", "profile.release.codegen-units=4"]
    command += ["--target-dir", str(target)]
    subprocess.run(command, cwd=TREE, check=True)
    return target / "release" / "argon-sim"


def found(program: Path, number: int, start: int | None, options: argparse.Namespace) -> tuple[int, str] | None:
    """Seeds that were run until one broke a rule, and its complaint."""
    start = start or options.start
    seeds = f"{start}..{start + options.seeds}"
    command = [str(program), "--seeds", seeds, "--jobs", str(options.jobs)]
    run = subprocess.run(
        command, check=False, env=os.environ | {"ARGON_MUTANT": str(number)}, capture_output=True, text=True
    )
    if run.returncode == 0:
        return None
    broke = re.search(r"^broke: (.*)$", run.stdout, re.MULTILINE)
    seed = re.search(r"--seed (\d+)", run.stdout)
    if not broke or not seed:
        sys.exit(f"the simulator ended in another way: {run.stdout[-2000:]}{run.stderr[-2000:]}")
    complaint = broke.group(1)
    if complaint.startswith("panicked"):
        complaint = run.stdout[broke.end() :].strip().splitlines()[0]
    return int(seed.group(1)) - start + 1, complaint


def main() -> int:
    """Runs all mutants and prints the table."""
    parser = argparse.ArgumentParser(
        description="Plants faults in a copy of the core, and counts seeds until each is found."
    )
    parser.add_argument("--seeds", type=int, default=20_000, help="most seeds for each fault")
    parser.add_argument("--from", dest="start", type=int, default=1, help="first seed")
    parser.add_argument("--jobs", type=int, default=2, help="threads")
    parser.add_argument("--only", default="", help="faults with this word in their name")
    options = parser.parse_args()
    mutants = tomllib.loads((ROOT / "crates/argon-sim/mutants.toml").read_text())["mutant"]
    copy_tree()
    plant(mutants)
    program = build()
    escaped = 0
    print("| fault | seeds | complaint |\n|---|---|---|")
    for number, mutant in enumerate(mutants, start=1):
        if options.only not in mutant["name"]:
            continue
        result = found(program, number, mutant.get("from"), options)
        escaped += result is None and not mutant.get("escapes", False)
        seeds, complaint = result or (options.seeds, "**not found**")
        print(f"| {mutant['name']} | {seeds:,} | {complaint} |", flush=True)
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main())
