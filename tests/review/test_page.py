"""The page in a browser: decisions by keys, hostile text, and thousands of items."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gentool.jsonl import read_jsonl
from gentool.records import Derivation, Function, GradedQuery, Tool, ToolCall, ToolPair
from gentool.review.review import Review
from gentool.synthesis.records import Decision, Unit
from tests.report.browser import CHROMIUM
from tests.review.reviewing import Tab, decide, request, serving
from tests.review.sample_run import HOSTILE, make_run, make_unit

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with Tab(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture
def page(tab: Tab, tmp_path: Path) -> Iterator[Tab]:
    """The page of a run with six disagreed items and a sample of fifteen; ``folder`` is the run's."""
    tab.folder = make_run(tmp_path / "mine", prompts=True)
    tab.console.clear()
    with serving(Review(tab.folder, "ada")) as server:
        tab.server = server
        tab.send(
            "Emulation.setDeviceMetricsOverride", width=1280, height=800, deviceScaleFactor=1, mobile=False
        )
        tab.visit(server.url)
        yield tab
        # What the server refuses, the browser notes too.
        assert [c for c in tab.console if "422" not in c] == []


def decisions(page: Tab) -> list[tuple[str, str]]:
    path = page.folder / "reviews.jsonl"
    return [(d.item, d.decision) for d in read_jsonl(Decision, path)] if path.exists() else []


def current(page: Tab) -> str:
    return str(page.run("new URLSearchParams(location.hash.slice(1)).get('item')"))


def test_accept_reject_and_undo_by_keys(page: Tab) -> None:
    ids = [r["id"] for r in request(page.server, "api/items")[1]["rows"]]
    assert page.text("#run") == "mine" and page.text("#reviewer") == "reviewed by ada"
    assert current(page) == ids[0] and page.text("#done") == "0 of 21 decided"
    assert page.texts("#rows [aria-current]") and len(page.texts("#rows li")) == 21

    page.key("a")
    assert decisions(page) == [(ids[0], "accept")] and current(page) == ids[1]
    assert page.text("#said") == "Accepted." and page.text("#done") == "1 of 21 decided"

    page.key("r")
    assert len(page.texts("#reasons button")) == 9 and len(decisions(page)) == 1
    page.key("4")
    assert decisions(page)[1:] == [(ids[1], "reject")] and current(page) == ids[2]
    page.key("r")
    for key in "no 2":
        page.key(key)
    assert page.run("document.getElementById('reason').value") == "no 2", "a digit in a text is no choice"
    page.key("Enter")
    page.wait("document.getElementById('said').textContent === 'Rejected.'")
    reasons = [d.reason for d in read_jsonl(Decision, page.folder / "reviews.jsonl")]
    assert reasons == ["", "An argument is wrong or missing", "no 2"]

    page.key("r")
    page.key("Escape")
    page.key("a" if page.run("document.querySelector('dialog[open]')") else "n")
    assert len(decisions(page)) == 3 and current(page) == ids[4], (
        "a reason that was not given rejects nothing"
    )

    page.key("u")
    assert decisions(page)[3:] == [(ids[2], "undo")] and current(page) == ids[2]
    page.key("u")
    page.key("u")
    page.key("u")
    assert [d for _, d in decisions(page)[4:]] == ["undo", "undo"]
    assert page.text("#said") == "There is nothing to take back." and page.text("#done") == "0 of 21 decided"


def test_moving_by_keys_and_by_mouse(page: Tab) -> None:
    ids = [r["id"] for r in request(page.server, "api/items")[1]["rows"]]
    for key, place in (("n", 1), ("ArrowRight", 2), ("p", 1), ("ArrowLeft", 0), ("p", 0)):
        page.key(key)
        assert current(page) == ids[place], key
    assert page.text("#said") == "This is the first one."
    page.run("document.querySelectorAll('#rows a')[5].click()")
    page.settle()
    assert current(page) == ids[5]
    page.visit(page.run("location.href"))
    assert current(page) == ids[5], "the place is in the address"
    page.run("document.getElementById('accept').click()")
    page.settle()
    assert decisions(page) == [(ids[5], "accept")] and current(page) == ids[6]
    page.run("document.activeElement.blur(); document.querySelector('#filters select').focus()")
    page.key("a")
    assert len(decisions(page)) == 1, "a letter in a field is no decision"


def test_all_parts_of_an_item_are_shown(page: Tab) -> None:
    assert page.text("h1.query").startswith("Of the trains from Shrewsbury to Cardiff")
    assert page.texts("h1.query mark") == ["Shrewsbury", "Cardiff Central"]
    assert "2026-10-08T09:50 (Thursday)" in page.text(".now")
    assert page.texts(".tool h3") == ["find_rail_journeys", "rail_departures_board"]
    assert "judge unsteady" in page.text(".findings")
    first = page.texts(".grades tbody tr:first-child > *")
    assert first == ["find_rail_journeys", "★ best", "full ★", "partial", "full ★"]
    assert page.texts(".tool:first-child .call tbody tr:first-child > *") == [
        "origin",
        '"Shrewsbury"',
        "✓ ok",
        "in the query",
    ]
    lacks = page.texts(".tool:first-child .param.only .name")
    assert "railcards" in lacks and "party.child_count" in lacks and "station_name" not in lacks
    tops = page.run("[...document.querySelectorAll('h4.section')].map((n) => n.getBoundingClientRect().top)")
    assert tops[0] == tops[-1] and len(tops) == 2, "the rows of both tools are level"
    page.run("document.querySelector('.fold-part').open = true")
    page.run("document.querySelector('.fold-part details:last-child').open = true")
    page.wait("document.querySelectorAll('.fold-part pre').length === 3")
    assert page.texts(".fold-part h5") == ["system", "user", "answer"]
    assert page.texts(".fold-part pre")[1] == HOSTILE


def field(name: str) -> str:
    return f"[...document.getElementById('edit-form').elements].find((e) => e.name === {json.dumps(name)})"


def test_editing_with_faults_at_their_fields(page: Tab) -> None:
    page.key("e")
    item = current(page)
    arguments = "arguments.find_rail_journeys"
    written = json.loads(page.run(f"{field(arguments)}.value"))
    assert page.run("document.activeElement.name") == "query"

    def fill(name: str, value: str) -> None:
        page.run(f"{field(name)}.value = {json.dumps(value)}")
        page.run(f"{field(name)}.dispatchEvent(new Event('input', {{bubbles: true}}))")

    fill("now", "someday")
    fill(arguments, '{"origin": ')
    page.key("Enter", modifiers=2)
    page.wait("document.querySelectorAll('#edit-form .problems li').length === 2")
    assert page.run(f"{field('now')}.ariaInvalid") == "true"
    assert "ISO 8601" in page.text("#problems-now")
    assert "JSON" in page.text("#problems-arguments-find_rail_journeys")

    fill("now", "2026-10-08T09:50")
    fill(arguments, json.dumps({**written, "destination": "Atlantis"}))
    page.key("Enter", modifiers=2)
    page.wait("document.querySelector('#edit-form .doubt') !== null")
    assert "Atlantis" in page.text("#edit-form .doubt") and page.text("#edit-save").startswith("Save anyway")
    assert decisions(page) == []

    fill("query", "Quickest train from Shrewsbury to Atlantis in the coming two hours?")
    assert page.text("#edit-save").startswith("Save Ctrl"), "what was doubted has changed"
    fill("grade.rail_departures_board", "none")
    assert page.run(f"{field('arguments.rail_departures_board')}.disabled")
    page.key("Enter", modifiers=2)
    page.wait("document.getElementById('said').textContent === 'Edited.'")
    page.settle()
    (made,) = read_jsonl(Decision, page.folder / "reviews.jsonl")
    assert made.item == item and made.edited and made.edited.grades["rail_departures_board"] == "none"
    assert made.edited.call_of("find_rail_journeys").arguments["destination"] == "Atlantis"
    page.key("p")
    assert page.texts("h1.query mark") == ["Shrewsbury", "Atlantis"] and "you edited it" in page.text(
        ".badges"
    )
    assert "Before your edit: Of the trains" in page.text("#item")
    page.key("u")
    assert page.text("h1.query").startswith("Of the trains")


def test_search_and_filters(page: Tab) -> None:
    page.key("/")
    page.type("seedlings")
    page.wait("document.getElementById('count').textContent === '1 item, this is 1'")
    page.settle()
    page.key("Enter")
    assert "seedlings" in page.text("h1.query")
    page.key("a")
    assert len(decisions(page)) == 1 and "Nothing is left" in page.text("#said")
    page.choose("q", "no such words")
    page.wait("document.getElementById('count').textContent === '0 items'")
    page.choose("q", "")
    page.choose("show", "rejected")
    page.wait("document.getElementById('count').textContent === '3 items, this is 1'")
    page.settle()
    assert page.texts("#item .badge.bad") == ["rejected", "invented"]
    page.key("a")
    assert "edit it" in page.text("#said") and len(decisions(page)) == 1


def test_progress_with_a_second_reviewer(page: Tab) -> None:
    ids = [r["id"] for r in request(page.server, "api/items?show=sample")[1]["rows"]]
    with serving(Review(page.folder, "bob")) as other:
        for item in ids[:4]:
            decide(other, item, "accept")
    page.choose("show", "sample")
    page.settle()
    page.wait("document.getElementById('count').textContent.startsWith('15 items')")
    page.settle()
    page.key("a")
    page.key("r")
    page.key("1")
    assert page.text("#rate") == "sample: 50 % accepted [9, 91]"
    page.key("s")
    table = page.texts("#tally td")
    assert table[:6] == ["bob", "4", "0", "0", "17", "4 of 4 = 100 % [51, 100]"]
    assert "bob, ada" in table and "random sample alone" in page.text("#tally")


def hostile_unit() -> Unit:
    """A unit whose every text is HTML; names of arguments are among those that objects have by themselves."""
    properties = {
        "__proto__": {"type": "string", "description": HOSTILE, "enum": [HOSTILE], "default": HOSTILE},
        "constructor": {"type": "string", "format": HOSTILE},
        HOSTILE: {"type": "string"},
    }
    tools = [
        Tool(
            function=Function(
                name=name,
                description=f"{HOSTILE} {name}",
                parameters={"type": "object", "properties": properties if name == "toString" else {}},
            ),
            source=HOSTILE,
        )
        for name in ("toString", "valueOf")
    ]
    query = GradedQuery(
        query=f"Do it: {HOSTILE}",
        grades={"toString": "full", "valueOf": "none"},
        best="toString",
        reason=HOSTILE,
        tool_calls=(
            ToolCall.of("toString", {"__proto__": HOSTILE, "constructor": HOSTILE, HOSTILE: HOSTILE}),
        ),
        alternatives={"toString": {"constructor": [HOSTILE]}},
    )
    derivation = Derivation(tool="valueOf", from_tool="toString", how="fewer_filters", note=HOSTILE)
    pair = ToolPair(domain=HOSTILE, tools=(tools[0], tools[1]), derivation=derivation, queries=(query,))
    return make_unit(pair, statuses=("disagreed",))


def test_text_is_text_and_runs_nothing(tab: Tab, tmp_path: Path) -> None:
    folder = make_run(tmp_path / HOSTILE.replace("/", "_"), units=[hostile_unit()], prompts=True)
    tab.console.clear()
    with serving(Review(folder, HOSTILE)) as server:
        item = request(server, "api/items")[1]["rows"][0]["id"]
        tab.send(
            "Page.addScriptToEvaluateOnNewDocument", source="window.alert = () => { window.ran = true; }"
        )
        tab.visit(server.url)
        assert HOSTILE in tab.text("h1.query") and HOSTILE in tab.text("#reviewer")
        for selector in ("#rows .text", ".tool", ".badges", ".reasons", ".call .given", ".choice", ".limits"):
            assert HOSTILE in tab.text(selector).replace('\\"', '"'), selector
        tab.run("for (const d of document.querySelectorAll('details')) d.open = true")
        tab.wait("document.querySelectorAll('.fold-part pre').length >= 9")
        tab.key("e")
        assert tab.run(f"{field('reason')}.value") == HOSTILE
        tab.key("Escape")
        tab.key("r")
        tab.type(HOSTILE)
        tab.key("Enter")
        tab.wait("document.getElementById('said').textContent.startsWith('Rejected')")
        tab.settle()
        assert HOSTILE in tab.text(".badges .bad")
        tab.key("s")
        assert HOSTILE in tab.text("#tally")
        tab.key("Escape")
        form = request(server, f"api/items/{item}")[1]["form"]
        status, _ = decide(server, item, "edit", form={**form, "query": f"{HOSTILE} again"}, sure=True)
        assert status == 200
        tab.visit(server.url)
        assert f"{HOSTILE} again" in tab.text("h1.query")
        nodes = "document.querySelectorAll('img, b, body script, iframe, [onerror], [style*=url]').length"
        assert tab.run(nodes) == 0
        assert tab.run("window.ran === undefined")
        # Were there such a node, the policy would keep its script from running.
        tab.run(
            "document.body.append(Object.assign(document.createElement('script'), {textContent: 'ran = 1'}))"
        )
        assert tab.run("window.ran === undefined")
    assert len(tab.console) == 1 and "Content Security Policy" in tab.console[0]


def test_five_thousand_items_stay_small(tab: Tab, tmp_path: Path) -> None:
    """What the browser holds and asks for does not grow with the number of items."""

    def measured(number: int) -> tuple[int, int, int]:
        """Nodes of the page at most, the largest answer and the number of requests for a step."""
        nodes = []
        with serving(Review(make_run(tmp_path / str(number), number), "ada", sample=None)) as server:
            tab.visit(server.url)
            tab.run("performance.setResourceTimingBufferSize(5000)")
            for key in "nnnaanp":
                tab.run("performance.clearResourceTimings()")
                tab.key(key)
                nodes.append(tab.run("document.querySelectorAll('*').length"))
                asked = tab.run("performance.getEntriesByType('resource').map((r) => r.decodedBodySize)")
            tab.run("document.getElementById('page-on').click()")
            tab.settle()
            nodes.append(tab.run("document.querySelectorAll('*').length"))
            tab.key("/")
            tab.type("rail")
            tab.run("new Promise((done) => setTimeout(done, 200))")
            tab.settle()
            nodes.append(tab.run("document.querySelectorAll('*').length"))
            assert 0 < len(tab.texts("#rows li")) <= 50
            assert "rail" in tab.text(".tool h3"), "the search begins on the first page"
        return max(nodes), max(asked), len(asked)

    few, many = measured(24), measured(640)
    assert many[0] < 1500 and many[0] <= few[0] + 50
    assert many[1] < 50_000 and many[2] == few[2] == 3
