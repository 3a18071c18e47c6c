"""From the request to the signed app, on the app's real sources and real models."""

from __future__ import annotations

import html
import io
import json
import shutil
import struct
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edge_kit.android.api import read_api, unknown_references
from edge_kit.android.apk import check_apk
from edge_kit.android.app_onnx import app_onnx
from edge_kit.android.artifacts import fetch_artifacts
from edge_kit.android.config import Pin, load_android
from edge_kit.android.dex import read_dex
from edge_kit.android.errors import AndroidError, RuntimeUnfit, ToolFailed, ToolMissing
from edge_kit.android.lite import NoRuntime
from edge_kit.android.signing import debug_key
from edge_kit.android.sources import sources_dir
from edge_kit.android.tools import require_tools, run_tool
from edge_kit.build.events import BuildFinished, Event
from edge_kit.build.manifest import Manifest, check_bundle, read_manifest
from edge_kit.jobs import app as apk
from edge_kit.jobs import build as job
from edge_kit.jobs import models
from edge_kit.jobs.app import plan_app
from edge_kit.jobs.build import build_bundle
from edge_kit.jobs.request import AppRequest, BuildRequest
from edge_kit.ocr.image import read_image
from edge_kit.recipes import load_recipes, without_algorithms
from edge_kit.stages.apk.package import PERMISSIONS
from edge_kit.stages.apk.results import APK
from edge_kit.verify.regression import regression_set
from model_opt.fs import sha256_bytes
from model_opt.nb import read_nb
from model_opt.resources import cache_dir
from model_opt.zoo import fetch
from tests.edge_kit.android.elf_writer import shared_object
from tests.edge_kit.test_bill import check_form
from tests.model_opt.zoo_samples import Server, serving
from tests.no_oracle import NO_ORACLE
from tests.wheel import build as packages
from tests.wheel import install

pytestmark = [pytest.mark.app, pytest.mark.xdist_group("android")]

ARM64 = AppRequest(("arm64-v8a",))
REQUEST = BuildRequest("arm64", "weight_int8", Path("unset"), allow_failed_gates=True, app=ARM64)
LITE = "com/baidu/paddle/lite/"


@dataclass(frozen=True)
class Built:
    """A bundle with an app, the cache it was made in, and the request."""

    request: BuildRequest
    cache: Path
    manifest: Manifest
    data: bytes

    def file(self, name: str) -> bytes:
        with zipfile.ZipFile(io.BytesIO(self.data)) as archive:
            return archive.read(name)


@pytest.fixture(scope="module")
def few_images():
    """Verification on two small images: these tests are not about its result."""
    few = tuple(image for image in regression_set() if image.name in {"street_sign.png", "empty.png"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "regression_set", lambda: few)
        yield


def build(downloads: Path, folder: Path, events: list[Event] | None = None, **changes) -> Built:
    """Build into ``folder`` with a cache there that has the downloads and the debug key, but no result."""
    cache = clean_cache_in(folder, downloads)
    request = replace(REQUEST, out=folder / "bundle", **changes)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(cache).items():
            patch.setenv(name, value)
        # What the algorithms of a recipe do is tested elsewhere, and takes minutes.
        patch.setattr(job, "load_recipes", lambda: without_algorithms(load_recipes()))
        build_bundle(request, events.append if events is not None else lambda _: None)
    manifest = read_manifest(request.out / "manifest.json")
    return Built(request, cache, manifest, (request.out / APK).read_bytes())


def environment(cache: Path) -> dict[str, str]:
    """Return the settings of a build with ``cache``: without Paddle Lite's x86 engine, which has its own tests."""
    return {"EDGE_KIT_CACHE": str(cache), **NO_ORACLE}


def clean_cache_in(folder: Path, downloads: Path) -> Path:
    """Return a cache in ``folder`` that has the downloads and the debug key, but no result."""
    cache = folder / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for name in ("files", "tools", "models", "android-debug-key"):
        if (downloads / name).exists() and not (cache / name).exists():
            (cache / name).symlink_to(downloads / name)
    return cache


@pytest.fixture(scope="module")
def downloads(android_kit):
    """The shared cache, with models, tools, artifacts and the debug key in it."""
    for name in ("PP-OCRv4_mobile_det", "PP-OCRv4_mobile_rec"):
        fetch(name)
    debug_key()
    return cache_dir()


@pytest.fixture(scope="module")
def built(downloads, few_images, tmp_path_factory):
    return build(downloads, tmp_path_factory.mktemp("app"))


@pytest.fixture(scope="module")
def dex(built):
    return read_dex(built.file("classes.dex"), "classes.dex")


def test_the_bundle_holds_a_signed_app_and_says_what_it_weighs(built):
    assert [v for v in check_bundle(built.request.out) if v.status != "ok"] == []
    app = built.manifest.app
    assert app is not None
    assert app["bytes"] == len(built.data) == built.manifest.files[APK].bytes
    parts = app["parts"]
    assert {"models (.onnx)", "libopencv_java4.so", "code", "golden", "selftest"} <= set(parts)
    packed = sum(part["bytes"] for part in parts.values())
    assert packed < len(built.data) < packed + 100_000


def test_the_app_keeps_every_promise(built):
    found = check_apk(built.data, APK, PERMISSIONS)
    assert (found.package, found.version_name) == ("org.edgekit.ocr", "0.1.0")
    assert (found.min_sdk, found.target_sdk) == (26, 36)
    package = "org.edgekit.ocr.app"
    assert set(found.exported) == {f"{package}.{n}Activity" for n in ("Main", "Pictures", "Result", "SelfTest")}
    assert found.openings == ()
    assert found.abis == ("arm64-v8a",)
    assert not found.debuggable


def test_its_assets_are_the_bundles_own_files(built):
    listed = json.loads(built.file("assets/bundle/assets.json"))
    for name, total in listed["files"].items():
        data = built.file(f"assets/bundle/{name}")
        assert len(data) == total["bytes"]
        assert sha256_bytes(data) == total["sha256"]
        if not name.endswith(".onnx"):
            assert total["sha256"] == built.manifest.files[name].sha256
    held = {name for name in listed["files"] if name.startswith("models/")}
    assert held == {"models/det.onnx", "models/rec.onnx"}
    for role in ("det", "rec"):
        shipped = read_nb(built.request.out / "models" / f"{role}.nb")
        assert built.file(f"assets/bundle/models/{role}.onnx") == app_onnx(shipped, role)
    assert (listed["has_paddle_lite"], listed["opt_version"], listed["target"]) == (False, "v2.14-rc", "arm64")


def test_the_self_test_expects_what_python_read(built):
    expected = json.loads(built.file("assets/selftest/expected.json"))
    assert expected["engine"] == "nb"
    assert [row["file"] for row in expected["images"]] == ["empty.png", "street_sign.png"]
    assert expected["images"][0]["lines"] == []
    assert all(len(line["polygon"]) == 8 and line["text"] for line in expected["images"][1]["lines"])
    assert json.loads(built.file("assets/golden/manifest.json"))


def test_its_code_runs_on_android_8(dex):
    assert dex.call_sites == 0
    assert "org/edgekit/ocr/app/MainActivity" in dex.classes
    config = load_android()
    api = read_api(fetch_artifacts([config.artifacts["api"]])[config.artifacts["api"]])
    unknown = unknown_references(dex, api, config.newer)
    assert [name for name in unknown if not name.startswith(LITE)] == []
    # Every exception of the list is still in use, so that none outlives its call.
    referred = dex.referred | {f"{m.owner}.{m.name}" for m in (*dex.methods, *dex.fields)}
    assert set(config.newer) <= referred


HOST = tuple(
    Pin(group, artifact, version, "jar", classifier, sha256)
    for group, artifact, version, classifier, sha256 in (
        ("org.bytedeco", "opencv", "4.11.0-1.5.12", "linux-x86_64",
         "5df8365f011df63204bd6c121063edfee2dba445fdc80a26fc0d965c231d9c0f"),
        ("org.bytedeco", "openblas", "0.3.30-1.5.12", None,
         "802ca4bb29b76b11dff644174352a34efc8eb76bca3325cbd38b3a1f2ef69ea6"),
        ("org.bytedeco", "openblas", "0.3.30-1.5.12", "linux-x86_64",
         "d7a602fc3d3254fb51b7f75595f4cce0c0ef0799d8874c6efd3d8b45e4c4083a"),
        ("org.bytedeco", "javacpp", "1.5.12", None,
         "898f636c1fcb092c3810587ed847b033946799bb56eefec9d4c088a780bf36fe"),
        ("org.bytedeco", "javacpp", "1.5.12", "linux-x86_64",
         "b20c8f1b5da22b0015faad73500130c53544757eab0c5945c8bcdc1fac050714"),
        ("org.json", "json", "20240303", None,
         "3cf6cd6892e32e2b4c1c39e0f52f5248a2f5b37646fdfbb79a66b46b618414ed"),
    )
)  # fmt: skip
"""What the app's classes need on this host instead of Android: OpenCV's library, and org.json."""


def test_the_very_dex_computes_and_reads_what_python_does(built, android_kit, tmp_path, lacking):
    if shutil.which("enjarify") is None:
        lacking("not installed: enjarify")
    with zipfile.ZipFile(io.BytesIO(built.data)) as archive:
        archive.extractall(tmp_path, [n for n in archive.namelist() if n.startswith(("assets/", "classes.dex"))])
    # The program is Debian's, and wants Debian's Python.
    back = ["enjarify", "-o", tmp_path / "app.jar", tmp_path / "classes.dex"]
    run_tool("turn the dex back", back, env={"PATH": "/usr/bin:/bin"})
    expected = json.loads(built.file("assets/selftest/expected.json"))["images"]
    for row in expected:
        image = read_image(tmp_path / "assets" / "selftest" / row["file"])
        size = struct.pack("<ii", image.shape[1], image.shape[0])
        (tmp_path / f"{row['file']}.bgr").write_bytes(size + image.tobytes())
    jars = [tmp_path / "app.jar", android_kit.paths["opencv-java"], *fetch_artifacts(HOST).values()]
    path = ":".join(map(str, [tmp_path, *jars]))
    tools = require_tools(("java", "javac"))
    source = Path(__file__).parent / "dex_runner" / "AppFromDex.java"
    run_tool("compile", [tools["javac"], "-nowarn", "-cp", path, "-d", tmp_path, source])
    said = run_tool("run", [tools["java"], "-Xmx1g", "-cp", path, "AppFromDex", tmp_path / "assets", tmp_path])
    rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    vectors = [row for row in rows if "vector" in row]
    assert len(vectors) == len(json.loads(built.file("assets/golden/manifest.json"))["cases"])
    assert [row for row in vectors if row["differs"]] == []
    read = {row["image"]: row["result"] for row in rows if "image" in row}
    for row in expected:
        found, lines = read[row["file"]], row["lines"]
        assert found["rec_texts"] == [line["text"] for line in lines]
        assert [[side for point in quad for side in point] for quad in found["dt_polys"]] == [
            line["polygon"] for line in lines
        ]
        assert found["rec_scores"] == pytest.approx([line["score"] for line in lines], abs=1e-4)


def test_nothing_is_in_the_app_that_the_bill_of_materials_lacks(built, dex):
    bill = json.loads((built.request.out / "bom.cdx.json").read_bytes())
    check_form(bill)
    rows = {row["bom-ref"]: row for row in bill["components"]}
    made_of = {row["ref"]: set(row["dependsOn"]) for row in bill["dependencies"]}
    in_app = {row["name"]: row for row in rows[f"file:{APK}"]["components"]}
    with zipfile.ZipFile(io.BytesIO(built.data)) as archive:
        sums = {name: sha256_bytes(archive.read(name)) for name in archive.namelist()}
    assert {name: row["hashes"][0]["content"] for name, row in in_app.items()} == sums
    bundle = {path.relative_to(built.request.out).as_posix() for path in built.request.out.rglob("*") if path.is_file()}
    listed = {ref.removeprefix("file:") for ref in made_of["bundle"]}
    # The manifest names the bill with its sum; neither can hold the other's.
    assert listed == bundle - {"manifest.json", "bom.cdx.json"}
    assert built.manifest.files["bom.cdx.json"].sha256 == sha256_bytes(
        (built.request.out / "bom.cdx.json").read_bytes()
    )
    for name, row in in_app.items():
        assert made_of[row["bom-ref"]] <= set(rows), name
        assert made_of[row["bom-ref"]], name
    # Of the code, and of what OpenCV's library was built with.
    prefixes = {"edge-kit": "org/edgekit/", "kotlin-stdlib": "kotlin/", "opencv-java": "org/opencv/"}
    assert made_of[in_app["classes.dex"]["bom-ref"]] == set(prefixes)
    assert all(name.startswith(tuple(prefixes.values())) for name in dex.classes)
    assert {"tbb", "libpng", "protobuf", "kleidicv", "flatbuffers"} <= made_of["opencv"]


def test_every_component_has_its_licence_in_the_app_and_beside_it(built):
    listed = json.loads(built.file("assets/licences/components.json"))["components"]
    text = (built.request.out / "LICENSES.txt").read_text(encoding="utf-8")
    bill = json.loads((built.request.out / "bom.cdx.json").read_bytes())
    titles = [" ".join(filter(None, (r["name"], r.get("version")))) for r in bill["components"] if r["type"] != "file"]
    assert [row["title"] for row in listed] == titles
    for row in listed:
        assert f"\n{row['title']}\n    {row['licence']}" in text
        for name in row["texts"]:
            assert built.file(f"assets/licences/{name}").decode() in text


def test_it_says_that_it_has_no_paddle_lite(built, dex):
    assert not [name for name in dex.classes if name.startswith(LITE)]
    assert built.manifest.app["engines"] == ["opencv"]
    assert built.manifest.app["without_paddle_lite"]
    assert "OpenCV engine alone, no Paddle Lite" in (built.request.out / "report.html").read_text()


FROM_THE_WHEEL = """
import sys
from pathlib import Path

from edge_kit.jobs import build as job
from edge_kit.jobs import models
from edge_kit.jobs.request import AppRequest, BuildRequest
from edge_kit.recipes import load_recipes, without_algorithms
from edge_kit.verify.regression import regression_set

few = tuple(image for image in regression_set() if image.name in {"street_sign.png", "empty.png"})
models.regression_set = lambda: few
recipes = without_algorithms(load_recipes())
job.load_recipes = lambda: recipes
app = AppRequest(("arm64-v8a",))
job.build_bundle(
    BuildRequest("arm64", "weight_int8", Path(sys.argv[1]), allow_failed_gates=True, app=app), lambda _: None
)
"""
"""``build`` with the request of this file, for a process that has only the wheel."""


def test_a_build_from_the_wheel_and_a_clean_cache_is_byte_identical(built, downloads, tmp_path):
    (wheel,) = packages(tmp_path / "dist", "-t", "wheel")
    installed = install(wheel, tmp_path / "installed")
    env = {**installed.env, **environment(clean_cache_in(tmp_path, downloads))}
    command = [installed.bin / "python", "-c", FROM_THE_WHEEL, tmp_path / "bundle"]
    done = subprocess.run(command, cwd=installed.folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bundle" / APK).read_bytes() == built.data
    assert read_manifest(tmp_path / "bundle" / "manifest.json") == built.manifest


def test_nothing_runs_again_when_nothing_changed(built, downloads, few_images, monkeypatch):
    events: list[Event] = []
    monkeypatch.setenv("EDGE_KIT_MAVEN_REPO", "/nowhere")
    again = build(downloads, built.cache.parent, events)
    assert again.data == built.data
    assert [(e.ran, e.changed) for e in events if isinstance(e, BuildFinished)] == [(0, False)]


FIT = shared_object(payload=b"\0v2.14-rc\0", needed=("libc.so", "libc++_shared.so"))


@pytest.fixture(scope="module")
def lite_jar(android_kit, tmp_path_factory) -> Path:
    """The declarations of Paddle Lite's API, compiled: what packaging looks for in ``PaddlePredictor.jar``."""
    folder = tmp_path_factory.mktemp("lite")
    sources = sorted((sources_dir() / "paddle-lite-api" / "src" / "main" / "java").rglob("*.java"))
    javac = require_tools(("javac",))["javac"]
    options = ["-nowarn", "-source", "8", "-target", "8", "-cp", android_kit.paths["android-all"]]
    run_tool("compile", [javac, *options, "-d", folder / "classes", *sources])
    run_tool("pack", [javac.with_name("jar"), "cf", folder / "PaddlePredictor.jar", "-C", folder / "classes", "."])
    return folder / "PaddlePredictor.jar"


def lite_release(jar: Path, folder: Path, library: bytes = FIT) -> Path:
    """A release archive of Paddle Lite as far as packaging looks: ``lite_jar``, and a library of arm64."""
    (folder / "libpaddle_lite_jni.so").write_bytes(library)
    path = folder / "release.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(jar, "lib/java/jar/PaddlePredictor.jar")
        tar.add(folder / "libpaddle_lite_jni.so", "lib/java/so/libpaddle_lite_jni.so")
    return path


@pytest.fixture(scope="module")
def with_runtime(built, downloads, few_images, lite_jar, tmp_path_factory) -> Built:
    """An app with a given runtime, and a name, a package and a version of its own."""
    folder = tmp_path_factory.mktemp("runtime")
    shutil.copytree(built.cache / "stages", folder / "cache" / "stages")
    own = {"application_id": "com.example.reader", "name": "读者 Reader", "version_code": 77}
    app = replace(ARM64, lite_runtime=lite_release(lite_jar, folder), require_lite=True, **own)
    return build(downloads, folder, app=app)


def test_a_given_runtime_is_in_the_app_with_its_classes_and_version(with_runtime):
    made, asked = with_runtime, with_runtime.request.app
    app = made.manifest.app
    assert (app["package"], app["name"], app["version_code"]) == (asked.application_id, asked.name, asked.version_code)
    assert "com.example.reader, version code 77" in (made.request.out / "report.html").read_text()
    found = read_dex(made.file("classes.dex"), "classes.dex")
    assert f"{LITE}PaddlePredictor" in found.classes
    assert made.file("lib/arm64-v8a/libpaddle_lite_jni.so") == FIT
    listed = json.loads(made.file("assets/bundle/assets.json"))
    assert (listed["has_paddle_lite"], listed["lite_version"]) == (True, "v2.14-rc")
    for role in ("det", "rec"):
        shipped = made.request.out / "models" / f"{role}.nb"
        assert made.file(f"assets/bundle/models/{role}.nb") == shipped.read_bytes()
        assert listed["files"][f"models/{role}.nb"]["sha256"] == sha256_bytes(shipped.read_bytes())
    assert made.manifest.app["engines"] == ["paddle_lite", "opencv"]
    check_apk(made.data, APK, PERMISSIONS)


@pytest.fixture
def release_server(tmp_path, monkeypatch):
    """A loopback server that a build takes for the release's; builds go through it with a cache of their own."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        config = replace(load_android(), lite_url=server.url("/{version}/{arch}.tar.gz"))
        monkeypatch.setattr(apk, "load_android", lambda: config)
        yield server


RELEASE = "/v2.14-rc/armv8.tar.gz"


def test_a_release_that_fits_is_in_the_app(with_runtime, downloads, few_images, lite_jar, release_server, tmp_path):
    release_server.add(RELEASE, lite_release(lite_jar, tmp_path).read_bytes())
    shutil.copytree(with_runtime.cache / "stages", tmp_path / "cache" / "stages")
    made = build(downloads, tmp_path)
    assert made.manifest.app["engines"] == ["paddle_lite", "opencv"]
    assert made.file("lib/arm64-v8a/libpaddle_lite_jni.so") == FIT


BAD_RELEASES = {
    "absent": (None, {}),
    "unfit": (shared_object(payload=b"\0v2.14-rc\0", align=4096), {}),
    "truncated": (shared_object(payload=b"\0v2.14-rc\0"), {"short": 200}),
    "hangs up": (shared_object(payload=b"\0v2.14-rc\0"), {"cuts": (100, 1, 1, 1, 1, 1)}),
    # This one reads well and is refused by a later stage.
    "needs a foreign library": (shared_object(payload=b"\0v2.14-rc\0", needed=("libforeign.so",)), {}),
}


def serve(server: Server, jar: Path, folder: Path, fault: str) -> None:
    """Let the server deliver a release with a fault of ``BAD_RELEASES``."""
    library, options = BAD_RELEASES[fault]
    if library is not None:
        data = lite_release(jar, folder, library).read_bytes()
        server.add(RELEASE, data[: len(data) - options.get("short", 0)], cuts=list(options.get("cuts", ())))


@pytest.mark.parametrize("fault", BAD_RELEASES)
def test_no_release_can_fail_a_default_build(built, downloads, few_images, lite_jar, release_server, tmp_path, fault):
    serve(release_server, lite_jar, tmp_path, fault)
    shutil.copytree(built.cache / "stages", tmp_path / "cache" / "stages")
    events: list[Event] = []
    made = build(downloads, tmp_path, events)
    assert len(release_server.requests) == 1
    assert made.data == built.data
    assert made.manifest.app["engines"] == ["opencv"]
    reason = made.manifest.app["without_paddle_lite"]
    assert reason in html.unescape((made.request.out / "report.html").read_text())
    assert ("libforeign.so" in reason) == (fault == "needs a foreign library")
    assert isinstance(events[-1], BuildFinished)
    assert events[-1].ok


@pytest.mark.parametrize("fault", [name for name in BAD_RELEASES if name != "needs a foreign library"])
def test_a_bad_release_stops_a_build_that_requires_it(
    downloads, lite_jar, release_server, monkeypatch, tmp_path, fault
):
    serve(release_server, lite_jar, tmp_path, fault)
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(RuntimeUnfit, match="the app cannot have Paddle Lite"):
        plan_app(replace(ARM64, require_lite=True), "arm64", "2.14rc0", offline=False)


def test_a_source_that_does_not_compile_is_reported_with_mavens_message(downloads, monkeypatch, tmp_path):
    from edge_kit.android import sources

    broken = tmp_path / "android_app"
    shutil.copytree(sources_dir(), broken, ignore=shutil.ignore_patterns("target", "test"))
    (broken / "ocr-core" / "src" / "main" / "kotlin" / "Broken.kt").write_text("val answer: Int = text")
    monkeypatch.setattr(sources, "sources_dir", lambda: broken)
    with pytest.raises(ToolFailed, match=r"cannot compile the app: mvn ended with code 1\n.*Broken\.kt"):
        sources.compile_modules(offline=False)


def test_paddle_lite_that_is_required_and_cannot_be_had_stops_the_build(downloads, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path))
    with pytest.raises(RuntimeUnfit, match="cannot have Paddle Lite") as caught:
        plan_app(replace(ARM64, require_lite=True), "arm64", "2.14rc0", offline=True)
    assert "--lite-runtime" in (caught.value.hint or "")


def test_kernels_that_no_release_has_are_not_looked_for_there(downloads, monkeypatch, tmp_path):
    monkeypatch.setattr(apk, "release_runtime", None)
    found = plan_app(ARM64, "arm64-opencl", "2.14rc0", offline=False).lite
    assert isinstance(found, NoRuntime)
    assert "kernels of target arm64-opencl" in found.reason


def test_bad_requests_are_refused_before_any_work(monkeypatch, tmp_path):
    with pytest.raises(AndroidError, match="unknown ABI mips"):
        plan_app(AppRequest(("arm64-v8a", "mips")), "arm64", "2.14rc0", offline=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ToolMissing):
        plan_app(ARM64, "arm64", "2.14rc0", offline=True)
