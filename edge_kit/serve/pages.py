"""The pages for browsers: one file each, with its style and script inside, and a policy that allows nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources

_POLICY = (
    "default-src 'none'; style-src {style}; script-src {script}; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def static_page(name: str) -> tuple[bytes, dict[str, str]]:
    """Return a page of this package and its headers; the policy names its style and script by their sums."""
    text = resources.files("edge_kit.serve").joinpath(name).read_text(encoding="utf-8")
    policy = _POLICY.format(style=_sum_of("style", text), script=_sum_of("script", text))
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return text.encode(), headers


def _sum_of(tag: str, text: str) -> str:
    """Return the source expression of the one ``<style>`` or ``<script>`` element in a page."""
    (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"
