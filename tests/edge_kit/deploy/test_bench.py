"""A bench on a recorded device: one process for each setting, in turns, awake, unlocked and cool."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from edge_kit.deploy.adb import DeployError, connect
from edge_kit.deploy.bench import BenchRequest, run_bench

HIGH, LOW = "LITE_POWER_HIGH", "LITE_POWER_LOW"
QUICK = BenchRequest((1, 4), (HIGH, LOW), passes=2, rounds=2, seconds=60.0, pause_seconds=0.0, poll_seconds=0.01)
MILLISECONDS = {f"1 {HIGH}": 90.0, f"4 {HIGH}": 40.0, f"1 {LOW}": 190.0, f"4 {LOW}": 120.0}


@pytest.fixture
def phone(device):
    device.report["engine"] = "paddle_lite"
    device.says(milliseconds=MILLISECONDS, looks=["ready"])
    return device


def bench(apk, request=QUICK, progress=lambda _: None, keep=None):
    return run_bench(connect("auto"), apk, request, progress, keep)


def commands(device):
    return [call[-1] for call in device.calls()]


def asked_settings(device):
    words = [command.split() for command in commands(device) if command.startswith("am start")]
    return [(int(w[w.index("threads") + 1]), w[w.index("power") + 1] if "power" in w else None) for w in words]


def test_settings_take_turns_there_and_back_each_in_a_process_of_its_own(phone, apk):
    run = bench(apk)
    once = [(1, HIGH), (4, HIGH), (1, LOW), (4, LOW)]
    assert asked_settings(phone) == [*once, *once[::-1]]
    kinds = [c.split()[1] for c in commands(phone) if c.startswith(("am force-stop", "am start"))]
    assert kinds == ["force-stop", "start"] * 8
    assert [row.name for row in run.report.bench] == [f"{t} threads and {m}" for t, m in once]
    assert [len(row.total_ms) for row in run.report.bench] == [4] * 4
    assert run.report.bench[1].median_ms == 40.0


def test_an_engine_without_power_modes_is_measured_once_for_each_number_of_threads(phone, apk):
    phone.says(modes=False, milliseconds={f"1 {HIGH}": 90.0, "1": 90.0, "4": 40.0})
    run = bench(apk)
    assert asked_settings(phone) == [(1, HIGH), (4, None), (4, None), (1, None)]
    assert [(row.threads, row.power_mode, len(row.total_ms)) for row in run.report.bench] == [
        (1, None, 4),
        (4, None, 4),
    ]


def test_the_device_holds_its_clocks_and_stays_awake_and_is_put_back(phone, apk):
    phone.says(stay_on="2")
    assert bench(apk).fixed_performance
    asked = commands(phone)
    power = [c.split()[3] for c in asked if c.startswith("cmd power")]
    assert power == ["true", "false"]
    awake = [c for c in asked if c.startswith("settings put")]
    assert awake == [f"settings put global stay_on_while_plugged_in {value}" for value in ("7", "2")]
    assert asked.index(awake[0]) < next(i for i, c in enumerate(asked) if c.startswith("am start"))


def test_a_device_without_fixed_performance_mode_is_measured_too(phone, apk):
    phone.says(fixed=False, stay_on="null")
    assert not bench(apk).fixed_performance
    assert [c for c in commands(phone) if c.startswith("cmd power")][1:] == []
    assert commands(phone)[-1] == "settings put global stay_on_while_plugged_in 0"


def test_the_device_is_put_back_after_an_error_too(phone, apk):
    phone.says(looks=["gone"], crash="E AndroidRuntime: Process: com.example.reader, PID: 7")
    with pytest.raises(DeployError, match="before it wrote its report"):
        bench(apk)
    assert commands(phone)[-2].startswith("cmd power set-fixed-performance-mode-enabled false")
    assert commands(phone)[-1] == "settings put global stay_on_while_plugged_in 0"


def test_a_hot_device_is_waited_for(phone, apk):
    phone.says(thermal=[3, 2, 0])
    messages: list[str] = []
    bench(apk, replace(QUICK, threads=(1,), power_modes=(HIGH,), passes=1), messages.append)
    asked = commands(phone)
    start = next(i for i, c in enumerate(asked) if c.startswith("am start"))
    assert [c.startswith("dumpsys thermalservice") for c in asked[:start]].count(True) == 3
    assert any("thermal status 3" in text for text in messages)


def test_a_device_that_stays_hot_is_measured_in_the_end(phone, apk):
    phone.says(thermal=[2], hot=2)
    run = bench(apk, replace(QUICK, threads=(1,), power_modes=(HIGH,), passes=1, cool_seconds=1.0))
    assert run.report.bench[0].throttled == 2


def test_an_android_without_a_thermal_status_is_not_waited_for(phone, apk):
    phone.says(thermal=[None], hot="unknown")
    run = bench(apk)
    assert run.report.bench[0].thermal == (None,) * 4


def test_a_screen_that_went_dark_makes_the_figures_worthless(phone, apk):
    phone.says(hidden=True)
    with pytest.raises(DeployError, match="dark or locked") as caught:
        bench(apk)
    assert "unlock the device" in str(caught.value)


def test_a_device_that_locks_itself_in_between_is_refused(phone, apk):
    phone.says(locked=10**6)
    with pytest.raises(DeployError, match="is locked"):
        bench(apk)
    assert not any(c.startswith("am start") for c in commands(phone))


def test_all_runs_share_the_given_time(phone, apk):
    phone.says(looks=["4711"])
    with pytest.raises(DeployError, match="--timeout"):
        bench(apk, replace(QUICK, seconds=0.3))


def test_the_kept_report_holds_the_rounds_of_all_runs(phone, apk, tmp_path):
    bench(apk, keep=tmp_path / "kept" / "bench.json")
    kept = json.loads((tmp_path / "kept" / "bench.json").read_text())
    first = kept["bench"][0]
    assert (first["threads"], first["power_mode"], first["total_ms"]) == (1, HIGH, [90.0] * 4)
    assert kept["device"] == phone.report["device"]
