"""Finding an interpreter for opt: what is tried, in which order, and what a user reads when nothing fits."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from model_opt.errors import KitError
from model_opt.opt_tool import ToolError, diagnose, environment, find_tool, interpreters
from model_opt.opt_tool.interpreters import SETTING, Candidate, candidates, examine
from model_opt.opt_tool.pins import PINS

GOOD = {
    "implementation": "CPython",
    "version": "3.7.9",
    "soabi": "cpython-37m-x86_64-linux-gnu",
    "bits": 64,
    "machine": "x86_64",
    "system": "Linux",
    "libc": "glibc",
}


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def fake_python(path: Path, **said: object) -> Path:
    """An interpreter that answers the first question well and can run nothing."""
    answer = json.dumps({**GOOD, **said})
    return script(path, f"case \"$*\" in *' -c '*) echo '{answer}';; *) echo 'no module here' >&2; exit 1;; esac")


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without any interpreter for opt: its own PATH, home and cache, and only 3.7 to look for."""
    for name in (SETTING, "PYENV_ROOT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "bin").mkdir()
    for tool in ("mkdir", "cp", "sleep"):
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path / "cache"))
    for module in (interpreters, environment):
        monkeypatch.setattr(module, "GROUPS", (("3.7",),))
    return tmp_path


def test_a_shim_that_fails_is_not_taken_for_an_interpreter(bare):
    shim = script(bare / "bin" / "python3.7", "echo 'pyenv: python3.7: command not found' >&2; exit 127")
    with pytest.raises(ToolError) as caught:
        find_tool(offline=True)
    assert str(shim) in caught.value.what
    assert "code 127: pyenv: python3.7: command not found" in caught.value.what
    assert SETTING in str(caught.value.hint)
    assert [verdict.ok for verdict in caught.value.tried] == [False]


def test_nothing_at_all_is_an_error_that_says_what_to_install(bare):
    with pytest.raises(ToolError) as caught:
        find_tool(offline=True)
    assert caught.value.tried == ()
    assert "python3.7" in caught.value.what
    assert "install CPython 3.7" in str(caught.value.hint)


def test_every_folder_of_path_is_looked_at_not_only_the_first(bare, monkeypatch):
    script(bare / "bin" / "python3.7", "exit 127")
    good = fake_python(bare / "other" / "python3.7")
    monkeypatch.setenv("PATH", f"{bare / 'bin'}:{bare / 'other'}")
    verdicts = [examine(candidate)[0] for candidate in candidates(install=False)]
    assert [(verdict.ok, verdict.path) for verdict in verdicts] == [
        (False, bare / "bin" / "python3.7"),
        (True, good),
    ]


def test_pyenv_versions_come_after_path_and_newest_first(bare, monkeypatch):
    monkeypatch.setenv("PYENV_ROOT", str(bare / "root"))
    on_path = fake_python(bare / "bin" / "python3.7")
    old, new, other = (fake_python(bare / "root/versions" / v / "bin/python") for v in ("3.7.9", "3.7.16", "3.8.1"))
    home = fake_python(bare / "home/.pyenv/versions/3.7.1/bin/python")
    found = [candidate.path for candidate in candidates(install=False)]
    assert found == [on_path, new, old, home]
    assert other not in found


def test_an_interpreter_named_by_the_user_is_the_only_one_tried(bare, monkeypatch):
    fake_python(bare / "bin" / "python3.7")
    monkeypatch.setenv(SETTING, str(bare / "nowhere" / "python"))
    with pytest.raises(ToolError) as caught:
        find_tool(offline=True)
    (verdict,) = caught.value.tried
    assert (verdict.source, verdict.path) == (SETTING, bare / "nowhere" / "python")
    assert "cannot be started" in verdict.reason
    assert f"unset {SETTING}" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"implementation": "PyPy"}, "PyPy 3.7.9: paddlelite has wheels for CPython 3.7 to 3.10 only"),
        ({"version": "3.11.7"}, "CPython 3.11.7: paddlelite has wheels"),
        ({"version": "3.6.15"}, "CPython 3.6.15: paddlelite has wheels"),
        ({"machine": "aarch64"}, "Linux aarch64 with 64 bits"),
        ({"bits": 32}, "x86_64 with 32 bits"),
        ({"system": "Darwin"}, "64-bit x86 Linux with glibc"),
        ({"libc": ""}, "C library unknown"),
        ({"soabi": "cpython-37dm-x86_64-linux-gnu"}, "ABI cpython-37dm"),
    ],
)
def test_an_interpreter_without_wheels_is_refused_with_the_reason(tmp_path, said, reason):
    verdict, pins = examine(Candidate("python3.7", fake_python(tmp_path / "python3.7", **said)))
    assert not verdict.ok
    assert pins is None
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo hello", "does not answer like a Python: hello"),
        ("echo '[1]'", "does not answer like a Python"),
        ("kill -SEGV $$", "fails with code -11"),
        ("exec sleep 60", "does not answer within"),
    ],
)
def test_a_program_that_is_no_python_is_refused(tmp_path, monkeypatch, text, reason):
    monkeypatch.setattr(interpreters, "_PROBE_SECONDS", 0.5)
    verdict, pins = examine(Candidate("python3.7", script(tmp_path / "python3.7", text)))
    assert (verdict.ok, pins) == (False, None)
    assert reason in verdict.reason


def test_each_version_gets_the_wheels_of_its_own_abi(tmp_path):
    for version, soabi, opt in (("3.7.2", "37m", "2.14rc0"), ("3.8.2", "38", "2.13rc0"), ("3.10.2", "310", "2.13rc0")):
        python = fake_python(tmp_path / version, version=version, soabi=f"cpython-{soabi}-x86_64-linux-gnu")
        verdict, pins = examine(Candidate(version, python))
        assert verdict.ok
        assert pins is PINS[version.rpartition(".")[0]]
        assert (verdict.opt_version, pins.opt.python_version) == (opt, pins.python)


def fake_uv(bare: Path, find: str, install: str) -> Path:
    """A uv that notes its calls in ``calls`` and then does what the two arguments say."""
    branch = f'case "$2" in find) {find};; install) {install};; esac'
    script(bare / "bin" / "uv", f'echo "$2 $3 $UV_PYTHON_PREFERENCE $UV_PYTHON_DOWNLOADS" >> "{bare}/calls"; {branch}')
    return bare / "calls"


def test_uv_is_asked_after_path_for_interpreters_of_its_own(bare):
    managed = fake_python(bare / "uv" / "python3.7")
    calls = fake_uv(bare, f'echo "{managed}"', "exit 1")
    on_path = fake_python(bare / "bin" / "python3.7")
    assert [candidate.path for candidate in candidates(install=False)] == [on_path, managed]
    assert calls.read_text() == "find 3.7 only-managed never\n"


def test_uv_installs_only_when_downloads_are_allowed_and_into_the_cache(bare):
    made = bare / "cache/tools/python/cpython-3.7.9-linux-x86_64-gnu/bin/python3.7"
    template = fake_python(bare / "template")
    install = f'mkdir -p "$UV_PYTHON_INSTALL_DIR/cpython-3.7.9-linux-x86_64-gnu/bin" && cp "{template}" "{made}"'
    calls = fake_uv(bare, "echo 'error: No interpreter found' >&2; exit 2", install)
    offline = list(candidates(install=False))
    assert [candidate.path for candidate in offline] == [None]
    assert "No interpreter found" in offline[0].note
    assert "install" not in calls.read_text()
    assert [candidate.path for candidate in candidates(install=True)] == [None, made]
    assert next(iter(candidates(install=False))).path == made


def test_a_failing_uv_is_reported_among_the_tried(bare):
    fake_uv(bare, "exit 2", "echo 'error: no download for cpython-3.7' >&2; exit 2")
    with pytest.raises(ToolError, match=r"uv python install 3\.7: error: no download for cpython-3\.7"):
        find_tool()


def test_doctor_sees_an_interpreter_without_downloading_anything(bare):
    fake_python(bare / "bin" / "python3.7")
    diagnosis = diagnose()
    assert diagnosis.chosen is not None
    assert diagnosis.chosen.opt_version == "2.14rc0"
    assert (diagnosis.env, diagnosis.hint) == (None, None)
    assert not (bare / "cache").exists()


def test_doctor_reports_a_bare_machine(bare):
    diagnosis = diagnose()
    assert (diagnosis.tried, diagnosis.chosen, diagnosis.env) == ((), None, None)
    assert "install CPython 3.7" in str(diagnosis.hint)


def test_wheels_that_are_not_cached_are_an_error_offline(bare):
    fake_python(bare / "bin" / "python3.7")
    with pytest.raises(KitError, match=r"paddlelite==2\.14rc0 is not in the cache"):
        find_tool(offline=True)
    assert not list((bare / "cache" / "tools").glob("paddlelite*"))


def test_an_interpreter_that_cannot_load_the_wheels_is_passed_over(bare):
    fake_python(bare / "bin" / "python3.7")
    (bare / "cache/tools" / PINS["3.7"].key / "site").mkdir(parents=True)
    with pytest.raises(ToolError, match=r"paddlelite does not load from .*: no module here"):
        find_tool(offline=True)


# --- with a real interpreter and the real wheels


@pytest.fixture
def wrapped(env, tmp_path, monkeypatch):
    """The real interpreter behind a script of its own, the real wheels in a cache of its own."""
    name = env.site.parent.name
    (tmp_path / "cache/tools").mkdir(parents=True)
    (tmp_path / "cache/tools" / name).symlink_to(env.site.parent)
    python = script(tmp_path / "python", f'exec "{env.python}" "$@"')
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(SETTING, str(python))
    return python


def test_the_second_call_starts_no_process(wrapped, monkeypatch):
    first = find_tool()

    def forbidden(*_args, **_kwargs):
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "run", forbidden)
    assert find_tool() == first
    assert first.python == wrapped


def test_a_changed_interpreter_is_examined_again(wrapped):
    find_tool()
    script(wrapped, "echo 'error while loading shared libraries' >&2; exit 127")
    with pytest.raises(ToolError, match="code 127: error while loading shared libraries"):
        find_tool()


def test_a_vanished_site_is_not_remembered(wrapped, env):
    env = find_tool()
    env.site.parent.unlink()
    with pytest.raises(KitError, match="not in the cache"):
        find_tool(offline=True)


@pytest.mark.parametrize("note", ["", "[]", '{"key": 1}', '{"python": 3}'])
def test_an_unreadable_memory_is_ignored(wrapped, note):
    first = find_tool()
    environment._memory().write_text(note)
    assert find_tool() == first


def test_the_site_holds_both_packages_as_an_installer_lays_them_out(env):
    assert (env.site / "paddlelite" / "lite.so").is_file()
    assert (env.site / "numpy" / "__init__.py").is_file()
    assert not list(env.site.glob("*.data"))


def test_doctor_names_the_ready_environment(env):
    diagnosis = diagnose()
    assert diagnosis.env == env
    assert diagnosis.chosen is not None
    assert diagnosis.chosen.path == env.python


def test_a_cache_that_shares_the_tools_of_another_finds_them_by_its_own_path(env, tmp_path, monkeypatch):
    tools = tmp_path / "cache" / "tools"
    tools.parent.mkdir()
    tools.symlink_to(env.site.parents[1])
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path / "cache"))
    assert find_tool().site == tools / env.site.parent.name / "site"
