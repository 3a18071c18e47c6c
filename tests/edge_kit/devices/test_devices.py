"""Device profiles: complete, with reasons, and fit for what they claim."""

import json

import jsonschema
import pytest
import yaml

from edge_kit.devices import (
    DeviceError,
    ModelEntry,
    check_fit,
    default_profile,
    list_profiles,
    load_profile,
    runtime_config,
)
from edge_kit.spec import profile as spec_profile
from edge_kit.spec.load import SpecError
from edge_kit.targets import TARGETS
from edge_kit.verify.gates import load_gates
from model_opt.errors import KitError
from model_opt.resources import config_dir

MODELS = {role: ModelEntry(f"models/{role}.nb", "0" * 64, "fp32") for role in ("det", "rec")}


def render(profile, recipe="fp32"):
    return runtime_config(profile, spec_profile="pp-ocrv4", models=MODELS, opt_version="2.14rc0", recipe=recipe)


def own(tmp_path, change, base="rk3399"):
    """Write a user's profile: one of the kit's with a change."""
    document = yaml.safe_load((config_dir() / "devices" / f"{base}.yaml").read_text())
    change(document["settings"])
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_promised_profiles_exist():
    names = {profile.name for profile in list_profiles()}
    assert {"generic-arm64", "arm64-fp16", "rk3399", "raspberry-pi-4", "armv7", "x86"} <= names
    assert {"arm64-opencl-adreno", "arm64-opencl-mali"} <= names


@pytest.mark.parametrize("profile", list_profiles(), ids=lambda p: p.name)
def test_every_profile_makes_a_valid_configuration_with_a_reason_for_each_value(profile):
    config = json.loads(render(profile))
    jsonschema.validate(config, json.loads((config_dir() / "runtime_config.schema.json").read_text()))
    for key in ("threads", "power_mode", "engine", "limit_side_len", "fp16", "opencl", "abi", "recipe", "warm_up"):
        assert len(config["reasons"][key]) > 20, key
    reasoned = set(config) - {"schema_version", "device_profile", "models", "labels", "reasons"}
    assert set(config["reasons"]) == reasoned
    assert config["limit_side_len"] == spec_profile().detection.limit_side_len
    assert profile.target in TARGETS


def test_every_target_has_a_default_that_fits_its_own_recipe():
    for target in TARGETS:
        chosen = default_profile(target)
        check_fit(chosen, target, str(chosen.value("recipe")))


def test_every_recipe_has_gates():
    assert {recipe for p in list_profiles() for recipe in p.recipes} <= {row.name for row in load_gates()}


def test_the_same_profile_gives_the_same_bytes():
    assert render(load_profile("rk3399")) == render(load_profile("rk3399"))


def test_the_configuration_ends_with_a_newline_and_has_sorted_keys():
    written = render(load_profile("armv7"))
    assert written == (json.dumps(json.loads(written), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


@pytest.mark.parametrize("key", ["threads", "power_mode", "warm_up"])
def test_what_nobody_measured_says_so(key):
    """No phone was at hand: a figure for one is published by others, or is called unmeasured."""
    for profile in list_profiles():
        reason = profile.reason(key)
        assert "Not measured here" in reason or profile.target == "x86", (profile.name, reason)


def test_another_recipe_than_the_default_has_its_own_reason():
    profile = load_profile("rk3399")
    config = json.loads(render(profile, recipe="weight_int8"))
    assert config["recipe"] == "weight_int8"
    assert profile.reason("recipes") in config["reasons"]["recipe"]
    assert profile.reason("recipe") not in config["reasons"]["recipe"]


@pytest.mark.parametrize("limit", [640, 1280])
def test_another_limit_than_the_servers_is_explained_with_both_numbers(tmp_path, limit):
    """Also where the user changed the number and left the old reason beside it."""
    profile = load_profile(str(own(tmp_path, lambda s: s["limit_side_len"].update(value=limit))))
    config = json.loads(render(profile))
    reason = config["reasons"]["limit_side_len"]
    assert config["limit_side_len"] == limit
    assert reason.startswith(f"Departs from the specification, which says {spec_profile().detection.limit_side_len}:")
    assert reason.endswith(profile.reason("limit_side_len"))


def test_the_servers_own_limit_departs_from_nothing():
    profile = load_profile("rk3399")
    assert json.loads(render(profile))["reasons"]["limit_side_len"] == profile.reason("limit_side_len")


def test_no_configuration_is_written_for_an_unknown_specification():
    with pytest.raises(SpecError, match="paddlex-v4"):
        runtime_config(
            load_profile("rk3399"), spec_profile="pp-ocrv9", models=MODELS, opt_version="2.14rc0", recipe="fp32"
        )


def test_quotes_and_chinese_in_a_users_reason_survive(tmp_path):
    reason = 'The "big" cores \\ 大核 {{ 1 }} are four.'
    profile = load_profile(str(own(tmp_path, lambda s: s["threads"].update(reason=reason))))
    assert json.loads(render(profile))["reasons"]["threads"] == reason


def test_a_recipe_that_the_device_cannot_run_is_refused():
    with pytest.raises(DeviceError, match="cannot run recipe 'fp16'"):
        check_fit(load_profile("raspberry-pi-4"), "arm64", "fp16")


def test_a_core_without_fp16_refuses_the_recipe_and_says_what_fits():
    with pytest.raises(DeviceError) as caught:
        check_fit(load_profile("rk3399"), "arm64", "fp16")
    assert "weight_int8" in str(caught.value)


def test_a_profile_of_another_target_is_refused():
    with pytest.raises(DeviceError, match="is for target armv7"):
        check_fit(load_profile("armv7"), "arm64", "fp32")


def test_unknown_names_list_the_known_ones():
    with pytest.raises(DeviceError) as caught:
        load_profile("toaster")
    assert "rk3399" in str(caught.value)
    with pytest.raises(KitError, match="unknown target"):
        default_profile("riscv")


def test_a_users_own_profile_is_read_by_path(tmp_path):
    path = own(tmp_path, lambda s: s["threads"].update(value=6))
    assert load_profile(str(path)).value("threads") == 6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s["threads"].update(value="many"), "settings.threads.value"),
        (lambda s: s["power_mode"].update(value="TURBO"), "TURBO"),
        (lambda s: s["threads"].pop("reason"), "reason"),
        (lambda s: s.pop("engine"), "engine"),
        (lambda s: s["threads"].update(value=0), "0 is less than the minimum of 1"),
        (lambda s: s["threads"].update(value=True), "settings.threads.value"),
        (lambda s: s["threads"].update(reason="  "), "settings.threads.reason"),
        (lambda s: s["limit_side_len"].update(value=31.5), "settings.limit_side_len.value"),
        (lambda s: s.update(turbo={"value": 1, "reason": "because it is there"}), "turbo"),
        (lambda s: s["recipe"].update(value="fp16"), "not among"),
        (lambda s: s["recipes"].update(value=["fp32", "fp16"]), "fp16 cannot be built for target arm64"),
        (lambda s: s["abi"].update(value="armeabi-v7a"), "armeabi-v7a is not the ABI of target arm64"),
        (lambda s: s["opencl"].update(value=True), "settings.opencl: true does not fit target arm64"),
    ],
)
def test_a_bad_profile_names_the_key(tmp_path, change, words):
    with pytest.raises(DeviceError, match=words):
        load_profile(str(own(tmp_path, change)))


@pytest.mark.parametrize(
    ("base", "change", "words"),
    [
        ("arm64-fp16", lambda s: s["fp16"].update(value=False), "use target arm64"),
        ("arm64-opencl-mali", lambda s: s["recipes"].update(value=["fp32", "weight_int8"]), "only fp32"),
        ("arm64-opencl-mali", lambda s: s["opencl"].update(value=False), "does not fit target arm64-opencl"),
    ],
)
def test_settings_that_contradict_the_target_say_what_to_do(tmp_path, base, change, words):
    with pytest.raises(DeviceError, match=words) as caught:
        load_profile(str(own(tmp_path, change, base)))
    assert caught.value.hint
    assert caught.value.path.endswith("mine.yaml")


def test_an_integral_float_is_an_integer(tmp_path):
    profile = load_profile(str(own(tmp_path, lambda s: s["threads"].update(value=4.0))))
    assert b'"threads": 4,' in render(profile)


@pytest.mark.parametrize(
    "content", ["", "just words", "- 1\n- 2", "target: [", "\x00\x01", "description: x\ntarget: arm64\n"]
)
def test_a_file_that_is_no_profile_is_an_error(tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(DeviceError) as caught:
        load_profile(str(path))
    assert caught.value.path == str(path)


def test_a_missing_profile_file_is_an_error(tmp_path):
    with pytest.raises(DeviceError, match="cannot read"):
        load_profile(str(tmp_path / "absent.yaml"))
