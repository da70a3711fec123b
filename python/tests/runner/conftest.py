"""Fixtures of tests that need a runner forked from a template."""

from __future__ import annotations

import pytest
from template_process import TemplateProcess


@pytest.fixture(scope="module")
def template():
    with TemplateProcess() as template:
        yield template


@pytest.fixture
def runner(template):
    with template.fork() as runner:
        yield runner
