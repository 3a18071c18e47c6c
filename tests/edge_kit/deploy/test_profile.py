"""The device profile that measured latencies suggest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_kit.deploy.adb import DeployError
from edge_kit.deploy.profile import suggest_profile
from edge_kit.deploy.report import read_report
from edge_kit.devices import load_profile


def rows(*settings):
    return [
        {"threads": threads, "power_mode": mode, "det_ms": [1.0] * 3, "rec_ms": [1.0] * 3, "total_ms": list(times)}
        for threads, mode, times in settings
    ]


def suggested(phone, *settings, base="generic-arm64", **changes):
    data = json.dumps({**phone.report, "bench": rows(*settings), **changes}).encode()
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
    assert (profile.value("engine"), profile.target) == ("opencv", "arm64")
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


def test_nothing_measured_is_an_error_with_the_apps_words(device):
    with pytest.raises(DeployError, match="bench: no such model"):
        suggested(device, errors=["bench: no such model"])


def test_names_that_yaml_could_take_amiss_survive(device, tmp_path):
    model = 'Acme: "One" {#1} 手机'
    told = {**device.report["device"], "model": model}
    found = suggested(device, (1, "LITE_POWER_LOW", (1, 1, 1)), device=told)
    (tmp_path / "mine.yaml").write_text(found.text)
    profile = load_profile(str(tmp_path / "mine.yaml"))
    assert profile.description.startswith(model)
    assert model in profile.reason("threads")
