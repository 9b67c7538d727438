"""Whatever a file holds, reading it takes it or refuses it as bad input: no other error gets out."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gentool.catalog.importer import import_tools
from gentool.catalog.pairs import read_pairs, read_tools
from gentool.jsonl import GenToolError, printable
from gentool.recipe import load_config
from tests.test_bad_input import GOOD, MCP
from tests.test_records import pair, tool

WORDS = ["$ref", "$id", "$schema", "$defs", "$anchor", "$dynamicRef", "type", "properties", "required"]
WORDS += ["items", "enum", "pattern", "allOf", "not", "const"]
VALUES = [
    "object",
    "string",
    "(",
    "#",
    "#/properties/city",
    "#/$defs/a",
    "http://[",
    "file:///etc/passwd",
    "\ud800",
]
TEXT = st.text(st.characters(), max_size=8)
KEY = st.sampled_from(WORDS) | TEXT
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(VALUES) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all parts of a JSON value, itself included."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in parts for place in places(part, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn, good: Any) -> Any:
    """``good`` with one to three of its parts replaced, removed, or given a further field."""
    value = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        *path, last = (None, *draw(st.sampled_from(places(value))))
        if last is None:
            return draw(JUNK)
        whole = value
        for key in path[1:]:
            whole = whole[key]
        change = draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "remove":
            del whole[last]
        elif change == "add" and isinstance(whole, dict):
            whole[draw(KEY)] = draw(JUNK)
        else:
            whole[last] = draw(JUNK)
    return value


def refuses(read: Callable[[Path], Any], path: Path, content: bytes) -> None:
    """``read`` takes ``content``, or refuses it as bad input is refused."""
    path.write_bytes(content)
    try:
        read(path)
    except GenToolError as error:
        printable(str(error)).encode()
        assert path.name in str(error)


READERS: dict[str, tuple[Callable[[Path], Any], Any]] = {
    "pairs": (read_pairs, pair()),
    "tools": (read_tools, tool(output_schema={"type": "object"})),
    "import OpenAI": (import_tools, [tool(), tool("b")]),
    "import MCP": (import_tools, MCP),
    "recipe": (load_config, GOOD | {"train": {"arms": ["sft"], "stages": {"rank": {"epochs": 2}}}}),
}
anything = pytest.mark.parametrize(("read", "good"), READERS.values(), ids=READERS.keys())
quick = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@anything
@quick
@given(data=st.data())
def test_any_change_of_a_good_file_is_taken_or_refused(
    read: Callable[[Path], Any], good: Any, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    value = data.draw(mutated(good))
    refuses(read, tmp_path_factory.getbasetemp() / "x.jsonl", json.dumps(value).encode())


@anything
@quick
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode), cut=st.integers(0, 400))
def test_any_bytes_are_taken_or_refused(
    read: Callable[[Path], Any], good: Any, content: bytes, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "x.jsonl"
    refuses(read, path, content)
    text = json.dumps(good).encode()
    refuses(read, path, text[:cut] + content + text[cut:])
