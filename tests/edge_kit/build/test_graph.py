from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_kit.build.cache import StageCache, StageResult
from edge_kit.build.events import Event, StageCached, StageFailed, StageFinished, StageProgress, StageStarted
from edge_kit.build.files import Json
from edge_kit.build.graph import (
    GraphError,
    Stage,
    StageCancelled,
    StageContext,
    StageError,
    order_stages,
    run_stages,
)
from model_opt.errors import KitError


def ignore(event: Event) -> None:
    """Drop the event."""


def no_work(ctx: StageContext) -> Mapping[str, Json]:
    return {}


class Log:
    """What stages did, in order; shared by threads."""

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


def joining_stage(name: str, needs: tuple[str, ...], log: Log) -> Stage:
    """A stage whose file and facts spell out everything it was given."""

    def run(ctx: StageContext) -> Mapping[str, Json]:
        log.note("start", name)
        time.sleep(0.001)
        parts = [(ctx.inputs[need] / "sub" / "text").read_text() for need in needs]
        (ctx.out / "sub").mkdir()
        (ctx.out / "sub" / "text").write_text(f"{name}({','.join(parts)})")
        log.note("end", name)
        return {"name": name, "needs": [ctx.facts[need]["name"] for need in needs]}

    return Stage(name, run, needs)


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[str, tuple[str, ...]]]:
    count = draw(st.integers(1, 8))
    names = [f"s{i}" for i in range(count)]
    rows = []
    for i, name in enumerate(names):
        needs = draw(st.lists(st.sampled_from(names[:i]), unique=True, max_size=3)) if i else []
        rows.append((name, tuple(needs)))
    return draw(st.permutations(rows))


@settings(max_examples=30, deadline=None)
@given(graphs())
def test_any_graph_runs_each_stage_once_in_order_with_the_same_result_for_any_jobs(
    rows: list[tuple[str, tuple[str, ...]]],
) -> None:
    outcomes = []
    for jobs in (1, 2, 3, 4):
        log = Log()
        stages = [joining_stage(name, needs, log) for name, needs in rows]
        with TemporaryDirectory() as folder:
            cache = StageCache(Path(folder))
            results = run_stages(stages, cache, jobs=jobs, on_event=ignore)
            assert list(results) == [name for name, _ in rows]
            outcomes.append(
                {name: (r.key, r.digest, r.facts, (r.folder / "sub/text").read_text()) for name, r in results.items()}
            )
            first = list(log.lines)
            again = run_stages(stages, cache, jobs=jobs, on_event=ignore)
            assert log.lines == first, "an unchanged second run must not run anything"
            assert again == results
        assert sorted(log.names("start")) == sorted(name for name, _ in rows)
        assert log.most <= jobs
        for name, needs in rows:
            for need in needs:
                assert first.index(("end", need)) < first.index(("start", name))
    assert outcomes[0] == outcomes[1] == outcomes[2] == outcomes[3]


def test_independent_stages_run_side_by_side(cache: StageCache) -> None:
    meeting = threading.Barrier(2)

    def run(ctx: StageContext) -> Mapping[str, Json]:
        meeting.wait(timeout=20)  # passes only when both are running
        return {}

    results = run_stages([Stage("a", run), Stage("b", run)], cache, jobs=2, on_event=ignore)
    assert set(results) == {"a", "b"}


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        ([("a", ("b",)), ("b", ("c",)), ("c", ("b",))], "b -> c -> b"),
        ([("a", ("a",))], "a -> a"),
        ([("a", ("nothing",))], "'nothing', which does not exist"),
        ([("a", ()), ("a", ())], "two stages are called 'a'"),
        ([("../a", ())], "cannot name a stage"),
    ],
)
def test_a_graph_that_cannot_run_is_refused_before_anything_runs(
    rows: list[tuple[str, tuple[str, ...]]], part: str, cache: StageCache
) -> None:
    log = Log()
    with pytest.raises(GraphError, match=part.replace("(", r"\(")):
        run_stages([joining_stage(n, needs, log) for n, needs in rows], cache, jobs=2, on_event=ignore)
    assert log.lines == []


def test_stages_without_ties_keep_the_given_order() -> None:
    stages = [Stage("z", no_work, ("m",)), Stage("a", no_work), Stage("m", no_work)]
    assert [stage.name for stage in order_stages(stages)] == ["a", "m", "z"]


def test_zero_jobs_are_refused(cache: StageCache) -> None:
    with pytest.raises(KitError, match="0 jobs"):
        run_stages([Stage("a", no_work)], cache, jobs=0, on_event=ignore)


def test_the_first_error_stops_running_stages_and_starts_no_other(cache: StageCache) -> None:
    log = Log()
    looping = threading.Event()
    stopped = threading.Event()

    def fail(ctx: StageContext) -> Mapping[str, Json]:
        assert looping.wait(20)
        raise KitError("no such model", path="det.tar", hint="fetch it")

    def loop(ctx: StageContext) -> Mapping[str, Json]:
        looping.set()
        end = time.monotonic() + 20
        try:
            while time.monotonic() < end:
                ctx.progress(None, "working")
                time.sleep(0.001)
        except StageCancelled:
            stopped.set()
            raise
        return {}

    events: list[Event] = []
    stages = [Stage("loop", loop), Stage("fail", fail), joining_stage("later", ("fail",), log)]
    with pytest.raises(StageError) as caught:
        run_stages(stages, cache, jobs=2, on_event=events.append)
    error = caught.value
    assert (error.stage, error.path, error.hint) == ("fail", "det.tar", "fetch it")
    assert error.what == "stage 'fail' failed: no such model"
    assert stopped.is_set()
    assert log.lines == []
    assert [e for e in events if isinstance(e, StageFailed)] == [
        StageFailed("fail", "no such model", "det.tar", "fetch it")
    ]
    assert left_in(cache) == []


def left_in(cache: StageCache) -> list[str]:
    return sorted(p.name for p in cache.root.iterdir() if p.name != ".locks")


def test_of_two_failures_the_stage_given_first_is_reported(cache: StageCache) -> None:
    meeting = threading.Barrier(2)

    def failing(delay: float) -> Stage:
        def run(ctx: StageContext) -> Mapping[str, Json]:
            meeting.wait(20)
            time.sleep(delay)
            raise ValueError(str(delay))

        return Stage("slow" if delay else "quick", run)

    for _ in range(3):
        with pytest.raises(StageError) as caught:
            run_stages([failing(0.03), failing(0.0)], cache, jobs=2, on_event=ignore)
        assert caught.value.stage == "slow"


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
    def run(ctx: StageContext) -> Mapping[str, Json]:
        (ctx.out / "half").write_bytes(b"written before the fault")
        raise fault

    with pytest.raises(StageError, match="stage 'only' failed") as caught:
        run_stages([Stage("only", run)], cache, jobs=1, on_event=ignore)
    assert caught.value.cause is fault
    assert what in caught.value.what
    assert hint in str(caught.value.hint)
    assert left_in(cache) == []


@pytest.mark.parametrize("kind", [KeyboardInterrupt, BrokenPipeError])
def test_an_interrupt_waits_for_running_stages_and_leaves_no_half_state(
    kind: type[BaseException], cache: StageCache
) -> None:
    ended = threading.Event()

    def run(ctx: StageContext) -> Mapping[str, Json]:
        (ctx.out / "half").write_bytes(b"x")
        try:
            for _ in range(10_000):
                ctx.progress(None, "working")
                time.sleep(0.001)
        finally:
            ended.set()
        return {}

    def interrupt(event: Event) -> None:
        if isinstance(event, StageProgress):
            raise kind

    with pytest.raises(kind):
        run_stages([Stage("long", run)], cache, jobs=1, on_event=interrupt)
    assert ended.is_set()
    assert left_in(cache) == []


def test_events_come_in_the_callers_thread_in_the_order_of_each_stage(cache: StageCache) -> None:
    events: list[Event] = []
    threads = set()

    def run(ctx: StageContext) -> Mapping[str, Json]:
        ctx.progress(0.5, "half way")
        return {}

    def on_event(event: Event) -> None:
        threads.add(threading.get_ident())
        events.append(event)

    stages = [Stage("a", run), Stage("b", run, ("a",))]
    run_stages(stages, cache, jobs=2, on_event=on_event)
    assert [(type(e), e.stage) for e in events if isinstance(e, StageStarted | StageProgress | StageCached)] == [
        (StageStarted, "a"),
        (StageProgress, "a"),
        (StageStarted, "b"),
        (StageProgress, "b"),
    ]
    assert [e.stage for e in events if isinstance(e, StageFinished)] == ["a", "b"]
    events.clear()
    run_stages(stages, cache, jobs=2, on_event=on_event)
    assert events == [StageCached("a"), StageCached("b")]
    assert threads == {threading.get_ident()}


def test_a_stage_that_makes_the_same_bytes_again_leaves_the_ones_behind_it_cached(cache: StageCache) -> None:
    log = Log()

    def pipeline(version: str, text: str) -> list[Stage]:
        def first(ctx: StageContext) -> Mapping[str, Json]:
            log.note("start", "first")
            (ctx.out / "sub").mkdir()
            (ctx.out / "sub" / "text").write_text(text)
            return {"name": "first"}

        return [Stage("first", first, key={"code": version}), joining_stage("second", ("first",), log)]

    def started_by(stages: list[Stage]) -> list[str]:
        log.lines.clear()
        run_stages(stages, cache, jobs=1, on_event=ignore)
        return log.names("start")

    assert started_by(pipeline("1", "same")) == ["first", "second"]
    assert started_by(pipeline("2", "same")) == ["first"]
    assert started_by(pipeline("3", "other")) == ["first", "second"]
    assert started_by(pipeline("1", "same")) == []


def test_changed_facts_alone_run_the_stages_behind_again(cache: StageCache) -> None:
    runs = []

    def pipeline(figure: int) -> list[Stage]:
        def second(ctx: StageContext) -> Mapping[str, Json]:
            runs.append(figure)
            return {"twice": int(str(ctx.facts["first"]["figure"])) * 2}

        key = {"figure": str(figure)}
        return [Stage("first", lambda ctx: {"figure": figure}, key=key), Stage("second", second, ("first",))]

    for figure in (1, 2):
        results = run_stages(pipeline(figure), cache, jobs=1, on_event=ignore)
        assert results["second"].facts == {"twice": 2 * figure}
    assert runs == [1, 2]


def test_stages_that_were_ready_but_not_running_never_start_after_a_failure(cache: StageCache) -> None:
    def fail(ctx: StageContext) -> Mapping[str, Json]:
        raise KitError("broken")

    events: list[Event] = []
    with pytest.raises(StageError):
        run_stages([Stage("a", fail), Stage("b", no_work)], cache, jobs=1, on_event=events.append)
    assert events == [StageStarted("a"), StageFailed("a", "broken", None, None)]


def test_a_judge_ends_the_build_before_anything_that_needs_the_stage_starts(cache: StageCache) -> None:
    log, seen = Log(), []

    def judge(stage: str, result: StageResult) -> None:
        seen.append((stage, threading.get_ident(), sorted(result.files)))
        if stage == "gates":
            raise KitError("gates failed")

    rows = {"models": (), "gates": ("models",), "app": ("gates",), "package": ("app",)}
    stages = [joining_stage(name, needs, log) for name, needs in rows.items()]
    with pytest.raises(KitError, match="gates failed") as caught:
        run_stages(stages, cache, jobs=2, on_event=ignore, judge=judge)
    assert not isinstance(caught.value, StageError)
    assert log.names("start") == ["models", "gates"]
    assert [(stage, thread) for stage, thread, _ in seen] == [(n, threading.get_ident()) for n in ("models", "gates")]
    assert run_stages(stages, cache, jobs=2, on_event=ignore).keys() == rows.keys()
    assert log.names("start") == [*rows]


def test_a_judge_stops_what_runs_beside_the_judged_stage(cache: StageCache) -> None:
    started, ended = threading.Event(), threading.Event()

    def gates(ctx: StageContext) -> Mapping[str, Json]:
        assert started.wait(10)
        return {}

    def long(ctx: StageContext) -> Mapping[str, Json]:
        started.set()
        try:
            while True:
                ctx.progress(None, "compiling")
                time.sleep(0.001)
        finally:
            ended.set()

    def judge(stage: str, _: StageResult) -> None:
        raise KitError(stage)

    with pytest.raises(KitError, match="gates"):
        run_stages([Stage("gates", gates), Stage("app", long)], cache, jobs=2, on_event=ignore, judge=judge)
    assert ended.is_set()
