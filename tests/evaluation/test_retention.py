"""Loss on held-out conversations: equal to one at a time, kept on disk, and part of scores and tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gentool.cli import main
from gentool.evaluation.retention import measure, turn_losses
from gentool.models import load_model
from gentool.pipeline import Run
from gentool.progress import Progress
from gentool.recipe import load_config
from gentool.training.mixture import read_mixture
from gentool.training.prepare import make_renderer
from tests.conftest import read_json


def conversations(path: Path, number: int = 12) -> Path:
    lines = [
        {
            "messages": [
                {"role": "user", "content": f"Tell me about number {i}"},
                {"role": "assistant", "content": "It is " + "very " * (i % 4) + "nice."},
                {"role": "user", "content": "More?"},
                {"role": "assistant", "content": f"{i} comes before {i + 1}."},
            ]
        }
        for i in range(number)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def built(recipe: Callable[..., Path], tmp_path: Path) -> Run:
    mix = [{"path": str(conversations(tmp_path / "chat.jsonl")), "weight": 0.2, "held_out": 0.5}]
    run = Run(load_config(recipe(data__mix=mix)), tmp_path / "run", Progress())
    run.build()
    return run


def test_losses_in_batches_are_those_of_one_turn_at_a_time(built: Run) -> None:
    renderer = make_renderer(built.config, built.base())
    turns = read_mixture(built.config.data.mix, 0).held_out
    rendered = [renderer.chat(t.messages, t.answer, t.tools) for t in turns]
    model = load_model(built.base(), torch.float64).eval()
    alone = []
    for row in rendered:
        logits = model(torch.tensor([row.ids])).logits[0].log_softmax(-1)
        alone.append(-sum(float(logits[i - 1, row.ids[i]]) for i in range(row.start, len(row.ids))))
    pad = renderer.tokenizer.pad_token_id
    for size in (1, 5, 64):
        assert turn_losses(model, rendered, pad, size) == pytest.approx(alone, rel=1e-6)


def test_measured_once_and_again_when_weights_change(built: Run, tmp_path: Path) -> None:
    base = built.base()
    renderer = make_renderer(built.config, base)
    turns = read_mixture(built.config.data.mix, 0).held_out
    loaded: list[str] = []

    def load(path: str) -> Any:
        loaded.append(path)
        return load_model(base, torch.float32).eval()

    def found(weights: str, limit: int = 8192) -> dict[str, Any]:
        models = {"base": {0: "base"}, "sft": {0: "a", 1: "b"}}
        return measure(models, lambda p: p + weights, load, renderer, turns, limit, 4, tmp_path, Progress())

    first = found("1")
    assert loaded == ["base", "a", "b"] and first["turns"] == 12 and first["left_out"] == 0
    assert found("1") == first and len(loaded) == 3
    assert first["models"]["sft"]["change"] == pytest.approx(0, abs=1e-9)
    assert first["models"]["sft"]["low"] <= first["models"]["sft"]["high"]
    found("2")
    assert len(loaded) == 6
    lengths = sorted(len(renderer.chat(t.messages, t.answer, t.tools).ids) for t in turns)
    short = found("2", lengths[5])
    assert short["left_out"] == 12 - short["turns"] > 0
    (tmp_path / "sft" / "retention.json").write_text('{"0": ', encoding="utf-8")
    assert found("2")["models"]["sft"]["loss"] == pytest.approx(first["models"]["sft"]["loss"])


def test_a_run_reports_it(
    recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    mix = [{"path": str(conversations(tmp_path / "chat.jsonl")), "weight": 0.5, "held_out": 0.5}]
    file = recipe(data__mix=mix, train__epochs=4, train__learning_rate=0.01, prompt__fallback="text")
    monkeypatch.setattr(sys, "argv", ["gentool", "run", str(file)])
    with pytest.raises(SystemExit) as end:
        main()
    shown = capsys.readouterr()
    assert end.value.code == 0, shown.err
    retention = read_json(tmp_path / "runs" / "tiny" / "scores.json")["retention"]
    assert set(retention["models"]) == {"base", "sft", "gentool"}
    # Trained on like conversations from a random start: the loss must fall.
    assert retention["models"]["gentool"]["high"] < 0 and retention["models"]["sft"]["high"] < 0
    assert "held-out turns of your own conversations" in " ".join(shown.out.split())
    page = (tmp_path / "runs" / "tiny" / "report.html").read_text(encoding="utf-8")
    assert "Retention" in page
