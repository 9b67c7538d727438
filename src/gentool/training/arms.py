"""The arms of a comparison: from training data and a base model to a trained checkpoint for each arm and seed."""

from __future__ import annotations

from pathlib import Path

from gentool.config import Arm, Config
from gentool.progress import Progress, Stopped
from gentool.training.dataset import SampleRenderer
from gentool.training.mixture import Mixture
from gentool.training.plan import StagePlan, plan_arm, stage_folders
from gentool.training.preflight import answers, balance_table, check_positions, positions
from gentool.training.prepare import TrainingData
from gentool.training.stage import StageSpec, train_stage


def plan_arms(
    source: SampleRenderer, config: Config, seed: int, mixture: Mixture | None = None
) -> dict[Arm, list[StagePlan]]:
    """The plans of all arms; with ``equal_budget`` the tokens and steps of ``gentool`` bind the others; with a
    ``budget`` that binds all.

    ``gentool`` is planned even where it is not trained, so that a budget does not depend on which arms run.
    """
    train = config.train
    mix = mixture.parts if mixture else ()
    given = (train.budget.tokens, train.budget.steps) if train.budget else None
    reference = plan_arm(source.samples, "gentool", train, seed, source.length, given, mix)
    budget = given or (sum(p.tokens for p in reference), sum(p.steps for p in reference))
    plans: dict[Arm, list[StagePlan]] = {}
    for arm in train.arms:
        if arm == "gentool":
            plans[arm] = reference
        else:
            limit = budget if train.equal_budget else given
            plans[arm] = plan_arm(source.samples, arm, train, seed, source.length, limit, mix)
    return plans


def check_balance(source: SampleRenderer, plans: dict[Arm, list[StagePlan]], progress: Progress) -> None:
    """Print where the right answers stand. Raises :class:`TrainingError` where the place gives the answer away."""
    rows = {arm: (positions(source, stages), answers(source, stages)) for arm, stages in plans.items()}
    progress.console.print(balance_table(rows))
    for arm, (counts, _) in rows.items():
        check_positions(counts, arm)


def train_arms(config: Config, data: TrainingData, base: str, stages: Path, progress: Progress) -> None:
    """Train every arm for every seed, stage after stage; what is done is skipped, what was begun is resumed."""
    for seed in config.seeds:
        source = data.source(seed)
        plans_of = plan_arms(source, config, seed, data.mixture)
        if seed == config.seeds[0]:
            check_balance(source, plans_of, progress)
        for arm, plans in plans_of.items():
            parent = base
            folders = stage_folders(stages, arm, seed, config.train.schedule)
            for plan, folder in zip(plans, folders, strict=True):
                spec = StageSpec(
                    arm=arm,
                    plan=plan,
                    config=config.train,
                    dtype=config.model.dtype,
                    seed=seed,
                    parent=parent,
                    folder=folder,
                    data_hash=data.hash,
                )
                if progress.stopping:
                    raise Stopped
                train_stage(spec, source, progress)
                parent = str(folder)
