"""The loss of a batch: cross entropy of its target tokens, summed, so that a step may have any number of batches."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from gentool.training.shared_prefix.attention import ARGUMENT


def batch_loss(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """Summed loss in nats, a scalar; ``weights`` in the batch count tokens more or less.

    Batches of whole rows have ``labels`` (rows, columns), each predicted by the column before; those of shared prefixes
    have ``labels`` (targets,), each predicted by the row of logits at its own place.
    """
    inputs = {k: v for k, v in batch.items() if k not in ("labels", "weights")}
    logits = model(**inputs, use_cache=False).logits
    labels, weights = batch["labels"], batch.get("weights")
    if ARGUMENT in batch:
        logits = logits[0]
    else:
        logits, labels = logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
        weights = weights[:, 1:].flatten() if weights is not None else None
    losses = torch.nn.functional.cross_entropy(
        logits.float() if logits.dtype != torch.float64 else logits,
        labels,
        ignore_index=-100,
        reduction="none",
    )
    return (losses if weights is None else losses * weights.to(losses.dtype)).sum()


def keeps_logits(model: Any) -> bool:
    """Whether the model can compute the logits of the last positions alone."""
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(plain.forward).parameters
