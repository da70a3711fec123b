"""The table of the guide is what the cases show."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_table_is_current() -> None:
    script = Path(__file__).parents[2] / "maint" / "code_table.py"
    command = [sys.executable, str(script), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert checked.returncode == 0, checked.stderr
