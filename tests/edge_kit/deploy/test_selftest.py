"""The self-test by adb: what is asked of a device, and what each of its refusals becomes."""

from __future__ import annotations

import json
import zipfile

import pytest

from edge_kit.android.errors import AndroidError
from edge_kit.deploy import adb as adb_module
from edge_kit.deploy.adb import DeployError, connect
from edge_kit.deploy.app import bundle_apk
from edge_kit.deploy.selftest import SelfTestRequest, run_selftest

QUICK = SelfTestRequest(seconds=20.0, poll_seconds=0.01)


def selftest(apk, request=QUICK, keep=None):
    return run_selftest(connect("auto"), apk, request, lambda _: None, keep)


def test_the_app_is_installed_started_and_its_report_pulled(device, apk, tmp_path):
    report = selftest(apk, keep=tmp_path / "kept" / "report.json")
    assert (report.model, report.abi, report.engine) == ("Acme One", "arm64-v8a", "opencv")
    assert report.images[0].rec_texts == ["人民北路", "Renmin"]
    assert json.loads((tmp_path / "kept" / "report.json").read_text()) == device.report
    asked = [call[2:] for call in device.calls()[1:]]
    assert asked[0] == ["install", "-r", str(apk)]
    place = "/sdcard/Android/data/com.example.reader/files/selftest/selftest.json"
    assert ["shell", f"rm -f {place}"] in asked
    start = next(call[1] for call in asked if call[1].startswith("am start"))
    extras = "--ez run true --es report selftest.json --es mode verify"
    assert start == f"am start -n com.example.reader/org.edgekit.ocr.app.SelfTestActivity {extras}"
    assert asked.index(["shell", f"rm -f {place}"]) < asked.index(["shell", start])
    assert asked[-1][:2] == ["pull", place]
    assert {call[1] for call in device.calls()[1:]} == {"A1B2"}


def test_a_file_that_is_no_apk_is_refused_before_the_device_is_touched(device, tmp_path):
    (tmp_path / "a.apk").write_bytes(b"no zip")
    with zipfile.ZipFile(tmp_path / "b.apk", "w") as archive:
        archive.writestr("AndroidManifest.xml", b"no compiled XML")
    for name in ("a.apk", "b.apk", "absent.apk"):
        with pytest.raises(AndroidError):
            selftest(tmp_path / name)
    assert not any("install" in call for call in device.calls())


def test_a_bench_asks_for_one_setting(device, apk):
    selftest(apk, SelfTestRequest(True, 4, "LITE_POWER_HIGH", 2, 20.0, 0.01))
    start = next(call[3] for call in device.calls() if call[2:] and call[-1].startswith("am start"))
    assert start.endswith("--es mode bench --es threads 4 --es power LITE_POWER_HIGH --es rounds 2")


def test_a_lock_screen_that_goes_is_waited_for(device, apk):
    device.says(locked=2)
    assert selftest(apk).engine == "opencv"
    asked = [call[-1] for call in device.calls()]
    assert asked.index("input keyevent KEYCODE_WAKEUP") < asked.index("wm dismiss-keyguard || true")
    assert asked.count("dumpsys window policy") == 3


def test_a_locked_device_is_refused_before_the_app_starts(device, apk):
    device.says(locked=1000)
    with pytest.raises(DeployError, match="A1B2 is locked") as caught:
        selftest(apk)
    assert "unlock it" in str(caught.value)
    assert not any("am start" in call[-1] for call in device.calls())


@pytest.mark.parametrize(
    ("devices", "serial", "words"),
    [
        ("", "auto", ["no device", "USB debugging"]),
        ("A1\tdevice\nB2\tdevice", "auto", ["2 devices", "A1 (device)", "--device SERIAL"]),
        ("A1\tdevice", "C3", ["'C3'", "A1 (device)"]),
        ("A1\tunauthorized", "auto", ["unauthorized", "allow USB debugging"]),
        ("A1\toffline", "A1", ["offline", "plug it in again"]),
        ("A1\tno permissions (user in plugdev group); see [url]", "A1", ["no permissions", "udev"]),
        ("A1\tsomething new", "A1", ["something new", "next:"]),
    ],
)
def test_a_device_that_cannot_be_used_is_named_with_its_state(device, devices, serial, words):
    device.says(devices=devices)
    with pytest.raises(DeployError) as caught:
        connect(serial)
    for word in words:
        assert word in str(caught.value)


def test_one_of_several_devices_is_used_when_it_is_named(device):
    device.says(devices="A1\tunauthorized\nB2\tdevice")
    assert connect("B2").serial == "B2"


def test_a_missing_adb_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("EDGE_KIT_ADB", raising=False)
    with pytest.raises(DeployError, match="apt-get install adb"):
        connect("auto")
    monkeypatch.setenv("EDGE_KIT_ADB", str(tmp_path / "absent"))
    with pytest.raises(DeployError, match="EDGE_KIT_ADB names no program"):
        connect("auto")
    (tmp_path / "broken").write_bytes(b"\x7fELF nonsense")
    (tmp_path / "broken").chmod(0o755)
    monkeypatch.setenv("EDGE_KIT_ADB", str(tmp_path / "broken"))
    with pytest.raises(DeployError, match="cannot be started"):
        connect("auto")


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("INSTALL_FAILED_UPDATE_INCOMPATIBLE: signatures do not match", "adb uninstall com.example.reader"),
        ("INSTALL_FAILED_NO_MATCHING_ABIS: Failed to extract native libraries", "ABI"),
        ("INSTALL_FAILED_INSUFFICIENT_STORAGE", "make room"),
        ("INSTALL_PARSE_FAILED_NO_CERTIFICATES", "damaged or not signed"),
        ("INSTALL_FAILED_SOMETHING_NEW", "the cause that adb names"),
    ],
)
@pytest.mark.parametrize("exit_code", [0, 1])  # old versions of adb end with 0
def test_a_failed_install_gives_adbs_reason_and_a_remedy(device, apk, code, remedy, exit_code):
    device.says(install=[f"adb: failed to install {apk}: Failure [{code}]", exit_code])
    with pytest.raises(DeployError) as caught:
        selftest(apk)
    assert code in str(caught.value)
    assert remedy in str(caught.value)
    assert not any("am start" in call[-1] for call in device.calls())


def test_a_missing_activity_is_reported(device, apk):
    device.says(start=["Starting: Intent { }\nError type 3\nError: Activity class {x} does not exist.", 0])
    with pytest.raises(DeployError, match=r"Activity class .x. does not exist"):
        selftest(apk)


def test_an_app_that_crashes_is_reported_with_its_crash(device, apk):
    crash = "E AndroidRuntime: Process: com.example.reader, PID: 7\nE AndroidRuntime: java.lang.OutOfMemoryError: big"
    device.says(looks=["4711", "gone"], crash=crash)
    with pytest.raises(DeployError, match=r"before it wrote its report.*OutOfMemoryError: big"):
        selftest(apk)


def test_an_app_that_takes_a_moment_to_start_is_waited_for(device, apk):
    device.says(looks=["gone", "gone", "4711", "gone", "ready"])
    assert selftest(apk).engine == "opencv"


def test_a_self_test_that_never_ends_is_given_up(device, apk):
    device.says(looks=["4711"])
    with pytest.raises(DeployError, match=r"no report within 0 s") as caught:
        selftest(apk, SelfTestRequest(seconds=0.2, poll_seconds=0.01))
    assert "--timeout" in str(caught.value)


def test_a_report_that_cannot_be_pulled_is_an_error(device, apk):
    device.says(report=None)
    with pytest.raises(DeployError, match=r"adb pull failed.*failed to stat remote object"):
        selftest(apk)


def test_an_adb_that_hangs_is_given_up(device, apk, monkeypatch):
    monkeypatch.setattr(adb_module, "INSTALL_SECONDS", 0.5)
    device.says(slow="install")
    with pytest.raises(DeployError, match="gave no answer"):
        selftest(apk)


def test_the_bundles_own_app_is_taken_unless_another_is_named(tmp_path, apk):
    assert bundle_apk(tmp_path) == apk
    other = tmp_path / "other.apk"
    other.write_bytes(b"")
    assert bundle_apk(tmp_path, other) == other
    with pytest.raises(DeployError, match="2 APKs"):
        bundle_apk(tmp_path)
    with pytest.raises(DeployError, match="no such APK"):
        bundle_apk(tmp_path, tmp_path / "absent.apk")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DeployError, match="holds no APK"):
        bundle_apk(tmp_path / "empty")
