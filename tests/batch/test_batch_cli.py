"""``edge-kit batch``: what is refused before any work, and what it says at its end."""

import json

import pytest
from typer.testing import CliRunner

from edge_kit.cli import batch as cli
from edge_kit.cli.app import app
from model_opt.errors import KitError
from tests.batch.running import in_process, write_pictures


def call(*arguments):
    return CliRunner().invoke(app, ["batch", *map(str, arguments)])


def error_of(*arguments):
    """Return the error that ``edge-kit batch`` would print before it ends with code 2."""
    result = call(*arguments)
    assert isinstance(result.exception, KitError), result.output
    return str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no input was given"),
        (["no-such.png"], "there is no such file or folder"),
        (["in", "--format", "csv"], "there is no format 'csv'"),
        (["in", "--on", "cloud"], "--on cloud is not known"),
        (["in", "--ray-address", "a:1"], "--ray-address needs --on ray"),
        (["in", "--recipe", "fp16"], "--recipe names the gates of a comparison"),
        (["in", "--compare", "server"], "a comparison needs two engines"),
        (["in", "--compare", "nb,nb"], "a comparison needs two engines"),
        (["in", "--compare", "server,nb", "--engine", "nb"], "--engine and --compare are both given"),
        (["in", "--compare", "server,nb", "--recipe", "int2"], "no gates for the recipe 'int2'"),
        (["in", "--models", "no-such-set"], "no-such-set"),
        (["in", "--save_path", "x"], "--save_path has no place here"),
        (["in", "--enable_hpi", "True"], "no high-performance inference"),
        (["in", "--list", "no-such.txt"], "cannot read the list of inputs"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_made(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "in", 1)
    assert message in error_of(*arguments, "--out", "out")
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused(tmp_path):
    write_pictures(tmp_path / "in", 1)
    (tmp_path / "out").write_text("x")
    assert "--out names a file" in error_of(tmp_path / "in", "--out", tmp_path / "out")


@pytest.fixture
def stubbed(monkeypatch):
    """``edge-kit batch`` with the stub in place of models; ``stubbed`` holds the stub's settings."""
    from edge_kit.batch import local, work

    settings = {}
    monkeypatch.setattr(work, "describe", lambda settings, **about: {**about, "edge_kit": "1"})
    monkeypatch.setattr(local, "run_local", lambda entries, work, workers: in_process(**settings)(entries))
    return settings


def test_the_summary_and_the_exit_code_say_what_was_read(tmp_path, stubbed):
    write_pictures(tmp_path / "in", 5)
    result = call("--input", tmp_path / "in", "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"inputs": 5, "rows": 5, "failed": 0, "read": 5}
    assert f"edge-kit: 5 inputs, 5 rows in {tmp_path}/out; 5 read now" in result.stderr
    assert "read now" in call("--input", tmp_path / "in", "--out", tmp_path / "out").stderr
    stubbed["refuses"] = 3
    result = call(tmp_path / "in", "--out", tmp_path / "other", "--shard-size", 2)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "1 inputs with an error" in result.stderr


def test_an_interrupted_run_says_how_to_go_on(tmp_path, stubbed, monkeypatch):
    from edge_kit.batch import local

    def interrupted(entries, work, workers):
        yield from in_process(stop_after=3)(entries)

    write_pictures(tmp_path / "in", 5)
    with monkeypatch.context() as patch:
        patch.setattr("tests.batch.running.Killed", KeyboardInterrupt)
        patch.setattr(local, "run_local", interrupted)
        options = cli.BatchOptions((str(tmp_path / "in"),), tmp_path / "out", "jsonl", {}, shard_size=2)
        said = []
        patch.setattr(cli, "_say", said.append)
        with pytest.raises(KeyboardInterrupt):
            cli.run_batch_command(options)
    assert said == ["3 of 5 inputs were read, and the complete shards are kept; the same command goes on from there"]
    summary = json.loads(call(tmp_path / "in", "--out", tmp_path / "out", "--shard-size", 2, "--json").stdout)
    assert summary == {"inputs": 5, "rows": 5, "failed": 0, "read": 3}
