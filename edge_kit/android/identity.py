"""What distinguishes an app on a device: application id, name and version code, checked as Android does it."""

from __future__ import annotations

import re
import unicodedata

from edge_kit.android.errors import AndroidError

MAX_ID = 223
"""Characters of an application id; Android names folders by it (FrameworkParsingPackageUtils.MAX_FILE_NAME_SIZE)."""
MAX_CODE = 2_100_000_000
"""The largest version code that Google Play takes."""
MAX_NAME = 50

_PART = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_WORDS_OF_JAVA = """
abstract assert boolean break byte case catch char class const continue default do double else enum extends final
finally float for goto if implements import instanceof int interface long native new package private protected public
return short static strictfp super switch synchronized this throw throws transient try void volatile while true false
null
"""
_RESERVED = frozenset(_WORDS_OF_JAVA.split())
_HINT = "give two or more parts with dots between them, as in com.example.reader; each begins with a letter"


def check_application_id(text: str) -> str:
    """Return an application id; ``AndroidError`` says which rule of Java packages or of Android it breaks."""
    parts = text.split(".")
    wrong = next((part for part in parts if not _PART.fullmatch(part)), None)
    word = next((part for part in parts if part in _RESERVED), None)
    if wrong is not None:
        fault = f"the part {wrong!r} is not a name of ASCII letters, digits and _ that begins with a letter"
    elif len(parts) < 2:
        fault = "it has one part"
    elif word is not None:
        fault = f"{word!r} is a keyword of Java"
    elif len(text) > MAX_ID:
        fault = f"it has {len(text)} characters, and Android takes {MAX_ID}"
    else:
        return text
    raise AndroidError(f"{text[:60]!r} is not an application id: {fault}", hint=_HINT)


def check_app_name(text: str) -> str:
    """Return a name for the launcher without blanks around it; ``AndroidError`` for one that cannot be shown."""
    name = text.strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise AndroidError(f"the app's name has {len(name)} characters", hint=f"give 1 to {MAX_NAME}")
    odd = next((char for char in name if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp", "Cn")), None)
    if odd is not None:
        raise AndroidError(f"the app's name holds {odd!r}, which no launcher shows", hint="leave it out")
    return name


def check_version_code(code: int) -> int:
    """Return a version code; ``AndroidError`` unless it is 1 to 2,100,000,000."""
    if not 1 <= code <= MAX_CODE:
        raise AndroidError(f"{code} is not a version code", hint=f"give an integer from 1 to {MAX_CODE}")
    return code
