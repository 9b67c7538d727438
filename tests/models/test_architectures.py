"""Real architectures, tiny: stages are trained through the real path; logits of the last columns are those of all."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gentool.config import LoraOptions, TrainConfig
from gentool.models import load_model, load_tokenizer, weights_hash
from gentool.progress import Progress, Stopped
from gentool.prompting.renderer import Renderer
from gentool.records import GENERATE_RESPONSE, Function, Sample, Tool, ToolCall, ToolSet
from gentool.training.dataset import SampleRenderer, collate
from gentool.training.loss import keeps_logits
from gentool.training.plan import Item, StagePlan
from gentool.training.stage import StageSpec, train_stage
from tests.models.tiny import save_tiny

ARCHITECTURES = ["llama", "qwen2", "qwen3", "mistral", "phi3", "gemma2", "gemma3_text"]


def _samples(count: int) -> tuple[list[Sample], dict[str, Tool]]:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    names = ["find_trains", "list_rates", "get_weather"]
    tools = [Tool(function=Function(name=n, description=f"To {n}.", parameters=schema)) for n in names]
    tool_set = ToolSet(pair="p", pair_tools=(tools[0].id,), distractors=(tools[1].id, tools[2].id), slot=0)
    made = [
        Sample(
            pair="p",
            query_id=f"q{i}",
            query="Trains to Lyon" + " tonight" * i,
            now=None,
            tool_set=tool_set,
            ranking=("find_trains", GENERATE_RESPONSE),
            tool_call=ToolCall.of("find_trains", {"city": "Lyon"}),
            single_state=True,
        )
        for i in range(count)
    ]
    return made, {t.id: t for t in tools}


class Trained:
    """A tiny model of an architecture, and what training a stage of two steps needs."""

    def __init__(self, folder: Path, model_type: str, **changes: Any) -> None:
        self.folder = folder
        self.base = save_tiny(folder / "base", model_type, **changes)
        samples, tools = _samples(2)
        self.source = SampleRenderer(samples, tools, Renderer(load_tokenizer(self.base)), 0, 8192)
        once = [Item(i, task, 0) for task in ("rank", "select") for i in range(2)]
        items = (*once, *once)  # both steps see the same, so the loss must fall
        tokens = sum(self.source.length(i.sample, i.task) for i in items)
        self.plan = StagePlan("mixed", 0.0, items, 2, tokens)

    def spec(self, **options: Any) -> StageSpec:
        config = TrainConfig(**{"micro_batch_size": 2, "log_steps": 1, "save_steps": 1, **options})
        name = str(options.get("method", "full"))
        rate = 1e-3 if config.method == "full" else 1e-2  # an adapter begins with zeros
        plan = replace(self.plan, learning_rate=rate)
        return StageSpec("gentool", plan, config, "float32", 0, self.base, self.folder / name, "data")

    def losses(self, spec: StageSpec) -> list[float]:
        train_stage(spec, self.source, Progress())
        lines = (spec.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["loss"] for line in lines]


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_a_stage_is_trained(tmp_path: Path, model_type: str) -> None:
    made = Trained(tmp_path, model_type)
    spec = made.spec()
    losses = made.losses(spec)
    assert len(losses) == 2 and all(math.isfinite(loss) and loss > 0 for loss in losses)
    assert losses[1] < losses[0]
    first, second = (load_model(p, torch.float32).state_dict() for p in (made.base, str(spec.folder)))
    assert any(not torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("model_type", ["phi3", "gemma3_text"])  # fused projections; many norms
def test_an_adapter_is_trained(tmp_path: Path, model_type: str) -> None:
    made = Trained(tmp_path, model_type)
    losses = made.losses(made.spec(method="lora", lora=LoraOptions(rank=2)))
    assert losses[1] < losses[0] < 10


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_logits_of_the_last_columns_give_the_loss_of_all(tmp_path: Path, model_type: str) -> None:
    made = Trained(tmp_path, model_type)
    model = load_model(made.base, torch.float32)
    assert keeps_logits(model)
    rows = [made.source.render(item) for item in made.plan.items]
    assert len({len(row.ids) for row in rows}) > 1, "padding must matter"
    pad = made.source.renderer.tokenizer.pad_token_id
    losses, gradients = [], []
    for whole in (True, False):
        model.zero_grad()
        loss = model(**collate([rows], pad, whole)).loss
        loss.backward()
        losses.append(loss.item())
        gradients.append(model.model.layers[0].mlp.down_proj.weight.grad.clone())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert (gradients[0] - gradients[1]).norm() < 1e-4 * gradients[0].norm()
    alone = [model(**collate([[row]], pad, True)).loss.item() * (len(row.ids) - row.start) for row in rows]
    targets = sum(len(row.ids) - row.start for row in rows)
    assert losses[0] == pytest.approx(sum(alone) / targets, rel=1e-5), "left padding changes nothing"


# ------------------------------------------------------------------------------ 4 bits


class StopAfter(Progress):
    """Asks to stop after so many steps, as Ctrl-C does."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def update(self, task: Any, done: int) -> None:
        super().update(task, done)
        self.stopping = done >= self.steps


QLORA = {"method": "qlora", "lora": LoraOptions(rank=2)}


def test_qlora_trains_resumes_and_is_loaded_as_trained(tmp_path: Path) -> None:
    made = Trained(tmp_path, "qwen3", hidden_size=64)
    straight = made.spec(**QLORA)
    losses = made.losses(straight)
    assert losses[1] < losses[0]
    broken = replace(straight, folder=tmp_path / "broken")
    with pytest.raises(Stopped):
        train_stage(broken, made.source, StopAfter(1))
    assert made.losses(broken) == pytest.approx(losses, rel=1e-4)
    first, second = (load_file(s.folder / "adapter_model.safetensors") for s in (straight, broken))
    assert all(torch.allclose(first[k], second[k], atol=1e-4) for k in first)
    model = load_model(str(straight.folder), torch.float32)
    assert model.get_base_model().is_loaded_in_4bit
    assert not getattr(
        load_model(str(straight.folder), torch.float32, four_bit=False), "is_loaded_in_4bit", False
    )


def test_a_second_stage_goes_on_with_the_adapter_in_4_bits(tmp_path: Path) -> None:
    made = Trained(tmp_path, "llama", hidden_size=64)
    first = made.spec(**QLORA)
    train_stage(first, made.source, Progress())
    second = replace(first, folder=tmp_path / "second", parent=str(first.folder))
    assert made.losses(second)[0] < made.losses(first)[0]
    adapter = json.loads((second.folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert adapter["base_model_name_or_path"] == made.base


def test_what_qlora_makes_is_another_stage_than_what_lora_makes(tmp_path: Path) -> None:
    made = Trained(tmp_path, "llama")
    lora, qlora = (made.spec(method=m).identity(made.source.renderer) for m in ("lora", "qlora"))
    assert {k for k in lora if lora[k] != qlora[k]} == {"options"}
    assert weights_hash(made.base) == lora["parent_hash"]
