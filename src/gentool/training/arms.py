"""The arms of a comparison: from samples and a base model to a trained checkpoint for each arm and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gentool.config import Arm, Config
from gentool.jsonl import content_hash
from gentool.models import load_tokenizer
from gentool.progress import Progress, Stopped
from gentool.prompting.renderer import Renderer
from gentool.records import Sample, Tool
from gentool.training.dataset import SampleRenderer
from gentool.training.plan import StagePlan, plan_arm, stage_folders
from gentool.training.stage import StageSpec, train_stage


def make_renderer(config: Config, base: str) -> Renderer:
    """The renderer that training and evaluation share."""
    template = None if config.model.random_init else config.model.chat_template
    joint = "gentool" in config.train.arms and config.train.schedule == "one_output"
    return Renderer(load_tokenizer(base, template), config.prompt.tool_format, joint)


def plan_arms(
    samples: Sequence[Sample], source: SampleRenderer, config: Config, seed: int
) -> dict[Arm, list[StagePlan]]:
    """The plans of all arms; with ``equal_budget`` the tokens and steps of ``gentool`` bind the others.

    ``gentool`` is planned even where it is not trained, so that a budget does not depend on which arms run.
    """
    train = config.train
    reference = plan_arm(samples, "gentool", train, seed, source.length)
    budget = (sum(p.tokens for p in reference), sum(p.steps for p in reference))
    plans: dict[Arm, list[StagePlan]] = {}
    for arm in train.arms:
        if arm == "gentool":
            plans[arm] = reference
        else:
            limit = budget if train.equal_budget else None
            plans[arm] = plan_arm(samples, arm, train, seed, source.length, limit)
    return plans


def train_arms(
    config: Config,
    samples: Sequence[Sample],
    tools: Mapping[str, Tool],
    base: str,
    stages: Path,
    progress: Progress,
) -> None:
    """Train every arm for every seed, stage after stage; what is done is skipped, what was begun is resumed."""
    renderer = make_renderer(config, base)
    data_hash = content_hash([s.model_dump(mode="json") for s in samples] + sorted(tools))
    for seed in config.seeds:
        source = SampleRenderer(samples, tools, renderer, seed, config.train.max_length)
        for arm, plans in plan_arms(samples, source, config, seed).items():
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
                    data_hash=data_hash,
                )
                if progress.stopping:
                    raise Stopped
                train_stage(spec, source, progress)
                parent = str(folder)
