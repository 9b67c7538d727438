"""Steps drawn ahead by other processes, for a device that is faster than the drawing."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from gentool.jsonl import GenToolError
from gentool.nano.lessons import STAGES, Lessons
from gentool.prompting.order import seeded
from gentool.prompting.renderer import Rendered
from gentool.training.shared_prefix.tree import Tree, build_tree

ROUND = 128
"""What the numbers of tokens and of targets in a step are multiples of."""

AHEAD = 4
"""Steps under way for each worker."""


class Drawing:
    """Draws steps; which rows follows from seed, step, stage and process."""

    def __init__(self, lessons: Lessons, seed: int, tokens: int, rank: int) -> None:
        self.lessons, self.seed, self.tokens, self.rank = lessons, seed, tokens, rank

    def step(self, number: int, stage: int) -> tuple[Tree, int]:
        """One process's part of a step as a tree, and how many of its tokens count nothing."""
        rng = seeded("nano step", self.seed, number, stage, self.rank)
        rows = self.lessons.step(rng, STAGES[stage], self.tokens)
        filler = filler_row(rows, self.lessons.renderer.tokenizer.pad_token_id)
        return build_tree([*rows, filler]), len(filler.ids)


def filler_row(rows: Sequence[Rendered], pad: int) -> Rendered:
    """A row that counts nothing and rounds up a step's tokens and targets: oneDNN compiles anew for every shape."""
    tree = build_tree(rows)
    targets = -len(tree.targets) % ROUND
    tokens = targets + 1 + (-(len(tree.ids) + targets + 1) % ROUND)
    return Rendered([pad] * tokens, tokens - targets, 0.0)


_drawing: Drawing | None = None


def _begin(drawing: Drawing) -> None:
    global _drawing
    _drawing = drawing


def _draw(step: int, stage: int) -> tuple[Tree, int]:
    assert _drawing is not None
    return _drawing.step(step, stage)


class Feed:
    """One step after the other, drawn by ``workers`` processes; 0: here, when they are asked for."""

    def __init__(self, drawing: Drawing, workers: int) -> None:
        self.drawing, self.workers = drawing, workers
        self.pool: Any = None
        self.ahead: deque[tuple[int, Future[tuple[Tree, int]]]] = deque()
        if workers:
            self.pool = ProcessPoolExecutor(
                workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(drawing,)
            )

    def step(self, step: int, stage: int) -> tuple[Tree, int]:
        """As :meth:`Drawing.step`; what is drawn ahead is of the stage at the time."""
        if self.pool is None:
            return self.drawing.step(step, stage)
        try:
            while len(self.ahead) < AHEAD * self.workers:
                number = self.ahead[-1][0] + 1 if self.ahead else step
                self.ahead.append((number, self.pool.submit(_draw, number, stage)))
            number, future = self.ahead.popleft()
            assert number == step
            return future.result()
        except BrokenExecutor:
            raise GenToolError(
                f"step {step}: a process that draws steps ahead died, maybe for want of memory. Fix: give fewer "
                "--workers; the same command with the same other options goes on from the last checkpoint."
            ) from None

    def close(self) -> None:
        """End the workers."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
