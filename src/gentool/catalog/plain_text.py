"""The documentation of an API, often in HTML and pages long, as a short plain text."""

from __future__ import annotations

import html
import re

_TAG = re.compile(r"<[^<>]*>")
_BLOCK_TAG = re.compile(
    r"</?(p|div|li|ul|ol|dl|dt|dd|br|note|important|h[1-6]|tr|table|fullname)\b[^<>]*>", re.IGNORECASE
)
_SPACE = re.compile(r"\s+")
_SENTENCE = re.compile(r"[.!?](?=\s)")


def plain_text(documentation: object, longest: int) -> str:
    """``documentation`` without markup, at most ``longest`` characters, cut after a sentence where there is one.

    Empty if it is no text.
    """
    if not isinstance(documentation, str):
        return ""
    # Enough for the result even where most of it is markup.
    text = documentation[: 40 * longest]
    if "<" in text:
        text = _TAG.sub("", _BLOCK_TAG.sub(" ", text))
    if "&" in text:
        text = html.unescape(text)
    text = _SPACE.sub(" ", text).strip()
    if len(text) <= longest:
        return text
    ends = [found.end() for found in _SENTENCE.finditer(text, 0, longest + 1)]
    if ends and ends[-1] >= longest // 4:
        return text[: ends[-1]]
    return text[: longest - 3].rsplit(" ", 1)[0] + "..."
