"""The device profile that measured latencies suggest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_kit.deploy.adb import DeployError
from edge_kit.deploy.profile import big_cores, suggest_profile
from edge_kit.deploy.report import read_report
from edge_kit.devices import load_profile


def rows(*settings):
    return [
        {
            "threads": threads, "power_mode": mode, "det_ms": [1.0] * len(times), "rec_ms": [1.0] * len(times),
            "total_ms": list(times), "thermal": list(thermal[0]) if thermal else [0] * len(times),
            "hidden": [False] * len(times),
        }
        for threads, mode, times, *thermal in settings
    ]  # fmt: skip


def suggested(phone, *settings, base="generic-arm64", **changes):
    data = json.dumps({**phone.report, "engine": "paddle_lite", "bench": rows(*settings), **changes}).encode()
    return suggest_profile(read_report(data, Path("r.json")), load_profile(base))


def test_the_setting_of_the_least_median_is_suggested(device, tmp_path):
    found = suggested(
        device,
        (1, "LITE_POWER_HIGH", (900, 910, 905)),
        (4, "LITE_POWER_HIGH", (400, 9000, 410)),  # one slow round does not count
        (4, "LITE_POWER_NO_BIND", (500, 510, 505)),
    )
    (tmp_path / "mine.yaml").write_text(found.text)
    profile = load_profile(str(tmp_path / "mine.yaml"))
    assert (profile.value("threads"), profile.value("power_mode")) == (4, "LITE_POWER_HIGH")
    assert (profile.value("engine"), profile.target) == ("paddle_lite", "arm64")
    assert "410 ms, the fastest of what was tried" in profile.reason("threads")
    assert "905 ms" in profile.reason("power_mode")
    kept = load_profile("generic-arm64")
    for key in ("abi", "recipe", "recipes", "limit_side_len", "fp16", "opencl", "warm_up"):
        assert (profile.value(key), profile.reason(key)) == (kept.value(key), kept.reason(key))


def test_fewer_threads_win_where_more_gain_next_to_nothing(device):
    found = suggested(device, (4, "LITE_POWER_HIGH", (400, 400, 400)), (2, "LITE_POWER_HIGH", (415, 415, 415)))
    assert found.best.threads == 2
    assert "within 5 % of the fastest, 400 ms with 4 threads" in " ".join(found.text.split())
    assert suggested(device, (4, "LITE_POWER_HIGH", (400,) * 3), (2, "LITE_POWER_HIGH", (430,) * 3)).best.threads == 4


def test_a_device_of_another_abi_gets_no_profile(device):
    with pytest.raises(DeployError, match="runs arm64-v8a"):
        suggested(device, (1, "LITE_POWER_HIGH", (1, 1, 1)), base="armv7")


def test_nothing_measured_is_an_error_with_the_apps_message(device):
    with pytest.raises(DeployError, match="bench: no such model"):
        suggested(device, errors=["bench: no such model"])


def test_names_that_yaml_could_take_amiss_survive(device, tmp_path):
    model = 'Acme: "One" {#1} 手机'
    described = {**device.report["device"], "model": model}
    found = suggested(device, (1, "LITE_POWER_LOW", (1, 1, 1)), device=described)
    (tmp_path / "mine.yaml").write_text(found.text)
    profile = load_profile(str(tmp_path / "mine.yaml"))
    assert profile.description.startswith(model)
    assert model in profile.reason("threads")


def test_throttled_rounds_do_not_count_and_are_named(device):
    hot = (4, "LITE_POWER_HIGH", (400, 410, 9000, 9100), (0, 0, 2, 1))
    found = suggested(device, hot, (1, "LITE_POWER_HIGH", (900, 900)))
    assert (found.best.threads, found.best.median_ms, found.best.throttled) == (4, 405.0, 2)
    text = " ".join(found.text.split())
    assert (
        "the median of 2 rounds over all self-test images was 405 ms (2 throttled rounds of all settings left" in text
    )


def test_a_setting_that_was_mostly_throttled_is_refused(device):
    with pytest.raises(DeployError, match="too hot") as caught:
        suggested(device, (1, "LITE_POWER_HIGH", (1, 1, 1)), (4, "LITE_POWER_LOW", (9, 9, 9), (0, 3, 1)))
    assert "4 threads and LITE_POWER_LOW: 2 of 3 rounds, thermal status up to 3" in str(caught.value)
    assert "1 threads" not in str(caught.value)


def test_where_the_thermal_status_is_not_known_the_reason_says_so(device):
    found = suggested(device, (1, "LITE_POWER_HIGH", (1, 1), (None, None)))
    assert "this Android reports no thermal status" in " ".join(found.text.split())


def test_with_an_engine_without_power_modes_the_power_mode_stays(device, tmp_path):
    found = suggested(device, (1, None, (9, 9)), (2, None, (5, 5)), engine="opencv")
    (tmp_path / "mine.yaml").write_text(found.text)
    profile, kept = load_profile(str(tmp_path / "mine.yaml")), load_profile("generic-arm64")
    assert (profile.value("threads"), profile.value("engine")) == (2, "opencv")
    assert profile.value("power_mode") == kept.value("power_mode")
    assert profile.reason("power_mode") == kept.reason("power_mode")


@pytest.mark.parametrize(
    ("clocks", "big"),
    [
        ([1785] * 4 + [2419] * 3 + [2841], 4),  # 4 + 3 + 1
        ([3532] * 6 + [4320] * 2, 2),  # 2 + 6: the slower six are no small cores, but below the middle
        ([1512] * 8, 8),
        ([2000, 2400], 1),
        ([], None),
    ],
)
def test_big_cores_are_those_above_the_middle_clock(clocks, big):
    assert big_cores(clocks) == big


def test_the_reason_says_what_big_cores_mean_on_this_device(device):
    described = {**device.report["device"], "cores_mhz": [3532] * 6 + [4320] * 2}
    found = suggested(device, (2, "LITE_POWER_HIGH", (5, 5)), (4, "LITE_POWER_HIGH", (5, 5)), device=described)
    words = " ".join(found.text.split())
    assert "(6 of 3532 MHz + 2 of 4320 MHz) Paddle Lite regards 2 as big" in words
    assert "cut a larger number of threads to 2" in words
    assert "big ones" not in suggested(device, (2, "LITE_POWER_HIGH", (5, 5))).text
