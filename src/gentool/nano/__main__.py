"""``python -m gentool.nano``: pretrain gentool-nano. The same command goes on where a run was stopped.

``torchrun --nproc-per-node 2 -m gentool.nano --threads 1 ...`` lets two processes share each step, which is faster on
two cores than two threads.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gentool.jsonl import GenToolError


def _count(text: str) -> int:
    """``60M`` -> 60,000,000. Raises ``ValueError``."""
    units = {"k": 1e3, "m": 1e6, "g": 1e9}
    unit = units.get(text[-1:].lower(), 1)
    return int(float(text[:-1] if unit > 1 else text) * unit)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m gentool.nano", description=__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to train in; the model is in OUT/model"
    )
    parser.add_argument("--tokens", type=_count, default=60_000_000, help="unique tokens to compute, as 60M")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="threads of the CPU; all if not given")
    parser.add_argument("--width", type=int, default=192, help="width of the model, a multiple of 32")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--batch", type=_count, default=2048, help="tokens of a step")
    parser.add_argument("--bf16", action="store_true", help="products in bfloat16; default on CUDA")
    parser.add_argument("--open", action="store_true", help="requests of the open dataset's train group too")
    parser.add_argument(
        "--every", type=_count, default=1_000_000, help="tokens between looks at the training"
    )
    parser.add_argument("--workers", type=int, default=0, help="processes that draw steps ahead, for a GPU")
    parser.add_argument(
        "--seconds", type=float, help="instead of --tokens: as many as the device computes in that time"
    )
    parser.add_argument("--no-real", action="store_true", help="leave out operations of installed packages")
    given = parser.parse_args(arguments)

    import torch

    from gentool.nano.model import Shape
    from gentool.nano.train import Plan, Training
    from gentool.processes import is_first, process_count, wait_for_all

    if given.seconds and process_count() > 1:
        parser.error("--seconds: expected one process, which measures for itself. Fix: give --tokens")
    if given.threads:
        torch.set_num_threads(given.threads)
    plan = Plan(
        tokens=given.tokens,
        seed=given.seed,
        shape=Shape(given.width, given.layers, given.vocabulary),
        batch=given.batch,
        every=given.every,
        bf16=given.bf16 or torch.cuda.is_available(),
        open=given.open,
        real=not given.no_real,
    )
    try:

        def say(text: str) -> None:
            if is_first():
                print(text, flush=True)

        training = Training(plan, given.out, say, given.workers)
        if given.seconds:
            training.fit_into(given.seconds)
        training.run()
        training.export()
        training.feed.close()
        if process_count() > 1:  # none leaves while another still works
            wait_for_all()
            torch.distributed.destroy_process_group()
    except GenToolError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
