"""A catalogue and a recipe for a synthesis with a scripted teacher behind a server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gentool.jsonl import write_jsonl
from tests.llm.fake_server import FakeServer
from tests.synthesis.scripted import play, tool


@pytest.fixture
def teacher(fake_server: FakeServer) -> FakeServer:
    """A server whose model teaches well."""
    fake_server.play = play
    return fake_server


@pytest.fixture
def synthesis(tmp_path: Path, fake_server: FakeServer) -> Callable[..., Path]:
    """Writes a recipe over ``tools`` tools; further keywords are options of ``synthesis``."""

    def make(tools: int = 6, **options: Any) -> Path:
        write_jsonl(tmp_path / "tools.jsonl", [tool(i) for i in range(tools)])
        server = {"model": "m", "base_url": fake_server.url, "max_retries": 0, "concurrency": 8}
        tree = {
            "name": "tiny",
            "synthesis": {"tools": str(tmp_path / "tools.jsonl"), "teacher": server, "queries": 4, **options},
            "scenarios": {"embedding": "tfidf", "k": 3},
        }
        file = tmp_path / "recipe.yaml"
        file.write_text(yaml.safe_dump(tree), encoding="utf-8")
        return file

    return make
