"""The loss of a batch: cross entropy of its target tokens, summed, so that a step may have any number of batches.

Where a target has a rival, a pairwise preference is added (Bradley-Terry, without a reference model, as in SimPO by
Meng et al. 2024): two answers that part at a token are told apart by the logits of that token alone.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch

from gentool.training.shared_prefix.attention import ARGUMENT


def batch_loss(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """Summed loss in nats, a scalar; ``weights`` in the batch count tokens more or less, ``rivals`` are preferences.

    Batches of whole rows have ``labels`` (rows, columns), each predicted by the column before; those of shared prefixes
    have ``labels`` (targets,), each predicted by the row of logits at its own place.
    """
    targets = ("labels", "weights", "rivals", "rival_weights")
    inputs = {k: v for k, v in batch.items() if k not in targets}
    logits = model(**inputs, use_cache=False).logits
    if ARGUMENT in batch:
        logits, found = logits[0], {k: batch[k] for k in targets if k in batch}
    else:
        logits = logits[:, :-1].flatten(0, 1)
        found = {k: batch[k][:, 1:].flatten() for k in targets if k in batch}
    logits = logits.float() if logits.dtype != torch.float64 else logits
    losses = torch.nn.functional.cross_entropy(logits, found["labels"], ignore_index=-100, reduction="none")
    if "weights" in found:
        losses = losses * found["weights"].to(losses.dtype)
    loss = losses.sum()
    if "rivals" in found:
        loss = loss + _preference(logits, found["labels"], found["rivals"], found["rival_weights"])
    return loss


def _preference(
    logits: torch.Tensor, labels: torch.Tensor, rivals: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Summed ``-log sigmoid`` of how far the target's logit is above its rival's."""
    place = (rivals >= 0).nonzero()[:, 0]
    at = logits[place]
    ahead = at.gather(1, labels[place, None]) - at.gather(1, rivals[place, None])
    return -(torch.nn.functional.logsigmoid(ahead)[:, 0] * weights[place].to(ahead.dtype)).sum()


def keeps_logits(model: Any) -> bool:
    """Whether the model can compute the logits of the last positions alone."""
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(plain.forward).parameters
