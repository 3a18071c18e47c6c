"""The app of a build: what it needs from outside the build, and the stages that end with a signed APK."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from edge_kit import __version__
from edge_kit.android.config import AndroidConfig, load_android
from edge_kit.android.errors import AndroidError, RuntimeUnfit
from edge_kit.android.lite import LiteRuntime, NoRuntime, read_runtime, release_runtime
from edge_kit.android.resources import AppIdentity
from edge_kit.android.signing import SigningKey, debug_key, release_key
from edge_kit.android.sources import APP, sources_dir
from edge_kit.android.tools import java_home, require_tools
from edge_kit.build.runner import Runner, StageError
from edge_kit.jobs.models import BuiltModel, images_of
from edge_kit.jobs.request import AppRequest, BuildRequest
from edge_kit.spec import profile
from edge_kit.stages.apk.artifacts import Artifacts
from edge_kit.stages.apk.assets import collect_assets
from edge_kit.stages.apk.classes import AppSources, compile_app
from edge_kit.stages.apk.dex import translate_classes
from edge_kit.stages.apk.models import translate_models
from edge_kit.stages.apk.native import collect_libraries
from edge_kit.stages.apk.package import package_app
from edge_kit.stages.apk.resources import link_app
from edge_kit.stages.apk.results import APK, Dex, Libraries, Packaged, Resources
from edge_kit.stages.apk.shrink import shrink_app
from edge_kit.stages.redistributed import Redistributed
from edge_kit.stages.results import Configured, Role
from edge_kit.verify.verification import Verification
from model_opt.convert import Converter
from model_opt.resources import config_dir


@dataclass(frozen=True)
class AppPlan:
    """What the stages of one app share: the request, its configuration, the runtime found, the key."""

    request: AppRequest
    config: AndroidConfig
    lite: LiteRuntime | NoRuntime
    key: SigningKey
    offline: bool

    @property
    def runtime(self) -> LiteRuntime | None:
        """Paddle Lite's runtime where the app has it."""
        return self.lite if isinstance(self.lite, LiteRuntime) else None

    @property
    def lite_facts(self) -> dict[str, Any]:
        """The app's engines, and Paddle Lite's release or why the app has none."""
        if isinstance(self.lite, NoRuntime):
            return {"engines": ["opencv"], "without_paddle_lite": self.lite.reason}
        return {"engines": ["paddle_lite", "opencv"], "paddle_lite": self.lite.version or "a release it does not name"}

    @property
    def licence_facts(self) -> frozenset[str]:
        """What decides which components are in the app: it is one, its processors, Paddle Lite's runtime."""
        return frozenset({"app", *self.request.abis, *(("paddle_lite",) if self.runtime else ())})

    @property
    def identity(self) -> AppIdentity:
        """What the app is called: as asked for, else the kit's own id, name and version."""
        major, minor, patch = (int(part) for part in __version__.split(".")[:3])
        return AppIdentity(
            application_id=self.request.application_id or self.config.application,
            version_code=self.request.version_code or major * 10000 + minor * 100 + patch,
            version_name=__version__,
            min_sdk=self.config.min_sdk,
            target_sdk=self.config.target_sdk,
            label=self.request.name,
        )

    def without_release(self, fault: StageError) -> AppPlan | None:
        """Return the plan of the same app without the release's runtime, unless it was requested, when ``fault`` is of
        packaging the app; None otherwise.
        """
        asked = self.request.require_lite or self.request.lite_runtime is not None
        if asked or isinstance(self.lite, NoRuntime) or not isinstance(fault.cause, AndroidError):
            return None
        return replace(self, lite=NoRuntime(f"its release cannot be packaged: {' '.join(fault.what.split())}"))


def plan_app(request: AppRequest, target: str, opt_version: str, *, offline: bool) -> AppPlan:
    """Check the request and find what it needs from outside the build: programs, the key, Paddle Lite's runtime.

    Raises ``ToolMissing`` naming every absent program, ``AndroidError`` for an unknown ABI or keystore, and
    ``RuntimeUnfit`` for a given runtime that does not fit, and for a required one that is not available.
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


@dataclass(frozen=True)
class AppCode:
    """What of an app no model decides."""

    resources: Resources
    libraries: Libraries
    dex: Dex


def make_code(run: Runner, app: AppPlan) -> AppCode:
    """Plan the stages of the app's code. They wait for nothing: a spare job runs them while the models are verified,
    and they stay in the cache for the next recipe.
    """

    def artifacts(*names: str) -> Artifacts:
        return Artifacts.of(app.config, *names, offline=app.offline)

    config, main = app.config, sources_dir() / APP / "src" / "main"
    resources = run(
        "apk-resources", link_app,
        artifacts("android-all"), main / "AndroidManifest.xml", main / "res", app.identity, config.extract_native,
    )  # fmt: skip
    classes = run("apk-classes", compile_app, AppSources(app.offline))
    libraries = run(
        "apk-native", collect_libraries,
        artifacts("opencv-android", "opencv-android-stl"), app.request.abis, app.runtime, config.extract_native,
    )  # fmt: skip
    shrunk = run(
        "apk-shrink", shrink_app,
        artifacts("android-all", "opencv-java", "kotlin-stdlib"),
        Artifacts.shrinker(config, offline=app.offline), config_dir() / "android_rules.pro",
        resources, classes, libraries,
    )  # fmt: skip
    dex = run("apk-dex", translate_classes, artifacts("dx", "api"), shrunk, libraries, config.newer, config.min_sdk)
    return AppCode(resources, libraries, dex)


def make_app(
    run: Runner,
    request: BuildRequest,
    app: AppPlan,
    code: AppCode,
    models: Mapping[Role, BuiltModel],
    configured: Configured,
    verification: Verification,
    converter: Converter,
    licences: Redistributed,
) -> Packaged:
    """Plan the stages that the models decide, up to the signed APK."""
    converted = {role: model.converted for role, model in models.items()}
    unquantised = {role: model.unquantised for role, model in models.items()}
    onnx = run("apk-models", translate_models, converted, unquantised, profile(), converter)
    assets = run(
        "apk-assets", collect_assets,
        request.target, request.recipe, converted, onnx, configured, verification,
        sources_dir() / "golden", images_of(None),
        app.runtime is not None, app.runtime.version if app.runtime else None, licences,
    )  # fmt: skip
    return run(
        "apk-package", package_app,
        code.resources, code.dex, code.libraries, assets, onnx, app.identity, app.key, app.config.extract_native,
    )  # fmt: skip


def app_facts(app: AppPlan, packaged: Packaged) -> dict[str, Any]:
    """Return what the manifest says of the app."""
    return {
        "file": APK,
        **asdict(packaged.summary),
        "bytes": packaged.apk.sum.bytes,
        "certificate": packaged.certificate,
        "stand_ins": packaged.stand_ins,
        **({"name": app.request.name} if app.request.name else {}),
        **app.lite_facts,
    }


def app_notes(app: AppPlan, packaged: Packaged) -> tuple[str, ...]:
    """Return what a reader of the report must know of the app: size by part and engines."""
    summary, lite = packaged.summary, app.lite_facts
    sizes = ", ".join(
        f"{name} {part['bytes'] / 1e6:.1f}"
        for name, part in sorted(summary.parts.items(), key=lambda item: -item[1]["bytes"])
    )
    engines = (
        f"The app has the OpenCV engine alone, no Paddle Lite: {lite['without_paddle_lite']}."
        if isinstance(app.lite, NoRuntime)
        else f"The app has two engines, Paddle Lite ({lite['paddle_lite']}) and OpenCV."
    )
    signer = "the kit's debug key" if app.key.debug else "the given key"
    return (
        f"The app: {APK}, {summary.package}, version code {summary.version_code}, "
        f"{packaged.apk.sum.bytes / 1e6:.1f} MB, signed with {signer}. In MB: {sizes}.",
        engines,
        *(
            f"The OpenCV engine runs the unquantised model of {role}: nothing else computes what its file does."
            for role in packaged.stand_ins
        ),
    )
