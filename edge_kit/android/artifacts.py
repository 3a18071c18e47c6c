"""Pinned artifacts of a Maven repository: fetched by Maven, checked by sum, kept in the cache.

Maven does the download, so the user's own settings (mirrors, proxies, credentials) apply and no host is named here.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from edge_kit.android.config import Pin
from edge_kit.android.errors import ArtifactError, ToolFailed
from edge_kit.android.tools import OnPoll, require_tools, run_tool
from model_opt import store
from model_opt.fs import disk_faults, locked
from model_opt.resources import cache_dir, expanded

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>
<groupId>edge-kit</groupId><artifactId>fetch</artifactId><version>1</version><packaging>pom</packaging>
<build><plugins><plugin>
<groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId><version>3.8.1</version>
<configuration><artifactItems>
{items}
</artifactItems></configuration>
</plugin></plugins></build>
</project>
"""


def fetch_artifacts(pins: Sequence[Pin], *, offline: bool = False, on_poll: OnPoll | None = None) -> dict[Pin, Path]:
    """Return the path of each pinned artifact in the store; fetch those that lack.

    One start of Maven fetches all of them. Sums are checked after the download and at every later call; a damaged
    file is replaced. ``offline`` lets Maven use only its own local repository. Raises ``ArtifactError`` when Maven
    fails and ``ChecksumError`` when a file has another sum.
    """
    found = _stored(pins)
    if len(found) < len(set(pins)):
        with locked(cache_dir() / "files" / "maven"):
            found = _stored(pins)
            lacking = [pin for pin in dict.fromkeys(pins) if pin not in found]
            if lacking:
                found |= _fetch(lacking, offline=offline, on_poll=on_poll)
    return {pin: found[pin] for pin in pins}


def _stored(pins: Sequence[Pin]) -> dict[Pin, Path]:
    paths = {pin: store.find(pin.sha256, pin.coordinates) for pin in pins}
    return {pin: path for pin, path in paths.items() if path is not None}


def maven_options(*, offline: bool) -> list[str]:
    """Return the options of every start of Maven: batch, plain; ``EDGE_KIT_MAVEN_REPO`` is its local repository."""
    own = os.environ.get("EDGE_KIT_MAVEN_REPO")
    repository = [f"-Dmaven.repo.local={expanded(own).resolve()}"] if own else []
    return ["-B", "-ntp", "-Dstyle.color=never", *repository, *(["-o"] if offline else [])]


def _fetch(pins: Sequence[Pin], *, offline: bool, on_poll: OnPoll | None) -> dict[Pin, Path]:
    mvn = require_tools(("mvn",))["mvn"]
    cache = cache_dir() / "files"
    with disk_faults("store artifacts", cache), tempfile.TemporaryDirectory(prefix=".maven-", dir=cache) as scratch:
        pom = Path(scratch) / "pom.xml"
        pom.write_text(_POM.format(items="\n".join(map(_item, range(len(pins)), pins))), encoding="utf-8")
        _run_maven([mvn, *maven_options(offline=offline), "-f", pom, _PLUGIN], pins, offline=offline, on_poll=on_poll)
        return {pin: _keep(pin, Path(scratch) / "out" / str(index) / pin.filename) for index, pin in enumerate(pins)}


def _run_maven(command: Sequence[str | Path], pins: Sequence[Pin], *, offline: bool, on_poll: OnPoll | None) -> None:
    names = ", ".join(pin.coordinates for pin in pins)
    try:
        run_tool(f"fetch {names}", command, on_poll=on_poll)
    except ToolFailed as error:
        hint = "check the network and Maven's settings (~/.m2/settings.xml: Maven takes no proxy from the environment)"
        hint = "run once without --offline" if offline else f"{hint}, then start again"
        raise ArtifactError(error.what, hint=hint) from error


def _keep(pin: Pin, fetched: Path) -> Path:
    """Move a fetched file into the store and return its path there."""
    if not fetched.is_file():
        raise ArtifactError(f"Maven left no file for {pin.coordinates}", hint="correct the coordinates")
    hint = "check the repository that Maven uses: it serves another file"
    return store.add(pin.sha256, pin.coordinates, lambda folder: fetched.replace(folder / pin.filename), hint=hint)


def _item(index: int, pin: Pin) -> str:
    """Return the request for one artifact; each has its own folder, since two may have one file name."""
    fields = {"groupId": pin.group, "artifactId": pin.artifact, "version": pin.version, "type": pin.kind}
    if pin.classifier:
        fields["classifier"] = pin.classifier
    body = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in fields.items())
    return f"<artifactItem>{body}<outputDirectory>${{basedir}}/out/{index}</outputDirectory></artifactItem>"
