"""The page ``docs/options.md``: every option of a recipe, from the models in ``config.py``.

``python -m gentool.options > docs/options.md`` writes it anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from gentool.config import Config

_HEAD = """\
# Options of a recipe

A recipe is one YAML file. Every option may be left out but `name` and, to train, the model to start from (`model.path`
or `model.random_init`). `--set KEY=VALUE` changes one for a call: `--set train.epochs=2`. An unknown key is refused
with the nearest known name. All options of a run, defaults included, are in `runs/<name>/config.yaml`.

`NAME` stands for a key of your choice or one of those listed, `[]` for an entry of a list. Paths are relative to the
folder you start from. More on them: [training](training.md), [file formats](formats.md),
[models behind servers](servers.md), [metrics](metrics.md).

This page is made by `python -m gentool.options > docs/options.md`.
"""


@dataclass(frozen=True)
class Option:
    """One key of a recipe; ``values``, ``default`` and ``meaning`` as text in Markdown."""

    key: str
    values: str
    default: str
    meaning: str


def _words(values: list[str]) -> str:
    """``a, b or c``."""
    return " or ".join(filter(None, [", ".join(values[:-1]), values[-1]]))


def _literals(values: list[Any]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _number(schema: dict[str, Any], plural: str) -> str:
    """A number and its limits."""
    kind = ("integer" if schema["type"] == "integer" else "number") + plural
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return " ".join([kind, " and ".join(f"{s} {schema[k]}" for k, s in signs.items() if k in schema)]).strip()


def _mapping(schema: dict[str, Any]) -> str:
    names = schema.get("propertyNames", {}).get("enum")
    values = schema.get("additionalProperties")
    to = "groups" if "patternProperties" in schema else isinstance(values, dict) and _values(values, "s")
    return "mapping" + (f" of {_literals(names)}" if names else "") + (f" to {to}" if to else "")


def _values(schema: dict[str, Any], plural: str = "") -> str:
    """What an option may be, in words; ``plural``: the ending of the noun."""
    if "anyOf" in schema:
        return _words([_values(part, plural) for part in schema["anyOf"]])
    if "enum" in schema:
        return _literals(schema["enum"])
    if "$ref" in schema:
        return f"group{plural}"
    match schema["type"]:
        case "null":
            return "`null`"
        case "boolean":
            return "`true`, `false`"
        case "integer" | "number":
            return _number(schema, plural)
        case "array":
            return f"list of {_values(schema['items'], 's')}"
        case "object":
            return _mapping(schema)
    return f"text{plural}"


def _default(value: Any) -> str:
    """A value as it is written in a recipe."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=1000)
    return "`" + text.removesuffix("...\n").strip() + "`"


def _inner(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The groups of options within an option: what is added to its key, and the name of the group."""
    for part in schema.get("anyOf", [schema]):
        named = [*part.get("patternProperties", {}).values(), part.get("additionalProperties")]
        for added, place in (("", part), ("[]", part.get("items")), *((".NAME", value) for value in named)):
            if isinstance(place, dict) and "$ref" in place:
                yield added, place["$ref"].rpartition("/")[2]


def _options(group: dict[str, Any], groups: dict[str, Any], before: str) -> Iterator[Option]:
    """The options of a group and of those in it, in the order of ``config.py``."""
    required = group.get("required", [])
    for name, schema in group["properties"].items():
        key = before + name
        if "$ref" not in schema:
            default = "required" if name in required else _default(schema["default"])
            yield Option(key, _values(schema), default, schema.get("description", ""))
        for added, found in _inner(schema):
            yield from _options(groups[found], groups, f"{key}{added}.")


def options() -> list[Option]:
    """Every option of a recipe."""
    schema = Config.model_json_schema()
    return list(_options(schema, schema["$defs"], ""))


def options_page() -> str:
    """The text of ``docs/options.md``."""
    schema = Config.model_json_schema()
    sections: dict[str, list[Option]] = {}
    for option in options():
        group, dot, _ = option.key.partition(".")
        sections.setdefault(group if dot or "$ref" in schema["properties"][group] else "", []).append(option)
    lines = [_HEAD]
    for group, rows in sections.items():
        if group:
            named = next(name for added, name in _inner(schema["properties"][group]) if not added)
            about = schema["$defs"][named]["description"]
            lines += [f"## {group}\n", about.replace("``", "`") + "\n"]
        lines += ["| option | values | default | meaning |", "|---|---|---|---|"]
        for row in rows:
            meaning = row.meaning.replace("|", "\\|")
            lines.append(f"| `{row.key}` | {row.values} | {row.default} | {meaning} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    print(options_page(), end="")
