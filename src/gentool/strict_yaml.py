"""YAML that says what it means: plain values only, and nothing lost in silence."""

from __future__ import annotations

import re
from typing import Any

import yaml

from gentool.jsonl import printable


class _Loader(yaml.SafeLoader):
    """Refuses repeated keys, of which the last would win, and aliases, which grow a few lines to gigabytes.

    Plain words are what they are in YAML 1.2 (PyYAML has 1.1, where off is false, 12:30 is 750 and 010 is 8).
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.get_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="an alias (*name); write the value out", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"the key {key.value!r} twice; keep one"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Puts quotes around every text that a reader of YAML 1.1 or 1.2 would take for something else."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"(?:~|null|Null|NULL|)", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
        list("-+.0123456789"),
    ),
):
    for _kind in (_Loader, _Dumper):
        _kind.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def dump_yaml(value: Any) -> str:
    """``value`` as YAML that :func:`parse_yaml` reads back as it was, keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def parse_yaml(text: str) -> Any:
    """The value of a YAML document. Tags such as ``!!python/object`` are refused, never followed.

    Raises ``ValueError`` with a text that begins with ``:line:column: `` where they are known, else ``: ``.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = " ".join(str(error.problem or error.context).split())
        raise ValueError(printable(f"{at}: expected YAML; found {problem}. Fix: correct the line.")) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a number of 5,000 digits
        nested = isinstance(error, RecursionError)
        problem = "values nested too deeply" if nested else " ".join(str(error).split())[:200]
        raise ValueError(
            printable(f": expected YAML; found {problem}. Fix: correct the file; write texts in quotes.")
        ) from None
