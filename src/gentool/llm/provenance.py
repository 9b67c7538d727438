"""Where a record that a teacher made comes from."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from gentool.records import Record


class Provenance(Record):
    """One answer of a teacher. ``call`` is the key of the call in the cache, by which the whole exchange is found.

    ``model`` is what the server says it is, or ``rules``. ``attempt`` is 2 for an answer that was mended after the
    first one was refused. ``parents`` are the ids of the records it was made from.
    """

    stage: str
    model: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    prompt: str = ""
    """Hash of the prompt's template, so that answers of a changed prompt are told apart."""
    call: str = ""
    usage: dict[str, int] = Field(default_factory=dict)
    attempt: int = 1
    parents: tuple[str, ...] = ()
