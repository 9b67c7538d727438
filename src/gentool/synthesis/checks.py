"""The named checks that everything a teacher makes has to pass. Pure functions: findings out, nothing changed.

A :class:`gentool.synthesis.records.Finding` names the check (a key of :data:`CHECKS`), the field and the reason.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from gentool.catalog.schema import call_problems, unusable
from gentool.jsonl import canonical_json
from gentool.records import GENERATE_RESPONSE, NAME_PATTERN, Grade, Tool, ToolCall, check_now
from gentool.scenarios.neighbours import tool_text
from gentool.synthesis.dates import relative_words
from gentool.synthesis.duplicates import near_query, overlap, same_query
from gentool.synthesis.grounding import ground_call
from gentool.synthesis.injection import injections, invisible, tool_texts
from gentool.synthesis.records import CallDraft, Finding, Ground, Judgement, QueryDraft, Status
from gentool.synthesis.text import name_words, words
from gentool.synthesis.weakness import parameters_of, richer_grounds, weaker_grounds

CHECKS: dict[str, str] = {
    "schema": "The tool's parameters are a JSON Schema against which calls can be checked.",
    "empty": "A tool says what it does, and a query asks something.",
    "name": "The tool's name is one that OpenAI accepts, and no other tool has it.",
    "too_long": "Neither a description nor a query is far longer than those that people write.",
    "injection": "No text speaks to the model that reads it, runs in a browser or hides characters.",
    "copy": "The derived tool is not the source tool in all but its name.",
    "not_weaker": "The derived tool is weaker than its source in parameters, texts or result, and richer in none.",
    "not_stronger": "The upgraded tool offers more than its source, and less in nothing.",
    "mentions_sibling": "The derived tool's texts neither name its source nor call the tool weak or strong.",
    "intended": "The query is meant for one of the two tools.",
    "names_tool": "The query does not give the answer away by a tool's name.",
    "placeholder": "The query has real values, not [CITY] or your_api_key.",
    "duplicate": "The query is not one that the pair has already.",
    "near_duplicate": "The query is not one that the pair has already in nearly the same words.",
    "now": "A query with words like tomorrow has the date they count from, in ISO 8601.",
    "left_out": "The teacher's answer has a call for each query that it was asked about.",
    "missing_argument": "The query gives a value for each required argument.",
    "call_schema": "The call is valid under the tool's schema.",
    "grounding": "Each value of the call follows from the query, a default or an enum; none is invented.",
    "judge_left_out": "The judge graded both tools for the query, twice and consistently.",
    "judge_unsteady": "The judge's grades do not depend on which tool is shown first.",
    "judge_order": "The judge finds the intended tool to be the best one.",
}
"""Name of a check -> what holds for everything that passes it."""

MAX_QUERY = 2_000
"""Longest query, in characters; the longest of the pairs that come with GenTool has some 300."""

MAX_DESCRIPTION = 4_000
"""Longest description of a derived tool, in characters; one as long as its source's and a quarter is fine too."""

_COPY = 0.9
_SIBLING = re.compile(
    r"\b(?:weaker|inferior|less (?:capable|powerful)|stronger|superior|more (?:capable|powerful)) "
    r"(?:\w+ )?(?:tool|version|variant|alternative|function|counterpart|sibling)\b|"
    r"\b(?:than|unlike|compared (?:to|with)) (?:the )?(?:other|original|full|source|sibling|first|second) "
    r"(?:\w+ )?(?:tool|version|function)\b|"
    r"\b(?:simplified|reduced|limited|stripped[- ]down|lite|weakened|degraded|enhanced|improved|upgraded) "
    r"(?:version|variant|form) of\b|"
    r"\buse (?:the )?(?:\w+ ){0,4}?(?:tool |function )?instead\b|\bthis (?:tool )?is (?:the )?(?:weak|strong)(?:er)?\b",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"[\[<](?:[A-Z][A-Z_ ]{2,}|(?i:your|insert|enter|some)[ _][^\]>]{1,40}|(?i:city|name|date|location|place|email|id|"
    r"url|value|number|topic|product|company|user)s?)[\]>]|"
    r"\{\{?\s*[a-z_][\w.]*\s*\}?\}|\$\{\w+\}|"
    r"\b(?i:your|insert|enter)_(?:[A-Za-z]+_)*[A-Za-z]+\b|\bYOUR[- ][A-Z]{2,}(?:[- ][A-Z]+)*\b|"
    r"\b(?:(?i:lorem ipsum|xxxx+)|TODO|TBD|PLACEHOLDER)\b"
)
"""Words that stand for a value; brackets as such do not: "he said [sic]" has none."""

_DATED = re.compile(r"\b(?:dates?|datetime|timestamp|since|until|yyyy|iso 8601)\b", re.IGNORECASE)


def _injection_findings(tool: Tool) -> Iterator[Finding]:
    for where, text in tool_texts(tool):
        for problem in injections(text):
            yield Finding(check="injection", where=where, reason=problem)


def name_findings(name: str, taken: Collection[str] = ()) -> list[Finding]:
    """What is wrong with ``name`` as that of a new tool beside those of ``taken``; it need not be a valid name."""
    reason = ""
    if not re.fullmatch(NAME_PATTERN, name):
        reason = f"expected 1 to 64 letters, digits, _ and -; found {name[:100]!r}"
    elif name == GENERATE_RESPONSE:
        reason = f"{name!r} is the name of the default tool"
    elif name in taken:
        reason = f"another tool has the name {name!r}"
    return [Finding(check="name", where="tool.name", reason=reason)] if reason else []


def source_findings(tool: Tool) -> list[Finding]:
    """Why no pair can be made of a tool of the catalogue; empty if one can."""
    findings = name_findings(tool.name)
    findings += [Finding(check="schema", where="tool.parameters", reason=text) for text in unusable(tool)]
    if not tool.description.strip() and not tool.parameters.get("properties"):
        findings.append(
            Finding(check="empty", where="tool", reason="it has neither a description nor parameters")
        )
    return [*findings, *_injection_findings(tool)]


def tool_findings(made: Tool, source: Tool, upgrade: bool, taken: Collection[str]) -> list[Finding]:
    """What is wrong with a tool that was derived from ``source``; ``taken`` are the names of all other tools."""
    findings = name_findings(made.name, taken)
    if made.name.casefold() == source.name.casefold() and not findings:
        findings.append(
            Finding(check="name", where="tool.name", reason=f"its source has the name {source.name!r}")
        )
    problems = unusable(made)
    findings += [Finding(check="schema", where="tool.parameters", reason=text) for text in problems]
    if not made.description.strip():
        findings.append(Finding(check="empty", where="tool.description", reason="it has no description"))
    most = max(MAX_DESCRIPTION, len(source.description) * 5 // 4)
    if len(made.description) > most:
        reason = f"expected at most {most:,} characters; found {len(made.description):,}"
        findings.append(Finding(check="too_long", where="tool.description", reason=reason))
    findings += _sibling_findings(made, source)
    findings += _injection_findings(made)
    return findings if problems else [*findings, *_order_findings(made, source, upgrade)]


def _bare(schema: object) -> object:
    """A schema without its texts."""
    if isinstance(schema, dict):
        texts = ("description", "title", "examples")
        return {k: _bare(v) for k, v in schema.items() if k not in texts or not isinstance(v, str | list)}
    return [_bare(v) for v in schema] if isinstance(schema, list) else schema


def _said(tool: Tool) -> str:
    """What a tool says of itself, its name aside."""
    return tool_text(tool).partition("\n")[2]


def _order_findings(made: Tool, source: Tool, upgrade: bool) -> Iterator[Finding]:
    """Is the derived tool a copy, or not what it was meant to be?"""
    same = canonical_json(_bare(made.parameters)) == canonical_json(_bare(source.parameters))
    alike = overlap(_said(made), _said(source))
    if same and alike >= _COPY:
        reason = f"the same parameters, and {alike:.0%} of all words are the same"
        yield Finding(check="copy", where="tool", reason=reason)
        return
    weak, strong = (source, made) if upgrade else (made, source)
    check = "not_stronger" if upgrade else "not_weaker"
    which = "source" if upgrade else "derived tool"
    if not set(weaker_grounds(weak, strong)) - {"name"}:
        reason = f"the {which} is weaker neither in parameters nor in description nor in result"
        yield Finding(check=check, where="tool", reason=reason)
    for ground in richer_grounds(weak, strong):
        yield Finding(check=check, where="tool", reason=f"the {which} is the richer one in its {ground}")


def _sibling_findings(made: Tool, source: Tool) -> Iterator[Finding]:
    """Texts of the derived tool that tell of the other one, which it is not always shown with."""
    plain = re.fullmatch(r"[a-z]+|[A-Z][a-z]+", source.name)
    named = re.compile(
        rf"[`'\"]{re.escape(source.name)}[`'\"]" if plain else rf"(?<![\w-]){re.escape(source.name)}(?![\w-])"
    )
    for where, text in tool_texts(made):
        if where == "tool.name":
            continue
        found = named.search(text) or _SIBLING.search(text)
        if found:
            yield Finding(check="mentions_sibling", where=where, reason=f"it says {found[0]!r}")


def _named(tool: Tool, query: str) -> str:
    """The words of ``query`` that are the tool's name; empty if it is not named.

    As it is written if that is not an ordinary word (get_weather, getWeather), and its words in a row if they are
    three or more: two, such as "stock price", are what a user says who never saw the tool.
    """
    if not re.fullmatch(r"[a-z]+|[A-Z][a-z]+", tool.name):
        found = re.search(rf"(?<![\w-]){re.escape(tool.name)}(?![\w-])", query, re.IGNORECASE)
        if found:
            return found[0]
    parts = name_words(tool.name)
    joined = " ".join(parts)
    return joined if len(parts) >= 3 and f" {joined} " in f" {' '.join(words(query))} " else ""


def query_findings(draft: QueryDraft, tools: tuple[Tool, Tool], earlier: Sequence[str]) -> list[Finding]:
    """What is wrong with a query for a pair; ``earlier`` are the queries that the pair has already."""
    text = draft.query
    if not words(text):
        return [Finding(check="empty", where="query", reason="it asks nothing")]
    reasons: list[tuple[str, str, str]] = []
    if len(text) > MAX_QUERY:
        found = f"expected at most {MAX_QUERY:,} characters; found {len(text):,}"
        reasons.append(("too_long", "query", found))
    if draft.intended not in {t.name for t in tools}:
        reasons.append(("intended", "query.intended", f"{draft.intended[:80]!r} is no tool of the pair"))
    for name in {_named(tool, text) for tool in tools} - {""}:
        reasons.append(("names_tool", "query", f"it says {name!r}"))
    placeholder = _PLACEHOLDER.search(text)
    if placeholder:
        reasons.append(("placeholder", "query", f"{placeholder[0]!r} stands for a value"))
    hidden = invisible(text)
    if hidden:
        reasons.append(("injection", "query", f"it has an invisible character ({hidden})"))
    same, near = same_query(text, earlier), near_query(text, earlier)
    if same is not None:
        reasons.append(("duplicate", "query", f"it is {same[:80]!r}"))
    elif near is not None:
        reasons.append(
            ("near_duplicate", "query", f"{near[1]:.0%} of the words are those of {near[0][:80]!r}")
        )
    reasons += [("now", "query.now", reason) for reason in _now_problems(draft, tools)]
    return [Finding(check=check, where=where, reason=reason) for check, where, reason in reasons]


def _takes_date(tool: Tool) -> bool:
    """Does a parameter of the tool want a date? Only then must a relative one have something to count from."""
    for path, schema in parameters_of(tool).items():
        said = f"{' '.join(name_words(path))} {schema.get('description') or ''}"
        if schema.get("format") in ("date", "date-time") or _DATED.search(said):
            return True
    return False


def _now_problems(draft: QueryDraft, tools: tuple[Tool, Tool]) -> list[str]:
    if draft.now is not None:
        try:
            check_now(draft.now)
        except ValueError:
            return [f"expected a date and time like 2026-03-14T09:30; found {draft.now[:60]!r}"]
        return []
    said = relative_words(draft.query) if any(map(_takes_date, tools)) else ""
    return [f"{said!r} counts from a date that is not given"] if said else []


def call_findings(
    tool: Tool, draft: QueryDraft, call: CallDraft | None
) -> tuple[list[Finding], dict[str, Ground]]:
    """What is wrong with a call of one tool for a query, and what each of its arguments is grounded in.

    ``None`` is a call that the teacher left out.
    """
    where = f"call.{tool.name}"
    if call is None:
        return [Finding(check="left_out", where=where, reason="the answer has no call for this query")], {}
    grounds, reasons = ground_call(tool, draft, call)
    missing = [
        Finding(check="missing_argument", where=f"{where}.{name}", reason="the query does not give it")
        for name in call.missing
    ]
    invented = [
        Finding(check="grounding", where=f"{where}.{name}", reason=reason) for name, reason in reasons.items()
    ]
    if missing:
        return [*missing, *invented], grounds
    problems = call_problems(tool, ToolCall.of(tool.name, call.arguments))
    invalid = [Finding(check="call_schema", where=where, reason=text) for text in problems]
    return [*invalid, *invented], grounds


_LEVEL: dict[Grade, int] = {"none": 0, "partial": 1, "full": 2}


def _judgement_problem(judgement: Judgement | None, names: tuple[str, str]) -> str:
    """Why a judgement cannot be used; empty if it can."""
    if judgement is None:
        return "the answer has no grades for this query"
    if set(judgement.grades) != set(names):
        return f"expected grades of {sorted(names)}; found {sorted(judgement.grades)}"
    useful = {n for n in names if judgement.grades[n] != "none"}
    if (judgement.best is None) != (not useful) or (
        judgement.best is not None and judgement.best not in useful
    ):
        return f"expected the best of {sorted(useful) or 'none: null'}; found {judgement.best!r}"
    if (
        judgement.best
        and judgement.grades[judgement.best] == "partial"
        and "full" in judgement.grades.values()
    ):
        return f"{judgement.best!r} is called the best, but graded partial beside one graded full"
    return ""


def verdict(
    draft: QueryDraft, names: tuple[str, str], judgements: Sequence[Judgement | None]
) -> tuple[Status, dict[str, Grade], str | None, list[Finding]]:
    """What the judge's two gradings make of a query: its status, grades, best tool, and why it is not accepted.

    Where the two gradings differ, a tool has the lower of its grades, and the best tool is one graded highest: the
    intended one if it is among these. Without a usable grading the intended tool alone is graded full.
    """
    findings = []
    usable: list[Judgement] = []
    for number, judgement in enumerate(judgements, start=1):
        problem = _judgement_problem(judgement, names)
        if problem or judgement is None:
            findings.append(Finding(check="judge_left_out", where=f"judgement.{number}", reason=problem))
        else:
            usable.append(judgement)
    if len(judgements) < 2:
        reason = f"expected two gradings; found {len(judgements)}"
        findings.append(Finding(check="judge_left_out", where="judgement", reason=reason))
    if not usable:
        grades: dict[str, Grade] = {n: "full" if n == draft.intended else "none" for n in names}
        return "disagreed", grades, draft.intended if draft.intended in names else None, findings
    grades = {n: min((j.grades[n] for j in usable), key=_LEVEL.__getitem__) for n in names}
    if any(j.grades != usable[0].grades or j.best != usable[0].best for j in usable):
        said = " and ".join(f"{j.best or 'neither'} {canonical_json(j.grades)}" for j in usable)
        findings.append(
            Finding(check="judge_unsteady", where="judgement", reason=f"with the order swapped: {said}")
        )
    other = sorted({str(j.best) for j in usable if j.best != draft.intended})
    if other:
        reason = f"meant for {draft.intended!r}; the judge prefers {' and '.join(other)}"
        findings.append(Finding(check="judge_order", where="judgement", reason=reason))
    best = _best(grades, [draft.intended, *(j.best for j in usable if j.best)])
    return "disagreed" if findings else "accepted", grades, best, findings


def _best(grades: dict[str, Grade], preferred: Sequence[str]) -> str | None:
    """The first of ``preferred`` among the tools graded highest; ``None`` if no tool is useful."""
    top = max(grades.values(), key=_LEVEL.__getitem__)
    if top == "none":
        return None
    highest = [n for n, grade in grades.items() if grade == top]
    return next((n for n in preferred if n in highest), highest[0])
