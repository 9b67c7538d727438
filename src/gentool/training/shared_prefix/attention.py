"""Attention over a tree of shared prefixes, registered with transformers; no model is patched.

``gentool_tree``: SDPA, segment by segment, each over the tokens of its path only. It needs no mask over the whole row
and runs wherever SDPA does: the reference. ``gentool_tree_varlen``: FlashAttention, all segments in one call over
gathered keys and values. ``gentool_tree_blocks``: FlexAttention, compiled, with a block mask. Sliding windows are
exact in all, since a token's depth is its position.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface

from gentool.training.shared_prefix.tree import Segment, Tree

ARGUMENT = "prefix_tree"
"""Name under which a forward pass hands the tree to every attention layer."""


@dataclass
class TreeLayout:
    """A tree as the attention layers take it; what they derive from it is kept for the other layers."""

    tree: Tree
    kept: dict[Any, Any] = field(default_factory=dict)


def no_mask(*args: Any, **kwargs: Any) -> None:
    """The tree says who sees whom."""


def _visible(segment: Segment, window: int | None, device: torch.device) -> torch.Tensor:
    """Who of the path and the segment each of its tokens sees, (tokens, depth + tokens): key ``j`` has depth ``j``."""
    size, depth = segment.end - segment.begin, segment.depth
    mask = torch.ones(size, depth + size, dtype=torch.bool, device=device).tril(depth)
    return mask if window is None else mask.triu(depth - window + 1)


def tree_sdpa(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface: ``query`` (1, heads, tokens, size), ``key`` and ``value`` (1, groups, ...)."""
    layout: TreeLayout = kwargs[ARGUMENT]
    grouped = query.shape[1] != key.shape[1]
    segments = layout.tree.segments
    # One split each, not a slice a use: the gradient of every slice is a zero tensor of the whole row.
    sizes = [segment.end - segment.begin for segment in segments]
    queries, keys, values = (states.split(sizes, dim=2) for states in (query, key, value))
    number = {segment.begin: n for n, segment in enumerate(segments)}
    parts = []
    for n, segment in enumerate(segments):
        seen = [*(number[begin] for begin, _ in segment.path), n]
        k, v = (
            states[n] if len(seen) == 1 else torch.cat([states[i] for i in seen], 2)
            for states in (keys, values)
        )
        window = sliding_window if sliding_window is not None and sliding_window < k.shape[2] else None
        if segment.path or window is not None:
            if (n, window) not in layout.kept:
                layout.kept[n, window] = _visible(segment, window, query.device)
            mask = layout.kept[n, window]
        else:
            mask = None
        parts.append(
            torch.nn.functional.scaled_dot_product_attention(
                queries[n], k, v, attn_mask=mask, is_causal=mask is None, scale=scaling, enable_gqa=grouped
            )
        )
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def _of_one_dtype(*states: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Under autocast, which does not know these kernels, norms may leave queries and keys in float32."""
    kind = states[0].device.type
    if not torch.is_autocast_enabled(kind):
        return states
    dtype = torch.get_autocast_dtype(kind)
    return tuple(state.to(dtype) for state in states)


def gathered(tree: Tree, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int, int]:
    """The tree as sequences for a variable-length kernel, one a segment.

    Returns which keys each segment sees (path first, then its own; concatenated), where queries and where keys
    of each segment begin (int32, segments + 1), and the longest of both.
    """
    keys: list[int] = []
    queries, lengths = [0], [0]
    for segment in tree.segments:
        for begin, end in (*segment.path, (segment.begin, segment.end)):
            keys += range(begin, end)
        queries.append(segment.end)
        lengths.append(len(keys))
    longest = max(b - a for a, b in pairwise(queries)), max(b - a for a, b in pairwise(lengths))
    starts = (torch.tensor(x, dtype=torch.int32, device=device) for x in (queries, lengths))
    return torch.tensor(keys, device=device), *starts, *longest


def tree_flash(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """As :func:`tree_sdpa`, all segments in one call of FlashAttention: its causal mask ends at the last key."""
    from flash_attn import flash_attn_varlen_func  # type: ignore[import-not-found]

    layout: TreeLayout = kwargs[ARGUMENT]
    if "flash" not in layout.kept:
        layout.kept["flash"] = gathered(layout.tree, query.device)
    index, starts_q, starts_k, longest_q, longest_k = layout.kept["flash"]
    q, k, v = (states[0].transpose(0, 1) for states in _of_one_dtype(query, key, value))
    out = flash_attn_varlen_func(
        q.contiguous(),
        k[index],
        v[index],
        starts_q,
        starts_k,
        longest_q,
        longest_k,
        softmax_scale=scaling,
        causal=True,
        window_size=(-1, -1) if sliding_window is None else (sliding_window - 1, 0),
    )
    return out[None], None


@cache
def _compiled_flex() -> Any:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=True)


def block_mask(tree: Tree, window: int | None, device: torch.device) -> Any:
    """The tree's rule as FlexAttention takes it."""
    from torch.nn.attention.flex_attention import create_block_mask

    ends = torch.tensor(tree.ends, device=device)
    depths = torch.tensor(tree.depths, device=device)

    def rule(batch: Any, head: Any, q: Any, k: Any) -> Any:
        seen = (k <= q) & (q < ends[k])
        return seen if window is None else seen & (depths[q] - depths[k] < window)

    return create_block_mask(rule, None, None, len(tree.ids), len(tree.ids), device=str(device))


def tree_flex(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """As :func:`tree_sdpa`, by FlexAttention, compiled once for all lengths."""
    layout: TreeLayout = kwargs[ARGUMENT]
    if ("flex", sliding_window) not in layout.kept:
        layout.kept["flex", sliding_window] = block_mask(layout.tree, sliding_window, query.device)
    mask = layout.kept["flex", sliding_window]
    grouped = query.shape[1] != key.shape[1]
    flex = _compiled_flex()
    out = flex(*_of_one_dtype(query, key, value), block_mask=mask, scale=scaling, enable_gqa=grouped)
    return out.transpose(1, 2).contiguous(), None


BACKENDS: dict[str, Callable[..., Any]] = {
    "gentool_tree": tree_sdpa,
    "gentool_tree_varlen": tree_flash,
    "gentool_tree_blocks": tree_flex,
}

for _name, _function in BACKENDS.items():
    AttentionInterface.register(_name, _function)
    AttentionMaskInterface.register(_name, no_mask)


NAMES = {"sdpa": "gentool_tree", "flash": "gentool_tree_varlen", "flex": "gentool_tree_blocks"}
"""Backends as ``train.shared_prefix_attention`` calls them."""


def choose_backend(on: torch.device, dtype: torch.dtype) -> str:
    """The fastest backend for a device and the dtype that attention is computed in.

    transformers takes any name with `flash` or `flex` in it for its own, so theirs are without.
    """
    if on.type != "cuda":
        return "gentool_tree"
    if importlib.util.find_spec("flash_attn") is not None and dtype in (torch.bfloat16, torch.float16):
        return "gentool_tree_varlen"
    return "gentool_tree_blocks"
