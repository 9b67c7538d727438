"""The order in which a tool set is shown: drawn at rendering, never stored."""

from __future__ import annotations

import hashlib
import random

from gentool.records import GENERATE_RESPONSE_TOOL, ToolSet


def seeded(*parts: object) -> random.Random:
    """A random generator whose state depends on ``parts`` alone (not on the process's hash seed)."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def shown_order(tool_set: ToolSet, seed: int, epoch: int, own: str = "") -> list[str]:
    """Tool ids of the set and ``generate_response``, in the order to show them.

    The same for all queries of a (pair, set) within an epoch, so that they share a prefix;
    new in each epoch. One tool of the pair (``generate_response`` where the set has none) is put
    at the place that ``slot`` says, so that over the pairs of a group it stands at every position
    equally often; the others are shuffled freely around it. ``own`` draws another order, for a single sample.
    """
    ids = sorted([*tool_set.tools, GENERATE_RESPONSE_TOOL.id])
    rng = seeded("order", seed, tool_set.pair, tool_set.id, epoch, *([own] if own else []))
    rng.shuffle(ids)
    focus = rng.choice(sorted(tool_set.pair_tools) or [GENERATE_RESPONSE_TOOL.id])
    offset = seeded("offset", seed, len(tool_set.pair_tools), epoch, *([own] if own else [])).randrange(
        len(ids)
    )
    turn = ids.index(focus) - (tool_set.slot + offset) % len(ids)
    return ids[turn:] + ids[:turn]
