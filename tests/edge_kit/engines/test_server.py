"""The server engine in a separate process: what a user sees of Paddle."""

import subprocess
import sys

import pytest

CODE = """
from edge_kit.engines.base import EngineOptions
from edge_kit.engines.server import ServerEngine
from model_opt.zoo import fetch

ServerEngine(fetch("PP-OCRv4_mobile_det"), EngineOptions(threads=1)).close()
"""


@pytest.mark.integration
def test_paddle_starts_without_warnings_about_tools_that_nobody_needs():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert "ccache" not in done.stderr
    assert done.stdout == ""
