from __future__ import annotations

from pathlib import Path

import pytest

from edge_kit.jobs.request import AppRequest, app_request
from model_opt.errors import KitError


@pytest.mark.parametrize(
    ("target", "abi"),
    [
        ("arm64", "arm64-v8a"),
        ("arm64-fp16", "arm64-v8a"),
        ("arm64-opencl", "arm64-v8a"),
        ("armv7", "armeabi-v7a"),
    ],
)
def test_a_build_for_a_phone_has_an_app_for_its_processor_by_default(target, abi):
    assert app_request(target, None, None) == AppRequest((abi,))
    assert app_request(target, False, None) is None


def test_a_host_has_no_app():
    assert app_request("x86", None, None) is None
    with pytest.raises(KitError, match="no app for target x86"):
        app_request("x86", True, None)


def test_processors_are_named_with_commas_each_once():
    assert app_request("arm64", None, "arm64-v8a, x86_64,arm64-v8a") == AppRequest(("arm64-v8a", "x86_64"))


def test_an_app_may_be_called_as_its_maker_likes():
    made = app_request("arm64", None, None, application_id="com.example.reader", name=" Reader ", version_code=7)
    assert made == AppRequest(("arm64-v8a",), application_id="com.example.reader", name="Reader", version_code=7)
    for wrong in ({"application_id": "reader"}, {"name": ""}, {"version_code": 0}):
        with pytest.raises(KitError) as caught:
            app_request("arm64", None, None, **wrong)
        assert caught.value.exit_code == 2


def test_options_of_the_app_without_an_app_are_refused():
    with pytest.raises(KitError, match="--keystore"):
        app_request("arm64", False, None, keystore=Path("key.jks"))
    with pytest.raises(KitError, match="--application-id, --app-name, --version-code: only a build with the app"):
        app_request("x86", None, None, application_id="a.b", name="Reader", version_code=1)
