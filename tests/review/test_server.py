"""The server: who may come in, what is refused, and what decisions leave on disk."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gentool.jsonl import RecordError, read_jsonl
from gentool.review.review import Review
from gentool.review.server import HEADERS, LARGEST_BODY, ReviewServer
from gentool.synthesis.gate import decided, edit_problems
from gentool.synthesis.records import Decision
from tests.review.reviewing import decide, request, serving
from tests.review.sample_run import make_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "mine")


@pytest.fixture
def server(folder: Path) -> Iterator[ReviewServer]:
    with serving(Review(folder, "ada")) as found:
        yield found


def written(folder: Path) -> list[Decision]:
    return read_jsonl(Decision, folder / "reviews.jsonl") if (folder / "reviews.jsonl").exists() else []


def first(server: ReviewServer, show: str = "disagreed") -> str:
    return str(request(server, f"api/items?show={show}")[1]["rows"][0]["id"])


def view(server: ReviewServer, item: str) -> dict[str, Any]:
    status, content, _ = request(server, f"api/items/{item}")
    assert status == 200
    return dict(content)


# ---------------------------------------------------------------- who may come in


@pytest.mark.parametrize("token", ["", "x", "..", "%2e%2e"])
@pytest.mark.parametrize("path", ["", "review.js", "api/run", "api/items", "../../etc/passwd"])
def test_without_the_token_there_is_nothing(server: ReviewServer, token: str, path: str) -> None:
    status, content, _ = request(server, path, token=token)
    assert status == 403 and set(content) == {"error"}


def test_a_longer_or_shorter_token_is_wrong(server: ReviewServer) -> None:
    for token in (server.token[:-1], server.token + "x", server.token.swapcase()):
        assert request(server, "api/run", token=token)[0] == 403
    assert len(server.token) >= 32
    with ReviewServer(server.review) as other:
        assert other.token != server.token


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_foreign_hosts_and_origins_decide_nothing(
    server: ReviewServer, folder: Path, headers: dict[str, str]
) -> None:
    headers = {name: value.format(port=server.server_port) for name, value in headers.items()}
    body = json.dumps({"item": first(server), "decision": "accept"}).encode()
    status, content, _ = request(server, "api/decisions", "POST", body, headers)
    assert status in (403, 421) and "error" in content
    assert written(folder) == []
    if headers.get("Origin") != "":  # a plain request to read has no Origin
        assert request(server, "api/run", headers=headers)[0] in (403, 421)


def test_the_page_itself_may_be_opened_from_a_link(server: ReviewServer) -> None:
    assert request(server, "", headers={"Sec-Fetch-Site": "cross-site"})[0] == 200
    assert request(server, "", headers={"Host": f"localhost:{server.server_port}"})[0] == 200
    status, _, headers = request(server, "?x=1")
    assert status == 200 and headers["Content-Type"].startswith("text/html")


def test_it_listens_on_the_loopback_only(server: ReviewServer) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/{server.token}/"


def test_every_answer_has_the_policy_and_no_server_name(server: ReviewServer) -> None:
    for path, token in (("", None), ("api/run", None), ("none", None), ("", "wrong")):
        headers = request(server, path, token=token)[2]
        assert HEADERS.items() <= dict(headers).items()
        assert "Python" not in headers["Server"]
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    "path",
    [
        "x",
        "page/index.html",
        "index.html",
        "..",
        "../review.py",
        "%2e%2e/review.py",
        "api",
        "api/",
        "api/items/x/y",
    ],
)
def test_nothing_else_is_served(server: ReviewServer, path: str) -> None:
    status, content, _ = request(server, path)
    assert status == 404 and set(content) == {"error"}


def test_other_methods_are_refused_in_json(server: ReviewServer) -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD"):
        status, content, _ = request(server, "api/run", method)
        assert status == 501 and (method == "HEAD" or "error" in content)
    assert request(server, "api/run", "POST", b"{}")[0] == 404


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"\xff", "JSON"),
        (b'{"item": "a", "item": "b", "decision": "accept"}', "twice"),
        (b"[1]", "model_type"),
        (b'{"item": "a"}', "decision"),
        (b'{"item": "a", "decision": "burn"}', "decision"),
        (b'{"item": "a", "decision": "accept", "reviewer": "eve"}', "reviewer"),
        (b'{"item": 3, "decision": "accept"}', "item"),
        (b'{"item": NaN, "decision": "accept"}', "JSON"),
        (b"[" * 100_000, "JSON"),
    ],
)
def test_bad_bodies_are_named(server: ReviewServer, folder: Path, body: bytes, said: str) -> None:
    status, content, _ = request(server, "api/decisions", "POST", body)
    assert status == 400 and (said in content["error"] or said == "model_type")
    assert written(folder) == []


def test_sizes_and_kinds_of_bodies(server: ReviewServer) -> None:
    def status(headers: dict[str, str], body: bytes | None = None) -> int:
        return request(server, "api/decisions", "POST", body, headers)[0]

    assert status({"Content-Length": str(LARGEST_BODY + 1)}) == 413
    assert status({"Content-Length": "9" * 40}) == 413
    for length in ("", "-1", "1e3", "+5", "\xb2"):
        assert status({"Content-Length": length}) == 411
    assert status({"Transfer-Encoding": "chunked"}) == 411
    for kind in ("", "text/plain", "application/x-www-form-urlencoded"):
        assert status({"Content-Type": kind}, b"{}") == 415
    item = first(server)
    reason = "x" * (LARGEST_BODY - 200)
    assert decide(server, item, "reject", reason=reason)[0] == 422
    assert decide(server, item, "reject", reason="x" * 500)[0] == 200


def test_a_refused_body_is_not_read_as_a_request(server: ReviewServer) -> None:
    """Bytes after a refused head must not be taken for a second request on the connection."""
    smuggled = f"GET /{server.token}/api/run HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n"
    head = f"POST /{server.token}/api/decisions HTTP/1.1\r\nHost: evil\r\nContent-Length: {len(smuggled)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.server_port)) as raw:
        raw.settimeout(10)
        raw.sendall((head + smuggled).encode())
        answer = b""
        try:
            while part := raw.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
    assert answer.count(b"HTTP/1.1") == 1 and b"421" in answer


@pytest.mark.parametrize(
    "query", ["show=none", "start=x", "number=1.5", "other=1", "decided=", "&".join(["q=1"] * 40)]
)
def test_bad_parameters_are_named(server: ReviewServer, query: str) -> None:
    status, content, _ = request(server, f"api/items?{query}")
    assert status == 400 and "error" in content


# ---------------------------------------------------------------- decisions


def test_a_decision_is_on_disk_when_it_is_answered(server: ReviewServer, folder: Path) -> None:
    item = first(server)
    status, content = decide(server, item, "accept")
    (made,) = written(folder)
    assert status == 200 and content["row"]["decision"] == "accept"
    assert (made.item, made.reviewer, made.decision, made.edited) == (item, "ada", "accept", None)
    assert made.at.endswith("+00:00")
    assert view(server, item)["outcome"] == "will be trained on"
    (counted,) = content["progress"]["reviewers"]
    assert counted["done"] == 1 and counted["sampled"] == 0 and counted["rate"] is None


def test_undo_brings_back_what_was_before(server: ReviewServer, folder: Path) -> None:
    item = first(server)
    assert decide(server, item, "undo")[0] == 422
    decide(server, item, "accept")
    decide(server, item, "reject", reason="odd")
    assert view(server, item)["decision"]["reason"] == "odd"
    decide(server, item, "undo")
    assert view(server, item)["decision"]["decision"] == "accept"
    decide(server, item, "undo")
    assert view(server, item)["decision"] is None
    assert decide(server, item, "undo")[0] == 422
    assert [d.decision for d in written(folder)] == ["accept", "reject", "undo", "undo"]
    assert len(view(server, item)["history"]) == 4


def test_what_cannot_be_decided(server: ReviewServer, folder: Path) -> None:
    status, content = decide(server, first(server, "rejected"), "accept")
    assert status == 422 and "edit it" in content["error"]
    assert decide(server, first(server), "reject", reason="  ")[0] == 422
    assert decide(server, first(server), "edit")[0] == 422
    assert decide(server, "feedfacecafe", "accept")[0] == 404
    assert request(server, "api/items/feedfacecafe")[0] == 404
    assert written(folder) == []


def form_of(server: ReviewServer, item: str) -> dict[str, Any]:
    return dict(view(server, item)["form"])


def test_an_edit_is_checked_and_kept(server: ReviewServer, folder: Path) -> None:
    item = first(server)
    form = form_of(server, item)
    status, content = decide(server, item, "edit", form=form)
    assert status == 422 and "Nothing was changed" in content["error"]
    form["reason"] = "The planner can sort by length."
    status, content = decide(server, item, "edit", form=form, sure=True)
    assert status == 200, content
    (made,) = written(folder)
    assert made.edited is not None and made.edited.reason == form["reason"]
    unit, found = server.review._read(item)
    assert unit.tools and edit_problems(made.edited, unit.tools) == []
    assert decided(found, [made]) == made.edited
    assert made.edited.alternatives == (found.graded and found.graded.alternatives)
    shown = view(server, item)
    assert shown["edited"] and shown["reason"] == form["reason"]
    assert all(a["ground"] for call in shown["calls"] if call for a in call["arguments"])


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"query": " "}, {"query"}),
        ({"now": "tomorrow"}, {"now"}),
        ({"best": "rail_departures_board"}, {"best"}),
        ({"best": ""}, {"best"}),
        ({"grades": {"find_rail_journeys": "good", "rail_departures_board": "none"}}, {"grades"}),
        ({"grades": {"find_rail_journeys": "full"}}, {"grades"}),
        ({"grades": {"find_rail_journeys": "full", "other": "none"}}, {"grades"}),
        ({"arguments": {"find_rail_journeys": "{"}, "now": "x"}, {"arguments.find_rail_journeys", "now"}),
        ({"arguments": {"find_rail_journeys": "[]"}}, {"arguments.find_rail_journeys"}),
        ({"arguments": {"find_rail_journeys": '{"a": 1, "a": 2}'}}, {"arguments.find_rail_journeys"}),
        ({"arguments": {}}, {"arguments.find_rail_journeys", "arguments.rail_departures_board"}),
        (
            {"arguments": {"rail_departures_board": '{"station_name": 5}'}},
            {"arguments.rail_departures_board"},
        ),
    ],
)
def test_faults_of_an_edit_are_named_by_field(
    server: ReviewServer, folder: Path, change: dict[str, Any], fields: set[str]
) -> None:
    item = first(server)
    form = form_of(server, item)
    assert form["best"] == "find_rail_journeys" and form["grades"]["rail_departures_board"] == "partial"
    whole = change.get("arguments") and {**form["arguments"], **change["arguments"]}
    form |= {**change, **({"arguments": whole} if whole else {})}
    status, content = decide(server, item, "edit", form=form, sure=True)
    assert status == 422
    assert fields <= {p["field"] for p in content["problems"]}, content
    assert not any(p["doubt"] for p in content["problems"])
    assert written(folder) == []


def test_what_a_check_doubts_can_be_saved_when_it_is_meant(server: ReviewServer, folder: Path) -> None:
    item = first(server)
    form = form_of(server, item)
    arguments = json.loads(form["arguments"]["find_rail_journeys"])
    form["arguments"]["find_rail_journeys"] = json.dumps({**arguments, "origin": "Zanzibar"})
    status, content = decide(server, item, "edit", form=form)
    assert status == 422 and written(folder) == []
    (problem,) = content["problems"]
    assert problem["doubt"] and problem["field"] == "arguments.find_rail_journeys"
    assert "grounding" in problem["message"] and "Zanzibar" in problem["message"]
    assert decide(server, item, "edit", form=form, sure=True)[0] == 200
    (made,) = written(folder)
    assert made.edited and made.edited.call_of("find_rail_journeys").arguments["origin"] == "Zanzibar"
    # Other right values were those of the call as it was.
    assert "find_rail_journeys" not in made.edited.alternatives
    (origin,) = [a for a in view(server, item)["calls"][0]["arguments"] if a["name"] == "origin"]
    assert origin["ground"] == "none" and origin["quoted"] == "no"


def test_a_rejected_item_can_be_mended(server: ReviewServer, folder: Path) -> None:
    item = first(server, "rejected")
    form = form_of(server, item)
    assert json.loads(form["arguments"]["rail_departures_board"])["station_name"] == "Reading"
    status, content = decide(server, item, "edit", form=form, sure=True)
    assert status == 200, content
    assert view(server, item)["outcome"] == "will be trained on"


# ---------------------------------------------------------------- lists


def test_order_filters_and_search(server: ReviewServer) -> None:
    def rows(query: str) -> list[dict[str, Any]]:
        return list(request(server, f"api/items?number=100&{query}")[1]["rows"])

    queue = rows("show=queue")
    assert [r["status"] for r in queue] == ["disagreed"] * 6 + ["accepted"] * 15
    assert all(r["sample"] for r in queue[6:])
    assert [r["id"] for r in rows("show=all")][:21] == [r["id"] for r in queue]
    assert {r["status"] for r in rows("show=rejected")} == {"rejected"}
    assert [r["id"] for r in rows("show=disagreed&q=CARDIFF+rail")] == [queue[0]["id"]]
    assert [r["id"] for r in rows(f"show=all&q={queue[3]['id']}")] == [queue[3]["id"]]
    assert len(rows("show=all&q=judge_unsteady")) == 6 and rows("q=nowhere") == []
    decide(server, queue[0]["id"], "accept")
    assert len(rows("decided=open")) == 20 and [r["id"] for r in rows("decided=mine")] == [queue[0]["id"]]
    window = request(server, f"api/items?number=5&around={queue[7]['id']}")[1]
    assert (window["start"], window["place"], window["total"], len(window["rows"])) == (5, 7, 21, 5)
    assert len(request(server, "api/items?number=5000&show=all")[1]["rows"]) == 24
    assert request(server, "api/items?start=900&number=10")[1]["start"] == 20
    assert request(server, "api/items?start=-5&number=-5")[1]["rows"][0]["id"] == queue[0]["id"]


def test_steps_lead_on_from_an_item_that_left_the_list(server: ReviewServer) -> None:
    def step(item: str, by: str, query: str = "") -> str:
        return str(request(server, f"api/step?item={item}&by={by}{query}")[1]["item"])

    ids = [r["id"] for r in request(server, "api/items")[1]["rows"]]
    assert (step("", "next"), step(ids[0], "next"), step(ids[-1], "next")) == (ids[0], ids[1], "")
    assert (step(ids[0], "back"), step(ids[5], "back")) == ("", ids[4])
    decide(server, ids[1], "accept")
    assert step(ids[1], "next", "&decided=open") == ids[2]
    assert step(ids[0], "open") == ids[2]
    assert step(ids[-1], "open") == ids[0]


def test_prompts_are_read_from_the_cache(server: ReviewServer, folder: Path) -> None:
    make_run(folder, prompts=True)
    item = first(server)
    call = view(server, item)["provenance"][-1]["call"]
    status, found, _ = request(server, f"api/items/{item}/calls/{call}")
    assert status == 200 and [m["role"] for m in found["messages"]] == ["system", "user"]
    assert '"stage": "calls"' in found["answer"] and found["note"] == ""
    assert request(server, f"api/items/{item}/calls/other")[0] == 404
    for path in (folder / "cache").iterdir():
        path.unlink()
    (folder / "cache" / "teacher.sqlite").write_bytes(b"no database at all")
    assert "cannot be read" in request(server, f"api/items/{item}/calls/{call}")[1]["note"]


def test_an_error_of_the_disk_is_told(server: ReviewServer, folder: Path) -> None:
    item = first(server)
    (folder / "reviews.jsonl").mkdir()
    status, content = decide(server, item, "accept")
    assert status == 507 and "reviews.jsonl" in content["error"]
    (folder / "reviews.jsonl").rmdir()
    assert decide(server, item, "accept")[0] == 200


def test_a_fault_of_the_program_is_told(
    server: ReviewServer, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("told")

    monkeypatch.setattr(server.review, "run", fail)
    status, content, _ = request(server, "api/run")
    assert status == 500 and "terminal" in content["error"]
    assert "ZeroDivisionError: told" in capsys.readouterr().err
    assert request(server, "api/items")[0] == 200


# ---------------------------------------------------------------- two reviewers


def test_two_reviewers_at_once(folder: Path) -> None:
    ada, bob = Review(folder, "ada"), Review(folder, "bob")
    with serving(ada) as one, serving(bob) as two:
        ids = [r["id"] for r in request(one, "api/items")[1]["rows"]]
        item = ids[0]
        decide(one, item, "accept")
        blind = view(two, item)
        assert blind["others"] == [] and blind["decision"] is None and blind["outcome"] == ""
        assert request(two, "api/items")[1]["rows"][0]["decision"] == ""
        assert request(two, "api/items?decided=differ")[1]["total"] == 0
        decide(two, item, "reject", reason="odd")
        assert [d["reviewer"] for d in view(one, item)["others"]] == ["bob"]
        assert view(one, item)["outcome"] == "left out"
        assert request(one, "api/items?decided=differ")[1]["total"] == 1

        def work(server: ReviewServer, kinds: str) -> None:
            for place, wanted in zip(ids[6:], kinds, strict=False):
                assert decide(server, place, "accept" if wanted == "a" else "reject", reason="odd")[0] == 200

        threads = [threading.Thread(target=work, args=pair) for pair in ((one, "aarra"), (two, "araraa"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        progress = request(one, "api/run")[1]["progress"]
    assert len(written(folder)) == 2 + 5 + 6
    (agreement,) = progress["agreements"]
    assert agreement["items"] == 6 and agreement["same"] == 2 + 1
    by_name = {r["reviewer"]: r for r in progress["reviewers"]}
    assert (by_name["ada"]["sample_accepted"], by_name["ada"]["sampled"], by_name["ada"]["done"]) == (3, 5, 6)
    assert (by_name["bob"]["sample_accepted"], by_name["bob"]["sampled"]) == (4, 6)


def test_a_line_that_was_cut_short_is_taken_away(folder: Path) -> None:
    review = Review(folder, "ada")
    with serving(review) as server:
        ids = [r["id"] for r in request(server, "api/items")[1]["rows"]]
        decide(server, ids[0], "accept")
        with (folder / "reviews.jsonl").open("a") as out:
            out.write('{"item": "half')
        decide(server, ids[1], "accept")
        with (folder / "reviews.jsonl").open("a") as out:  # by hand, without the last line break
            out.write(json.dumps({"item": ids[2], "reviewer": "eve", "decision": "accept", "at": "now"}))
        decide(server, ids[3], "accept")
    assert [d.item for d in written(folder)] == ids[:4]


def test_damaged_decisions_are_named(folder: Path) -> None:
    (folder / "reviews.jsonl").write_text('{"item": "a", "reviewer": "b", "decision": "maybe", "at": "x"}\n')
    with pytest.raises(RecordError, match=r"reviews\.jsonl:1: decision"):
        Review(folder, "ada")
