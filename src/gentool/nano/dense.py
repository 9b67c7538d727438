"""Attention over a tree by one mask over the whole row: what is fastest on a GPU for rows of a few thousand tokens."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface

from gentool.training.shared_prefix.attention import ARGUMENT, TreeLayout, no_mask

NAME = "gentool_tree_dense"


def tree_dense(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface; token ``i`` sees ``j`` exactly if ``j <= i < end[j]``."""
    layout: TreeLayout = kwargs[ARGUMENT]
    if "dense" not in layout.kept:
        ends = torch.tensor(layout.tree.ends, device=query.device)
        place = torch.arange(len(ends), device=query.device)
        layout.kept["dense"] = (place[None, :] <= place[:, None]) & (place[:, None] < ends[None, :])
    out = torch.nn.functional.scaled_dot_product_attention(
        query, key.to(query.dtype), value.to(query.dtype), attn_mask=layout.kept["dense"], scale=scaling
    )
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, tree_dense)
AttentionMaskInterface.register(NAME, no_mask)
