"""What a run has to synthesize: the catalogue, the seeds, the prompts, and the units that are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from gentool.config import Config, ConfigError, SynthesisConfig
from gentool.records import Tool
from gentool.synthesis.catalogue import examples_of, read_catalogue, read_use_cases
from gentool.synthesis.records import Seed
from gentool.synthesis.seeds import Seeds, Shard
from gentool.synthesis.settings import settings_hash
from gentool.synthesis.store import Units
from gentool.synthesis.templates import Prompts


@dataclass(frozen=True)
class Plan:
    """See :func:`make_plan`."""

    config: SynthesisConfig
    seed: int
    tools: Sequence[Tool]
    seeds: Seeds
    prompts: Prompts
    settings: str
    units: Units

    @property
    def taken(self) -> frozenset[str]:
        """Names that no tool made may have."""
        return frozenset(tool.name for tool in self.tools)

    def refreshed(self, folder: Path) -> Plan:
        """The plan with the units that are there by now."""
        return replace(self, units=Units(units_file(folder), self.settings))

    def left(self) -> Iterator[Seed]:
        """The seeds of which there is no unit."""
        return (seed for seed in self.seeds if seed.id not in self.units)

    def some(self, number: int) -> list[Seed]:
        """Some of the seeds that are left, spread over the catalogue; of all seeds if none is left."""
        total = sum(1 for _ in self.left())
        seeds = self.left() if total else iter(self.seeds)
        total = total or sum(1 for _ in self.seeds)
        step = max(1, total // number)
        return list(islice(seeds, 0, step * number, step))


def synthesis_of(config: Config) -> SynthesisConfig:
    """The recipe's section. Raises :class:`ConfigError` where there is none."""
    if config.synthesis is None:
        raise ConfigError(
            f"recipe {config.name}: expected a section `synthesis`; found none. Fix: add one, as in "
            "recipes/synthesis.yaml."
        )
    return config.synthesis


def units_file(folder: Path) -> Path:
    return folder / "synthesis" / "units.jsonl"


def make_plan(config: Config, folder: Path, shard: Shard | None = None) -> Plan:
    """Read the catalogue and what was done before; nothing is written.

    Raises :class:`ConfigError`, :class:`gentool.jsonl.RecordError`, :class:`gentool.catalog.entries.CatalogError`
    or :class:`gentool.synthesis.templates.PromptError` for what the user gave.
    """
    options = synthesis_of(config)
    prompts = Prompts(Path(options.prompts) if options.prompts is not None else None)
    settings = settings_hash(options, prompts, config.seed)
    tools, cases = read_catalogue(options)
    given = read_use_cases(Path(options.use_cases)) if options.use_cases else iter(())
    examples = examples_of(chain(given, cases), tools)
    return Plan(
        config=options,
        seed=config.seed,
        tools=tools,
        seeds=Seeds(tools, options, config.seed, examples, shard),
        prompts=prompts,
        settings=settings,
        units=Units(units_file(folder), settings),
    )
