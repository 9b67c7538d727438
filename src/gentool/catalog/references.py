"""Checks that each ``$ref`` of a schema leads to a schema, without asking the network, and not in a circle."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]
from referencing.exceptions import CannotDetermineSpecification, Unresolvable
from referencing.jsonschema import DRAFT202012

from gentool.catalog.plain_schema import plain_references, plainly_valid


def _applied_here(schema: dict[str, Any]) -> Iterator[Any]:
    """The subschemas that judge the same value as ``schema`` does."""
    for key in ("allOf", "anyOf", "oneOf"):
        yield from schema.get(key, ())
    for key in ("not", "if", "then", "else"):
        if key in schema:
            yield schema[key]
    yield from schema.get("dependentSchemas", {}).values()


def reference_problems(schema: dict[str, Any]) -> list[str]:
    """What is wrong with the references of a valid ``schema``; empty if every one can be followed.

    Known are the schema itself and the meta-schemas of JSON Schema.
    """
    if plainly_valid(schema) and plain_references(schema):
        return []
    root = DRAFT202012.create_resource(schema)
    try:
        waiting = [(root, REGISTRY.resolver_with_root(root))]
    except (Unresolvable, ValueError) as error:
        return [f"`$id` cannot be used: {error}"]
    problems = []
    judged_with: dict[int, list[int]] = {}
    while waiting:
        resource, resolver = waiting.pop()
        here = resource.contents
        if not isinstance(here, dict) or id(here) in judged_with:
            continue
        same_value = judged_with[id(here)] = [id(s) for s in _applied_here(here) if isinstance(s, dict)]
        for key in ("$ref", "$dynamicRef"):
            if key not in here:
                continue
            try:
                target = resolver.lookup(here[key])
                Draft202012Validator.check_schema(target.contents)
            except (Unresolvable, ValueError):
                problems.append(f"{here[key]!r} leads nowhere")
            except SchemaError:
                problems.append(f"{here[key]!r} leads to something that is not a schema")
            else:
                same_value.append(id(target.contents))
                waiting.append((DRAFT202012.create_resource(target.contents), target.resolver))
        try:
            waiting += [(s, resolver.in_subresource(s)) for s in resource.subresources()]
        except (CannotDetermineSpecification, ValueError) as error:
            problems.append(f"`$id` or `$schema` cannot be used: {error}")
    if not problems:
        problems += _circle(judged_with)
    return problems


def _circle(judged_with: dict[int, list[int]]) -> list[str]:
    try:
        TopologicalSorter(judged_with).prepare()
    except CycleError:
        return ["a reference leads in a circle back to itself"]
    return []
