"""Is a call right? Argument by argument, with what the schema and the alternatives allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gentool.records import GradedQuery, Tool, ToolCall

_ABSENT = object()


def same_value(found: Any, expected: Any) -> bool:
    """Equal values: strings up to case and white space, numbers by value, true and 1 apart."""
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    if isinstance(found, str) and isinstance(expected, str):
        return " ".join(found.split()).casefold() == " ".join(expected.split()).casefold()
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(same_value, found, expected))
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same_value(found[k], expected[k]) for k in found)
    numbers = isinstance(found, int | float) and isinstance(expected, int | float)
    return bool((numbers or type(found) is type(expected)) and found == expected)


@dataclass(frozen=True)
class CallMatch:
    """How a call compares with the reference; see ``docs/metrics.md``.

    ``missing``, ``extra`` and ``wrong`` name the arguments at fault; ``values`` is the share of the arguments,
    of either call, that are right.
    """

    missing: tuple[str, ...]
    extra: tuple[str, ...]
    wrong: tuple[str, ...]
    values: float

    @property
    def names_match(self) -> bool:
        return not self.missing and not self.extra

    @property
    def exact(self) -> bool:
        return self.names_match and not self.wrong


def _acceptable(
    name: str, reference: Mapping[str, Any], alternatives: Mapping[str, list[Any]], tool: Tool
) -> list[Any]:
    """Values that an argument may have; ``_ABSENT`` among them if it may be left out."""
    values = [reference[name]] if name in reference else [_ABSENT]
    values += [_ABSENT if v is None else v for v in alternatives.get(name, [])]
    schema = tool.parameters.get("properties", {}).get(name)
    if isinstance(schema, dict) and "default" in schema:
        default = schema["default"]
        if _ABSENT in values:
            values.append(default)
        elif any(same_value(v, default) for v in values):
            values.append(_ABSENT)
    return values


def match_call(call: ToolCall, query: GradedQuery, tool: Tool) -> CallMatch:
    """Compare the arguments of a call of ``tool`` with the reference call of the query.

    An argument left out equals its schema's default; ``null`` equals leaving out, unless the reference is null.
    """
    reference = query.call_of(tool.name).arguments
    alternatives = query.alternatives.get(tool.name, {})
    missing: list[str] = []
    extra: list[str] = []
    wrong: list[str] = []
    counted = 0
    for name in sorted({*reference, *call.arguments}):
        acceptable = _acceptable(name, reference, alternatives, tool)
        found = call.arguments.get(name, _ABSENT)
        if found is None and reference.get(name, _ABSENT) is not None:
            found = _ABSENT
        if found is _ABSENT:
            if _ABSENT in acceptable:
                continue
            missing.append(name)
        elif not any(v is not _ABSENT and same_value(found, v) for v in acceptable):
            (extra if name not in reference and name not in alternatives else wrong).append(name)
        counted += 1
    faults = len(missing) + len(extra) + len(wrong)
    return CallMatch(
        tuple(missing), tuple(extra), tuple(wrong), (counted - faults) / counted if counted else 1.0
    )
