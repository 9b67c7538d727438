"""Which pairs are to be made: a stream of seeds that depends on the catalogue and the run's seed alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gentool.config import SynthesisConfig
from gentool.prompting.order import seeded
from gentool.records import Tool
from gentool.synthesis.records import Seed


@dataclass(frozen=True)
class Shard:
    """Part ``number`` (from 1) of ``of`` parts of the seeds."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def holds(self, seed: Seed) -> bool:
        """Whether the seed belongs to this part; its id alone decides."""
        return int(seed.id, 16) % self.of == self.number - 1


@dataclass(frozen=True)
class Seeds:
    """The seeds of a run, in the order of the catalogue; made anew each time they are gone through.

    What is made of a tool is drawn from the run's seed and the tool's id, so that other tools change nothing.
    """

    tools: Sequence[Tool]
    config: SynthesisConfig
    seed: int
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shard: Shard | None = None

    def __iter__(self) -> Iterator[Seed]:
        for tool in self._drawn():
            ways = self.config.ways
            first = seeded("way", self.seed, tool.id).randrange(len(ways))
            for number in range(self.config.pairs_per_tool):
                seed = Seed(
                    tool=tool,
                    way=ways[(first + number) % len(ways)],
                    upgrade=seeded("upgrade", self.seed, tool.id, number).random() < self.config.upgrades,
                    number=number,
                    examples=self.examples.get(tool.id, ()),
                )
                if self.shard is None or self.shard.holds(seed):
                    yield seed

    def _drawn(self) -> Sequence[Tool]:
        most = self.config.max_tools
        if most is None or most >= len(self.tools):
            return self.tools
        chance = {tool.id: seeded("tool", self.seed, tool.id).random() for tool in self.tools}
        drawn = set(sorted(chance, key=chance.__getitem__)[:most])
        return [tool for tool in self.tools if tool.id in drawn]
