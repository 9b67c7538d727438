"""A real OpenAI-compatible server, `transformers serve` with a small random model, asked as any other."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from gentool.config import ServerConfig
from gentool.jsonl import write_jsonl
from gentool.llm.call import Call
from gentool.llm.client import Client
from gentool.llm.structured import BadAnswer, ask_object
from gentool.synthesis.llm_teacher import SeedQueriesAnswer
from tests.models.tiny import save_tiny
from tests.synthesis.scripted import funnel, tool

pytest.importorskip("fastapi", reason="transformers serve needs fastapi and uvicorn")
pytest.importorskip("uvicorn", reason="transformers serve needs fastapi and uvicorn")

TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerConfig]:
    folder = tmp_path_factory.mktemp("serve")
    model = save_tiny(folder / "model", "qwen3")
    command = shutil.which("transformers", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("transformers has no command here")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [command, "serve", model, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
            stdout=log,
            stderr=log,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "log.txt").read_text(encoding="utf-8")
                time.sleep(0.2)
        yield ServerConfig(
            model=model,
            base_url=f"http://127.0.0.1:{port}/v1",
            concurrency=2,
            max_retries=0,
            temperature=None,
            extra={"max_tokens": 12},
        )
    finally:
        process.kill()
        process.wait()


def test_a_real_server_answers_with_and_without_tools(real_server: ServerConfig, tmp_path: Path) -> None:
    client = Client("real", real_server, tmp_path / "calls.sqlite")
    calls = [Call([{"role": "user", "content": f"Question {n}"}]) for n in range(3)]
    calls += [Call(call.messages, [TOOL], {"tool_choice": "auto"}) for call in calls]
    found = {i: reply for some in client.answers(calls) for i, reply in some}
    assert sorted(found) == list(range(6))
    assert all(r.content and r.model and 0 < r.completion_tokens <= 12 for r in found.values())
    assert found[3].prompt_tokens > found[0].prompt_tokens, "the server put the tool into the prompt"
    again = Client("real", real_server, tmp_path / "calls.sqlite")
    assert {i: r for some in again.answers(calls) for i, r in some} == found
    assert (again.usage.requests, again.usage.cached) == (0, 6)


def test_what_a_random_model_writes_is_no_object(real_server: ServerConfig) -> None:
    async def work() -> None:
        async with Client("real", real_server).session() as session:
            with pytest.raises(BadAnswer, match=r"^(truncated|invalid|empty)"):
                messages = [{"role": "user", "content": "Write."}]
                await ask_object(session, messages, SeedQueriesAnswer, stage="s", template="t")

    asyncio.run(work())


def test_a_synthesis_with_a_real_server(
    real_server: ServerConfig, tmp_path: Path, gentool: Callable[..., int]
) -> None:
    """Nothing that a random model writes gets into the pairs, and all of it is counted."""
    write_jsonl(tmp_path / "tools.jsonl", [tool(n) for n in range(3)])
    teacher = real_server.model_dump(mode="json")
    tree = {"name": "real", "synthesis": {"tools": "tools.jsonl", "teacher": teacher, "queries": 2}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    assert gentool("synthesize", "recipe.yaml", "--yes") == 0
    run = tmp_path / "runs" / "real"
    assert (run / "pairs.jsonl").read_text(encoding="utf-8") == ""
    assert len((run / "rejected.jsonl").read_text(encoding="utf-8").splitlines()) == 3
    assert funnel(run)["seeds_left"] == 0
