"""YAML that says what it means: plain values only, and nothing lost in silence."""

from __future__ import annotations

import re
from typing import Any

import yaml

from gentool.jsonl import printable


class _Loader(yaml.SafeLoader):
    """Refuses repeated keys, of which the last would win, and aliases, which grow a few lines to gigabytes.

    ``on``, ``off``, ``yes`` and ``no`` are texts, as in YAML 1.2; PyYAML, of 1.1, makes them booleans.
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


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:bool"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


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
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: 2026-13-45, which is no date
        nested = isinstance(error, RecursionError)
        problem = "values nested too deeply" if nested else " ".join(str(error).split())[:200]
        raise ValueError(
            printable(f": expected YAML; found {problem}. Fix: correct the file; write texts in quotes.")
        ) from None
