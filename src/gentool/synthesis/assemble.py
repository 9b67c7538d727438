"""Units and decisions -> ``pairs.jsonl``, ``rejected.jsonl`` and the funnel, one unit in memory at a time."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from gentool.jsonl import parse_record, read_jsonl_lines, to_json, write_parts, write_text
from gentool.records import (
    GENERATE_RESPONSE,
    Derivation,
    GradedQuery,
    Record,
    Tool,
    ToolCall,
    ToolPair,
)
from gentool.synthesis.catalogue import renamed
from gentool.synthesis.duplicates import query_key
from gentool.synthesis.funnel import Funnel
from gentool.synthesis.gate import decided, edit_problems, standing
from gentool.synthesis.records import Decision, Finding, Item, Seed, Unit, pair_key
from gentool.synthesis.store import Units


class Rejected(Record):
    """Something that is not trained on: a line of ``rejected.jsonl``. ``check`` is that of the first finding.

    ``tools``: names of the source tool and, where there is one, of the tool made of it. ``answers`` are those that
    could not be used, shortened.
    """

    what: Literal["pair", "query"]
    seed: str
    tools: tuple[str, ...]
    item: str | None = None
    query: str | None = None
    check: str
    findings: tuple[Finding, ...] = ()
    answers: tuple[Finding, ...] = ()


def read_decisions(path: Path) -> dict[str, list[Decision]]:
    """Item -> decisions on it, in order. A last line that a crash cut short is left out.

    Raises :class:`gentool.jsonl.RecordError` for a bad line.
    """
    found: dict[str, list[Decision]] = {}
    if path.is_file():
        for number, value in read_jsonl_lines(path, whole=True):
            decision = parse_record(Decision, value, f"{path}:{number}")
            found.setdefault(decision.item, []).append(decision)
    return found


class _Taken:
    """What pairs have already: names, pairs, and queries as 64-bit hashes, so that millions of them fit."""

    def __init__(self, catalogue: Iterable[str]) -> None:
        self._names = {GENERATE_RESPONSE, *catalogue}
        self._sources: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._known: set[int] = set()

    def is_new(self, key: str) -> bool:
        """Whether no pair or query had this key (16 hex digits at most); it is taken from now on."""
        number = int(key, 16)
        known = number in self._known
        self._known.add(number)
        return not known

    def names(self, source: Tool, made: Tool) -> tuple[str, str]:
        """Names for the tools of a pair, which no other pair has; a number is put behind one that is taken.

        The tool of the catalogue keeps its name in the first pair that is made of it.
        """
        if source.id in self._sources:
            return self._free(source.name), self._free(made.name)
        self._sources.add(source.id)
        return source.name, self._free(made.name)

    def _free(self, name: str) -> str:
        found = name
        while found in self._names:
            number = self._numbers[name] = self._numbers.get(name, 1) + 1
            found = f"{name[: 63 - len(str(number))]}_{number}"
        self._names.add(found)
        return found


def _renamed(query: GradedQuery, names: Mapping[str, str]) -> GradedQuery:
    """The query for a pair whose tools have other names: old -> new."""
    return GradedQuery(
        query=query.query,
        now=query.now,
        grades={names[n]: grade for n, grade in query.grades.items()},
        best=query.best and names[query.best],
        reason=query.reason,
        tool_calls=tuple(ToolCall.of(names[c.name], c.arguments) for c in query.tool_calls),
        alternatives={names[n]: values for n, values in query.alternatives.items()},
    )


class Assembly:
    """Goes through the units of a run in the order of their seeds. ``funnel`` is whole at the end."""

    def __init__(
        self,
        catalogue: Iterable[Tool],
        decisions: Mapping[str, Sequence[Decision]],
        require_review: bool = False,
    ) -> None:
        self.funnel = Funnel()
        self._taken = _Taken(tool.name for tool in catalogue)
        self._decisions = decisions
        self._require_review = require_review

    def add(self, unit: Unit | None) -> tuple[ToolPair | None, list[Rejected]]:
        """What becomes of the next seed's unit (``None``: there is none yet): a pair or none, and what is left out."""
        self.funnel.seeds += 1
        if unit is None:
            self.funnel.left += 1
            return None, []
        self.funnel.answers.update(f.check for f in unit.refused)
        if unit.tools is None or unit.derivation is None:
            return None, [self._reject_pair(unit, unit.findings)]
        if not self._taken.is_new(pair_key(*unit.tools)):
            reason = "another seed gave the same two tools"
            found = Finding(check="duplicate_pair", where="tools", reason=reason)
            return None, [self._reject_pair(unit, [found])]
        rejected: list[Rejected] = []
        queries = [q for item in unit.items if (q := self._query(unit, item, rejected)) is not None]
        if not queries:
            causes = list(unit.findings[::-1])  # the last one ended the work
            if unit.items or not causes:
                reason = "none of its queries was accepted"
                causes.insert(0, Finding(check="no_queries", where="queries", reason=reason))
            rejected.append(self._reject_pair(unit, causes))
            return None, rejected
        pair = self._pair(unit.tools, unit.derivation, unit.domain, queries)
        self.funnel.pairs += 1
        self.funnel.accepted += len(queries)
        self.funnel.richer_best += sum(q.best == pair.derivation.from_tool for q in pair.queries)
        self.funnel.renamed += sum(a.name != b.name for a, b in zip(unit.tools, pair.tools, strict=True))
        return pair, rejected

    def _pair(
        self, tools: tuple[Tool, Tool], derivation: Derivation, domain: str, queries: Sequence[GradedQuery]
    ) -> ToolPair:
        source, made = tools
        first, second = self._taken.names(source, made)
        names = {source.name: first, made.name: second}
        return ToolPair(
            domain=domain,
            tools=(renamed(source, first), renamed(made, second)),
            derivation=Derivation(
                tool=names[derivation.tool],
                from_tool=names[derivation.from_tool],
                how=derivation.how,
                note=derivation.note,
            ),
            queries=tuple(_renamed(q, names) for q in queries),
        )

    def _query(self, unit: Unit, item: Item, rejected: list[Rejected]) -> GradedQuery | None:
        """What is trained on of an item; what is rejected of it is noted and counted."""
        decisions = self._decisions.get(item.id, ())
        counting = standing(decisions).values()
        self.funnel.queries += 1
        self.funnel.reviewed += bool(counting)
        query = decided(item, decisions, self._require_review)
        objections = self._objections(unit, item, counting, query)
        if objections:
            self.funnel.queries_rejected[objections[0].check] += 1
            rejected.append(
                Rejected(
                    what="query",
                    seed=unit.seed.id,
                    tools=_names(unit),
                    item=item.id,
                    query=item.draft.query,
                    check=objections[0].check,
                    findings=tuple(objections),
                )
            )
            return None
        if query is None and item.status == "accepted":
            self.funnel.unreviewed += 1
        elif query is None:
            self.funnel.disagreed += 1
        return query

    def _objections(
        self, unit: Unit, item: Item, counting: Iterable[Decision], query: GradedQuery | None
    ) -> Sequence[Finding]:
        """Why an item is rejected; none if it is trained on or waits for a person."""
        refused = [d for d in counting if d.decision == "reject"]
        if refused:
            reason = "; ".join(f"{d.reviewer}: {d.reason or 'no reason given'}" for d in refused)
            return [Finding(check="review", where="query", reason=reason)]
        if query is None:
            return item.findings if item.status == "rejected" else []
        if query is not item.graded and unit.tools is not None:  # edited
            problems = edit_problems(query, unit.tools)
            if problems:
                return [Finding(check="edit", where="query", reason=text) for text in problems]
        if not self._taken.is_new(query_key(query.query)):
            reason = "a query of this or of an earlier pair is the same but for filler words and endings"
            return [Finding(check="duplicate_across_pairs", where="query", reason=reason)]
        return []

    def _reject_pair(self, unit: Unit, findings: Sequence[Finding]) -> Rejected:
        check = findings[0].check
        self.funnel.pairs_rejected[check] += 1
        return Rejected(
            what="pair",
            seed=unit.seed.id,
            tools=_names(unit),
            check=check,
            findings=tuple(findings),
            answers=unit.refused,
        )


def _names(unit: Unit) -> tuple[str, ...]:
    return tuple(tool.name for tool in unit.tools) if unit.tools else (unit.seed.tool.name,)


def assemble(
    folder: Path,
    seeds: Iterable[Seed],
    units: Units,
    catalogue: Iterable[Tool],
    require_review: bool = False,
    tell: Callable[[int], None] = lambda done: None,
) -> Funnel:
    """Write ``pairs.jsonl``, ``rejected.jsonl`` and ``synthesis/funnel.json`` of a run folder, each whole or not.

    The result depends on seeds, units and decisions, not on the order in which units were made. Held in memory are
    one unit, the decisions, names, and a hash of each query. ``tell`` is called with the number of seeds done.
    """
    assembly = Assembly(catalogue, read_decisions(folder / "reviews.jsonl"), require_review)
    with tempfile.TemporaryFile("w+", encoding="utf-8", dir=folder) as aside:

        def lines() -> Iterator[str]:
            for number, unit in enumerate(_in_order(seeds, units), start=1):
                pair, rejected = assembly.add(unit)
                aside.writelines(to_json(r) + "\n" for r in rejected)
                if pair is not None:
                    yield to_json(pair) + "\n"
                tell(number)

        write_parts(folder / "pairs.jsonl", lines())
        aside.seek(0)
        write_parts(folder / "rejected.jsonl", aside)
    funnel = assembly.funnel
    write_text(folder / "synthesis" / "funnel.json", json.dumps(funnel.json(), indent=1) + "\n")
    return funnel


def _in_order(seeds: Iterable[Seed], units: Units) -> Iterator[Unit | None]:
    if not units.path.is_file():
        yield from (None for _ in seeds)
        return
    with units.path.open("rb") as file:
        for seed in seeds:
            yield units.get(seed.id, file)
