"""The stage ``apk-classes``: the app's modules, compiled by Maven."""

from __future__ import annotations

from dataclasses import dataclass

from edge_kit.android.sources import compile_modules, sources_fingerprint
from edge_kit.build.files import write_files
from edge_kit.build.stage import StageContext
from edge_kit.stages.apk.artifacts import on_poll_of
from edge_kit.stages.apk.results import Classes


@dataclass(frozen=True)
class AppSources:
    """The app's sources; ``offline`` lets Maven use only what it has."""

    offline: bool

    @property
    def cache_key(self) -> str:
        """The sum of every file that shapes the classes."""
        return sources_fingerprint()


def compile_app(context: StageContext, sources: AppSources) -> Classes:
    """Compile every module."""
    jars, generated = compile_modules(offline=sources.offline, on_poll=on_poll_of(context, "compiling"))
    made = write_files(context.out, {**{f"{module}.jar": jar for module, jar in jars.items()}, **generated})
    return Classes(tuple(made[f"{module}.jar"] for module in jars), made["R.java"])
