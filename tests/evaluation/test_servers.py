"""A server as a row of the table, through the real command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gentool import data
from gentool.evaluation.predict import read_predictions
from gentool.records import SCENARIOS
from tests.conftest import read_json
from tests.llm.fake_server import Answer, FakeServer, completion, obedient

KEY = "sk-test-do-not-write-me-anywhere-42"


@pytest.fixture
def servers_only(recipe: Callable[..., Path], fake_server: FakeServer) -> Callable[..., Path]:
    """A recipe that asks a server and trains nothing."""

    def make(**options: Any) -> Path:
        server = {"model": "some-model", "base_url": fake_server.url, "api_key_env": "FAKE_KEY", **options}
        return recipe(train__arms=[], evaluate__models=[], evaluate__servers={"Some.Model-1": server})

    return make


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_KEY", KEY)


def files_with(text: str, folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and text.encode() in p.read_bytes()]


def test_a_run_with_a_server_beside_models(
    gentool: Callable[..., int],
    recipe: Callable[..., Path],
    fake_server: FakeServer,
    tmp_path: Path,
    capsys: Any,
) -> None:
    server = {"model": "some-model", "base_url": fake_server.url, "api_key_env": "FAKE_KEY"}
    file = recipe(seeds=[1, 2], train__arms=["sft"], train__epochs=0.2, evaluate__models=["base", "sft"])
    with_server = [file, "--set", f"evaluate.servers={{big: {server}}}"]
    assert gentool("run", *with_server) == 0
    printed = capsys.readouterr()
    folder = tmp_path / "runs" / "tiny"
    asked = len(fake_server.bodies)
    assert 0 < asked <= 24 and f"big: {asked} requests answered with {asked * 100:,} prompt" in printed.err
    scores = read_json(folder / "scores.json")
    assert list(scores["models"]) == ["base", "sft", "big"]
    cell = scores["models"]["big"]["unseen_query_unseen_tool"]["all"]["malformed"]
    assert cell["n_pairs"] == 1 and cell["value"] == 0
    assert "big" in printed.out
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert ">big</" in html and "predictions of big" not in html and "some-model" in html
    for scenario in SCENARIOS:
        path = folder / "predictions"
        own, other = (read_predictions(path / m / f"{scenario}.jsonl") for m in ("big", "base"))
        assert [(p.key, p.shown) for p in own] == [(p.key, p.shown) for p in own if p.seed == 1]
        assert {p.key: p.shown for p in own} == {p.key: p.shown for p in other}, "asked the same"
    assert (folder / "cache" / "calls.sqlite").is_file()
    assert not files_with(KEY, tmp_path) and KEY not in printed.out + printed.err
    assert {h["authorization"] for h in fake_server.headers} == {f"Bearer {KEY}"}

    assert gentool("run", *with_server) == 0
    assert len(fake_server.bodies) == asked, "a second run asks nothing"
    assert read_json(folder / "scores.json") == scores


def test_a_run_without_models_of_its_own_needs_no_torch(
    servers_only: Callable[..., Path], fake_server: FakeServer, tmp_path: Path
) -> None:
    code = (
        f"import sys; sys.argv = ['gentool', 'run', {str(servers_only())!r}]\n"
        "from gentool.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    assert list(read_json(tmp_path / "runs/tiny/scores.json")["models"]) == ["Some.Model-1"]


def test_what_a_server_is_asked_anew(
    gentool: Callable[..., int], servers_only: Callable[..., Path], fake_server: FakeServer, tmp_path: Path
) -> None:
    assert gentool("evaluate", servers_only()) == 0
    asked = len(fake_server.bodies)
    predictions = tmp_path / "runs/tiny/predictions/Some.Model-1"
    first = {s: (predictions / f"{s}.jsonl").read_bytes() for s in SCENARIOS}
    for scenario in SCENARIOS:
        (predictions / f"{scenario}.jsonl").unlink()
    assert gentool("evaluate", servers_only(concurrency=1, timeout=7, max_retries=1)) == 0
    assert len(fake_server.bodies) == asked, "the cache knows the answers"
    again = {s: (predictions / f"{s}.jsonl").read_bytes() for s in SCENARIOS}
    assert {s: sorted(t.splitlines()) for s, t in again.items()} == {
        s: sorted(t.splitlines()) for s, t in first.items()
    }
    for changes in ({"temperature": 0.5}, {"extra": {"top_p": 0.9}}, {"model": "other"}):
        before = len(fake_server.bodies)
        assert gentool("evaluate", servers_only(**changes)) == 0
        assert len(fake_server.bodies) == before + asked, changes
    assert gentool("evaluate", servers_only(), "--set", "evaluate.max_new_tokens=9") == 0
    assert fake_server.bodies[-1]["max_tokens"] == 9


def test_killed_in_the_middle_nothing_is_paid_twice(
    servers_only: Callable[..., Path], fake_server: FakeServer, tmp_path: Path
) -> None:
    here = threading.Event()

    def play(body: dict[str, Any], number: int) -> Any:
        if number == 6:
            here.set()
            fake_server.closing.wait(60)
        return obedient(body, number)

    fake_server.play = play
    command = [sys.executable, "-m", "gentool", "evaluate", str(servers_only(concurrency=1))]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, env={**os.environ})
    assert here.wait(60)
    process.kill()
    process.wait()
    fake_server.play = obedient
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    texts = [str(b) for b in fake_server.bodies]
    assert len(texts) == len(set(texts)) + 1, "only what was under way is asked again"


def test_ctrl_c_keeps_what_is_under_way(
    servers_only: Callable[..., Path], fake_server: FakeServer, tmp_path: Path
) -> None:
    here, go_on = threading.Event(), threading.Event()

    def play(body: dict[str, Any], number: int) -> Any:
        if number >= 3:
            here.set()
            go_on.wait(60)
        return obedient(body, number)

    fake_server.play = play
    command = [sys.executable, "-m", "gentool", "evaluate", str(servers_only(concurrency=2))]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env={**os.environ})
    assert process.stderr is not None and here.wait(60)
    process.send_signal(signal.SIGINT)
    while "Stopping after" not in process.stderr.readline():
        assert process.poll() is None
    go_on.set()
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 130 and "To go on:" in printed
    sent = len(fake_server.bodies)
    assert sent <= 4
    kept = [
        p
        for s in SCENARIOS
        for p in read_predictions(tmp_path / "runs/tiny/predictions/Some.Model-1" / f"{s}.jsonl")
    ]
    assert len(kept) == sent, "all that was asked is answered and on disk"
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    texts = [str(b) for b in fake_server.bodies]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize(
    ("answer", "options", "expected"),
    [
        (
            Answer({"error": {"message": f"bad key {KEY}"}}, 401),
            {},
            ["HTTP 401", "Fix: put a valid key", "FAKE_KEY"],
        ),
        (Answer({"error": {"message": f"[/red] {KEY}"}}, 400), {}, ["[/red] ***", "Fix: change what"]),
        (Answer(f"<html>{KEY}".encode()), {"max_retries": 0}, ["expected a chat completion", "***"]),
        (completion("x"), {"api_key_env": "NO_SUCH_KEY"}, ["NO_SUCH_KEY", "is not set", "Fix: export"]),
        (completion("x"), {"base_url": f"http://user:{KEY}@127.0.0.1/v1"}, ["base_url", "Fix: put the key"]),
        (completion("x"), {"base_url": f"http://127.0.0.1/v1?key={KEY}"}, ["base_url", "Fix: put the key"]),
        (completion("x"), {"base_url": "127.0.0.1:80"}, ["base_url", "such as http://"]),
        (completion("x"), {"api_key_env": KEY}, ["api_key_env", "not the key itself", "Fix: export"]),
        (completion("x"), {"api_key": KEY}, ["api_key: unknown key", "did you mean 'api_key_env'"]),
        (completion("x"), {"extra": {"messages": []}}, ["extra", "['messages'] cannot be set here"]),
    ],
)
def test_mistakes_have_one_message_without_the_key(
    gentool: Callable[..., int],
    servers_only: Callable[..., Path],
    fake_server: FakeServer,
    tmp_path: Path,
    capsys: Any,
    answer: Answer,
    options: dict[str, Any],
    expected: list[str],
) -> None:
    fake_server.play = lambda body, n: answer
    file = servers_only(**options)
    assert gentool("evaluate", file) == 2
    printed = capsys.readouterr()
    for part in expected:
        assert part in " ".join(printed.err.split())
    assert KEY not in printed.err + printed.out and "Traceback" not in printed.err
    assert files_with(KEY, tmp_path) == ([file] if KEY in str(options) else [])


@pytest.mark.parametrize("name", ["base", "GenTool", "../x", "a/b", "", ".hidden", "x" * 65, "a b"])
def test_row_names_that_are_taken_or_no_folder(
    gentool: Callable[..., int], recipe: Callable[..., Path], capsys: Any, name: str
) -> None:
    assert gentool("build", recipe(evaluate__servers={name: {"model": "m"}})) == 2
    assert "servers" in capsys.readouterr().err


def test_predict_with_a_server(
    gentool: Callable[..., int], fake_server: FakeServer, tmp_path: Path, capsys: Any
) -> None:
    lines = data.TOOLS.read_text(encoding="utf-8").splitlines()[:3]
    (tmp_path / "tools.jsonl").write_text("\n".join(lines), encoding="utf-8")
    words = ["--server", fake_server.url, "--model", "some-model", "--tools", "tools.jsonl", "When?"]
    assert gentool("predict", *words, "--api-key-env", "FAKE_KEY") == 0
    printed = capsys.readouterr().out
    assert '"generate_response"' in printed and '"outcome": "call"' in printed
    assert len(fake_server.bodies) == 2 and not files_with(KEY, tmp_path)
    assert gentool("predict", *words, "--api-key-env", "a key") == 2
    assert "--server: api_key_env" in capsys.readouterr().err
