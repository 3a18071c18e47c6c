"""Fixtures of the tests of model_opt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model_opt.opt_tool import ToolEnv, find_tool, interpreters
from model_opt.opt_tool.pins import FALLBACK
from tests.model_opt import random_numbers
from tests.model_opt.opt_oracle import Oracle


@pytest.fixture(autouse=True)
def same_numbers_in_every_order():
    """Tests are spread over processes: what one draws must not depend on which ran before it there."""
    random_numbers.restart()


@pytest.fixture(scope="session")
def oracle(env) -> Iterator[Oracle]:
    """opt, warm; skipped where its wheel cannot run, a failure in CI."""
    with Oracle(env) as one:
        yield one


@pytest.fixture(scope="session")
def older_env(lacking) -> ToolEnv:
    """The environment of the release before the pinned one, on whichever interpreter for it is here."""
    for version in FALLBACK:
        for candidate in interpreters.on_disk(version):
            if candidate.path is not None and interpreters.examine(candidate)[0].ok:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setenv(interpreters.SETTING, str(candidate.path))
                    return find_tool()
    lacking("no CPython 3.8 to 3.10 on PATH or in pyenv")
    raise RuntimeError


@pytest.fixture(scope="session")
def older_oracle(older_env) -> Iterator[Oracle]:
    """The opt of the release before, warm."""
    with Oracle(older_env) as one:
        yield one
