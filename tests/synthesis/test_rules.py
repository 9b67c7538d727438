"""The teacher without a model: what it makes passes the checks, is the same each time, and says who made it."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import pytest

from gentool import data
from gentool.catalog.pairs import read_pairs
from gentool.config import SynthesisConfig
from gentool.prompting.order import seeded
from gentool.records import Derivation, Function, Tool, Way
from gentool.synthesis.checks import tool_findings
from gentool.synthesis.records import QueryDraft, Seed, Unit
from gentool.synthesis.rules import RulesTeacher
from gentool.synthesis.rules_tools import coarse
from gentool.synthesis.rules_values import value_for
from gentool.synthesis.rules_words import label, plainer_name, request, richer_name
from gentool.synthesis.teacher import Unusable
from gentool.synthesis.unit import make_unit

WAYS: tuple[Way, ...] = get_args(Way)
CONFIG = SynthesisConfig(tools="x", teacher="rules")
TOOLS = [tool for pair in read_pairs(data.PAIRS) for tool in pair.tools][::4]


def make(name: str, description: str = "", required: tuple[str, ...] = (), **properties: Any) -> Tool:
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return Tool(function=Function(name=name, description=description, parameters=parameters))


HOTELS = make(
    "searchHotels",
    "Searches for hotels in a given city. Returns rooms with prices. Can be sorted by price.",
    ("city",),
    city={"type": "string"},
    stars={"type": "integer", "minimum": 1, "maximum": 5, "description": "Number of stars"},
    sortBy={"type": "string", "enum": ["price", "rating", "distance"]},
)


def unit(seed: Seed, teacher: RulesTeacher | None = None) -> Unit:
    return asyncio.run(make_unit(seed, teacher or RulesTeacher(0), CONFIG, set(), "s"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("upgrade", [False, True])
def test_each_way_gives_queries_of_both_directions_that_pass_all_checks(way: Way, upgrade: bool) -> None:
    made = unit(Seed(tool=HOTELS, way=way, upgrade=upgrade))
    assert made.tools is not None and made.derivation is not None and not made.findings
    assert made.derivation.from_tool == made.tools[int(upgrade)].name
    assert {i.status for i in made.items} == {"accepted"}
    meant = [i.draft.intended for i in made.items]
    assert sorted(map(meant.count, {t.name for t in made.tools})) == [5, 5]
    assert {p.model for i in made.items for p in (*i.provenance, *made.provenance)} == {"rules"}


def test_tools_of_all_kinds_give_pairs() -> None:
    teacher = RulesTeacher(0)
    good = 0
    for number, tool in enumerate(TOOLS):
        made = unit(Seed(tool=tool, way=WAYS[number % len(WAYS)], upgrade=number % 5 == 0), teacher)
        accepted = [i for i in made.items if i.status == "accepted"]
        good += len(accepted) >= 4 and len({i.draft.intended for i in accepted}) == 2
    assert good >= 0.9 * len(TOOLS)


def test_the_same_seed_gives_the_same_and_another_gives_other_queries() -> None:
    seed = Seed(tool=HOTELS, way="fewer_filters")
    assert unit(seed) == unit(seed, RulesTeacher(0))
    assert unit(seed).items != unit(seed, RulesTeacher(1)).items


def test_what_is_asked_for_decides_the_grades() -> None:
    made = unit(Seed(tool=HOTELS, way="fewer_filters"))
    assert made.tools is not None
    strong, weak = made.tools
    for item in made.items:
        assert item.graded is not None
        assert item.graded.grades[strong.name] == "full"
        left_out = item.calls[strong.name].arguments.keys() - weak.parameters["properties"].keys()
        assert item.graded.grades[weak.name] == ("partial" if left_out else "full")
        assert item.graded.best == (strong.name if left_out else weak.name)


def test_examples_are_used_and_recombined() -> None:
    examples = ("Somewhere to sleep in Bergen, any ideas?", "We land in Porto late and need beds")
    seed = Seed(tool=HOTELS, way="fewer_filters", examples=examples)
    accepted = {i.draft.query: i for i in unit(seed).items if i.status == "accepted"}
    assert examples[1] in accepted and "We land in Bergen late and need beds" in accepted
    assert any(query.startswith("Somewhere to sleep in Porto, any ideas? Sort by") for query in accepted)
    item = accepted[examples[1]]
    assert item.calls[item.draft.intended].arguments == {"city": "Porto"}


def test_examples_that_cannot_be_read_are_left_out() -> None:
    seed = Seed(tool=HOTELS, way="fewer_filters", examples=("Hotels between Oslo and Bergen with 2 pools",))
    assert not any("pools" in i.draft.query for i in unit(seed).items)


@pytest.mark.parametrize(
    ("tool", "reason"),
    [
        (make("login", "Logs in.", ("password",), password={"type": "string"}), "no user says aloud"),
        (make("put", "Puts.", ("rows",), rows={"type": "object"}), "no value"),
    ],
)
def test_a_tool_that_rules_cannot_speak_of_is_unusable(tool: Tool, reason: str) -> None:
    teacher = RulesTeacher(0)
    with pytest.raises(Unusable, match=reason):
        asyncio.run(
            teacher.queries(
                (tool, HOTELS), Derivation(tool=HOTELS.name, from_tool=tool.name, how="older_version"), 4, ()
            )
        )
    with pytest.raises(Unusable, match="neither a description nor parameters"):
        asyncio.run(teacher.derive(Seed(tool=make("x"), way="older_version")))


def test_of_a_query_that_it_did_not_write_it_says_nothing_rather_than_guess() -> None:
    teacher, draft = RulesTeacher(0), QueryDraft(query="and then?", intended=HOTELS.name)
    assert asyncio.run(teacher.calls(HOTELS, [draft])).value == [None]
    assert asyncio.run(teacher.judge((HOTELS, make("other", "Other.")), [draft])).value == [None]


@pytest.mark.parametrize(
    ("name", "description", "said"),
    [
        ("a", "Searches for hotels in a given city.", "search for hotels in a city"),
        (
            "a",
            "This tool allows you to get the weather for a specific area using the forecast API.",
            "get the weather for an area",
        ),
        ("a", "Retrieves your open invoices (all of them): paid and unpaid", "retrieve my open invoices"),
        ("a", "Weather forecast of the next days", "get the weather forecast of the next days"),
        ("list_open_orders", "", "list the open orders"),
        ("getAuftrag", "Liefert einen Auftrag anhand seiner Nummer", "get the auftrag"),
    ],
)
def test_a_description_becomes_a_request(name: str, description: str, said: str) -> None:
    assert request(make(name, description, x={"type": "string"})) == said


def test_labels_are_what_a_user_would_say() -> None:
    assert (
        label("numResults", {"description": "Number of search results to return (default: 5)"})
        == "number of search results"
    )
    assert label("user_id", {}) == "user ID"
    assert label("q", {"description": "What to look for"}) == "search term"


@pytest.mark.parametrize(
    "name", ["get_user_orders", "getUserOrders", "GetUserOrders", "get-user-orders", "search", "x" * 64]
)
def test_new_names_are_valid_different_and_in_style(name: str) -> None:
    for number in range(20):
        for made in (plainer_name(name, seeded(number)), richer_name(name, seeded(number))):
            assert made != name and not [
                f for f in tool_findings(make(made, "A."), make(name, "B c."), False, []) if f.check == "name"
            ]
            assert ("_" in made) <= ("_" in name or name in ("search", "x" * 64))


def test_values_come_from_the_schema_where_it_has_some() -> None:
    rng = seeded("values")
    tool = make(
        "t",
        "T.",
        kind={"type": "string", "enum": ["a", "b"], "default": "a"},
        part={"type": "string", "description": "Part of the car (e.g., wheel, door)"},
        age={"type": "integer", "minimum": 120, "maximum": 130},
        day={"anyOf": [{"type": "null"}, {"type": "string", "format": "date"}]},
        ref={"type": "string", "pattern": "^R-[0-9]{5}$"},
        code={"type": "string", "pattern": "^(Q|Z){9}$"},
    )
    drawn = {name: value_for(tool, name, rng) for name in tool.parameters["properties"]}
    assert drawn["kind"] is not None and drawn["kind"].value == "b"
    assert drawn["part"] is not None and drawn["part"].value in ("wheel", "door")
    assert drawn["age"] is not None and 120 <= drawn["age"].value <= 130
    assert drawn["day"] is not None and len(drawn["day"].value) == 10
    assert drawn["code"] is None


def test_a_tool_without_parameters_becomes_one_with_a_coarser_result() -> None:
    made = unit(
        Seed(
            tool=make("listBeaches", "Lists all beaches of the island with water quality."),
            way="fewer_filters",
        )
    )
    assert made.tools is not None and coarse(made.tools[1])
    assert {i.status for i in made.items} == {"accepted"} and len(made.items) >= 8
