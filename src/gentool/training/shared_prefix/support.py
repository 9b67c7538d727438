"""What keeps shared prefixes from being exact for a model, told from its configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gentool.training.loss import keeps_logits

_DROPOUTS = (
    "attention_dropout",
    "hidden_dropout",
    "resid_pdrop",
    "embd_pdrop",
    "attn_pdrop",
    "dropout",
    "residual_dropout",
)


def obstacles(model: Any, span: int) -> list[str]:
    """Reasons, in words, not to share prefixes in a model; ``span``: tokens of the longest sample."""
    return list(_obstacles(model, span))


def _obstacles(model: Any, span: int) -> Iterator[str]:
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    config = plain.config.get_text_config()
    for name in _DROPOUTS:
        value = getattr(config, name, 0)
        if isinstance(value, int | float) and value > 0:
            yield f"{name} is {value}: each sample would draw its own"
    for adapter in getattr(model, "peft_config", {}).values():
        if getattr(adapter, "lora_dropout", 0) > 0:
            yield f"lora_dropout is {adapter.lora_dropout}: each sample would draw its own"
    if getattr(config, "attn_logit_softcapping", None):
        yield "attention scores are capped (attn_logit_softcapping), which SDPA cannot do"
    if any("sinks" in name for name, _ in plain.named_parameters()):
        yield "attention has sinks"
    if getattr(config, "output_router_logits", False):
        yield "the auxiliary loss of its experts counts every token of every sample"
    if getattr(config, "alibi", False) or getattr(config, "position_embedding_type", "") == "alibi":
        yield "positions are biases of the attention scores (ALiBi)"
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kinds = {part.get("rope_type") for part in (rope, *rope.values()) if isinstance(part, dict)}
    before = getattr(config, "original_max_position_embeddings", None) or config.max_position_embeddings
    if kinds & {"dynamic", "longrope"} and span > before:
        yield f"rotary positions depend on the longest sample of a batch beyond {before} tokens"
    if not getattr(plain, "_supports_sdpa", True):
        yield "the model does not support SDPA"
    if not keeps_logits(model):
        yield "the model cannot compute the logits of some positions alone (logits_to_keep)"
