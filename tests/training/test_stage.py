"""Training a stage: exact losses and gradients, resume = straight run, full and LoRA."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gentool.config import Config
from gentool.models import load_model
from gentool.pipeline import Run
from gentool.progress import Progress, Stopped
from gentool.recipe import load_config
from gentool.training.arms import plan_arms
from gentool.training.dataset import SampleRenderer, TrainingError, collate
from gentool.training.loss import batch_loss
from gentool.training.plan import Item
from gentool.training.prepare import make_renderer
from gentool.training.stage import StageSpec, train_stage
from gentool.training.trainer import PlainBatches, Steps


class Setting:
    """A built run and all that training a stage needs."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.config = config
        self.run = Run(config, folder, Progress())
        self.run.build()
        self.base = self.run.base()
        self.renderer = make_renderer(config, self.base)
        self.source = SampleRenderer(
            self.run.samples(), self.run.tools(), self.renderer, 0, config.train.max_length
        )
        self.plans = plan_arms(self.source, config, 0)

    def spec(self, folder: Path, stage: int = 0, parent: str | None = None) -> StageSpec:
        return StageSpec(
            arm="gentool",
            plan=self.plans["gentool"][stage],
            config=self.config.train,
            dtype="float32",
            seed=0,
            parent=parent or self.base,
            folder=folder,
            data_hash="data",
        )


@pytest.fixture
def setting(recipe: Callable[..., Path], tmp_path: Path) -> Callable[..., Setting]:
    def make(**changes: Any) -> Setting:
        return Setting(load_config(recipe(**changes)), tmp_path / "run")

    return make


def log_of(folder: Path) -> list[float]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines]


def loss_and_gradients(
    model: Any, batches: list[dict[str, Any]], tokens: int
) -> tuple[float, dict[str, Any]]:
    model.zero_grad()
    total = 0.0
    for batch in batches:
        loss = batch_loss(model, batch) / tokens
        loss.backward()
        total += loss.item()
    return total, {n: p.grad.clone() for n, p in model.named_parameters()}


def test_batches_give_the_loss_and_gradients_of_one_sample_at_a_time(setting: Callable[..., Setting]) -> None:
    made = setting()
    model = load_model(made.base, torch.float64, trainable=True)
    pad = made.renderer.tokenizer.pad_token_id
    items = made.plans["gentool"][0].step(0)[:3] + made.plans["gentool"][1].step(0)[:3]
    rows = [made.source.render(item) for item in items]
    assert len({len(r.ids) for r in rows}) > 1, "padding must matter"
    tokens = sum(len(r.ids) - r.start for r in rows)
    single = [collate([[row]], pad, whole=True) for row in rows]
    expected, gradients = loss_and_gradients(model, single, tokens)
    for whole in (False, True):
        loss, found = loss_and_gradients(model, [collate([rows], pad, whole)], tokens)
        assert loss == pytest.approx(expected, rel=1e-12)
        for name, gradient in gradients.items():
            error = (found[name] - gradient).norm() / gradient.norm()
            assert error < 1e-6, name
    assert collate([rows], pad)["labels"].shape[1] < collate([rows], pad, whole=True)["labels"].shape[1]


def test_the_trained_tokens_are_the_target_with_its_stop_token(setting: Callable[..., Setting]) -> None:
    made = setting()
    row = made.source.render(Item(0, "select", 0))
    batch = collate([[row]], made.renderer.tokenizer.pad_token_id)
    trained = batch["labels"][0][batch["labels"][0] != -100].tolist()
    assert trained == row.ids[row.start :]
    assert trained[-1] in made.renderer.stop_ids


def test_micro_batch_size_does_not_change_the_losses(setting: Callable[..., Setting], tmp_path: Path) -> None:
    losses = []
    for micro in (1, 8):
        made = setting(train__micro_batch_size=micro)
        folder = tmp_path / f"micro{micro}"
        train_stage(made.spec(folder), made.source, Progress())
        losses.append(log_of(folder))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0][-1] < losses[0][0]


def test_a_batch_with_nothing_in_it_adds_nothing(setting: Callable[..., Setting]) -> None:
    made = setting()
    rows = Steps(made.plans["gentool"][0], made.source, PlainBatches(4, 0), 1).rows(0)
    batches = PlainBatches(4, made.renderer.tokenizer.pad_token_id)(rows, 3)
    assert len(batches) == 3 and sum(b["input_ids"].shape[1] == 2 for b in batches) == 0
    few = PlainBatches(4, made.renderer.tokenizer.pad_token_id)(rows[:2], 3)
    model = load_model(made.base, torch.float32, trainable=True)
    losses = [batch_loss(model, batch).item() for batch in few]
    assert len(few) == 3 and sorted(losses)[0] == 0 and sum(loss > 0 for loss in losses) == 2


def test_weights_of_samples_count_in_loss_and_gradients(setting: Callable[..., Setting]) -> None:
    made = setting()
    model = load_model(made.base, torch.float64, trainable=True)
    rows = [made.source.render(item) for item in made.plans["gentool"][0].step(0)[:2]]
    pad = made.renderer.tokenizer.pad_token_id
    alone = [batch_loss(model, collate([[row]], pad)).item() for row in rows]
    weighted = [replace(rows[0], weight=3.0), replace(rows[1], weight=0.5)]
    for whole in (False, True):
        found = batch_loss(model, collate([weighted], pad, whole)).item()
        assert found == pytest.approx(3 * alone[0] + 0.5 * alone[1], rel=1e-9)


class StopAfter(Progress):
    """Asks to stop after so many steps, as Ctrl-C does."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def update(self, task: Any, done: int) -> None:
        super().update(task, done)
        self.stopping = done >= self.steps


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_stopped_stage_resumes_to_the_same_weights(
    setting: Callable[..., Setting], tmp_path: Path, method: str
) -> None:
    made = setting(train__method=method, train__epochs=1.5, train__lora={"rank": 4})
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    train_stage(made.spec(straight), made.source, Progress())
    with pytest.raises(Stopped):
        train_stage(made.spec(broken), made.source, StopAfter(3))
    assert not (broken / "stage.json").exists()
    train_stage(made.spec(broken), made.source, Progress())
    name = "adapter_model.safetensors" if method == "lora" else "model.safetensors"
    first, second = load_file(straight / name), load_file(broken / name)
    assert first.keys() == second.keys()
    for key in first:
        assert torch.allclose(first[key], second[key], atol=1e-6), key
    manifest = json.loads((broken / "stage.json").read_text(encoding="utf-8"))
    assert manifest["metrics"]["resumed_from"] == "checkpoint-3"
    assert log_of(broken) == pytest.approx(log_of(straight), rel=1e-5)


def test_a_finished_stage_is_not_trained_again_and_a_changed_one_is(
    setting: Callable[..., Setting], tmp_path: Path
) -> None:
    made = setting()
    folder = tmp_path / "stage"
    train_stage(made.spec(folder), made.source, Progress())
    manifest = (folder / "stage.json").read_text(encoding="utf-8")
    train_stage(made.spec(folder), made.source, Progress())
    assert (folder / "stage.json").read_text(encoding="utf-8") == manifest
    changed = setting(train__learning_rate=0.002)
    train_stage(changed.spec(folder), changed.source, Progress())
    assert (
        json.loads((folder / "stage.json").read_text(encoding="utf-8"))["identity"]["learning_rate"] == 0.002
    )


def test_a_checkpoint_cut_short_is_not_resumed(setting: Callable[..., Setting], tmp_path: Path) -> None:
    made = setting()
    folder = tmp_path / "stage"
    with pytest.raises(Stopped):
        train_stage(made.spec(folder), made.source, StopAfter(2))
    newest = folder / "checkpoints" / "checkpoint-9"
    newest.mkdir()
    (newest / "model.safetensors").write_bytes(b"cut")
    train_stage(made.spec(folder), made.source, Progress())
    manifest = json.loads((folder / "stage.json").read_text(encoding="utf-8"))
    assert manifest["metrics"]["resumed_from"] == "checkpoint-2"


def test_lora_trains_one_adapter_through_both_stages(setting: Callable[..., Setting], tmp_path: Path) -> None:
    made = setting(train__method="lora", train__lora={"rank": 4})
    rank, select = tmp_path / "rank", tmp_path / "select"
    train_stage(made.spec(rank), made.source, Progress())
    train_stage(made.spec(select, 1, str(rank)), made.source, Progress())
    first, second = (load_file(f / "adapter_model.safetensors") for f in (rank, select))
    assert any(not torch.equal(first[k], second[k]) for k in first)
    assert json.loads((select / "adapter_config.json").read_text())["base_model_name_or_path"] == made.base
    base = dict(load_model(made.base, torch.float32).named_parameters())
    tuned = load_model(str(select), torch.float32)
    frozen = {n: p for n, p in tuned.get_base_model().named_parameters() if "lora_" not in n}
    for name, weight in frozen.items():
        assert torch.equal(base[name.replace(".base_layer", "")], weight), name


def test_a_sample_that_does_not_fit_is_never_cut(setting: Callable[..., Setting]) -> None:
    made = setting(train__max_length=50)
    with pytest.raises(TrainingError, match=r"has \d+ tokens; the limit is 50.*Fix: raise"):
        made.source.render(Item(0, "select", 0))


def test_a_loss_that_is_not_a_number_is_an_error_and_nothing_is_saved(
    setting: Callable[..., Setting], tmp_path: Path
) -> None:
    made = setting(train__learning_rate=1e30, train__max_grad_norm=1e30)
    folder = tmp_path / "stage"
    with pytest.raises(TrainingError, match=r"the loss is not a number. Fix: lower train.learning_rate"):
        train_stage(made.spec(folder), made.source, Progress())
    assert not (folder / "stage.json").exists() and not (folder / "model.safetensors").exists()


def test_options_that_do_not_touch_the_weights_do_not_retrain(
    setting: Callable[..., Setting], tmp_path: Path, capsys: Any
) -> None:
    folder = tmp_path / "stage"
    made = setting()
    train_stage(made.spec(folder), made.source, Progress())
    changed = setting(train__save_steps=7, train__arms=["gentool", "no_ranking", "sft"], train__log_steps=2)
    capsys.readouterr()
    train_stage(changed.spec(folder), changed.source, Progress())
    assert "done before" in capsys.readouterr().err
    (folder / "model.safetensors").unlink()
    train_stage(changed.spec(folder), changed.source, Progress())
    assert (folder / "model.safetensors").is_file()
    assert not list(folder.glob("*.bin")), "no pickles are left behind"
    (folder / "umask").touch()
    readable = (folder / "umask").stat().st_mode & 0o777
    assert (folder / "model.safetensors").stat().st_mode & 0o777 == readable, "others may read the weights"


def test_weights_of_an_adapter_have_the_same_dtype_in_both_stages() -> None:
    from gentool.models import torch_dtype

    assert torch_dtype("bfloat16") is torch.bfloat16
    assert torch_dtype("auto", train_all=True) is torch.float32


@pytest.mark.parametrize("method", ["full", "lora"])
def test_gradient_checkpointing_gives_the_same_losses(
    setting: Callable[..., Setting], tmp_path: Path, method: str
) -> None:
    losses = []
    for checkpointing in (False, True):
        made = setting(
            train__method=method, train__lora={"rank": 4}, train__gradient_checkpointing=checkpointing
        )
        folder = tmp_path / str(checkpointing)
        train_stage(made.spec(folder), made.source, Progress())
        losses.append(log_of(folder))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0][-1] < losses[0][0]
