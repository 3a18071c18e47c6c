"""The clients of ``examples/serve`` work as they stand, and the documentation shows them as they are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_kit.android.sources import maven_env
from tests.serve.running import STUB, running
from tests.serve.test_documents import encoded, pdf

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "serve"
LINES = ["first line", "<b>second</b> & last"]


@pytest.fixture(scope="module")
def service():
    with running(STUB) as client:
        yield str(client.base_url).rstrip("/")


@pytest.fixture
def picture(tmp_path):
    file = tmp_path / "photo with a blank.png"
    file.write_bytes(encoded(100, 80))
    return file


def output(*command: object) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_client(service, picture, tmp_path):
    assert output(sys.executable, EXAMPLES / "client.py", picture, service).splitlines() == LINES
    paged = tmp_path / "two.pdf"
    paged.write_bytes(pdf((100, 80), (100, 80)))
    assert output(sys.executable, EXAMPLES / "client.py", paged, service).splitlines() == LINES * 2


def test_the_curl_client(service, picture, lacking):
    if shutil.which("curl") is None:
        lacking("not installed: curl")
    assert '"rec_texts": ["first line"' in output(EXAMPLES / "client.sh", picture, service)
    picture.write_bytes(b"BAD")
    done = subprocess.run([EXAMPLES / "client.sh", picture, service], capture_output=True, text=True, check=False)
    assert done.returncode == 22
    assert '"errorCode": 422' in done.stdout


@pytest.mark.xdist_group("maven")
def test_the_kotlin_client(service, picture, maven, tmp_path):
    repository = Path(os.environ.get("EDGE_KIT_MAVEN_REPO") or Path.home() / ".m2" / "repository")
    project = tmp_path / "project"
    shutil.copytree(EXAMPLES / "kotlin", project, ignore=shutil.ignore_patterns("target"))
    command = [maven, "-B", "-q", "-ntp", "-f", project / "pom.xml", f"-Dmaven.repo.local={repository}", "compile"]
    subprocess.run(command, check=True, env={**os.environ, **maven_env()}, timeout=600)
    jars = [jar for name in ("jetbrains/kotlin/kotlin-stdlib/2.2.20", "json/json/20240303")
            for jar in (repository / "org" / name).glob("*.jar")]  # fmt: skip
    classes = os.pathsep.join(map(str, (project / "target" / "classes", *jars)))
    assert output("java", "-cp", classes, "ClientKt", picture, service).splitlines() == LINES


def test_the_documentation_shows_the_clients_as_they_are():
    text = (ROOT / "docs" / "serve.md").read_text()
    for file in ("client.py", "client.sh", "kotlin/src/main/kotlin/Client.kt"):
        assert (EXAMPLES / file).read_text().strip() in text, file
