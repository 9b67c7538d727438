"""``gentool review``: the page in a process of its own, and the summary."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gentool.jsonl import read_jsonl
from gentool.review.review import Order, Review
from gentool.synthesis.records import Decision
from tests.review.sample_run import make_run


def start(folder: Path, *words: str) -> tuple[subprocess.Popen[str], str]:
    """The command in a process of its own, and the address it prints."""
    command = [sys.executable, "-m", "gentool", "review", str(folder), "--no-browser", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    printed = [process.stdout.readline() for _ in range(3)]
    return process, printed[1].strip()


def post(url: str, item: str, decision: str, **more: Any) -> None:
    body = json.dumps({"item": item, "decision": decision, **more}).encode()
    headers = {"Content-Type": "application/json", "Origin": url[: url.index("/", 8)]}
    with urllib.request.urlopen(urllib.request.Request(f"{url}api/decisions", body, headers)) as answer:
        assert answer.status == 200


def test_decisions_survive_a_kill_and_ctrl_c_tells_what_was_decided(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "mine")
    ids = [e.item for e in Review(folder, "x").queue.part("queue")]
    process, url = start(folder, "--reviewer", "ada")
    for item in ids[:5]:
        post(url, item, "accept")
    process.kill()
    process.communicate()
    assert [d.item for d in read_jsonl(Decision, folder / "reviews.jsonl")] == ids[:5]

    process, url = start(folder, "--reviewer", "ada")
    post(url, ids[5], "reject", reason="odd")
    post(url, ids[0], "undo")
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 0, printed
    assert "Decided now: 1 rejected, 1 taken back. Of 21 items to review 5 are decided." in printed
    assert "Traceback" not in printed
    decisions = read_jsonl(Decision, folder / "reviews.jsonl")
    assert len(decisions) == 7 and {d.reviewer for d in decisions} == {"ada"}


def test_summary(gentool: Callable[..., int], tmp_path: Path, capsys: Any) -> None:
    folder = make_run(tmp_path / "mine")
    assert gentool("review", folder, "--summary") == 0
    assert "6 disagreed, sample of 15" in capsys.readouterr().out
    ids = [e.item for e in Review(folder, "x").queue.part("sample")]
    kinds = {"[bold]ada\x1b[31m": "aaaaaarrrr", "bob": "aaaaarrrra"}
    for name, wanted in kinds.items():
        review = Review(folder, name)
        for item, kind in zip(ids, wanted, strict=False):
            order = {
                "item": item,
                "decision": "accept" if kind == "a" else "reject",
                "reason": "A grade is wrong",
            }
            review.decide(Order.model_validate(order))
    assert gentool("review", folder, "--summary") == 0
    printed = capsys.readouterr().out
    assert "[bold]ada" in printed and "\x1b[31m" not in printed
    assert printed.count("6 of 10") == printed.count("60 % [31, 83]") == 2
    assert "0.58" in printed  # 8 of 10 the same, 0.52 by chance
    assert "A grade is wrong" in printed and "8" in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--reviewer", ""], "--reviewer"),
        (["--reviewer", "a\nb"], "--reviewer"),
        (["--reviewer", "x" * 200], "--reviewer"),
        (["--sample", "many"], "--sample"),
        (["--sample", "-3"], "--sample"),
    ],
)
def test_bad_options_are_named(
    gentool: Callable[..., int], tmp_path: Path, capsys: Any, words: list[str], said: str
) -> None:
    folder = make_run(tmp_path / "mine", 1)
    assert gentool("review", folder, "--no-browser", *words) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error


def test_a_port_that_is_taken_is_named(gentool: Callable[..., int], tmp_path: Path, capsys: Any) -> None:
    import socket

    folder = make_run(tmp_path / "mine", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert gentool("review", folder, "--no-browser", "--port", port) == 2
    assert f"--port {port}" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_named(gentool: Callable[..., int], tmp_path: Path, capsys: Any) -> None:
    assert gentool("review", tmp_path / "none", "--no-browser") == 2
    assert "gentool synthesize" in capsys.readouterr().err
