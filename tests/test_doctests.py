"""The examples of the docstrings run, and what a user calls has one."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from tests.source_tree import modules

WITH_EXAMPLES = sorted(name for name, one in modules().items() if "    >>> " in one.text)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_module_do_what_they_say(name: str) -> None:
    found = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted and not found.failed
