"""Whole runs through the command line: shared prefixes give the trajectory of plain batches, and the gate acts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gentool.cli import main
from gentool.pipeline import Run
from gentool.progress import Progress
from gentool.recipe import load_config
from gentool.training.arms import plan_arms
from gentool.training.dataset import SampleRenderer, TrainingError
from gentool.training.prepare import make_renderer
from gentool.training.shared_prefix import gate
from tests.conftest import read_json

STAGES = ("sft/seed-0/select", "gentool/seed-0/rank", "gentool/seed-0/select")


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> Callable[..., tuple[int, str]]:
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["gentool", "train", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), " ".join(capsys.readouterr().err.split())

    return call


def curve(folder: Path) -> list[tuple[float, float]]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [(json.loads(line)["loss"], json.loads(line)["grad_norm"]) for line in lines]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train__method": "lora", "train__lora": {"rank": 4}},
        {
            "train__gradient_checkpointing": True,
            "train__micro_batch_tokens": 700,
            "train__batch_size": 12,
            "train__epochs": 2,
        },
        {"train__schedule": "mixed", "train__epochs": 2},
    ],
    ids=["full", "lora", "checkpointing, small packs", "mixed"],
)
def test_shared_gives_the_trajectory_of_plain(
    changes: dict[str, Any],
    train: Callable[..., tuple[int, str]],
    recipe: Callable[..., Path],
    tmp_path: Path,
) -> None:
    for engine in ("off", "on"):
        file = recipe(
            train__shared_prefix=engine, train__arms=["gentool"], evaluate__models=["base"], **changes
        )
        code, shown = train(file, "--runs", engine)
        assert code == 0, shown
        assert ("shared prefixes (token ratio" in shown) == (engine == "on")
    folders = sorted((tmp_path / "off" / "tiny" / "stages" / "gentool" / "seed-0").iterdir())
    assert folders
    for plain in folders:
        shared = tmp_path / "on" / plain.relative_to(tmp_path / "off")
        assert len(curve(plain)) >= 3
        for a, b in zip(curve(plain), curve(shared), strict=True):
            assert b == pytest.approx(a, rel=2e-4)
        (weights,) = plain.glob("*.safetensors")
        expected, found = load_file(weights), load_file(shared / weights.name)
        for name, tensor in expected.items():
            # AdamW turns the rounding of gradients near 0 into steps of the size of the learning rate.
            assert (found[name] - tensor).abs().mean() < 1e-4, name
        metrics = read_json(shared / "stage.json")["metrics"]
        assert metrics["shared_prefix"] is True and metrics["token_ratio"] > 1.2


def test_a_stopped_stage_goes_on_with_shared_prefixes(
    train: Callable[..., tuple[int, str]],
    recipe: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = recipe(train__shared_prefix="on", train__arms=["gentool"], evaluate__models=["base"])
    assert train(file, "--runs", "whole")[0] == 0
    update = Progress.update

    def stop(self: Progress, task: Any, done: int) -> None:
        update(self, task, done)
        self.stopping = self.stopping or done == 3

    monkeypatch.setattr(Progress, "update", stop)
    assert train(file, "--runs", "parts")[0] == 130
    monkeypatch.setattr(Progress, "update", update)
    code, shown = train(file, "--runs", "parts")
    assert code == 0 and "going on after step 3" in shown
    for stage in ("rank", "select"):
        place = f"tiny/stages/gentool/seed-0/{stage}/model.safetensors"
        whole, parts = load_file(tmp_path / "whole" / place), load_file(tmp_path / "parts" / place)
        assert all(torch.equal(whole[name], parts[name]) for name in whole)


def engine_of(recipe: Path, folder: Path) -> Any:
    run = Run(load_config(recipe), folder, Progress())
    run.build()
    base = run.base()
    config = run.config.train
    renderer = make_renderer(run.config, base)
    source = SampleRenderer(run.samples(), run.tools(), renderer, 0, 8192, options=config)
    from gentool.models import load_model

    model = load_model(base, torch.float32, trainable=True)
    return gate.choose_engine(model, plan_arms(source, run.config, 0)["gentool"][0], source, config), model


def test_auto_shares_where_it_pays_and_not_where_it_does_not(
    recipe: Callable[..., Path], tmp_path: Path
) -> None:
    engine, model = engine_of(recipe(), tmp_path / "a")
    assert engine.shared and engine.ratio > 1.5 and model.config._attn_implementation == "gentool_tree"
    # A list order for each sample leaves nothing to share.
    engine, model = engine_of(recipe(train__tool_order="sample"), tmp_path / "b")
    assert not engine.shared and engine.ratio < 1.2 and "below 1.2" in engine.why
    assert model.config._attn_implementation == "sdpa"
    engine, _ = engine_of(recipe(train__tool_order="sample", train__shared_prefix="on"), tmp_path / "c")
    assert engine.shared
    engine, _ = engine_of(recipe(train__shared_prefix="off"), tmp_path / "d")
    assert not engine.shared and "train.shared_prefix: off" in engine.why


def test_what_is_not_exact_falls_back_loudly_or_is_refused(
    recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "obstacles", lambda model, span: ["the moon is full"])
    engine, _ = engine_of(recipe(), tmp_path / "a")
    assert not engine.shared and "plain batches" in engine.why and "the moon is full" in engine.why
    with pytest.raises(
        TrainingError, match=r"would not be exact: the moon is full\. Fix: set it to auto or off"
    ):
        engine_of(recipe(train__shared_prefix="on"), tmp_path / "b")


def test_a_wrong_backend_stops_the_run_at_the_first_batch(
    train: Callable[..., tuple[int, str]],
    recipe: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from transformers import AttentionInterface

    from gentool.training.shared_prefix.attention import tree_sdpa

    def wrong(*args: Any, **kwargs: Any) -> Any:
        found, _ = tree_sdpa(*args, **kwargs)
        return found * 1.01, None

    AttentionInterface.register("gentool_tree", wrong)
    try:
        code, shown = train(recipe(train__shared_prefix="on"), "--runs", "wrong")
    finally:
        AttentionInterface.register("gentool_tree", tree_sdpa)
    assert code == 2 and "shared prefixes do not give what plain batches give" in shown
    assert not list((tmp_path / "wrong").rglob("model.safetensors.index")) and not list(
        (tmp_path / "wrong" / "tiny" / "stages").rglob("*.safetensors")
    )
