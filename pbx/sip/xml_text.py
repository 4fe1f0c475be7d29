"""Text in XML: escaped, and without the characters that XML 1.0 cannot hold."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def quote(text: str) -> str:
    """``text`` as it stands in an element, or in an attribute between double quotes."""
    return escape(_FORBIDDEN.sub("", text), {'"': "&quot;"})
