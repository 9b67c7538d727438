"""Values that a user could give for a parameter, from its enum, default and examples, or from small pools."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from gentool.catalog.schema import call_problems
from gentool.records import Function, Tool, ToolCall
from gentool.synthesis.dates import MONTHS
from gentool.synthesis.text import name_words

SECRET = re.compile(
    r"(?:access|auth|api|bearer|refresh|session|personal|csrf|id|bot)_?token|^token$|api_?key|passw|secret|credential|"
    r"private_?key|authorization|cookie|mnemonic|signature",
    re.IGNORECASE,
)
"""Parameters that no user says aloud to an assistant."""
UNSAID = re.compile(
    r"cursor|^after$|^before$|offset|page_?token|etag|time_?out|callback|nonce|trace|debug|session|context|schema|"
    r"regex|selector|^properties$|^fields$|headers?$|batch|interval|retries|cache|verbose|raw|internal",
    re.IGNORECASE,
)
"""Optional parameters that programs set, and users do not ask for."""

_POOLS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"e-?mail|recipient|cc|bcc", ("mara.lind@example.com", "orders@example.org", "j.okafor@example.net")),
    (r"url|uri|link|website|webpage", ("https://example.com/news", "https://example.org/docs/start", "https://example.net/shop")),
    (r"domain|host|hostname", ("example.com", "example.org", "example.net")),
    (r"ip", ("203.0.113.24", "198.51.100.7", "192.0.2.61")),
    (r"phone|mobile|fax|tel", ("+49 30 5550142", "+1 202 555 0147", "+44 20 7946 0182")),
    (r"country|nation|nationality", ("Norway", "Japan", "Brazil", "Kenya", "Portugal", "Canada")),
    (r"state|province", ("Texas", "Bavaria", "Ontario", "Queensland")),
    (r"city|town|location|place|origin|destination|departure|arrival|area|region|venue|where|from|to|near",
     ("Oslo", "Lyon", "Osaka", "Denver", "Nairobi", "Porto", "Gdansk", "Quito")),
    (r"address|street", ("14 Harbour Lane, Bristol", "220 Cedar Street, Denver", "8 Rue des Lilas, Lyon")),
    (r"zip|postal|postcode", ("80331", "10115", "94110")),
    (r"currency|base|quote", ("EUR", "USD", "JPY", "GBP")),
    (r"language|lang|locale", ("French", "German", "Spanish", "Japanese")),
    (r"timezone|tz", ("Europe/Berlin", "America/New_York", "Asia/Tokyo")),
    (r"symbol|ticker|stock|coin|token", ("AAPL", "MSFT", "SIE", "TSM")),
    (r"company|business|organization|organisation|brand|vendor|supplier|client|employer|org",
     ("Globex", "Initech", "Umber Foods", "Northwind")),
    (r"user_?name|login|handle|account", ("mlind", "j_okafor", "rivera88")),
    (r"person|author|artist|actor|player|patient|customer|owner|assignee|student|employee|first_?name|full_?name|user|member|name_of",
     ("Mara Lind", "Jonas Okafor", "Ana Rivera", "Priya Nair")),
    (r"repo|repository|project", ("orchid", "kestrel", "tern", "heron")),
    (r"version|release", ("2.1", "3.4", "1.0")),
    (r"package|library|module|dependency|plugin", ("requests", "lodash", "pandas", "express")),
    (r"branch", ("main", "develop", "release-4")),
    (r"folder|directory|dir|workspace|root", ("/home/mara/reports", "/srv/data", "/tmp/build")),
    (r"file|filename|path|document|attachment|image|photo|video|audio",
     ("notes/march.txt", "reports/budget.csv", "photos/harbour.png", "minutes.pdf")),
    (r"colou?r", ("green", "dark blue", "red", "amber")),
    (r"table|collection|database|db|schema|dataset|index|sheet", ("orders", "customers", "invoices", "sensors")),
    (r"column|field|property|attribute|key|metric|variable", ("price", "weight", "status", "height")),
    (r"title|subject|heading|headline|caption",
     ("Spring fair", "Budget draft", "Moving day", "Reading list")),
    (r"message|text|content|body|comment|note|description|prompt|instruction|reason|feedback|summary|sentence|review|details",
     ("The delivery arrives at the back door", "Our meeting moves to the blue room", "The garden gate needs new hinges",
      "Tickets go on sale in the main hall")),
    (r"question", ("How do tides work?", "Why is the sky dark at night?", "What makes bread rise?")),
    (r"query|search|keyword|keywords|topic|term|terms|q|theme|interest|phrase|tag|tags",
     ("solar panels", "wild bees", "electric bikes", "sourdough", "tidal power", "rail travel")),
    (r"category|genre|type|kind|class|industry|sector|field", ("history", "sport", "science", "travel")),
    (r"product|item|article|goods", ("desk lamp", "rain jacket", "coffee grinder", "bicycle pump")),
    (r"movie|film|show|series", ("The Long Tide", "Paper Kites", "Night Ledger")),
    (r"song|track|album|playlist", ("Blue Lantern", "Slow Rivers", "Paper Kites")),
    (r"book|novel", ("The Salt Road", "A Map of Winds", "Nine Lanterns")),
    (r"food|dish|recipe|ingredient|ingredients|meal|cuisine", ("lentils", "mushrooms", "salmon", "spinach")),
    (r"disease|symptom|symptoms|condition|diagnosis", ("asthma", "migraine", "fever", "back pain")),
    (r"drug|medication|medicine", ("ibuprofen", "amoxicillin", "metformin")),
    (r"animal|pet|species|breed", ("otter", "barn owl", "border collie", "red fox")),
    (r"plant|crop|tree", ("tomato", "lavender", "maize", "apple tree")),
    (r"sport|team|club|league", ("Harbour City", "Lyon", "Leeds")),
    (r"device|sensor|machine|equipment|instrument", ("pump 4", "boiler 2", "scanner 7")),
    (r"material|substance|chemical|compound|element|sample", ("copper", "quartz", "ethanol", "steel")),
    (r"id|uuid|guid|number|code|reference|ref|identifier|sku|isbn|hash|slug|key",
     ("A-1042", "B-7731", "K-2209", "R-5586")),
    (r"name|label", ("Orion", "Lyra", "Cetus", "Vela")),
)  # fmt: skip
_OTHER = ("Orion", "Lyra", "Cetus", "Vela", "Draco", "Altair")
_NUMBERS: tuple[tuple[str, tuple[float, ...]], ...] = (
    (r"year", (2018, 2019, 2021, 2022, 2023)),
    (r"month", (3, 5, 9, 11)),
    (r"quarter", (1, 2, 3, 4)),
    (r"hour|hours", (6, 8, 12, 18)),
    (r"page", (2, 3, 4)),
    (r"offset|skip|start", (10, 20, 40)),
    (r"limit|count|max|maximum|top|size|number|results|num|per", (5, 8, 12, 15, 25)),
    (r"lat|latitude", (48.14, 59.91, 35.68, -33.87)),
    (r"lon|lng|long|longitude", (11.58, 10.75, 139.69, 151.21)),
    (r"age", (27, 34, 52, 61)),
    (r"percent|percentage|rate|discount", (4, 7.5, 12, 15)),
    (r"price|amount|budget|cost|salary|income|loan|principal|total|value", (120, 450, 800, 2600)),
    (r"weight", (64, 72, 85)),
    (r"height|width|length|depth|radius|distance", (12, 30, 45, 180)),
    (r"temperature|temp", (4, 18, 21, 30)),
    (r"days|duration|period|weeks|minutes|seconds", (3, 7, 14, 30)),
    (r"id|number|code", (1042, 7731, 2209, 5586)),
)
_EXAMPLES = re.compile(
    r"(?:e\.\s?g\.?,?|for example,?|for instance,?|such as|examples?:|i\.e\.,?)\s*:?\s*([^).;\n\]]{2,160})",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Value:
    """A value, and the words in which a user says it; ``now`` if these count from a date."""

    value: Any
    text: str
    now: str | None = None


def _flat(schema: dict[str, Any], root: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """``schema`` with its reference followed and the first of its alternatives that is not null taken."""
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/") and depth < 8:
        found: Any = root
        for part in reference[2:].split("/"):
            found = found.get(part) if isinstance(found, dict) else None
        return (
            _flat({**found, **{k: v for k, v in schema.items() if k != "$ref"}}, root, depth + 1)
            if isinstance(found, dict)
            else {}
        )
    for key in ("anyOf", "oneOf", "allOf"):
        options = [o for o in schema.get(key) or () if isinstance(o, dict) and o.get("type") != "null"]
        if options and depth < 8:
            rest = {k: v for k, v in schema.items() if k != key}
            return _flat({**options[0], **rest}, root, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        return {**schema, "type": next((k for k in kind if k != "null"), "string")}
    return schema


def _matching(name: str, pools: tuple[tuple[str, tuple[Any, ...]], ...]) -> tuple[Any, ...]:
    """The pool for a parameter's name: its last words count more than its first, and "name" says nothing."""
    parts = [p for p in name_words(name) if p != "name"] or name_words(name)
    for size in (2, 1):
        for i in range(len(parts) - size, -1, -1):
            term = "_".join(parts[i : i + size])
            for pattern, pool in pools:
                if re.fullmatch(pattern, term) or re.fullmatch(pattern, term.removesuffix("s")):
                    return pool
    return ()


def _examples(schema: dict[str, Any]) -> list[str]:
    """Values that the description gives as examples."""
    found = _EXAMPLES.search(str(schema.get("description") or ""))
    if not found:
        return []
    parts = (
        re.split(r",|\bor\b|\band\b|/(?=\s)|\|", found[1])
        if not re.search(r"https?:|[{}<]", found[1])
        else [found[1]]
    )
    cleaned = [p.strip(" '\"`“”‘’().:") for p in parts]
    return [
        p
        for p in cleaned
        if 2 <= len(p) <= 40
        and not p.isdigit()
        and not re.search(r"\betc\b| for ", p)
        and not re.search(r"[{}<>=]|\.\.\.", p)
        and p.isascii()
    ]


def _number(name: str, schema: dict[str, Any], rng: Random) -> float | int | None:
    whole = schema.get("type") == "integer"
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    pool = [v for v in _matching(name, _NUMBERS) or (3, 6, 9, 14, 20) if not whole or v == int(v)] or [
        3,
        6,
        9,
    ]
    lowest = float(low) if isinstance(low, int | float) else None
    highest = float(high) if isinstance(high, int | float) else None
    fits = [v for v in pool if (lowest is None or v > lowest) and (highest is None or v < highest)]
    if not fits and lowest is not None and highest is not None:
        middle = lowest + (highest - lowest) * rng.choice([0.25, 0.5, 0.75])
        fits = [round(middle) if whole or highest - lowest > 10 else round(middle, 2)]
    elif not fits:
        fits = [(lowest or 0) + rng.choice([1, 5, 10]) if lowest is not None else (highest or 0) - 1]
    value = rng.choice(fits)
    return int(value) if value == int(value) else float(value)


def _date(name: str, schema: dict[str, Any], rng: Random) -> Value:
    day = date(2026, 1, 1) + timedelta(days=rng.randrange(20, 340))
    said = f"{day.day} {MONTHS[day.month - 1].capitalize()} {day.year}"
    parts = set(name_words(name))
    if (
        schema.get("format") == "date-time"
        or "T" in str(schema.get("pattern") or "")
        or ({"time", "datetime", "timestamp"} & parts and schema.get("format") != "date")
    ):
        hour = rng.randrange(8, 19)
        seconds = "" if "HH:MM" in str(schema.get("description")) or schema.get("pattern") else ":00"
        return Value(f"{day.isoformat()}T{hour:02d}:00{seconds}", f"{said} at {hour}:00")
    if rng.random() < 0.3 and not {"start", "end", "from", "to", "birth", "since", "until"} & parts:
        now = datetime(day.year, day.month, day.day, rng.randrange(7, 21), 5 * rng.randrange(12))
        ahead = rng.choice([1, 0])
        return Value(
            (day + timedelta(days=ahead)).isoformat(),
            ("today", "tomorrow")[ahead],
            now.isoformat(timespec="minutes"),
        )
    return Value(day.isoformat(), rng.choice([said, day.isoformat()]))


def _string(name: str, schema: dict[str, Any], rng: Random) -> Value:
    parts = name_words(name)
    said = str(schema.get("description") or "")
    pattern = str(schema.get("pattern") or "")
    written = _patterned(pattern, rng) if pattern and "-\\d{2}" not in pattern else None
    if written:
        return Value(written, written)
    if (
        schema.get("format") in ("date", "date-time")
        or "date" in parts
        or "YYYY-MM-DD" in said
        or "-\\d{2}" in pattern
    ):
        return _date(name, schema, rng)
    if schema.get("format") == "time" or parts[-1:] == ["time"] or pattern.startswith("^[0-2]"):
        hour = rng.randrange(7, 21)
        return Value(f"{hour:02d}:30", f"{hour:02d}:30")
    given = [e for e in schema.get("examples") or () if isinstance(e, str) and e.strip()] or _examples(schema)
    pools = {"email": "email", "uri": "url", "url": "url", "ipv4": "ip", "hostname": "host", "uuid": "id"}
    pool = given or _matching(pools.get(str(schema.get("format")), name), _POOLS)
    pool = pool or [f"{n:g}" for n in _matching(name, _NUMBERS)] or _OTHER
    value = rng.choice(list(pool))
    return Value(value, f'"{value}"' if len(value.split()) > 3 or re.search(r"[?!,]", value) else value)


_PIECE = re.compile(
    r"(\\d|\[0-9\]|\[A-Z\]|\[a-z\]|\[A-Z0-9\]|[A-Za-z0-9]|-|_|\\-|/|#)(?:\{(\d)(?:,\d*)?\}|(\+))?"
)


def _patterned(pattern: str, rng: Random) -> str | None:
    """A text that a simple pattern, such as ``^R-[0-9]{5}$``, describes; ``None`` for one that is not simple."""
    inner = pattern.removeprefix("^").removesuffix("$")
    made, at = "", 0
    while at < len(inner):
        piece = _PIECE.match(inner, at)
        if not piece:
            return None
        kind, times = piece[1], int(piece[2] or (4 if piece[3] else 1))
        pool = {"\\d": "0123456789", "[0-9]": "0123456789", "[A-Z]": "ABCDEFKLMRST", "[a-z]": "abcdefklmrst"}
        made += "".join(
            rng.choice(pool.get(kind, "A27" if kind == "[A-Z0-9]" else kind[-1])) for _ in range(times)
        )
        at = piece.end()
    return made or None


def _said_choice(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[a-z]+(?:[_-][a-z]+)+", value):
        return re.sub(r"[_-]", " ", value)
    return str(value)


def draw(name: str, schema: Any, rng: Random, root: dict[str, Any], depth: int = 0) -> Value | None:
    """A value for a parameter; ``None`` where no user could say one. It need not be valid: see :func:`value_for`."""
    flat = _flat(schema if isinstance(schema, dict) else {}, root)
    choices = [c for c in flat.get("enum") or () if c is not None and c != ""]
    if "const" in flat:
        choices = [flat["const"]]
    if choices:
        others = [c for c in choices if c != flat.get("default")] or choices
        choice = rng.choice(others)
        return Value(choice, _said_choice(choice)) if not isinstance(choice, dict | list) else None
    kind = flat.get("type")
    if kind == "boolean":
        default = flat.get("default") if isinstance(flat.get("default"), bool) else False
        return Value(not default, "no" if default else "yes")
    if kind in ("integer", "number"):
        number = _number(name, flat, rng)
        return Value(number, f"{number}")
    if kind == "array":
        return _array(name, flat, rng, root, depth)
    if kind == "object":
        return _object(flat, rng, root, depth)
    return _string(name, flat, rng) if kind in ("string", None) else None


def _array(name: str, flat: dict[str, Any], rng: Random, root: dict[str, Any], depth: int) -> Value | None:
    items = flat.get("items")
    if depth > 1 or not isinstance(items, dict):
        items = (
            {"type": "string", "description": flat.get("description", "")}
            if depth <= 1 and items is None
            else None
        )
    if items is None:
        return None
    if not items.get("description"):
        items = {**items, "description": flat.get("description", "")}
    least = flat.get("minItems") if isinstance(flat.get("minItems"), int) else 0
    wanted = max(rng.choice([1, 2]), least or 0)
    found: dict[str, Value] = {}
    for _ in range(4 * wanted):
        value = draw(name, items, rng, root, depth + 1)
        if value is None or len(found) == wanted:
            break
        found[value.text] = value
    if len(found) < max(1, least or 0):
        return None
    texts = list(found)
    said = texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
    return Value(
        [v.value for v in found.values()], said, next((v.now for v in found.values() if v.now), None)
    )


def _object(flat: dict[str, Any], rng: Random, root: dict[str, Any], depth: int) -> Value | None:
    properties = flat.get("properties")
    if depth > 1 or not isinstance(properties, dict) or not properties:
        return None
    required = [n for n in flat.get("required") or () if n in properties]
    names = required or list(properties)[:2]
    found = {n: draw(n, properties[n], rng, root, depth + 1) for n in names[:4]}
    if len(names) > 4 or any(v is None for v in found.values()):
        return None
    values = {n: v for n, v in found.items() if v is not None}
    said = ", ".join(f"{' '.join(name_words(n))} {v.text}" for n, v in values.items())
    return Value(
        {n: v.value for n, v in values.items()}, said, next((v.now for v in values.values() if v.now), None)
    )


def fits(tool: Tool, name: str, value: Any) -> bool:
    """Is ``value`` valid for one parameter of a tool?"""
    properties = tool.parameters.get("properties", {})
    if name not in properties:
        return False
    definitions = {k: v for k, v in tool.parameters.items() if k in ("$defs", "definitions")}
    alone = Function(
        name="x", parameters={"type": "object", "properties": {name: properties[name]}, **definitions}
    )
    return not call_problems(Tool(function=alone), ToolCall.of("x", {name: value}))


def value_for(tool: Tool, name: str, rng: Random) -> Value | None:
    """A value that a user could say for a parameter of ``tool`` and that is valid; ``None`` if none is found."""
    if SECRET.search(name):
        return None
    schema = tool.parameters["properties"][name]
    for _ in range(6):
        value = draw(name, schema, rng, tool.parameters)
        if value is None:
            return None
        if fits(tool, name, value.value):
            return value
    return None
