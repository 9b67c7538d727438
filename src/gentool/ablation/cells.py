"""One model of an ablation: trained, asked on the dev split, and asked on the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from gentool.ablation.settings import AblationConfig
from gentool.config import BudgetOptions, Config
from gentool.evaluation.evaluate import ask_probes, local_askers
from gentool.evaluation.metrics import Answers, probe_metrics
from gentool.evaluation.predict import read_predictions
from gentool.evaluation.requests import choose_probes
from gentool.jsonl import content_hash, read_jsonl
from gentool.lineage import Lineage, files_hash
from gentool.pipeline import Run
from gentool.progress import Progress
from gentool.records import SCENARIOS, Probe, Tool

Split = Literal["dev", "test"]
Metrics = list[dict[str, float] | None]


@dataclass(frozen=True)
class Cell:
    """A row with a learning rate and a seed; ``base`` has neither."""

    row: str
    rate: float | None
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.row if self.rate is None else f"{self.row}/rate-{self.rate:g}/seed-{self.seed}"

    def __str__(self) -> str:
        return self.row if self.rate is None else f"{self.row}, rate {self.rate:g}, seed {self.seed}"


def build_of(config: Config, folder: Path, progress: Progress) -> Run:
    """Where the scenarios of a row are built; rows with the same data and scenarios share them."""
    key = content_hash(
        [config.data.model_dump(mode="json"), config.scenarios.model_dump(mode="json"), config.seed]
    )
    return Run(config, folder / "builds" / key[:12], progress)


def probes_of(run: Run, split: Split) -> list[Probe]:
    """The probes of the dev split (pairs of group D), or of the four scenarios within ``evaluate.max_prompts``."""
    if split == "dev":
        return read_jsonl(Probe, run.scenarios / "dev.jsonl")
    options = run.config.evaluate
    return choose_probes(run.probes(), options.rank, options.max_prompts, run.config.seed)


def cell_config(ablation: AblationConfig, cell: Cell, budget: BudgetOptions | None) -> Config:
    """The options of a cell's model; ``budget``: what every row processes."""
    config = ablation.config(cell.row, cell.seed, cell.rate)
    if config.train.budget is None and budget is not None:
        config = config.model_copy(update={"train": config.train.model_copy(update={"budget": budget})})
    return config


def reference_budget(run: Run, progress: Progress) -> BudgetOptions:
    """Tokens and steps of the reference row's epochs, which bind all rows."""
    from gentool.training.arms import plan_arms
    from gentool.training.prepare import prepare

    config = run.config
    data = prepare(config, run.samples(), run.tools(), run.base(), run.folder / "stages", progress)
    plans = next(iter(plan_arms(data.source(config.seeds[0]), config, config.seeds[0]).values()))
    return BudgetOptions(tokens=sum(p.tokens for p in plans), steps=sum(p.steps for p in plans))


def train_cell(config: Config, run: Run, folder: Path, progress: Progress) -> str:
    """Train a cell's model, unless it is there; returns its folder."""
    from gentool.training.arms import train_arms
    from gentool.training.plan import stage_folders
    from gentool.training.prepare import prepare

    base = run.base()
    if not config.train.arms:
        return base
    data = prepare(config, run.samples(), run.tools(), base, folder, progress)
    train_arms(config, data, base, folder / "stages", progress)
    arm, seed = config.train.arms[0], config.seeds[0]
    return str(stage_folders(folder / "stages", arm, seed, config.train.schedule)[-1])


def ask_cell(
    config: Config,
    weights: str,
    base: str,
    probes: Sequence[Probe],
    tools: Mapping[str, Tool],
    folder: Path,
    progress: Progress,
) -> Metrics:
    """The metrics of each probe; answers that are on disk are not asked again."""
    model, seed = config.evaluate.models[0], config.seeds[0]
    joint = model == "gentool" and config.train.schedule == "one_output"
    asker, ranker = next(local_askers(config, {model: {seed: weights}}, base, progress.say))
    scored = config.evaluate.rank_by == "score" and not joint
    rank = config.evaluate.rank
    return ask_probes(asker, ranker if scored else None, probes, tools, rank, joint, folder, progress)


def _answers(folder: Path, cell: Cell, split: Split) -> list[Path]:
    return [folder / "cells" / cell.name / "predictions" / split / f"{name}.jsonl" for name in SCENARIOS]


def _made_from(config: Config, own: Run, tested: Run, split: Split) -> list[Any]:
    """What the answers of a cell depend on: its options, its samples, the base model, and what it is asked."""
    probes = ["dev.jsonl"] if split == "dev" else [f"{name}.jsonl" for name in SCENARIOS]
    return [
        config.model_dump(mode="json"),
        files_hash([own.scenarios / "train.jsonl", own.scenarios / "tools.jsonl"]),
        own.base(),
        files_hash(file for file in Path(own.base()).glob("*") if file.is_file()),
        files_hash([tested.scenarios / name for name in ("tools.jsonl", *probes)]),
        tested.config.evaluate.model_dump(mode="json"),
    ]


def read_cell(
    ablation: AblationConfig,
    cell: Cell,
    budget: BudgetOptions | None,
    tested: Run,
    folder: Path,
    split: Split,
) -> Metrics | None:
    """The metrics of a cell from its answers on disk, with no model loaded; none unless all are there as asked now."""
    config = cell_config(ablation, cell, budget)
    own = build_of(config, folder, tested.progress)
    lineage = Lineage(folder / "cells" / cell.name / "lineage.json")
    files = _answers(folder, cell, split)
    if not lineage.done(split, _made_from(config, own, tested, split), files):
        return None
    answers = Answers({p.key: p for file in files for p in read_predictions(file)})
    tools = tested.tools()
    return [probe_metrics(probe, answers, tools) for probe in probes_of(tested, split)]


def run_cell(
    ablation: AblationConfig,
    cell: Cell,
    budget: BudgetOptions | None,
    reference: Path,
    folder: Path,
    splits: Sequence[Split],
    progress: Progress,
) -> dict[Split, Metrics]:
    """Train a cell's model and ask it the probes of the reference build ``reference`` (all rows are asked the same)."""
    config = cell_config(ablation, cell, budget)
    own = build_of(config, folder, progress)
    place = folder / "cells" / cell.name
    weights = train_cell(config, own, place, progress)
    tested = Run(ablation.config(ablation.reference), reference, progress)
    tools = tested.tools()
    lineage = Lineage(place / "lineage.json")
    found: dict[Split, Metrics] = {}
    for split in splits:
        started = datetime.now(UTC)
        answers = place / "predictions" / split
        found[split] = ask_cell(
            config, weights, own.base(), probes_of(tested, split), tools, answers, progress
        )
        inputs = _made_from(config, own, tested, split)
        lineage.record(split, inputs, _answers(folder, cell, split), cell.seed, started)
    return found
