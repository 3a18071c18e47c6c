from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_kit.build.cache import StageCache
from edge_kit.build.events import Event, StageCached, StageFailed, StageFinished, StageProgress, StageStarted
from edge_kit.build.files import SealedFile
from edge_kit.build.runner import PlanError, Runner, StageError, running
from edge_kit.build.stage import StageCancelled, StageContext, uses
from model_opt.errors import KitError


def ignore(event: Event) -> None:
    """Drop the event."""


@contextmanager
def runner(
    cache: StageCache, jobs: int = 2, on_event: Callable[[Event], None] = ignore, code: str = "1"
) -> Iterator[Runner]:
    with running(cache, jobs=jobs, on_event=on_event, fingerprint=lambda module: f"{module} {code}") as run:
        yield run


@dataclass(frozen=True)
class Text:
    """A file with a text, and a number."""

    file: SealedFile
    number: int = 0

    @property
    def text(self) -> str:
        return self.file.path.read_text()


@dataclass(frozen=True)
class Nothing:
    """No file at all."""


def write(context: StageContext, text: str, number: int = 0) -> Text:
    (context.out / "sub").mkdir()
    (context.out / "sub" / "text").write_text(text)
    return Text(SealedFile.of(context.out / "sub" / "text"), number)


class Log:
    """What stages did, in order; shared by threads. A stage is given it without its state being part of the key."""

    cache_key = "log"

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.running = 0
        self.most = 0
        self._lock = threading.Lock()

    def note(self, what: str, name: str) -> None:
        with self._lock:
            self.lines.append((what, name))
            self.running += 1 if what == "start" else -1
            self.most = max(self.most, self.running)

    def names(self, what: str) -> list[str]:
        return [name for kind, name in self.lines if kind == what]


def join(context: StageContext, name: str, needs: tuple[Text, ...], log: Log) -> Text:
    """Spell out everything that the stage was given."""
    log.note("start", name)
    time.sleep(0.001)
    made = write(context, f"{name}({','.join(need.text for need in needs)})", sum(need.number for need in needs) + 1)
    log.note("end", name)
    return made


Rows = list[tuple[str, tuple[str, ...]]]


def plan(run: Runner, rows: Rows, log: Log) -> dict[str, Text]:
    promised: dict[str, Text] = {}
    for name, needs in rows:
        promised[name] = run(name, join, name, tuple(promised[need] for need in needs), log)
    return promised


@st.composite
def graphs(draw: st.DrawFn) -> Rows:
    count = draw(st.integers(1, 8))
    names = draw(st.permutations([f"s{i}" for i in range(count)]))
    rows = []
    for i, name in enumerate(names):
        needs = draw(st.lists(st.sampled_from(names[:i]), unique=True, max_size=3)) if i else []
        rows.append((name, tuple(needs)))
    return rows


@settings(max_examples=30, deadline=None)
@given(graphs())
def test_any_graph_runs_each_stage_once_in_order_with_the_same_result_for_any_jobs(rows: Rows) -> None:
    outcomes = []
    for jobs in (1, 2, 3, 4):
        log = Log()
        with TemporaryDirectory() as folder:
            cache = StageCache(Path(folder))
            found = []
            for _ in range(2):
                with runner(cache, jobs) as run:
                    results = run.result(plan(run, rows, log))
                    found.append({name: (made.text, made.number, made.file.sum) for name, made in results.items()})
            assert list(found[0]) == [name for name, _ in rows]
            assert found[0] == found[1]
            outcomes.append(found[0])
        assert sorted(log.names("start")) == sorted(name for name, _ in rows), "each runs once in two builds"
        assert log.most <= jobs
        for name, needs in rows:
            for need in needs:
                assert log.lines.index(("end", need)) < log.lines.index(("start", name))
    assert outcomes[0] == outcomes[1] == outcomes[2] == outcomes[3]


_MEETING = threading.Barrier(2)


def meet(context: StageContext) -> Nothing:
    _MEETING.wait(timeout=20)  # passes only when two are running
    return Nothing()


def test_independent_stages_run_side_by_side(cache: StageCache) -> None:
    with runner(cache) as run:
        assert run.result((run("a", meet), run("b", meet))) == (Nothing(), Nothing())


@dataclass(frozen=True)
class Box:
    """Something with a text in it."""

    inside: Mapping[str, Text]
    label: str


def unpack(context: StageContext, box: Box, more: Sequence[Text]) -> Text:
    return write(context, box.label + box.inside["x"].text + more[0].text)


def test_promises_may_stand_anywhere_in_an_argument(cache: StageCache) -> None:
    with runner(cache) as run:
        x, y = run("x", write, "x"), run("y", write, "y")
        assert run.result(run("z", unpack, Box({"x": x}, "_"), [y])).text == "_xy"


@pytest.mark.parametrize(("name", "part"), [("a", "two stages are called 'a'"), ("../a", "cannot name a stage")])
def test_a_bad_name_is_refused_before_anything_runs(name: str, part: str, cache: StageCache) -> None:
    events: list[Event] = []
    with runner(cache, on_event=events.append) as run:
        run("a", write, "x")
        with pytest.raises(PlanError, match=part):
            run(name, write, "x")
    assert events == []


def test_a_promise_of_another_build_is_refused(cache: StageCache) -> None:
    with runner(cache) as run:
        foreign = run("a", write, "x")
    with runner(cache) as run, pytest.raises(PlanError, match="needs 'a', which this build has not planned"):
        run("b", join, "b", (foreign,), Log())


def take(context: StageContext, what: object) -> Nothing:
    return Nothing()


def test_an_argument_without_content_of_its_own_is_refused(cache: StageCache) -> None:
    with runner(cache) as run, pytest.raises(KitError, match="an argument of a stage cannot be a lock"):
        run("a", take, threading.Lock())


def test_zero_jobs_are_refused(cache: StageCache) -> None:
    with pytest.raises(KitError, match="0 jobs"), runner(cache, 0):
        pytest.fail("nothing can run")


def test_a_stage_that_nobody_asks_for_does_not_start(cache: StageCache) -> None:
    events: list[Event] = []
    with runner(cache, on_event=events.append) as run:
        run("a", write, "x")
    assert events == []


class Meeting:
    """Events that stages of a test share."""

    cache_key = "meeting"

    def __init__(self, fault: BaseException | None = None) -> None:
        self.started, self.ended = threading.Event(), threading.Event()
        self.fault = fault


def fail(context: StageContext, meeting: Meeting) -> Nothing:
    assert meeting.started.wait(20)
    assert meeting.fault is not None
    raise meeting.fault


def loop(context: StageContext, meeting: Meeting) -> Nothing:
    meeting.started.set()
    end = time.monotonic() + 20
    try:
        while time.monotonic() < end:
            context.progress(None, "working")
            time.sleep(0.001)
    except StageCancelled:
        meeting.ended.set()
        raise
    return Nothing()


def both(context: StageContext, one: Nothing, other: Nothing) -> Nothing:
    return Nothing()


def test_the_first_error_stops_running_stages_and_starts_no_other(cache: StageCache) -> None:
    meeting = Meeting(KitError("no such model", path="det.tar", hint="fetch it"))
    events: list[Event] = []
    with runner(cache, on_event=events.append) as run:
        looping, failing = run("loop", loop, meeting), run("fail", fail, meeting)
        with pytest.raises(StageError) as caught:
            run.result(run("later", both, looping, failing))
    error = caught.value
    assert (error.stage, error.path, error.hint) == ("fail", "det.tar", "fetch it")
    assert error.what == "stage 'fail' failed: no such model"
    assert meeting.ended.is_set()
    assert StageStarted("later") not in events
    assert [e for e in events if isinstance(e, StageFailed)] == [
        StageFailed("fail", "no such model", "det.tar", "fetch it")
    ]
    assert left_in(cache) == []


def left_in(cache: StageCache) -> list[str]:
    return sorted(p.name for p in cache.root.iterdir() if p.name != ".locks")


def fail_after(context: StageContext, delay: float) -> Nothing:
    _MEETING.wait(20)
    time.sleep(delay)
    raise ValueError(str(delay))


def test_of_two_failures_that_of_the_stage_planned_first_is_reported(cache: StageCache) -> None:
    for _ in range(3):
        with runner(cache) as run:
            slow, quick = run("slow", fail_after, 0.03), run("quick", fail_after, 0.0)
            with pytest.raises(StageError) as caught:
                run.result((quick, slow))
        assert caught.value.stage == "slow"


def break_down(context: StageContext, meeting: Meeting) -> Nothing:
    (context.out / "half").write_bytes(b"written before the fault")
    assert meeting.fault is not None
    raise meeting.fault


@pytest.mark.parametrize(
    ("fault", "what", "hint"),
    [
        (ValueError("odd"), "ValueError: odd", "report"),
        (SystemExit(3), "SystemExit: 3", "report"),
        (OSError(28, "No space left on device", "/x/y"), "No space left", "free some space"),
        (StageCancelled("me"), "StageCancelled: me", "report"),
    ],
)
def test_any_fault_of_a_stage_becomes_an_error_with_its_name_and_leaves_nothing(
    fault: BaseException, what: str, hint: str, cache: StageCache
) -> None:
    with runner(cache) as run, pytest.raises(StageError, match="stage 'only' failed") as caught:
        run.result(run("only", break_down, Meeting(fault)))
    assert caught.value.cause is fault
    assert what in caught.value.what
    assert hint in str(caught.value.hint)
    assert left_in(cache) == []


@pytest.mark.parametrize("kind", [KeyboardInterrupt, BrokenPipeError])
def test_an_interrupt_waits_for_running_stages_and_leaves_no_half_state(
    kind: type[BaseException], cache: StageCache
) -> None:
    meeting = Meeting()

    def interrupt(event: Event) -> None:
        if isinstance(event, StageProgress):
            raise kind

    with runner(cache, on_event=interrupt) as run, pytest.raises(kind):
        run.result(run("long", loop, meeting))
    assert meeting.ended.is_set()
    assert left_in(cache) == []


def report_half(context: StageContext, before: Nothing | None) -> Nothing:
    context.progress(0.5, "half way")
    return Nothing()


def test_events_come_in_the_callers_thread_in_the_order_of_each_stage(cache: StageCache) -> None:
    events: list[Event] = []
    threads = set()

    def on_event(event: Event) -> None:
        threads.add(threading.get_ident())
        events.append(event)

    def build() -> None:
        with runner(cache, on_event=on_event) as run:
            run.result(run("b", report_half, run("a", report_half, None)))

    build()
    assert [(type(e), e.stage) for e in events if isinstance(e, StageStarted | StageProgress | StageCached)] == [
        (StageStarted, "a"),
        (StageProgress, "a"),
        (StageStarted, "b"),
        (StageProgress, "b"),
    ]
    assert [e.stage for e in events if isinstance(e, StageFinished)] == ["a", "b"]
    events.clear()
    build()
    assert events == [StageCached("a"), StageCached("b")]
    assert threads == {threading.get_ident()}


def copy(context: StageContext, source: Text) -> Text:
    return write(context, source.text, source.number * 2)


def ran(cache: StageCache, text: str, number: int = 0, code: str = "1") -> list[str]:
    """Build two stages, the second of the first's result, and return the names of those that ran."""
    events: list[Event] = []
    with runner(cache, on_event=events.append, code=code) as run:
        made = run.result(run("second", copy, run("first", write, text, number)))
        assert (made.text, made.number) == (text, number * 2)
    return [event.stage for event in events if isinstance(event, StageFinished)]


def write_lower(context: StageContext, spelling: str) -> Text:
    return write(context, spelling.lower())


def test_a_stage_that_makes_the_same_bytes_again_leaves_the_ones_behind_it_cached(cache: StageCache) -> None:
    def started(spelling: str) -> list[str]:
        events: list[Event] = []
        with runner(cache, on_event=events.append) as run:
            run.result(run("second", copy, run("first", write_lower, spelling)))
        return [event.stage for event in events if isinstance(event, StageFinished)]

    assert started("same") == ["first", "second"]
    assert started("SAME") == ["first"]
    assert started("other") == ["first", "second"]
    assert started("same") == []


def test_a_changed_number_in_a_result_alone_runs_the_stages_behind_again(cache: StageCache) -> None:
    assert ran(cache, "text", 1) == ["first", "second"]
    assert ran(cache, "text", 2) == ["first", "second"]
    assert ran(cache, "text", 1) == []


def test_changed_code_runs_a_stage_again(cache: StageCache) -> None:
    assert ran(cache, "text") == ["first", "second"]
    assert ran(cache, "text", code="2") == ["first", "second"]
    assert ran(cache, "text", code="1") == []


def test_a_file_that_is_an_argument_counts_by_its_content(cache: StageCache, tmp_path: Path) -> None:
    path = tmp_path / "rules.txt"

    def started() -> int:
        events: list[Event] = []
        with runner(cache, on_event=events.append) as run:
            run.result(run("only", read, path))
        return sum(isinstance(event, StageFinished) for event in events)

    path.write_text("one")
    assert (started(), started()) == (1, 0)
    path.write_text("two")
    assert (started(), started()) == (1, 0)


def read(context: StageContext, path: Path) -> Text:
    return write(context, path.read_text())


_SETTINGS = {"version": "1"}


@uses(lambda: _SETTINGS)
def with_settings(context: StageContext) -> Text:
    return write(context, "text")


def test_what_a_stage_uses_beside_its_arguments_counts(cache: StageCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def started() -> int:
        events: list[Event] = []
        with runner(cache, on_event=events.append) as run:
            run.result(run("only", with_settings))
        return sum(isinstance(event, StageFinished) for event in events)

    assert (started(), started()) == (1, 0)
    monkeypatch.setitem(_SETTINGS, "version", "2")
    assert (started(), started()) == (1, 0)


def test_stages_that_were_ready_but_not_running_never_start_after_a_failure(cache: StageCache) -> None:
    meeting = Meeting(KitError("broken"))
    meeting.started.set()
    events: list[Event] = []
    with runner(cache, 1, events.append) as run:
        failing, other = run("a", fail, meeting), run("b", write, "x")
        with pytest.raises(StageError):
            run.result((failing, other))
    assert events == [StageStarted("a"), StageFailed("a", "broken", None, None)]


def refuse(run: Runner, meeting: Meeting) -> None:
    run("app", loop, meeting)
    models = run("models", write, "x")
    assert run.result(models).text == "x"
    assert meeting.started.wait(20)
    raise KitError("refused")


def test_code_that_refuses_a_result_stops_what_runs_beside_it(cache: StageCache) -> None:
    """What a failed gate does."""
    meeting, events = Meeting(), list[Event]()
    with runner(cache, on_event=events.append) as run, pytest.raises(KitError, match="refused"):
        refuse(run, meeting)
    assert meeting.ended.is_set()
    assert [event.stage for event in events if isinstance(event, StageFinished)] == ["models"]


def test_a_result_comes_back_as_it_was_made(cache: StageCache) -> None:
    with runner(cache) as run:
        made = run.result(run("a", write, "文字", 3))
        assert made == replace(made, number=3)
        assert made.text == "文字"
        assert cache.root in made.file.path.parents
