"""A small app through every step: what comes out is an APK that Android's own tools accept."""

from __future__ import annotations

import gzip
import subprocess
import zipfile
from dataclasses import replace

import pytest

from edge_kit.android.api import read_api, unknown_references
from edge_kit.android.apk import assemble, check_apk, package_of, signature_schemes, summarise
from edge_kit.android.axml import read_axml
from edge_kit.android.dex import make_dex, read_dex
from edge_kit.android.errors import AndroidError, ApkFault, ToolFailed
from edge_kit.android.identity import MAX_ID, check_application_id
from edge_kit.android.resources import link_resources, stated_manifest
from edge_kit.android.sdk import class_names
from edge_kit.android.signing import SigningKey, debug_key, release_key, sign_apk, verify_signature
from edge_kit.android.tools import require_tools, run_tool
from model_opt.nb import read_nb
from model_opt.nb.to_onnx import to_onnx
from tests.edge_kit.android.apk_sample import IDENTITY, SAMPLE
from tests.edge_kit.android.elf_writer import shared_object

pytestmark = pytest.mark.xdist_group("android")


def test_the_apk_keeps_every_promise(sample):
    found = check_apk(sample.signed.read_bytes(), "sample.apk", ("android.permission.CAMERA",))
    assert (found.package, found.version_code, found.version_name) == ("org.edgekit.sample", 7, "1.2")
    assert (found.min_sdk, found.target_sdk) == (26, 36)
    assert found.exported == ("org.edgekit.sample.Main",)
    assert found.openings == ()
    assert found.abis == ("arm64-v8a",)
    assert found.schemes == ("v2", "v3")
    assert not found.debuggable
    assert not found.extract_native
    assert {"code", "resources", "libopencv_java4.so", "libc++_shared.so"} <= set(found.parts)


def test_android_tools_agree_with_the_summary(sample):
    said = run_tool("dump", [require_tools(("aapt2",))["aapt2"], "dump", "badging", sample.signed])
    assert "package: name='org.edgekit.sample' versionCode='7' versionName='1.2'" in said
    assert "sdkVersion:'26'" in said
    assert "targetSdkVersion:'36'" in said
    assert "native-code: 'arm64-v8a'" in said
    assert len(verify_signature(sample.signed, 26)) == 64


LABEL = """@Rdr's "a\\b" ? 文字 & <b>  %d"""


def test_an_app_may_have_an_id_a_name_and_a_version_of_its_own(android_kit, tmp_path):
    identity = replace(IDENTITY, application_id="com.example.reader", version_code=2_100_000_000, label=LABEL)
    linked = link_resources(
        SAMPLE / "AndroidManifest.xml", SAMPLE / "res", android_kit.framework, tmp_path, identity, extract_native=True
    )
    badging, resources = (
        run_tool("dump", [require_tools(("aapt2",))["aapt2"], "dump", what, linked.base])
        for what in ("badging", "resources")
    )
    assert "package: name='com.example.reader' versionCode='2100000000'" in badging
    assert f'() "{LABEL}"' in resources
    assert f'(zh) "{LABEL}"' in resources
    assert package_of(linked.base) == "com.example.reader"


def test_without_a_name_of_its_own_the_app_has_that_of_each_language(sample):
    said = run_tool("dump", [require_tools(("aapt2",))["aapt2"], "dump", "badging", sample.signed])
    assert "application-label:'Sample'" in said
    assert "application-label-zh:'示例'" in said


def test_the_longest_id_is_taken_by_aapt2_too(android_kit, tmp_path):
    identity = replace(IDENTITY, application_id=check_application_id("a." + "b" * (MAX_ID - 2)))
    linked = link_resources(
        SAMPLE / "AndroidManifest.xml", SAMPLE / "res", android_kit.framework, tmp_path, identity, extract_native=True
    )
    assert package_of(linked.base) == identity.application_id


PROVIDER = """<manifest xmlns:android="http://schemas.android.com/apk/res/android"><application>
<provider android:name="a.B" android:authorities="{}" /></application></manifest>"""


def test_the_applications_id_stands_in_its_providers_authorities(tmp_path):
    source = tmp_path / "AndroidManifest.xml"
    source.write_text(PROVIDER.format("${applicationId}.shared"))
    made = stated_manifest(source, "com.example.reader", extract_native=True).decode()
    assert 'package="com.example.reader"' in made
    assert 'android:authorities="com.example.reader.shared"' in made
    source.write_text(PROVIDER.format("org.edgekit.ocr.shared"))
    with pytest.raises(AndroidError, match=r"authority org\.edgekit\.ocr\.shared: no second app") as caught:
        stated_manifest(source, "com.example.reader", extract_native=True)
    assert "${applicationId}" in (caught.value.hint or "")


def test_models_that_nothing_runs_are_refused(sample, opencv, tmp_path):
    lite = {"lib/arm64-v8a/libpaddle_lite_jni.so": shared_object()}
    models = {"assets/bundle/models/det.nb": b"nb"}
    for assets, libraries, message in ((models, opencv, "no Paddle Lite"), ({}, {**opencv, **lite}, r"no \.nb file")):
        data = assemble(sample.linked.base, sample.dex, assets, libraries, stored=True)
        (tmp_path / "unsigned.apk").write_bytes(data)
        sign_apk(tmp_path / "unsigned.apk", tmp_path / "a.apk", debug_key(), 26)
        with pytest.raises(ApkFault, match=message):
            check_apk((tmp_path / "a.apk").read_bytes(), "a.apk", ("android.permission.CAMERA",))


def test_shrinking_keeps_what_manifest_and_native_code_reach_and_drops_the_rest(sample):
    kept = class_names(sample.shrunk)
    assert {"org/edgekit/sample/Main", "org/edgekit/sample/Hidden", "org/opencv/core/CvException"} <= kept
    assert "org/edgekit/sample/Unused" not in kept
    assert not [name for name in kept if name.startswith("org/opencv/xfeatures2d")]


def test_the_dex_holds_the_shrunk_classes_and_needs_nothing_that_api_26_lacks(sample, android_kit):
    assert set(sample.summary.classes) == class_names(sample.shrunk)
    assert sample.summary.call_sites == 0
    api = read_api(android_kit.paths["api"])
    assert unknown_references(sample.summary, api) == ()
    assert any(m.name == "resize" and m.owner == "org/opencv/imgproc/Imgproc" for m in sample.summary.methods)


def test_a_missing_class_and_a_newer_method_are_named_unless_listed(sample, android_kit):
    api = read_api(android_kit.paths["api"])
    activity = api["android/app/Activity"]
    older = {
        **api,
        "android/app/Activity": replace(activity, members=activity.members - {"onCreate(Landroid/os/Bundle;)V"}),
    }
    del older["java/lang/CharSequence"]
    found = unknown_references(sample.summary, older)
    assert found == ("java/lang/CharSequence", "android/app/Activity.onCreate(Landroid/os/Bundle;)V")
    assert unknown_references(sample.summary, older, ("java/lang/CharSequence", "android/app/Activity.onCreate")) == ()


def test_the_list_of_api_26_is_read_completely(android_kit, tmp_path):
    api = read_api(android_kit.paths["api"])
    assert len(api) > 4000
    assert "android/view/View" in api["android/widget/TextView"].parents
    assert "SDK_INT#I" in api["android/os/Build$VERSION"].members
    assert "java/util/List" in api
    assert "of(Ljava/lang/Object;)Ljava/util/List;" not in api["java/util/List"].members
    data = android_kit.paths["api"].read_bytes()
    for damaged in (
        b"",
        gzip.compress(b"no stream"),
        data[: len(data) // 2],
        gzip.compress(gzip.decompress(data)[:-1]),
    ):
        (tmp_path / "a").write_bytes(damaged)
        with pytest.raises(AndroidError, match="damaged"):
            read_api(tmp_path / "a")


def test_a_lambda_that_dx_lets_through_is_refused(sample, android_kit, tmp_path):
    source = tmp_path / "L.java"
    source.write_text("public class L { Runnable r = () -> {}; }")
    javac, jar = require_tools(("javac",))["javac"], tmp_path / "l.jar"
    run_tool("compile", [javac, "-nowarn", "-source", "8", "-target", "8", "-d", tmp_path / "out", source])
    subprocess.run([str(javac.parent / "jar"), "cf", str(jar), "-C", str(tmp_path / "out"), "."], check=True)
    with pytest.raises(AndroidError, match="1 calls of the app are invokedynamic"):
        make_dex(jar, android_kit.paths["dx"], 26, tmp_path / "classes.dex")


def test_no_cut_dex_is_read(sample):
    data = sample.dex.read_bytes()
    for length in (0, 3, 40, 111, len(data) // 2, len(data) - 1):
        with pytest.raises(AndroidError):
            read_dex(data[:length], "cut.dex")


def test_broken_promises_are_reported(sample):
    unsigned = sample.unsigned.read_bytes()
    with pytest.raises(ApkFault, match="its signatures are none"):
        check_apk(unsigned, "a.apk", ("android.permission.CAMERA",))
    with pytest.raises(ApkFault, match=r"asks for android\.permission\.CAMERA"):
        check_apk(sample.signed.read_bytes(), "a.apk", ())
    with pytest.raises(ApkFault, match="not an APK"):
        summarise(b"PK", "a.apk")
    assert tuple(signature_schemes(unsigned)) == ()


def test_a_finished_apk_with_an_undeclared_input_size_is_refused(sample, opencv, shared_dir, tmp_path):
    model = to_onnx(read_nb(shared_dir / "lite_golden" / "cls_fp32.nb"))
    assets = {"assets/bundle/models/cls.onnx": model}
    (tmp_path / "unsigned.apk").write_bytes(assemble(sample.linked.base, sample.dex, assets, opencv, stored=True))
    sign_apk(tmp_path / "unsigned.apk", tmp_path / "a.apk", debug_key(), 26)
    with pytest.raises(AndroidError, match="leaves a side open") as caught:
        check_apk((tmp_path / "a.apk").read_bytes(), "a.apk", ("android.permission.CAMERA",))
    assert caught.value.path == "a.apk/assets/bundle/models/cls.onnx"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            'android:authorities="${applicationId}.files"\n            android:exported="false"',
            'android:authorities="${applicationId}.files"\n            android:exported="true"',
            r"any app may ask its provider .*\.Files",
        ),
        ('android:allowBackup="false"', 'android:allowBackup="true"', "may be backed up"),
        ('android:dataExtractionRules="@xml/rules"', "", "copied to another device"),
    ],
)
def test_files_that_may_leave_the_app_break_a_promise(sample, android_kit, tmp_path, before, after, words):
    manifest = (SAMPLE / "AndroidManifest.xml").read_text()
    assert before in manifest
    (tmp_path / "AndroidManifest.xml").write_text(manifest.replace(before, after))
    linked = link_resources(
        tmp_path / "AndroidManifest.xml",
        SAMPLE / "res",
        android_kit.framework,
        tmp_path,
        IDENTITY,
        extract_native=False,
    )
    data = assemble(linked.base, sample.dex, {}, {}, stored=True)
    with pytest.raises(ApkFault, match=words):
        check_apk(data, "a.apk", ("android.permission.CAMERA",))


def test_an_authority_is_the_apps_own(sample):
    with zipfile.ZipFile(sample.signed) as archive:
        manifest = read_axml(archive.read("AndroidManifest.xml"), "AndroidManifest.xml")
    assert next(manifest.all("provider")).attributes["authorities"] == "org.edgekit.sample.files"


def test_a_changed_byte_breaks_the_signature(sample, tmp_path):
    data = bytearray(sample.signed.read_bytes())
    data[100] ^= 1
    (tmp_path / "a.apk").write_bytes(bytes(data))
    with pytest.raises(ToolFailed, match="cannot verify the app's signature"):
        verify_signature(tmp_path / "a.apk", 26)


def test_a_release_key_takes_its_secrets_from_the_environment_alone(sample, tmp_path, monkeypatch):
    store = tmp_path / "release.jks"
    keytool = require_tools(("keytool",))["keytool"]
    run_tool(
        "make a key",
        [
            keytool, "-genkeypair", "-keystore", store, "-storepass", "s3cret-pass", "-alias", "mine",
            "-keyalg", "RSA", "-keysize", "2048", "-dname", "CN=Test",
        ],
    )  # fmt: skip
    with pytest.raises(AndroidError, match="EDGE_KIT_KEYSTORE_PASS"):
        release_key(store)
    monkeypatch.setenv("EDGE_KIT_KEYSTORE_PASS", "wrong")
    with pytest.raises(
        ToolFailed, match=r"cannot open the keystore: keytool ended with code 1\n.*password was incorrect"
    ):
        release_key(store)
    with pytest.raises(ToolFailed, match="cannot sign the app") as caught:
        sign_apk(sample.unsigned, tmp_path / "a.apk", SigningKey(store, debug=False), 26)
    assert "EDGE_KIT_KEYSTORE_PASS" in (caught.value.hint or "")
    assert "\tat " not in caught.value.what
    monkeypatch.setenv("EDGE_KIT_KEYSTORE_PASS", "s3cret-pass")
    monkeypatch.setenv("EDGE_KIT_KEY_ALIAS", "other")
    with pytest.raises(ToolFailed, match="other"):
        release_key(store)
    monkeypatch.setenv("EDGE_KIT_KEY_ALIAS", "mine")
    sign_apk(sample.unsigned, tmp_path / "a.apk", release_key(store), 26)
    assert verify_signature(tmp_path / "a.apk", 26) != verify_signature(sample.signed, 26)


def test_the_debug_key_is_kept_so_that_updates_install(sample):
    key = debug_key()
    assert key == debug_key()
    assert key.debug
    assert key.store.is_file()


def test_a_faulty_resource_is_reported_by_aapt2(sample, android_kit, tmp_path):
    (tmp_path / "values").mkdir()
    (tmp_path / "values" / "s.xml").write_text('<resources><string name="other">x</string></resources>')
    with pytest.raises(ToolFailed, match="resource string/app_name"):
        link_resources(
            SAMPLE / "AndroidManifest.xml", tmp_path, android_kit.framework, tmp_path, IDENTITY, extract_native=True
        )
