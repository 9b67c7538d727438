"""How a tool's own words become what a user would say: requests, labels of parameters, names in the same style."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import Any

from gentool.records import Tool
from gentool.synthesis.text import STOP_WORDS, listed, name_words, stem, stems, words

_SECTIONS = re.compile(
    r"\n\s*[#*_-]*\s*(?:args?|arguments|parameters|params|returns?|examples?|usage|inputs?|outputs?|notes?|raises|"
    r"important|warning|tips?|requirements?|features?|supported \w+|use cases?)\b[*_]*\s*:?.*",
    re.IGNORECASE | re.DOTALL,
)
_PREAMBLE = re.compile(
    r"^(?:(?:this|the) (?:tool|function|api|endpoint|method|action|operation|command)\s+"
    r"(?:is (?:used|designed) (?:to|for)|allows?(?: you| users?)? to|lets (?:you|users?)|enables (?:you|users?) to|"
    r"helps(?: you)?(?: to)?|can be used to|can|will)?|"
    r"(?:a |an )?(?:\w+ )?(?:tool|function|api|endpoint|method) (?:to|for|that)|"
    r"use (?:this|it)(?: tool| function)? (?:to|for|when)|used (?:to|for)|useful (?:to|for)|"
    r"allows?(?: you| users?)? to|lets (?:you|users?)|enables (?:you|users?) to|"
    r"helps(?: you)?(?: to)?|ability to|provides the ability to)\s+",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"\s+(?:-|–|—|using|via|by (?:using|calling|providing|specifying)|based on|through|according to|so that|"
    r"in order to|which|that (?:returns|can|will)|returning|supporting|including|as well as|if|when|where|given|"
    r"within the)\s.*$|[:;(\[{].*$",
    re.IGNORECASE,
)
VERBS: dict[str, tuple[str, ...]] = {
    "get": ("look up", "pull up", "check"),
    "fetch": ("look up", "pull up"),
    "retrieve": ("look up", "pull up", "bring up"),
    "return": ("give me", "show me"),
    "list": ("show me", "give me a list of"),
    "show": ("list", "bring up"),
    "display": ("show me",),
    "search": ("look",),
    "find": ("look for", "search for"),
    "query": ("look through",),
    "read": ("go through", "open"),
    "lookup": ("check",),
    "create": ("make", "set up"),
    "add": ("put in", "enter"),
    "insert": ("put in",),
    "update": ("change",),
    "modify": ("change",),
    "edit": ("change",),
    "delete": ("remove", "get rid of"),
    "remove": ("delete", "take out"),
    "calculate": ("work out", "compute"),
    "compute": ("work out", "calculate"),
    "estimate": ("work out roughly",),
    "determine": ("find out", "work out"),
    "convert": ("turn", "change"),
    "generate": ("make", "produce"),
    "send": ("pass on",),
    "analyze": ("look into", "examine"),
    "analyse": ("look into", "examine"),
    "check": ("look at", "verify"),
    "verify": ("check",),
    "validate": ("check",),
    "provide": ("give me", "show me"),
    "translate": ("put into another language",),
    "download": ("save",),
    "start": ("launch",),
    "run": ("start",),
    "execute": ("run",),
    "track": ("follow",),
    "monitor": ("keep an eye on",),
    "recommend": ("suggest",),
    "compare": ("set side by side",),
    "schedule": ("plan",),
    "book": ("reserve",),
    "perform": ("carry out", "do"),
    "conduct": ("carry out", "do"),
    "predict": ("forecast", "tell me"),
    "identify": ("find out", "name"),
    "extract": ("pull out", "pick out"),
    "process": ("handle", "work through"),
    "open": ("bring up",),
    "access": ("open", "look at"),
    "evaluate": ("assess", "look into"),
    "assess": ("evaluate", "look into"),
    "manage": ("look after", "handle"),
    "measure": ("take a reading of",),
    "set": ("put",),
    "play": ("put on",),
    "report": ("pass on",),
    "design": ("draw up", "plan"),
    "optimize": ("improve", "get the best out of"),
    "view": ("look at", "see"),
}
_MORE_VERBS = frozenset(
    listed(
        "accept access activate adjust align allow answer append apply approve archive ask assess assign "
        "attach authenticate authorize broadcast browse build calibrate call cancel capture change choose "
        "classify clean clear click clone close collect combine compile complete compress conduct "
        "configure connect construct control copy count crawl customize cut debug decode decompile "
        "decrypt define demonstrate deny deploy describe design detect diagnose disable disconnect "
        "discover divide donate drag draw drop duplicate echo enable encode encrypt end enhance enroll "
        "ensure equip establish evaluate examine explain explore export extract facilitate fill filter "
        "follow forecast format forward gain give go group guide handle hash hide hire hover identify "
        "implement import improve inform initialize initiate inspect install interact interpret invite "
        "join launch learn leave load locate lock log login look make manage map mark measure merge "
        "migrate mint move multiply mute navigate notify observe obtain open optimize order organize "
        "parse patch pause perform pin place plan play plot post predict prepare press preview print "
        "process produce promote proofread publish pull purchase push put raise rank rate rebase receive "
        "recognize record redeem reduce refresh register reject release rename render renew reorder "
        "replace reply report request research reserve reset resize resolve respond restart restore "
        "resume reverse revert review revoke roll round save say scan scrape scroll select set share "
        "shutdown sign simulate solve sort split standardize stop store submit subscribe subtract suggest "
        "summarize swap swipe switch sync synchronize synthesize take tell terminate test toggle train "
        "transcribe transfer transform trash trigger truncate turn type uncover undo unlock unpin "
        "unsubscribe upgrade upload use view visualize wait watch withdraw work write"
    )
)
_WORDS_FOR = {
    "num": "number of",
    "max": "maximum",
    "min": "minimum",
    "lang": "language",
    "desc": "description",
    "msg": "message",
    "qty": "quantity",
    "addr": "address",
    "lat": "latitude",
    "lon": "longitude",
    "lng": "longitude",
    "src": "source",
    "dst": "destination",
    "dest": "destination",
    "dir": "folder",
    "repo": "repository",
    "org": "organization",
    "id": "ID",
    "url": "URL",
    "ip": "IP",
    "q": "search term",
    "cc": "copy to",
    "ids": "IDs",
    "urls": "URLs",
}


_READ = 4_000
"""Characters of a description that are read."""


def sentences(description: str) -> list[str]:
    """The sentences of a description, without the sections on arguments, results and examples that may follow."""
    text = description.strip()[:_READ]
    text = _SECTIONS.sub("", text) or text
    text = re.sub(r"[*`#]+|https?://\S+", "", text)
    text = re.sub(r"\s+", " ", text)
    parts = re.split(r"(?<=[a-z0-9)\"'][.!?])\s+(?=[A-Z\"'])", text)
    return [part.strip() for part in parts if words(part)]


def _base(word: str) -> str:
    """The plain form of a verb (Searches, Getting); empty if it is not known as one."""
    word = word.lower().strip(",.")
    tries = [word, word.removesuffix("s"), word.removesuffix("es"), re.sub(r"ies$", "y", word)]
    if word.endswith("ing"):
        tries += [word[:-3], word[:-3] + "e", re.sub(r"(.)\1ing$", r"\1", word)]
    return next((t for t in tries if t in VERBS or t in _MORE_VERBS), "")


_LONGEST = 16
"""Words of a request at most."""

_SOME = "given|specific|specified|particular|certain|provided|corresponding|desired"
_ENGLISH = re.compile(r"\b(?:of|for|the|an?|and|with|in|by|from|all|to|on)\b")


def _article(found: re.Match[str]) -> str:
    return f"an {found[2]}" if found[2] else "a "


def _wish(sentence: str) -> list[str]:
    """The words of a sentence on a tool that say what it is for; empty if they do not read as an English request."""
    text = _PREAMBLE.sub("", re.sub(r"^\W*\[[^\]]*\]\s*", "", sentence))
    text = re.sub(r"\s*\([^()]*\)", "", text)
    text = re.sub(r"\b(in|for|of|from|to|with|by|on) (?:given|specified|provided) (?=[a-z])", r"\1 a ", text)
    text = re.sub(r"^(?:\w+ly|simply|there is a need to)\s+", "", text, flags=re.I)
    text = re.sub(rf"\ba(n?) (?:{_SOME}) ([aeio]?)", _article, text, flags=re.I)
    text = re.sub(rf"\bthe (?:{_SOME})\b", "the", text, flags=re.I)
    text = _TAIL.sub("", text).strip(" .,!?")
    text = re.sub(r"\byour\b", "my", re.sub(r"\byou\b", "me", text))
    if len(text.split()) > _LONGEST:
        text = text.partition(",")[0]
    parts = text.split()[:_LONGEST]
    while parts and parts[-1].lower() in STOP_WORDS:
        parts.pop()
    english = text.isascii() and parts and (_base(parts[0]) or _ENGLISH.search(text))
    return parts if english and len(parts) >= 2 else []


def request(tool: Tool) -> str:
    """What a user asks of the tool, in the imperative and without values: "find competitors for a business".

    Taken from the first sentence of the description, else from the name, in other order than there.
    """
    parts = next((_wish(said) for said in sentences(tool.description)[:1]), [])
    if not parts:
        named = name_words(tool.name)
        if not _base(named[0] if named else ""):
            return f"get the {' of the '.join([*named[-1:], *([' '.join(named[:-1])] if named[1:] else [])])}"
        parts = [named[0], "the", *named[1:]] if named[1:] else named
    verb = _base(parts[0])
    rest = " ".join(parts[1:])
    if not verb:
        start = parts[0] if parts[0].isupper() else parts[0].lower()
        article = "" if start.endswith("s") or start in STOP_WORDS else "the "
        return f"get {article}{start} {rest}".strip()
    return f"give me {rest}" if verb == "return" else f"{verb} {rest}".strip()


def variants(phrase: str) -> list[str]:
    """``phrase`` and the same with other verbs."""
    verb, _, rest = phrase.partition(" ")
    made = [phrase]
    if not rest.startswith("me "):
        made += [f"{other} {rest}" for other in VERBS.get(verb, ())]
    return made


def to_oneself(phrase: str) -> str:
    """``phrase`` as what the user does: "show me the orders" is "see the orders"."""
    for said, meant in (("show me ", "see "), ("give me ", "get "), ("tell me ", "learn ")):
        if phrase.startswith(said):
            return meant + phrase.removeprefix(said)
    return phrase


_QUESTION = re.compile(
    r"(?:what|which|who|whose|where|when|how|why|whether)\b|.*\b(?:if|default|omitted|you)\b", re.IGNORECASE
)


def label(name: str, schema: dict[str, Any]) -> str:
    """What a user calls a parameter: its name in words, or its description if that says the same in two to four."""
    said = re.sub(
        r"^(?:the|an?|optional:?|required:?)\s+", "", str(schema.get("description") or "").strip(), flags=re.I
    )
    said = re.split(
        r"[.,;:(\[\n]| to (?:be|use|return|get|fetch|search|retrieve|include)\b| for which | e\.g| - ", said
    )[0].strip()
    said = re.sub(r"^(?:optional|required)\s+", "", said, flags=re.I)
    parts = said.split()
    named = name_words(name)
    same = len("".join(named)) < 4 or bool({stem(w) for w in named} & set(stems(said)))
    if (
        same
        and 2 <= len(parts) <= 4
        and re.fullmatch(r"[A-Za-z][A-Za-z' -]*", said)
        and not (_base(parts[0]) or _QUESTION.match(said))
    ):
        keep = [p if p.isupper() and len(p) > 1 else p.lower() for p in parts]
        return " ".join(keep)
    return " ".join(_WORDS_FOR.get(w, w) for w in named) or name


def speaks_of(sentence: str, name: str, schema: dict[str, Any]) -> bool:
    """Does a sentence tell of a parameter?"""
    if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sentence):
        return True
    wanted = {stem(w) for w in name_words(name) if w not in STOP_WORDS and len(w) > 2}
    return bool(wanted) and wanted <= set(stems(sentence))


def restyled(original: str, parts: Sequence[str]) -> str:
    """``parts`` put together as a name in the style of ``original``: getUser, get_user, get-user, GetUser."""
    kept = [p for p in parts if p]
    excess = len("_".join(kept)) - 64
    if excess > 0:
        longest = max(range(len(kept)), key=lambda i: len(kept[i]))
        kept[longest] = kept[longest][:-excess] or kept[longest][0]
    if "_" in original or not re.search(r"[A-Z-]", original):
        made = "_".join(kept)
    elif "-" in original:
        made = "-".join(kept)
    else:
        made = "".join(p.capitalize() for p in kept)
        made = made if original[0].isupper() else made[:1].lower() + made[1:]
    return re.sub(r"[^a-zA-Z0-9_-]", "", made)[:64].strip("_-")


_SYNONYMS = {
    "get": ("fetch", "read", "lookup"),
    "fetch": ("get", "load"),
    "retrieve": ("get", "load"),
    "list": ("show", "all"),
    "show": ("view",),
    "search": ("find", "lookup"),
    "find": ("search", "locate"),
    "query": ("lookup", "ask"),
    "create": ("add", "make"),
    "add": ("put", "insert"),
    "update": ("change", "edit"),
    "delete": ("remove", "drop"),
    "remove": ("delete", "drop"),
    "calculate": ("compute", "reckon"),
    "compute": ("calculate",),
    "convert": ("change",),
    "generate": ("make", "produce"),
    "send": ("post", "submit"),
    "analyze": ("examine", "inspect"),
    "check": ("test", "verify"),
    "validate": ("check",),
    "read": ("open", "load"),
    "write": ("save", "store"),
    "execute": ("run",),
    "run": ("start",),
    "set": ("put",),
    "predict": ("forecast",),
    "track": ("follow",),
}
_PLAIN = ("quick", "plain", "brief", "short", "mini", "easy", "direct", "fast", "daily", "common")
_RICH = ("v2", "plus", "extended", "advanced", "custom", "flexible")


def plainer_name(name: str, rng: Random) -> str:
    """A more general name: another verb and fewer words, or a word that promises less."""
    parts = name_words(name)
    fewer = [
        p for p in parts if not re.fullmatch(r"v?\d+|advanced|detailed|full|extended|by|with|and|api", p)
    ] or parts
    verb = next((i for i, p in enumerate(fewer) if p in _SYNONYMS), None)
    if verb is not None:
        fewer = [*fewer[:verb], rng.choice(_SYNONYMS[fewer[verb]]), *fewer[verb + 1 :]]
    if len(fewer) > 3 or (len(fewer) == 3 and verb is None):
        dropped = (
            rng.randrange(1, len(fewer) - 1) if len(fewer) > 3 and rng.random() < 0.5 else len(fewer) - 1
        )
        fewer = [p for i, p in enumerate(fewer) if i != dropped or i == verb]
    elif verb is None or len(fewer) == 1:
        fewer = [rng.choice(_PLAIN), *fewer] if verb is None else [*fewer, rng.choice(_PLAIN)]
    made = restyled(name, fewer)
    return made if made.casefold() != name.casefold() else restyled(name, [rng.choice(_PLAIN), *fewer])


def version_name(name: str, version: int) -> str:
    """The name of another version of a tool."""
    parts = [p for p in name_words(name) if not re.fullmatch(r"v\d+", p)]
    made = restyled(name, [*parts, f"v{version}"])
    return made if made.casefold() != name.casefold() else restyled(name, [*parts, f"v{version + 1}"])


def richer_name(name: str, rng: Random) -> str:
    """The name of a version that can do more."""
    word = rng.choice(_RICH)
    if word == "v2":
        return version_name(name, 2)
    parts = name_words(name)
    return restyled(name, [*parts, word] if word == "plus" or parts[0] in VERBS else [word, *parts])
