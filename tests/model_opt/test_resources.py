"""The cache has a place, or the user learns which variable is missing."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from model_opt.errors import KitError
from model_opt.resources import cache_dir, expanded, home_dir


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("EDGE_KIT_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("home", [None, ""])
def test_without_home_the_cache_is_below_the_users_own(without, home):
    if home is not None:
        without.setenv("HOME", home)
    assert cache_dir() == Path(pwd.getpwuid(os.getuid()).pw_dir) / ".cache" / "edge-kit"


def test_a_user_whom_the_system_does_not_know_is_told_which_variable_helps(without):
    def unknown(_: int):
        raise KeyError("no such user")

    without.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(KitError, match="HOME is not set") as caught:
        cache_dir()
    assert "EDGE_KIT_CACHE" in str(caught.value)
    without.setenv("EDGE_KIT_CACHE", "/somewhere")
    assert cache_dir() == Path("/somewhere")


def test_a_home_of_another_name_is_an_error_where_nobody_knows_it(without):
    with pytest.raises(KitError, match="home folder"):
        expanded("~nobody-of-this-name/x")
    assert home_dir().is_absolute()
