"""The stage ``apk-package``: the signed APK, checked."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edge_kit.android.apk import assemble, check_apk
from edge_kit.android.errors import ApkFault
from edge_kit.android.resources import AppIdentity
from edge_kit.android.signing import SigningKey, sign_apk, verify_signature
from edge_kit.build.files import SealedFile, walk_files
from edge_kit.build.stage import StageContext
from edge_kit.stages.apk.artifacts import on_poll_of
from edge_kit.stages.apk.results import APK, AppModels, Assets, Dex, Libraries, Packaged, Resources

PERMISSIONS = ("android.permission.CAMERA",)
_AGAIN = "remove the cache's folder stages and build it again"


def package_app(
    context: StageContext,
    resources: Resources,
    dex: Dex,
    libraries: Libraries,
    assets: Assets,
    models: AppModels,
    identity: AppIdentity,
    key: SigningKey,
    extract_native: bool,
) -> Packaged:
    """Put the APK together, sign it and check every promise it makes; ``ApkFault`` when it is another app."""
    context.progress(None, "packing")
    data = assemble(
        resources.base.path,
        dex.file.path,
        {f"assets/{name}": (assets.folder / name).read_bytes() for name, _ in walk_files(assets.folder)},
        {name: file.path.read_bytes() for name, file in libraries.files.items()},
        stored=not extract_native,
        packed={name: file.path.read_bytes() for name, file in libraries.packed.items()},
    )
    signed = context.out / APK
    with tempfile.TemporaryDirectory(prefix="edge-kit-apk-") as scratch:
        unsigned = Path(scratch) / "unsigned.apk"
        unsigned.write_bytes(data)
        sign_apk(unsigned, signed, key, identity.min_sdk, on_poll_of(context, "signing"))
    certificate = verify_signature(signed, identity.min_sdk, on_poll_of(context, "checking"))
    summary = check_apk(signed.read_bytes(), APK, PERMISSIONS)
    if (summary.package, summary.version_code) != (identity.application_id, identity.version_code):
        raise ApkFault(f"the app is {summary.package}, version {summary.version_code}", path=APK, hint=_AGAIN)
    return Packaged(SealedFile.of(signed), summary, certificate, models.stand_ins)
