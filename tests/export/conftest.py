"""A built run to export from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gentool.config import Config
from gentool.jsonl import write_jsonl
from gentool.pipeline import Run
from gentool.progress import Progress
from gentool.recipe import make_config
from gentool.records import ToolPair


def quiet() -> Progress:
    return Progress(Console(quiet=True))


def read_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, few_pairs: list[ToolPair]) -> Run:
    """A run of five pairs, after ``build``."""
    folder = tmp_path_factory.mktemp("export")
    write_jsonl(folder / "pairs.jsonl", few_pairs)
    config = make_config(
        {
            "name": "tiny",
            "data": {"pairs": str(folder / "pairs.jsonl")},
            "scenarios": {"k": 3, "embedding": "tfidf"},
            "model": {"random_init": {}},
            "train": {"arms": ["sft", "no_ranking", "gentool"], "replay": 0.5, "batches": "shuffled"},
        },
        "test",
    )
    made = Run(config, folder / "runs" / "tiny", quiet())
    made.build()
    return made


@pytest.fixture
def changed(run: Run) -> Callable[..., Config]:
    """The run's configuration with other options: ``changed(prompt={"fallback": "text"})``."""

    def make(**groups: dict[str, Any]) -> Config:
        tree = run.config.model_dump(mode="json")
        return make_config({**tree, **{k: {**tree[k], **v} for k, v in groups.items()}}, "test")

    return make
