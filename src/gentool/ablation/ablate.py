"""``gentool ablate``: every row at its best learning rate, with every seed, on the same probes; resumable."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console

from gentool.ablation.cells import (
    Cell,
    Metrics,
    Split,
    build_of,
    probes_of,
    read_cell,
    reference_budget,
    run_cell,
)
from gentool.ablation.settings import AblationConfig
from gentool.ablation.table import write_results
from gentool.config import BudgetOptions, ConfigError
from gentool.lock import locked
from gentool.pipeline import Run
from gentool.progress import Progress, Stopped
from gentool.records import Probe


def dev_score(metrics: Metrics, probes: Sequence[Probe]) -> float:
    """What the learning rate is chosen by: the endpoint on the dev split, ``arrival`` averaged over its transitions.

    ``zero`` does not count: a model that declines whatever is asked would get all of it. One that calls whatever is
    asked gets nothing for zero-to-one, where it has to decline before the tool arrives.
    """
    means = []
    for transition in ("zero_to_one", "weak_to_strong"):
        values = [
            row["arrival"]
            for row, probe in zip(metrics, probes, strict=True)
            if row and probe.transition == transition and row.get("arrival") is not None
        ]
        if values:
            means.append(sum(values) / len(values))
    return sum(means) / len(means) if means else 0.0


def _work(
    ablation: AblationConfig,
    cell: Cell,
    budget: BudgetOptions | None,
    reference: Path,
    folder: Path,
    splits: tuple[Split, ...],
    threads: int,
) -> dict[Split, Metrics]:
    """A cell in a process of its own; what it says goes to its ``log.txt``."""
    import torch

    torch.set_num_threads(threads)
    place = folder / "cells" / cell.name
    place.mkdir(parents=True, exist_ok=True)
    with (place / "log.txt").open("a", encoding="utf-8") as log:
        progress = Progress(Console(file=log, width=110))
        with progress.running():
            return run_cell(ablation, cell, budget, reference, folder, splits, progress)


class _Cells:
    """Runs cells, some at once, and keeps what each gave."""

    def __init__(
        self,
        ablation: AblationConfig,
        folder: Path,
        reference: Run,
        budget: BudgetOptions | None,
        progress: Progress,
    ) -> None:
        self.ablation, self.folder, self.reference = ablation, folder, reference
        self.budget, self.progress = budget, progress
        self._read: dict[tuple[Cell, Split], Metrics | None] = {}

    def on_disk(self, cells: Sequence[Cell], split: Split) -> dict[Cell, Metrics]:
        """The metrics of those cells that were asked before."""
        for cell in cells:
            if self._read.get((cell, split)) is None:
                arguments = (self.ablation, cell, self.budget, self.reference, self.folder)
                self._read[cell, split] = read_cell(*arguments, split)
        return {cell: found for cell in cells if (found := self._read[cell, split]) is not None}

    def run(self, cells: Sequence[Cell], split: Split) -> dict[Cell, Metrics]:
        """The metrics of every cell on a split. Raises :class:`Stopped` when asked to stop."""
        threads = max(1, (os.cpu_count() or 1) // self.ablation.jobs)
        bar = self.progress.start(f"{split}: models", len(cells))
        found = self.on_disk(cells, split)
        self.progress.update(bar, len(found))
        if found:
            self.progress.say(f"{split}: {len(found)} of {len(cells)} models were asked before")
        with ProcessPoolExecutor(self.ablation.jobs, mp_context=get_context("spawn")) as pool:
            waiting = [cell for cell in cells if cell not in found]
            running: dict[Future[dict[Split, Metrics]], Cell] = {}
            while waiting or running:
                while waiting and len(running) < self.ablation.jobs and not self.progress.stopping:
                    cell = waiting.pop(0)
                    arguments = (self.ablation, cell, self.budget, self.reference.folder, self.folder)
                    running[pool.submit(_work, *arguments, (split,), threads)] = cell
                if not running:
                    raise Stopped
                done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                for future in done:
                    cell = running.pop(future)
                    try:
                        found[cell] = future.result()[split]
                    except KeyboardInterrupt:
                        continue
                    self.progress.update(bar, len(found))
                    self.progress.say(f"{split}: {cell}: done")
        if len(found) < len(cells):
            raise Stopped
        return found


def ablate(ablation: AblationConfig, folder: Path, only: Sequence[str], progress: Progress) -> dict[str, Any]:
    """All cells of an ablation, then ``results.json``, ``results.md`` and ``results.svg`` in ``folder``.

    ``only``: rows to run, the reference always; none: all. Rows that are left out stand in the results as not run,
    unless all their answers are on disk, as asked with these options.
    Raises :class:`ConfigError` for a row that is not there, :class:`gentool.lock.LockedError` if another one works in
    the folder, :class:`Stopped` when asked to stop.
    """
    unknown = [row for row in only if row not in ablation.rows]
    if unknown:
        raise ConfigError(f"--row: expected one of {', '.join(ablation.rows)}; found {unknown[0]!r}")
    wanted = [row for row in ablation.rows if not only or row in (*only, ablation.reference)]
    begun = [row for row in ablation.rows if row not in wanted and (folder / "cells" / row).is_dir()]
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        builds = {row: build_of(ablation.config(row), folder, progress) for row in (*wanted, *begun)}
        for run in builds.values():  # here and not in the cells, which run side by side
            run.until("build")
        first = builds[ablation.reference]
        dev = probes_of(first, "dev")
        if not dev and len(ablation.learning_rates) > 1:
            raise ConfigError(
                f"{ablation.name}: several learning_rates, and no pair of group D to choose one on. Fix: give pairs "
                "the group D, or one learning rate."
            )
        budget = reference_budget(first, progress)
        cells = _Cells(ablation, folder, first, budget, progress)
        wanted += [row for row in begun if _is_finished(ablation, row, dev, cells)]
        chosen = _rates(ablation, wanted, dev, cells.run(_dev_cells(ablation, wanted), "dev"))
        metrics = cells.run(_test_cells(ablation, chosen), "test")
        rows: dict[str, dict[int, Metrics]] = {}
        for cell, found in metrics.items():
            rows.setdefault(cell.row, {})[cell.seed] = found
        return write_results(ablation, folder, chosen, rows, probes_of(first, "test"), budget)


Chosen = dict[str, tuple[float | None, dict[str, float]]]
"""Row -> its learning rate (none for ``base``), and the dev score of every rate."""


def _dev_cells(ablation: AblationConfig, rows: Iterable[str]) -> list[Cell]:
    """Every rate of every row, with the first seed; none if there is but one rate."""
    rates = ablation.learning_rates if len(ablation.learning_rates) > 1 else []
    trained = [row for row in rows if ablation.rows[row].arm != "base"]
    return [Cell(row, rate, ablation.seeds[0]) for row in trained for rate in rates]


def _rates(
    ablation: AblationConfig, rows: Iterable[str], dev: Sequence[Probe], metrics: Mapping[Cell, Metrics]
) -> Chosen:
    """The best learning rate of each row on the dev split; of equals the smallest."""
    chosen: Chosen = {}
    for row in rows:
        scores = {cell.rate: dev_score(metrics[cell], dev) for cell in _dev_cells(ablation, [row])}
        best = max(sorted(ablation.learning_rates), key=lambda rate: scores.get(rate, 0))
        chosen[row] = (
            None if ablation.rows[row].arm == "base" else best,
            {f"{rate:g}": round(score, 4) for rate, score in scores.items()},
        )
    return chosen


def _test_cells(ablation: AblationConfig, chosen: Chosen) -> list[Cell]:
    """Each row at its rate with every seed; ``base`` once."""
    return [
        Cell(row, rate, seed)
        for seed in ablation.seeds
        for row, (rate, _) in chosen.items()
        if rate is not None or seed == ablation.seeds[0]
    ]


def _is_finished(ablation: AblationConfig, row: str, dev: Sequence[Probe], cells: _Cells) -> bool:
    """Whether all that a row's line needs is on disk."""
    asked = _dev_cells(ablation, [row])
    found = cells.on_disk(asked, "dev")
    if len(found) < len(asked):
        return False
    tested = _test_cells(ablation, _rates(ablation, [row], dev, found))
    return len(cells.on_disk(tested, "test")) == len(tested)
