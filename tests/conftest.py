"""Shared fixtures: a small set of real pairs, and a recipe whose models train in seconds."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, settings

from gentool import data
from gentool.catalog.pairs import read_pairs
from gentool.cli import main
from gentool.jsonl import write_jsonl
from gentool.records import ToolPair
from tests.llm.fake_server import FakeServer

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported: no test asks a hub
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models; pytest-xdist has the cores

# A busy machine is no fault of the code.
settings.register_profile("gentool", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gentool")

TEMPLATES = Path(__file__).parent / "prompting" / "templates"


def trl_template(name: str) -> Path:
    """A real chat template, as TRL ships it."""
    trl = pytest.importorskip("trl", reason="needs the chat templates in TRL's wheel")
    return Path(trl.__file__).parent / "chat_templates" / name


@pytest.fixture(scope="session")
def few_pairs() -> list[ToolPair]:
    """Two pairs of T, one each of A, B and U, with four queries each."""
    wanted = {"T": 2, "A": 1, "B": 1, "U": 1}
    chosen = []
    for pair in read_pairs(data.PAIRS):
        if wanted[str(pair.group)]:
            wanted[str(pair.group)] -= 1
            by_best = sorted(pair.queries, key=lambda q: q.best or "")
            chosen.append(pair.model_copy(update={"queries": tuple(by_best[:2] + by_best[-2:])}))
    return chosen


@pytest.fixture
def recipe(tmp_path: Path, few_pairs: list[ToolPair]) -> Callable[..., Path]:
    """Writes a recipe that a tiny random model runs through in seconds; keyword arguments change it."""
    write_jsonl(tmp_path / "pairs.jsonl", few_pairs)

    def make(**changes: Any) -> Path:
        tree: dict[str, Any] = {
            "name": "tiny",
            "data": {"pairs": str(tmp_path / "pairs.jsonl")},
            "scenarios": {"k": 3, "embedding": "tfidf"},
            "model": {
                "random_init": {
                    "architecture": "qwen3",
                    "hidden_size": 32,
                    "layers": 2,
                    "heads": 2,
                    "key_value_heads": 1,
                    "vocabulary": 1000,
                }
            },
            "train": {
                "arms": ["sft", "gentool"],
                "epochs": 1,
                "learning_rate": 0.001,
                "batch_size": 8,
                "micro_batch_size": 4,
                "log_steps": 1,
                "save_steps": 2,
            },
            "evaluate": {"max_prompts": 24, "max_new_tokens": 8, "bootstrap": 50},
        }
        for key, value in changes.items():
            *path, last = key.split("__")
            place = tree
            for part in path:
                place = place.setdefault(part, {})
            place[last] = value
        file = tmp_path / "recipe.yaml"
        file.write_text(yaml.safe_dump(tree), encoding="utf-8")
        return file

    return make


@pytest.fixture
def gentool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Calls the command line in this process, in an empty folder; returns the exit code."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> int:
        monkeypatch.setattr(sys, "argv", ["gentool", *map(str, words)])
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    return call


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def fake_server() -> Iterator[FakeServer]:
    """A server on 127.0.0.1 that plays an OpenAI-compatible one."""
    server = FakeServer()
    yield server
    server.close()
