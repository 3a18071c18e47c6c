"""The stages that end with a signed APK: resources, classes, shrinking, dex, libraries, assets, package.

In: the converted models, the device's configuration, the verification's answers. Out: ``edge-ocr.apk``, and facts
about it for manifest and report.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edge_kit import __version__
from edge_kit.android.api import read_api, unknown_references
from edge_kit.android.apk import assemble, check_apk
from edge_kit.android.archive import pack
from edge_kit.android.artifacts import fetch_artifacts
from edge_kit.android.assets import BundleFacts, Expected, bundle_assets, golden_assets, selftest_assets
from edge_kit.android.config import AndroidConfig, load_android
from edge_kit.android.dex import make_dex
from edge_kit.android.errors import AndroidError, ApkFault, RuntimeUnfit
from edge_kit.android.lite import JNI, LiteRuntime, NoRuntime, read_runtime, release_runtime
from edge_kit.android.native import check_libraries, opencv_libraries
from edge_kit.android.resources import AppIdentity, link_resources, resource_numbers
from edge_kit.android.sdk import framework_apk
from edge_kit.android.shrink import OPENCV_CLASSES, Program, shrink
from edge_kit.android.signing import SigningKey, debug_key, release_key, sign_apk, verify_signature
from edge_kit.android.sources import APP, MODULES, compile_modules, sources_dir, sources_fingerprint
from edge_kit.android.tools import Tick, java_home, require_tools
from edge_kit.build.cache import Facts
from edge_kit.build.files import walk_files
from edge_kit.build.fingerprint import code_fingerprint, folder_fingerprint
from edge_kit.build.graph import Stage, StageContext, StageError
from edge_kit.stages.apk_models import MODELS, app_models_stage
from edge_kit.stages.request import ROLES, AppRequest, BuildRequest
from edge_kit.stages.verification import REFERENCE, VERIFIED
from edge_kit.verify.regression import regression_set
from edge_kit.verify.store import load_verified
from model_opt.convert import Converter
from model_opt.files import sha256_file
from model_opt.nb import read_nb
from model_opt.resources import config_dir

APK = "edge-ocr.apk"
PACKAGE = "apk-package"
PERMISSIONS = ("android.permission.CAMERA",)
_TELL = 1.0
"""Seconds between two words of a stage that waits for a program."""
_AGAIN = "remove the cache's folder stages and build it again"
_PACKED = "packed/"
"""Where the stage of the libraries leaves their compressed streams: packaging after a new model is quick."""
_LITE_JAR = "lite.jar"
_LITE_PACKAGE = "com/baidu/paddle/lite/"
_BUNDLED = ("ocr_spec.json", "runtime_config.json", "labels.txt")


@dataclass(frozen=True)
class AppPlan:
    """What the stages of one app share: the request, its configuration, the runtime found, the key."""

    request: AppRequest
    config: AndroidConfig
    lite: LiteRuntime | NoRuntime
    key: SigningKey
    offline: bool

    @property
    def lite_facts(self) -> dict[str, Any]:
        """The app's engines, and Paddle Lite's release or why the app has none."""
        if isinstance(self.lite, NoRuntime):
            return {"engines": ["opencv"], "without_paddle_lite": self.lite.reason}
        return {"engines": ["paddle_lite", "opencv"], "paddle_lite": self.lite.version or "a release it does not name"}

    def without_release(self, fault: StageError) -> AppPlan | None:
        """Return the plan of the same app without the release's runtime, when nobody asked for it and ``fault`` is of
        packaging the app; None otherwise.
        """
        asked = self.request.require_lite or self.request.lite_runtime is not None
        if asked or isinstance(self.lite, NoRuntime) or not isinstance(fault.cause, AndroidError):
            return None
        return replace(self, lite=NoRuntime(f"its release cannot be packaged: {' '.join(fault.what.split())}"))

    def artifact(self, name: str, context: StageContext) -> Path:
        """Return the path of a pinned artifact, fetched now when the cache lacks it."""
        pin = self.config.artifacts[name]
        return self.fetch(context, name)[pin.coordinates]

    def fetch(self, context: StageContext, *names: str) -> dict[str, Path]:
        """Return paths by coordinates: of the artifacts ``names``, or of the shrinker's where none is given."""
        pins = [self.config.artifacts[name] for name in names] or list(self.config.shrinker)
        found = fetch_artifacts(pins, offline=self.offline, tick=_tick(context, "fetching"))
        return {pin.coordinates: path for pin, path in found.items()}


def plan_app(request: AppRequest, target: str, opt_version: str, *, offline: bool) -> AppPlan:
    """Check the request and find what lies outside the build: programs, the key, Paddle Lite's runtime.

    Raises ``ToolMissing`` naming every absent program, ``AndroidError`` for an unknown ABI or keystore, and
    ``RuntimeUnfit`` for a given runtime that does not fit, and for a required one that cannot be had.
    """
    config = load_android()
    unknown = [abi for abi in request.abis if abi not in config.abis]
    if unknown:
        raise AndroidError(f"unknown ABI {', '.join(unknown)}", hint=f"use one or more of: {','.join(config.abis)}")
    require_tools()
    java_home()
    sources_dir()
    if request.lite_runtime is not None:
        lite: LiteRuntime | NoRuntime = read_runtime(request.lite_runtime, request.abis, opt_version)
    elif target not in config.lite_targets:
        lite = NoRuntime(f"no release for Android holds the kernels of target {target}; --lite-runtime takes your own")
    else:
        lite = release_runtime(config, request.abis, opt_version, offline=offline, insist=request.require_lite)
    if request.require_lite and isinstance(lite, NoRuntime):
        more = f"; or {lite.hint}" if lite.hint else ""
        raise RuntimeUnfit(
            f"the app cannot have Paddle Lite: {lite.reason}", hint=f"give its runtime with --lite-runtime{more}"
        )
    key = release_key(request.keystore) if request.keystore is not None else debug_key()
    return AppPlan(request, config, lite, key, offline)


def app_stages(build: BuildRequest, plan: AppPlan, converter: Converter) -> list[Stage]:
    """Return the stages of the app in the order they run.

    Those that the models decide wait for the gates. The code's wait for nothing: a spare job runs them while the models
    are verified, and they stay in the cache for the next recipe.
    """
    return [
        _resources_stage(plan),
        _classes_stage(plan),
        _native_stage(plan),
        _shrink_stage(plan),
        _dex_stage(plan),
        app_models_stage(build, converter),
        _assets_stage(build, plan),
        _package_stage(build, plan),
    ]


def app_facts(plan: AppPlan, facts: Facts) -> dict[str, Any]:
    """Return what the manifest says of the app, from the facts of its last stage."""
    named = {"name": plan.request.name} if plan.request.name else {}
    return {"file": APK, **facts, **named, **plan.lite_facts}


def app_notes(plan: AppPlan, facts: Facts) -> tuple[str, ...]:
    """Return what a reader of the report must know of the app: size by part and engines."""
    parts: Any = facts["parts"]
    stand_ins: Any = facts["stand_ins"]
    sizes = ", ".join(
        f"{name} {part['bytes'] / 1e6:.1f}"
        for name, part in sorted(parts.items(), key=lambda item: -int(item[1]["bytes"]))
    )
    lite = plan.lite_facts
    engines = (
        f"The app has the OpenCV engine alone, no Paddle Lite: {lite['without_paddle_lite']}."
        if isinstance(plan.lite, NoRuntime)
        else f"The app has two engines, Paddle Lite ({lite['paddle_lite']}) and OpenCV."
    )
    signer = "the kit's debug key" if plan.key.debug else "the given key"
    return (
        f"The app: {APK}, {facts['package']}, version code {facts['version_code']}, "
        f"{int(str(facts['bytes'])) / 1e6:.1f} MB, signed with {signer}. In MB: {sizes}.",
        engines,
        *(
            [
                f"The OpenCV engine runs the unquantised model of {role}: nothing else computes what its file does."
                for role in stand_ins
            ]
        ),
    )


def _key(plan: AppPlan, code: str, *names: str, **more: str) -> dict[str, str]:
    """Return the key of a stage: the modules of this package it runs, the artifacts it uses, and what else is given."""
    modules = [f"edge_kit.android.{name}" for name in ("tools", "artifacts", *code.split())]
    return {
        "code": code_fingerprint("edge_kit.stages.apk", *modules),
        "artifacts": " ".join(plan.config.artifacts[name].sha256 for name in names),
        **more,
    }


def _identity(plan: AppPlan) -> AppIdentity:
    """Return what the app is called: as asked for, else the kit's own id, name and version."""
    request, config = plan.request, plan.config
    major, minor, patch = (int(part) for part in __version__.split(".")[:3])
    return AppIdentity(
        application_id=request.application_id or config.application,
        version_code=request.version_code or major * 10000 + minor * 100 + patch,
        version_name=__version__,
        min_sdk=config.min_sdk,
        target_sdk=config.target_sdk,
        label=request.name,
    )


def _resources_stage(plan: AppPlan) -> Stage:
    main = sources_dir() / APP / "src" / "main"
    identity = _identity(plan)
    key = _key(
        plan,
        "resources sdk archive",
        "android-all",
        resources=f"{folder_fingerprint(main / 'res')} {sha256_file(main / 'AndroidManifest.xml')}",
        identity=repr(identity),
        extract=str(plan.config.extract_native),
    )

    def run(context: StageContext) -> Facts:
        with tempfile.TemporaryDirectory(prefix="edge-kit-framework-") as scratch:
            framework = Path(scratch) / "framework.apk"
            framework.write_bytes(framework_apk(plan.artifact("android-all", context)))
            link_resources(
                main / "AndroidManifest.xml", main / "res", framework, context.out, identity,
                extract_native=plan.config.extract_native, tick=_tick(context, "linking"),
            )  # fmt: skip
        return {}

    return Stage("apk-resources", run, key=key)


def _classes_stage(plan: AppPlan) -> Stage:
    def run(context: StageContext) -> Facts:
        jars, generated = compile_modules(offline=plan.offline, tick=_tick(context, "compiling"))
        for name, data in jars.items():
            (context.out / f"{name}.jar").write_bytes(data)
        for name, data in generated.items():
            (context.out / name).write_bytes(data)
        return {name: len(data) for name, data in jars.items()}

    return Stage("apk-classes", run, key=_key(plan, "sources archive", sources=sources_fingerprint()))


def _native_stage(plan: AppPlan) -> Stage:
    sources = ("opencv-android", "opencv-android-stl")
    lite = plan.lite if isinstance(plan.lite, LiteRuntime) else None
    compressed = plan.config.extract_native
    key = _key(
        plan, "native elf sdk lite archive", *sources, abis=" ".join(plan.request.abis), compressed=str(compressed),
        lite=lite.fingerprint if lite else "",
    )  # fmt: skip

    def run(context: StageContext) -> Facts:
        opencv, stl = (plan.artifact(name, context) for name in sources)
        context.progress(None, "reading libraries")
        libraries = opencv_libraries(opencv, stl, plan.request.abis)
        if lite is not None:
            libraries |= {f"lib/{abi}/{JNI}": data for abi, data in lite.libraries.items()}
            (context.out / _LITE_JAR).write_bytes(lite.jar)
        check_libraries(libraries)
        context.progress(None, "packing libraries")
        files = {**libraries, **({f"{_PACKED}{n}": pack(d) for n, d in libraries.items()} if compressed else {})}
        for name, data in files.items():
            (context.out / name).parent.mkdir(parents=True, exist_ok=True)
            (context.out / name).write_bytes(data)
        return {"libraries": sorted(libraries)}

    return Stage("apk-native", run, key=key)


def _shrink_stage(plan: AppPlan) -> Stage:
    rules = config_dir() / "android_rules.pro"
    names = ("android-all", "opencv-java", "kotlin-stdlib")
    key = _key(
        plan,
        "shrink",
        *names,
        rules=sha256_file(rules),
        shrinker=" ".join(pin.sha256 for pin in plan.config.shrinker),
    )

    def run(context: StageContext) -> Facts:
        framework, opencv, kotlin = (plan.artifact(name, context) for name in names)
        shrinker = list(plan.fetch(context).values())
        classes, resources = context.inputs["apk-classes"], context.inputs["apk-resources"]
        _same_ids(classes, resources)
        lite = context.inputs["apk-native"] / _LITE_JAR
        modules = [classes / f"{module}.jar" for module in MODULES]
        program = Program.of(*modules, kotlin, *([lite] if lite.is_file() else []))
        parts = {**program.parts, opencv: OPENCV_CLASSES}
        with tempfile.TemporaryDirectory(prefix="edge-kit-rules-") as scratch:
            more = Path(scratch) / "lite.pro"
            # Without the runtime the engine's classes find none of its types, and say so in the app.
            more.write_text("" if lite.is_file() else "-dontwarn com.baidu.paddle.lite.**\n", encoding="utf-8")
            used, out = [rules, resources / "components.pro", more], context.out / "classes.jar"
            shrink(Program(parts), framework, used, shrinker, out, _tick(context, "shrinking"))
        return {"bytes": (context.out / "classes.jar").stat().st_size}

    return Stage("apk-shrink", run, needs=("apk-resources", "apk-classes", "apk-native"), key=key)


def _dex_stage(plan: AppPlan) -> Stage:
    newer = plan.config.newer
    key = _key(plan, "dex api", "dx", "api", newer=" ".join(newer), min_sdk=str(plan.config.min_sdk))

    def run(context: StageContext) -> Facts:
        dx, api = plan.artifact("dx", context), plan.artifact("api", context)
        classes = context.inputs["apk-shrink"] / "classes.jar"
        dex = make_dex(classes, dx, plan.config.min_sdk, context.out / "classes.dex", _tick(context, "translating"))
        unknown = unknown_references(dex, read_api(api), newer)
        with_lite = (context.inputs["apk-native"] / _LITE_JAR).is_file()
        lost = [name for name in unknown if with_lite or not name.startswith(_LITE_PACKAGE)]
        if lost:
            raise AndroidError(
                f"the app uses what Android {plan.config.min_sdk} lacks: {', '.join(lost[:8])}",
                hint="look at SDK_INT before the call and list it under newer in configs/android.yaml, or do without",
            )
        return {"classes": len(dex.classes), "methods": len(dex.methods), "version": dex.version}

    return Stage("apk-dex", run, needs=("apk-shrink", "apk-native"), key=key)


def _assets_stage(build: BuildRequest, plan: AppPlan) -> Stage:
    golden = sources_dir() / "golden"
    images = {image.name: image.path for image in regression_set()}
    has_lite, lite = isinstance(plan.lite, LiteRuntime), plan.lite
    version = lite.version if isinstance(lite, LiteRuntime) else None
    key = _key(
        plan,
        "assets app_onnx",
        golden=folder_fingerprint(golden),
        images="".join(f"{name} {sha256_file(path)}\n" for name, path in images.items()),
        request=json.dumps([build.target, build.recipe, has_lite, version]),
    )

    def run(context: StageContext) -> Facts:
        files = {name: (context.inputs["configure"] / name).read_bytes() for name in _BUNDLED}
        for role in ROLES:
            shipped = context.inputs[f"convert-{role}"] / f"{role}.nb"
            model = read_nb(shipped)
            if has_lite:  # nothing else in the app reads them
                files[f"models/{role}.nb"] = shipped.read_bytes()
            files[f"models/{role}.onnx"] = (context.inputs[MODELS] / f"{role}.onnx").read_bytes()
        stand_ins = [str(role) for role in _list(context.facts[MODELS]["stand_ins"])]
        # What stands in is not quantised: then the server's own answers are what it must give.
        engine = REFERENCE if stand_ins else str(context.facts["verify"]["candidate"])
        facts = BundleFacts(build.target, build.recipe, model.opt_version, version, has_lite, tuple(stand_ins))
        assets = {
            **bundle_assets(files, facts),
            **golden_assets(golden),
            **selftest_assets(images, _answers(context, engine), engine),
        }
        for name, data in assets.items():
            (context.out / name).parent.mkdir(parents=True, exist_ok=True)
            (context.out / name).write_bytes(data)
        return {"files": len(assets)}

    needs = (*(f"convert-{role}" for role in ROLES), MODELS, "configure", "verify")
    return Stage("apk-assets", run, needs=needs, key=key)


def _package_stage(build: BuildRequest, plan: AppPlan) -> Stage:
    key = _key(
        plan,
        "apk app_onnx archive axml identity native elf signing",
        key=plan.key.fingerprint,
        extract=str(plan.config.extract_native),
    )

    def run(context: StageContext) -> Facts:
        native = context.inputs["apk-native"]
        names = [name for name, _ in walk_files(native)]
        libraries = {n: (native / n).read_bytes() for n in names if n.startswith("lib/")}
        packed = {n[len(_PACKED) :]: (native / n).read_bytes() for n in names if n.startswith(_PACKED)}
        assets = context.inputs["apk-assets"]
        files = {f"assets/{n}": (assets / n).read_bytes() for n, _ in walk_files(assets)}
        context.progress(None, "packing")
        data = assemble(
            context.inputs["apk-resources"] / "base.apk", context.inputs["apk-dex"] / "classes.dex", files, libraries,
            stored=not plan.config.extract_native, packed=packed,
        )  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="edge-kit-apk-") as scratch:
            unsigned = Path(scratch) / "unsigned.apk"
            unsigned.write_bytes(data)
            sign_apk(unsigned, context.out / APK, plan.key, plan.config.min_sdk, _tick(context, "signing"))
        certificate = verify_signature(context.out / APK, plan.config.min_sdk, _tick(context, "checking"))
        summary = check_apk((context.out / APK).read_bytes(), APK, PERMISSIONS)
        identity = _identity(plan)
        if (summary.package, summary.version_code) != (identity.application_id, identity.version_code):
            raise ApkFault(f"the app is {summary.package}, version {summary.version_code}", path=APK, hint=_AGAIN)
        size = (context.out / APK).stat().st_size
        stand_ins = context.facts[MODELS]["stand_ins"]
        return {
            **json.loads(json.dumps(asdict(summary))),
            "bytes": size,
            "certificate": certificate,
            "stand_ins": stand_ins,
        }

    needs = ("apk-resources", "apk-dex", "apk-native", "apk-assets", MODELS)
    return Stage(PACKAGE, run, needs=needs, key=key)


def _tick(context: StageContext, doing: str) -> Tick:
    """Return what a running program calls: it tells ``doing`` now and then, and ends it when the build stops."""
    told = time.monotonic()

    def tick() -> None:
        nonlocal told
        if time.monotonic() - told > _TELL:
            told = time.monotonic()
            context.progress(None, doing)

    context.progress(None, doing)
    return tick


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _same_ids(classes: Path, resources: Path) -> None:
    """Raise ``AndroidError`` unless the code was compiled with the resource numbers of the packaged resources."""
    mine, theirs = next(iter(resources.rglob("R.java"))), classes / "R.java"
    if resource_numbers(mine.read_bytes()) != resource_numbers(theirs.read_bytes()):
        raise AndroidError(
            "Maven and the packager number the app's resources differently",
            path=sources_dir() / APP,
            hint="give aapt2 the same options in both",
        )


def _answers(context: StageContext, engine: str) -> list[Expected]:
    """Return what ``engine`` read in each image; none when nothing was compared."""
    path = context.inputs["verify"] / VERIFIED
    if not path.is_file():
        return []
    verified = load_verified(path.read_bytes())
    runs = verified.reference if engine == REFERENCE else verified.candidate
    return [Expected(r.name, r.dt_polys.tolist(), r.dt_scores, r.rec_texts, r.rec_scores) for r in runs]
