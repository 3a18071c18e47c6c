"""Keys and signatures: a debug key kept in the cache, or the user's own keystore with secrets from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edge_kit.android.errors import AndroidError, ToolFailed
from edge_kit.android.tools import OnPoll, require_tools, run_tool
from model_opt.fs import ensure_folder, sha256_file
from model_opt.resources import cache_dir

STORE_PASSWORD, KEY_PASSWORD, KEY_ALIAS = "EDGE_KIT_KEYSTORE_PASS", "EDGE_KIT_KEY_PASS", "EDGE_KIT_KEY_ALIAS"
"""Environment variables of a release key; the key's password defaults to the store's, the alias may be left out when
the store holds one key."""

_DEBUG_ALIAS, _DEBUG_PASSWORD = "androiddebugkey", "android"


@dataclass(frozen=True)
class SigningKey:
    """A keystore on disk. ``debug`` says that it is the kit's own, whose password is no secret."""

    store: Path
    debug: bool

    @property
    def cache_key(self) -> str:
        """What a signature depends on, for keys of a cache: the sum of the store's bytes and the chosen alias."""
        return f"{sha256_file(self.store)} {'' if self.debug else os.environ.get(KEY_ALIAS, '')}"


def debug_key() -> SigningKey:
    """Return the debug key of this cache, made at the first call: an app signed by it updates one installed before."""
    store = cache_dir() / "android-debug-key" / "debug.keystore"
    ensure_folder(store.parent, "store the debug key", lambda folder: _make_key(folder / store.name), store.is_file)
    return SigningKey(store, debug=True)


def release_key(store: Path) -> SigningKey:
    """Return the user's keystore, opened once to see that it can be.

    Raises ``AndroidError`` when it is no file or its password is not in the environment, ``ToolFailed`` with
    keytool's message when the password or the alias is wrong: better now than after minutes of work.
    """
    if not store.is_file():
        raise AndroidError("there is no such keystore", path=store, hint="make one with: keytool -genkeypair")
    if not os.environ.get(STORE_PASSWORD):
        raise AndroidError(
            f"the password of the keystore is not in the environment variable {STORE_PASSWORD}",
            path=store,
            hint=f"set it (and {KEY_PASSWORD}, {KEY_ALIAS} where needed); secrets are taken from nowhere else",
        )
    alias = ["-alias", os.environ[KEY_ALIAS]] if os.environ.get(KEY_ALIAS) else []
    keytool = require_tools(("keytool",))["keytool"]
    run_tool(
        "open the keystore",
        [keytool, "-list", "-keystore", store, "-storepass:env", STORE_PASSWORD, *alias],
        hint=f"check {STORE_PASSWORD} and {KEY_ALIAS}",
    )
    return SigningKey(store.resolve(), debug=False)


def sign_apk(unsigned: Path, signed: Path, key: SigningKey, min_sdk: int, on_poll: OnPoll | None = None) -> None:
    """Sign by APK Signature Scheme v2 and v3; the same RSA key gives the same bytes.

    Raises ``ToolFailed`` with apksigner's message; no secret is on a command line.
    """
    apksigner = require_tools(("apksigner",))["apksigner"]
    env = {STORE_PASSWORD: _DEBUG_PASSWORD, KEY_PASSWORD: _DEBUG_PASSWORD, KEY_ALIAS: _DEBUG_ALIAS} if key.debug else {}
    known = {**os.environ, **env}
    alias = ["--ks-key-alias", known[KEY_ALIAS]] if known.get(KEY_ALIAS) else []
    own = ["--key-pass", f"env:{KEY_PASSWORD}"] if known.get(KEY_PASSWORD) else []
    run_tool(
        "sign the app",
        [
            apksigner, "sign", "--ks", key.store, "--ks-pass", f"env:{STORE_PASSWORD}", *alias, *own,
            "--min-sdk-version", str(min_sdk), "--v1-signing-enabled", "false", "--v2-signing-enabled", "true",
            "--v3-signing-enabled", "true", "--v4-signing-enabled", "false", "--in", unsigned, "--out", signed,
        ],
        env=env,
        hint=f"check {STORE_PASSWORD}, {KEY_PASSWORD} and {KEY_ALIAS}",
        on_poll=on_poll,
    )  # fmt: skip


def verify_signature(apk: Path, min_sdk: int, on_poll: OnPoll | None = None) -> str:
    """Return the SHA-256 of the signer's certificate; ``ToolFailed`` when apksigner does not accept the signature."""
    apksigner = require_tools(("apksigner",))["apksigner"]
    said = run_tool(
        "verify the app's signature",
        [apksigner, "verify", "--min-sdk-version", str(min_sdk), "--print-certs", "-v", apk],
        on_poll=on_poll,
    )
    lines = [line.strip() for line in said.splitlines()]
    for scheme in ("v2", "v3"):
        if not any(line.startswith(f"Verified using {scheme} scheme") and line.endswith("true") for line in lines):
            raise ToolFailed(f"apksigner finds no signature of scheme {scheme} on the app", hint="build it again")
    sums = [line.rsplit(" ", 1)[1] for line in lines if "certificate SHA-256 digest:" in line]
    if len(sums) != 1:
        raise ToolFailed(f"apksigner reports {len(sums)} signers instead of one", hint="build it again")
    return sums[0]


def _make_key(store: Path) -> None:
    keytool = require_tools(("keytool",))["keytool"]
    run_tool(
        "make the debug key",
        [
            keytool, "-genkeypair", "-keystore", store, "-storetype", "PKCS12", "-storepass", _DEBUG_PASSWORD,
            "-keypass", _DEBUG_PASSWORD, "-alias", _DEBUG_ALIAS, "-keyalg", "RSA", "-keysize", "2048",
            "-validity", "10950", "-dname", "CN=Android Debug, O=edge-kit",
        ],
    )  # fmt: skip
