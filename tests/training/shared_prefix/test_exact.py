"""Losses and gradients with shared prefixes are those of one sample at a time, for every family that is supported."""

from __future__ import annotations

import copy
import functools
import random
import sys
import types
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
)

from gentool.prompting.renderer import Rendered
from gentool.training.dataset import collate
from gentool.training.loss import batch_loss
from gentool.training.shared_prefix.attention import block_mask, choose_backend
from gentool.training.shared_prefix.batches import SharedBatches, tree_batch
from gentool.training.shared_prefix.gate import use
from gentool.training.shared_prefix.support import obstacles
from gentool.training.shared_prefix.tree import build_tree

VOCABULARY = 120
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
CONFIGS = {
    "llama": LlamaConfig(**SIZES),
    "qwen2": Qwen2Config(**SIZES),
    "qwen3": Qwen3Config(**SIZES),
    "mistral": MistralConfig(**SIZES, sliding_window=None),
    "mistral, window of 7": MistralConfig(**SIZES, sliding_window=7),
    "phi3": Phi3Config(**SIZES, sliding_window=None),
    "gemma3, window of 9": Gemma3TextConfig(**SIZES, sliding_window=9),
}


def norm_in_own_dtype(module: Any, x: torch.Tensor) -> torch.Tensor:
    """transformers' RMSNorm computes in float32, whatever the model's dtype: rounding that would hide errors."""
    epsilon = module.eps if hasattr(module, "eps") else module.variance_epsilon
    weight = module.weight + 1 if "Gemma" in type(module).__name__ else module.weight
    return weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon)


def model_of(name: str, dtype: torch.dtype = torch.float64) -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(copy.deepcopy(CONFIGS[name])).to(dtype).train()
    if dtype == torch.float64:
        for module in model.modules():
            if "RMSNorm" in type(module).__name__:
                module.forward = functools.partial(norm_in_own_dtype, module)
    return model


def samples(seed: int = 0, lists: int = 3, queries: int = 3) -> list[Rendered]:
    """Some tool lists, some queries each, and for each query a ranking and a call."""
    rng = random.Random(seed)

    def tokens(n: int) -> list[int]:
        return [rng.randrange(3, VOCABULARY) for _ in range(n)]

    rows = []
    for _ in range(lists):
        tools = tokens(rng.randrange(10, 40))
        for _ in range(queries):
            query = tools + tokens(rng.randrange(2, 8))
            call, rank = query + tokens(2), query + tokens(3)
            rows.append(Rendered(call + tokens(rng.randrange(2, 6)), len(call), rng.choice([1.0, 1.0, 0.5])))
            rows.append(Rendered(rank + tokens(rng.randrange(1, 5)), len(rank)))
            # What is a target in one sample is part of the prompt in another.
            rows.append(Rendered(rows[-1].ids + tokens(3), len(rows[-1].ids)))
    rng.shuffle(rows)
    return rows


def gradients(model: Any) -> dict[str, torch.Tensor]:
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


def one_at_a_time(model: Any, rows: list[Rendered]) -> tuple[float, dict[str, torch.Tensor]]:
    use(model, "sdpa")
    total = 0.0
    for row in rows:
        loss = batch_loss(model, collate([[row]], 0))
        loss.backward()
        total += loss.item()
    return total, gradients(model)


def shared(model: Any, rows: list[Rendered], budget: int) -> tuple[float, dict[str, torch.Tensor]]:
    use(model, "gentool_tree")
    total = 0.0
    for batch in SharedBatches(budget)(rows):
        loss = batch_loss(model, batch)
        loss.backward()
        total += loss.item()
    return total, gradients(model)


def check(model: Any, rows: list[Rendered], budget: int, loss_error: float, error: float) -> None:
    expected, wanted = one_at_a_time(model, rows)
    loss, found = shared(model, rows, budget)
    assert loss == pytest.approx(expected, rel=loss_error)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        assert (found[name] - gradient).norm() <= error * gradient.norm() + 1e-12, name


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    ("dtype", "loss_error", "error"), [(torch.float64, 1e-12, 1e-10), (torch.float32, 1e-6, 1e-5)]
)
def test_families(name: str, dtype: torch.dtype, loss_error: float, error: float) -> None:
    model = model_of(name, dtype)
    assert obstacles(model, 100) == []
    rows = samples()
    assert build_tree(rows).ratio > 3
    check(model, rows, 10_000, loss_error, error)
    check(model, rows, 90, loss_error, error)


def test_the_check_can_fail() -> None:
    model = model_of("mistral, window of 7")
    rows = samples()
    expected, _ = one_at_a_time(model, rows)
    model.config.sliding_window = None
    for layer in model.model.layers:
        layer.self_attn.sliding_window = 5
    assert shared(model, rows, 10_000)[0] != pytest.approx(expected, rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.integers(3, 5), min_size=2, max_size=12).flatmap(
            lambda ids: st.builds(Rendered, st.just(ids), st.integers(1, len(ids) - 1))
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(8, 60),
)
def test_random_trees(rows: list[Rendered], budget: int) -> None:
    check(_RANDOM, rows, budget, 1e-12, 1e-9)


_RANDOM = model_of("qwen3")


@pytest.mark.parametrize("method", ["lora", "checkpointing", "lora and checkpointing"])
def test_adapters_and_checkpointing(method: str) -> None:
    model = model_of("qwen3")
    if "checkpointing" in method:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    if "lora" in method:
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
        for name, parameter in model.named_parameters():
            if "lora_B" in name:  # else the gradients of A are 0
                torch.nn.init.normal_(parameter)
        model.enable_input_require_grads()
        model.to(torch.float64)
    assert obstacles(model, 100) == []
    check(model, samples(), 200, 1e-12, 1e-10)


def test_bfloat16_is_as_near_as_its_rounding() -> None:
    model = model_of("llama", torch.bfloat16)
    expected, wanted = one_at_a_time(model, samples())
    loss, found = shared(model, samples(), 10_000)
    assert loss == pytest.approx(expected, rel=2e-2)
    total = {
        k: torch.stack([g.float().norm() for g in d.values()]).norm()
        for k, d in (("a", wanted), ("b", found))
    }
    assert float(total["b"] / total["a"]) == pytest.approx(1, abs=5e-2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"attention_dropout": 0.1}, "attention_dropout is 0.1"),
        ({"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
        ({"output_router_logits": True}, "auxiliary loss of its experts"),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "rotary positions depend on"),
    ],
)
def test_what_is_not_exact_is_named(change: dict[str, Any], reason: str) -> None:
    model = model_of("llama")
    for name, value in change.items():
        setattr(model.config, name, value)
    assert any(reason in found for found in obstacles(model, 10_000))


def test_gemma_2_is_refused() -> None:
    model = AutoModelForCausalLM.from_config(Gemma2Config(**SIZES))
    reasons = " ".join(obstacles(model, 10))
    assert "attn_logit_softcapping" in reasons and "does not support SDPA" in reasons


def test_lora_dropout_is_named() -> None:
    from peft import LoraConfig, get_peft_model

    options = LoraConfig(r=2, lora_dropout=0.1, target_modules="all-linear", task_type="CAUSAL_LM")
    assert any("lora_dropout is 0.1" in r for r in obstacles(get_peft_model(model_of("llama"), options), 10))


# ------------------------------------------------------------------ the other backends, as far as a CPU goes


def varlen(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    starts_q: torch.Tensor,
    starts_k: torch.Tensor,
    longest_q: int,
    longest_k: int,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: tuple[int, int] = (-1, -1),
) -> torch.Tensor:
    """What flash_attn_varlen_func computes, by its documentation: causal masks are aligned to the last key."""
    assert causal and q.is_contiguous() and q.dtype == k.dtype == v.dtype
    out = []
    for n in range(len(starts_q) - 1):
        a, b, c, d = (int(x) for x in (*starts_q[n : n + 2], *starts_k[n : n + 2]))
        assert b - a <= longest_q and d - c <= longest_k
        place = torch.arange(d - c)[None] - (torch.arange(b - a)[:, None] + (d - c) - (b - a))
        mask = place <= 0
        if window_size[0] >= 0:
            mask &= place >= -window_size[0]
        states = (x.transpose(0, 1)[None] for x in (q[a:b], k[c:d], v[c:d]))
        found = torch.nn.functional.scaled_dot_product_attention(
            *states, attn_mask=mask, scale=softmax_scale, enable_gqa=True
        )
        out.append(found[0].transpose(0, 1))
    return torch.cat(out)


@pytest.mark.parametrize("name", ["qwen3", "mistral, window of 7", "gemma3, window of 9"])
def test_the_layout_for_flash_attention_is_exact(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("flash_attn")
    module.flash_attn_varlen_func = varlen  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flash_attn", module)
    model = model_of(name)
    batch = tree_batch(build_tree(samples()))
    use(model, "gentool_tree")
    expected = batch_loss(model, batch)
    expected.backward()
    wanted = gradients(model)
    use(model, "gentool_tree_varlen")
    loss = batch_loss(model, tree_batch(build_tree(samples())))
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    for key, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[key], rtol=1e-9, atol=1e-12)


def test_flash_attention_gets_one_dtype_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("flash_attn")
    module.flash_attn_varlen_func = varlen  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flash_attn", module)
    model = model_of("qwen3", torch.float32)  # its norms of queries and keys leave them in float32
    use(model, "gentool_tree_varlen")
    with torch.autocast("cpu", torch.bfloat16):
        loss = batch_loss(model, tree_batch(build_tree(samples())))
    use(model, "gentool_tree")
    assert loss.item() == pytest.approx(batch_loss(model, tree_batch(build_tree(samples()))).item(), rel=2e-2)


@pytest.mark.parametrize("window", [None, 6])
def test_the_mask_for_flex_attention_is_the_rule(window: int | None) -> None:
    tree = build_tree(samples(1))
    mask = block_mask(tree, window, torch.device("cpu"))
    n = len(tree.ids)
    q, k = torch.arange(n)[:, None], torch.arange(n)[None]
    found = mask.mask_mod(torch.tensor(0), torch.tensor(0), q, k)
    ends, depths = torch.tensor(tree.ends), torch.tensor(tree.depths)
    expected = (k <= q) & (q < ends[k])
    if window is not None:
        expected &= depths[q] - depths[k] < window
    assert torch.equal(found, expected) and 0 < int(found.sum()) < n * n


def test_backends_are_chosen_by_device() -> None:
    assert choose_backend(torch.device("cpu"), torch.float32) == "gentool_tree"
    assert choose_backend(torch.device("mps"), torch.float16) == "gentool_tree"
    assert choose_backend(torch.device("cuda"), torch.float32) == "gentool_tree_blocks"
