"""``gentool data``: look at the open dataset, check it, take a part of it out."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gentool import data
from gentool.config import ConfigError
from gentool.jsonl import read_jsonl_lines, write_jsonl
from gentool.records import GradedQuery, Tool, ToolPair

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="The open dataset (gentool-open): look at it, check it, take a part of it out.",
)

Pairs = Annotated[
    Path | None, typer.Option("--pairs", help="Another file of pairs; the open dataset if not given.")
]
Domain = Annotated[list[str] | None, typer.Option("--domain", "-d", help="Only these domains.")]
Groups = Annotated[list[str] | None, typer.Option("--group", "-g", help="Only these groups (T, D, A, B, U).")]
How = Annotated[list[str] | None, typer.Option("--how", help="Only these ways of being weaker.")]
Find = Annotated[str | None, typer.Option("--find", help="Only pairs with this text in a tool or query.")]
Challenge = Annotated[bool, typer.Option("--challenge", help="Only the challenge.")]


def chosen(
    pairs: Sequence[ToolPair],
    domain: Sequence[str] | None = None,
    group: Sequence[str] | None = None,
    how: Sequence[str] | None = None,
    find: str | None = None,
    challenge: bool = False,
) -> list[ToolPair]:
    """The pairs that fit all that is given. Raises :class:`ConfigError` for a value that no pair has."""
    for option, values, known in (
        ("--domain", domain, {p.domain for p in pairs}),
        ("--group", group, {p.group for p in pairs}),
        ("--how", how, {p.derivation.how for p in pairs}),
    ):
        for value in values or []:
            if value not in known:
                there = ", ".join(sorted(str(k) for k in known))
                raise ConfigError(
                    f"{option}: expected one of {there}; found {value!r}. Fix: choose one of these."
                )
    return [
        pair
        for pair in pairs
        if (not domain or pair.domain in domain)
        and (not group or pair.group in group)
        and (not how or pair.derivation.how in how)
        and (not challenge or pair.challenge)
        and (not find or find.lower() in _text(pair))
    ]


def _text(pair: ToolPair) -> str:
    queries = [q.query for q in pair.queries]
    return "\n".join([*pair.names, *(t.description for t in pair.tools), *queries]).lower()


def _tool(tool: Tool, title: str) -> Panel:
    required = tool.parameters.get("required", [])
    rows = [
        Text(f"{'*' if name in required else ' '} {name}: {json.dumps(schema, ensure_ascii=False)}")
        for name, schema in tool.parameters.get("properties", {}).items()
    ]
    return Panel(Group(Text(tool.description, style="italic"), *rows), title=Text(f"{title}: {tool.name}"))


def _query(pair: ToolPair, query: GradedQuery) -> Group:
    strong, weak = pair.derivation.from_tool, pair.derivation.tool
    best = {strong: "strong", weak: "weak"}.get(query.best or "", "neither")
    head = Text(query.query, style="bold")
    if query.now:
        head.append(f"  [{query.now}]", style="dim")
    lines = [
        head,
        Text(f"  best: {best}; strong {query.grades[strong]}, weak {query.grades[weak]}. {query.reason}"),
    ]
    lines += [
        Text(f"  {c.name}({json.dumps(c.arguments, ensure_ascii=False)})", style="cyan")
        for c in query.tool_calls
    ]
    return Group(*lines)


def _read(pairs: Path | None) -> list[ToolPair]:
    from gentool.catalog.pairs import read_pairs

    return read_pairs(pairs or data.OPEN / "pairs.jsonl.gz")


@app.command()
def show(
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many pairs.")] = 1,
    sample: Annotated[
        int | None, typer.Option("--sample", min=0, help="Draw them with this seed; else the first ones.")
    ] = None,
    pairs: Pairs = None,
    domain: Domain = None,
    group: Groups = None,
    how: How = None,
    find: Find = None,
    challenge: Challenge = False,
) -> None:
    """Print pairs with their queries, grades and calls.

    \b
    Examples:
      gentool data show --domain travel
      gentool data show --how older_version --sample 7 -n 3
    """
    found = chosen(_read(pairs), domain, group, how, find, challenge)
    if sample is not None:
        random.Random(sample).shuffle(found)
    console = Console()
    for pair in found[:number]:
        group_text = f"group {pair.group}" + (", challenge" if pair.challenge else "")
        console.rule(Text(f"{pair.domain}, {group_text}, {pair.derivation.how}"))
        console.print(Text(pair.derivation.note))
        console.print(_tool(pair.tool(pair.derivation.from_tool), "strong"))
        console.print(_tool(pair.tool(pair.derivation.tool), "weak"))
        for query in pair.queries:
            console.print(_query(pair, query))
    print(f"{min(number, len(found))} of {len(found)} pairs")


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write pairs.jsonl and tools.jsonl to.")],
    pairs: Pairs = None,
    domain: Domain = None,
    group: Groups = None,
    how: How = None,
    find: Find = None,
    challenge: Challenge = False,
) -> None:
    """Write pairs, and the stand-alone tools of their domains, as plain JSONL for `data.pairs` and `data.tools`.

    \b
    Example:
      gentool data export --domain travel --domain weather --out small
    """
    from gentool.catalog.pairs import read_tools

    found = chosen(_read(pairs), domain, group, how, find, challenge)
    if not found:
        raise ConfigError("no pair fits all that is asked. Fix: ask for less.")
    domains = {p.domain for p in found}
    tools = [t for t in read_tools(data.OPEN / "tools.jsonl.gz") if t.domain in domains]
    write_jsonl(out / "pairs.jsonl", found)
    write_jsonl(out / "tools.jsonl", tools)
    print(
        f"{out}: {len(found)} pairs, {sum(len(p.queries) for p in found)} queries, {len(tools)} stand-alone tools"
    )


@app.command()
def check(
    embedding: Annotated[
        bool, typer.Option("--embedding", help="Measure the embedding ranker too; takes minutes.")
    ] = False,
) -> None:
    """Run all checks of the open dataset; ends with its figures as one JSON object.

    \b
    Ends with exit code 2 if a check fails. `gentool check` looks at your own pairs.
    """
    from gentool.catalog.pairs import read_tools
    from gentool.dataset.checks import check_dataset
    from gentool.dataset.readings import Reading

    path = data.OPEN / "readings.jsonl.gz"
    readings = [Reading.model_validate(value) for _, value in read_jsonl_lines(path)]
    checked = check_dataset(_read(None), read_tools(data.OPEN / "tools.jsonl.gz"), readings, embedding)
    table = Table("figure", "value", box=SIMPLE_HEAD)
    for name, value in checked.figures.items():
        table.add_row(Text(name), Text(json.dumps(value, ensure_ascii=False)))
    Console().print(table)
    for problem in checked.problems:
        Console(stderr=True).print(Text(f"problem: {problem}"), soft_wrap=True)
    print(json.dumps({name: checked.figures[name] for name in HEADLINE}))
    if checked.problems:
        raise typer.Exit(2)


HEADLINE = (
    "pairs",
    "queries",
    "domains",
    "agreement",
    "kappa",
    "lexical_ranker_accuracy",
    "tools_only_accuracy",
    "invalid_calls",
)
"""The figures of the last line that ``gentool data check`` prints."""
