"""nano's weights: a Llama of a few million parameters, initialised so that it can copy before it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from gentool.nano.tokenizer import CONTEXT

HEAD = 32
ROPE_THETA = 100_000.0


@dataclass(frozen=True)
class Shape:
    """Width, layers and heads of 32; the feed-forward part is three times as wide."""

    width: int = 192
    layers: int = 6
    vocabulary: int = 4096


def make_model(shape: Shape, tokenizer: Any, seed: int, copies: bool = True) -> Any:
    """An untrained model, float32. The same seed gives the same weights. ``copies``: see :func:`wire_copying`."""
    torch.manual_seed(seed)
    heads = max(1, shape.width // HEAD)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        intermediate_size=shape.width * 3,
        num_hidden_layers=shape.layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=HEAD,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.normal_(std=weight.shape[1] ** -0.5)
        # Layers begin by adding little to what they read.
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.mul_(0.05)
            layer.mlp.down_proj.weight.mul_(0.05)
        if copies and shape.layers >= 2 and shape.width >= 4 * HEAD:
            wire_copying(model)
    return model


def wire_copying(model: Any) -> None:
    """Set three heads to an induction circuit (Olsson et al. 2022), from which training goes on.

    A head of the first layer reads the token before: a direction that all embeddings share meets the fast rotary pairs,
    in phase at distance one. It writes what it reads where two heads of the second layer look for the present token,
    on the slow pairs, which hardly turn; these write the token that they find, the one that followed last time.
    """
    width = model.config.hidden_size
    shared, gain, strength = 0.5, 10.0, 3.0
    basis = torch.linalg.qr(torch.randn(width - 1, width - 1))[0]
    rows = torch.cat([torch.zeros(width - 1, 1), basis], dim=1)  # the first dimension is the shared direction
    reads, writes, values = rows[:HEAD], rows[HEAD : 2 * HEAD], rows[2 * HEAD :]
    model.model.embed_tokens.weight[:, 0] = shared

    angles = ROPE_THETA ** (-torch.arange(HEAD // 2) / (HEAD // 2))
    size = torch.zeros(HEAD // 2)
    size[:4] = torch.tensor([60.0, 60.0, 30.0, 30.0]).sqrt()
    constant = width**0.5 * shared / (1 + shared**2) ** 0.5
    first, second = (layer.self_attn for layer in model.model.layers[:2])
    head = slice(0, HEAD)
    first.q_proj.weight[head] = 0
    first.k_proj.weight[head] = 0
    first.q_proj.weight[head, 0] = torch.cat([size * angles.cos(), -size * angles.sin()]) / constant
    first.k_proj.weight[head, 0] = torch.cat([size, torch.zeros(HEAD // 2)]) / constant
    first.v_proj.weight[head] = reads
    first.o_proj.weight[:, head] = 2 / width**0.5 * writes.T

    slow = [*range(HEAD // 4, HEAD // 2), *range(3 * HEAD // 4, HEAD)]
    for n in range(2):
        head, part = slice(n * HEAD, (n + 1) * HEAD), slice(n * len(slow), (n + 1) * len(slow))
        places = [n * HEAD + place for place in slow]
        second.q_proj.weight[head] = 0
        second.k_proj.weight[head] = 0
        second.q_proj.weight[places] = strength * reads[part]
        second.k_proj.weight[places] = strength * writes[part]
        found = values[n * HEAD : (n + 1) * HEAD]
        second.v_proj.weight[head][: len(found)] = found
        second.o_proj.weight[:, head][:, : len(found)] = gain / width**0.5 * found.T


def parameter_count(model: Any) -> int:
    """How many weights there are, tied ones counted once."""
    return sum(p.numel() for p in model.parameters())
