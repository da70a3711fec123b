"""A sample of the corpus: what others wrote gives on the pool what it gives here. `maint/corpus.py` runs all of it."""

from __future__ import annotations

import os
import random
import sys
import warnings
from pathlib import Path
from typing import Any

import modules
import pytest
import units
from judge import Judge

FUNCTIONS = 260
EXAMPLES_OF_NUMPY = 60
#: Set ARGON_CORPUS_SEED to draw another sample.
SEED = int(os.environ.get("ARGON_CORPUS_SEED", "12"))


# kind: what the call refers to | documented examples and functions of the standard library and of numpy, by name and by
#    value | right | each result is compared with that of the local call
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("by_value", [False, True], ids=["by_name", "by_value"])
def test_what_others_wrote_gives_what_it_gives_here(
    client: Any, by_value: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chance = random.Random(SEED)
        sample = chance.sample(units.of_library(SEED), FUNCTIONS)
        sample += chance.sample(units.of_documentation("numpy", "import numpy as np"), EXAMPLES_OF_NUMPY)
        judge = Judge(client, by_value)
        judge.run(sample)
    told = f"seed {SEED}: {dict(judge.counts)}\nrefused: {dict(judge.refusals)}\nwrong:\n" + "\n".join(judge.wrong)
    print(told)
    assert not judge.wrong, told
    # Most of the 320 make three or four calls; a sample that calls nothing shows nothing.
    assert judge.counts["same value"] >= 500, told
    assert judge.counts["refused"] <= judge.tried * 0.09, told


@pytest.mark.skipif(sys.version_info < (3, 10), reason="Python does not list its modules before 3.10")
def test_every_module_of_the_standard_library_is_called_or_left_out_for_a_reason() -> None:
    left_out = {name for text in modules.EXCLUDED.values() for name in modules.names(text)}
    called = {name.split(".")[0] for name in modules.PURE}
    public = {name for name in sys.stdlib_module_names if not name.startswith("_")}
    assert sorted(public - left_out - called) == []
    assert sorted(left_out & set(modules.PURE)) == []


def test_a_wrong_result_is_noticed() -> None:
    """The judge's own test: a pool that answers wrongly is found out."""

    class Liar:
        def with_options(self, **options: Any) -> Liar:
            return self

        def queue(self, function: Any, *args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs) + 1

    def calls() -> Any:
        yield units.Call("abs(-1)", abs, (-1,), {})

    judge = Judge(Liar(), by_value=False)
    judge.run([units.Unit("abs", calls)])
    assert len(judge.wrong) == 1 and "abs(-1)" in judge.wrong[0]
