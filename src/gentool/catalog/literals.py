"""Reads values and calls that were written as Python. Nothing is run: only literals are taken."""

from __future__ import annotations

import ast
import json
import warnings
from typing import Any

from gentool.catalog.entries import hidden_json

_LONGEST = 1_000_000
"""Characters of a text that is parsed as Python."""

_FAILURES = (ValueError, SyntaxError, TypeError, RecursionError, MemoryError)


def _parsed(text: str) -> ast.expr:
    if len(text) > _LONGEST:
        raise ValueError("too long")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes that Python does not know
        return ast.parse(text.strip(), mode="eval").body


def _json(node: ast.expr) -> Any:
    """A literal as JSON has it: tuples become arrays. Raises one of ``_FAILURES``."""
    return hidden_json(json.dumps(ast.literal_eval(node), allow_nan=False))


def literal(text: str) -> Any:
    """The value that ``text`` is in JSON or as a Python literal. Raises ``ValueError``."""
    try:
        return hidden_json(text)
    except ValueError:
        pass
    try:
        return _json(_parsed(text))
    except _FAILURES as error:
        raise ValueError(f"neither JSON nor a Python literal: {str(error)[:80]}") from None


def python_call(text: str) -> tuple[str, dict[str, Any]]:
    """Name and arguments of ``name(key=literal, ...)``. Raises ``ValueError``."""
    try:
        call = _parsed(text)
        if not isinstance(call, ast.Call) or call.args or not all(k.arg for k in call.keywords):
            raise ValueError("expected name(key=value, ...)")
        return ast.unparse(call.func), {str(k.arg): _json(k.value) for k in call.keywords}
    except _FAILURES as error:
        raise ValueError(f"not a call with literals: {str(error)[:80]}") from None
