"""Several processes, as ``torchrun`` and ``accelerate launch`` start them: one does what is done once, all train."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

_PATIENCE = timedelta(days=2)
"""How long processes wait for the first one: as long as building scenarios or saving a large model may take."""


def process_count() -> int:
    """How many processes the launcher started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this is the process that reads, writes and speaks for all."""
    return process_count() == 1 or int(os.environ.get("RANK", "0")) == 0


def join() -> Any:
    """Meet the other processes (gloo on CPU, else NCCL). Does nothing the second time."""
    from accelerate import PartialState

    from gentool.models import device

    on_cpu = device().type == "cpu"
    return PartialState(cpu=on_cpu, timeout=_PATIENCE, **({"backend": "gloo"} if on_cpu else {}))


def wait_for_all() -> None:
    """Return when every process has come here."""
    if process_count() > 1:
        join().wait_for_everyone()


def any_process(flag: bool) -> bool:
    """Whether ``flag`` is true in any process; all must ask."""
    if process_count() == 1:
        return flag
    import torch

    state = join()
    found = torch.tensor(float(flag), device=state.device)
    torch.distributed.all_reduce(found, op=torch.distributed.ReduceOp.MAX)
    return bool(found.item())


@contextmanager
def first_then_others() -> Iterator[bool]:
    """Yield whether this process is the first; the others leave the block after the first has."""
    if not is_first():
        wait_for_all()
    yield is_first()
    if is_first():
        wait_for_all()
