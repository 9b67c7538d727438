"""What a run would cost, from the shape of a model alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from gentool.cli import main
from gentool.config import ConfigError
from gentool.models import make_tokenizer
from gentool.pipeline import Run
from gentool.progress import Progress
from gentool.recipe import load_config
from gentool.training.arms import plan_arms
from gentool.training.dataset import SampleRenderer, sample_texts
from gentool.training.dry_run import Cost, _account, cost_table, dry_run, shape_of
from gentool.training.prepare import renderer_with

SHAPE: dict[str, Any] = {
    "model_type": "qwen3",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 6,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "vocab_size": 3000,
    "max_position_embeddings": 4096,
}


@pytest.fixture
def measured(recipe: Callable[..., Path], tmp_path: Path) -> Callable[..., Cost]:
    def make(**changes: Any) -> Cost:
        run = Run(
            load_config(recipe(model={"path": "owner/name", "shape": SHAPE}, **changes)),
            tmp_path / "run",
            Progress(),
        )
        run.build()
        samples, tools = run.samples(), run.tools()
        tokenizer = make_tokenizer(sample_texts(samples, tools), 1000, 4096, None)
        source = SampleRenderer(
            samples, tools, renderer_with(run.config, tokenizer), 0, 8192, options=run.config.train
        )
        plans = [p for stages in plan_arms(source, run.config, 0).values() for p in stages]
        cost = dry_run(run.config, shape_of(run.config), plans, source)
        assert cost.tokens == sum(p.tokens for p in plans) * len(run.config.seeds)
        cost_table(cost, run.config)
        return cost

    return make


def test_parameters_are_those_of_the_model(
    measured: Callable[..., Cost], recipe: Callable[..., Path]
) -> None:
    cost = measured(seeds=[0, 1])
    model = AutoModelForCausalLM.from_config(
        shape_of(load_config(recipe(model={"path": "owner/name", "shape": SHAPE})))
    )
    assert cost.parameters == cost.trained == sum(p.numel() for p in model.parameters())
    assert cost.static_bytes == 16 * cost.parameters  # float32: weights, gradients, two moments
    assert cost.activation_bytes > 0 and cost.seconds > 0 and not cost.extrapolated


def test_adapters_train_few_parameters(measured: Callable[..., Cost]) -> None:
    full, lora = measured(), measured(train__method="lora", train__lora={"rank": 2})
    assert lora.trained < 0.2 * full.trained and lora.static_bytes < full.static_bytes


def test_what_is_counted_is_rendered_as_in_training(measured: Callable[..., Cost]) -> None:
    plain, preferring = measured(), measured(train__preference=5.0)
    assert preferring.tokens == plain.tokens
    assert measured(train__mask_names=1.0).tokens != plain.tokens, "masked names have other lengths"


def test_a_large_model_is_timed_by_its_layers_and_counted_whole(
    measured: Callable[..., Cost], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = measured()
    monkeypatch.setattr("gentool.training.dry_run._SMALL", 0)
    layers = measured()
    assert layers.extrapolated and layers.seconds > 0
    assert (layers.activation_bytes, layers.flops) == (whole.activation_bytes, whole.flops)


def test_operations_and_activations_are_those_of_the_passes(measured: Callable[..., Cost]) -> None:
    plain, saving = measured(), measured(train__gradient_checkpointing=True)
    embedding = SHAPE["vocab_size"] * SHAPE["hidden_size"]
    # Six for each weight of the layers and token; the output layer's only where a target stands, attention's on top.
    layers = plain.parameters - 2 * embedding
    assert 6 * layers < plain.flops / plain.tokens < 6 * (layers + embedding)
    assert 1.2 < saving.flops / plain.flops < 1.4, "the forward pass is computed twice"
    assert saving.activation_bytes < 0.8 * plain.activation_bytes


def test_activations_are_those_that_a_real_pass_keeps() -> None:
    shape = AutoConfig.for_model(**SHAPE)
    batch = {"input_ids": torch.arange(60).view(2, 30), "labels": torch.arange(60).view(2, 30)}
    with torch.device("meta"):
        counted, _ = _account(AutoModelForCausalLM.from_config(shape).train(), batch, bf16=False)
    model = AutoModelForCausalLM.from_config(shape).train()
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(**batch)
    real = sum(storage.nbytes() for place, storage in kept.items() if place not in own)
    assert counted == pytest.approx(real, rel=0.03)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"hidden_size": 32}, "model.shape: not a configuration that transformers knows"),
        ({"model_type": "no-such"}, "model.shape: not a configuration that transformers knows"),
        ({"model_type": "mamba"}, "not plain attention"),
    ],
)
def test_shapes_that_cannot_be_trained(recipe: Callable[..., Path], shape: Any, message: str) -> None:
    with pytest.raises(Exception, match=message) as error:
        shape_of(load_config(recipe(model={"path": "owner/name", "shape": shape})))
    assert type(error.value).__name__ in {ConfigError.__name__, "ModelError"}


def test_on_the_command_line_nothing_is_left_behind(
    recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    file = recipe(model={"path": "owner/name", "shape": SHAPE})
    before = torch.random.get_rng_state()
    monkeypatch.setattr(sys, "argv", ["gentool", "train", str(file), "--dry-run", "--random-init"])
    with pytest.raises(SystemExit) as end:
        main()
    shown = capsys.readouterr()
    assert end.value.code == 0, shown.err
    assert "parameters" in shown.out and "tokens a second" in shown.out
    assert "tokenizer made from this run's texts" in " ".join(shown.err.split())
    assert not (tmp_path / "runs").exists()
    torch.random.set_rng_state(before)


def test_random_init_needs_dry_run(
    recipe: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(sys, "argv", ["gentool", "train", str(recipe()), "--random-init"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2 and "add --dry-run" in capsys.readouterr().err
