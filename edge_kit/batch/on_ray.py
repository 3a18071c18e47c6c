"""The same core as Ray Data actors: a shard is a task, an actor owns one worker process; rows are committed here."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from itertools import groupby, islice
from typing import Any

import edge_kit
from edge_kit.batch.inputs import Entry
from edge_kit.batch.local import Lane
from edge_kit.batch.manifest import entry_from
from edge_kit.batch.rows import Answer
from edge_kit.batch.work import Work
from model_opt.errors import KitError

WAVE = 1000
"""Shards that are given to Ray at once: the memory of this process does not grow with the number of inputs."""


class ShardReader:
    """An actor: reads the entries of one shard after the other in its worker process."""

    def __init__(self, work: Work, kit_version: str) -> None:
        if edge_kit.__version__ != kit_version:
            raise KitError(f"this node has edge-kit {edge_kit.__version__}, and the run was started by {kit_version}")
        self._lane = Lane(work)
        self._lane.ready()

    def __call__(self, shard: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answers to the entries of ``shard``, both as JSON."""
        answers = [self._lane.ask(entry_from(values)) for values in json.loads(shard["entries"])]
        return {"answers": json.dumps([{**vars(one), "lines": one.lines.decode()} for one in answers])}

    def close(self) -> None:
        """End the worker process; Ray ends an actor with its processes."""
        self._lane.close()


def answers_of(task: Mapping[str, Any]) -> Iterator[Answer]:
    """Yield the answers of what ``ShardReader`` returned."""
    for values in json.loads(task["answers"]):
        yield Answer(**{**values, "lines": values["lines"].encode()})


def run_on_ray(
    entries: Iterator[Entry], work: Work, workers: int, shard_size: int, address: str | None
) -> Iterator[Answer]:
    """Yield the answer to each entry, shard by shard, from that many actors.

    ``address`` is a cluster's (None: Ray is started on this machine); its nodes need this edge-kit and the inputs at
    the same paths. Raises ``KitError`` where Ray is not installed, does not start or loses its actors.
    """
    ray = _started(work, workers, address)
    try:
        shards = (list(shard) for _, shard in groupby(entries, key=lambda entry: entry.index // shard_size))
        while wave := list(islice(shards, WAVE)):
            yield from _wave(ray, wave, work, workers)
    except ray.exceptions.RayError as error:
        raise KitError(
            f"Ray ended the run: {_last_line(error)}", hint="run the command again, or with --on local"
        ) from error
    finally:
        ray.shutdown()


def _wave(ray: Any, shards: list[list[Entry]], work: Work, workers: int) -> Iterator[Answer]:
    tasks = [{"entries": json.dumps([entry.to_dict() for entry in shard])} for shard in shards]
    made = ray.data.from_items(tasks, override_num_blocks=len(tasks)).map(
        ShardReader,
        fn_constructor_args=(work, edge_kit.__version__),
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(tasks))),
        num_cpus=work.threads,
    )
    for task in made.iter_rows():
        yield from answers_of(task)


def check_ray() -> None:
    """Raise ``KitError`` where Ray is not installed."""
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise KitError(f"--on ray needs the package ray: {error}", hint='pip install "edge-kit[ray]"') from error


def _started(work: Work, workers: int, address: str | None) -> Any:
    check_ray()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    import ray.data

    about: dict[str, Any] = {"address": address} if address else {"num_cpus": max(1, work.threads * workers)}
    try:
        ray.init(**about, include_dashboard=None if address else False, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        hint = "check the address (host:6379, or auto) and Ray's version there" if address else "see Ray's message"
        raise KitError(f"Ray does not start: {_last_line(error)}", hint=hint) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return ray


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
