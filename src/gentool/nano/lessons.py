"""What is learned when: worlds and texts rendered as training rows. A step's rows follow from seed, step and stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from gentool.nano.lexicon import Lexicon
from gentool.nano.real import cloze_world, served_world
from gentool.nano.text import recalled, repeated
from gentool.nano.tokenizer import NUMBERS
from gentool.nano.worlds import Ask, Level, World, draw_world
from gentool.prompting.renderer import Rendered, Renderer, answer_message, prompt_messages
from gentool.records import Task, Tool, ToolPair
from gentool.training.shared_prefix.tree import unique_tokens

CHOICE = 3.0
"""What the number of the first tool weighs more than other tokens of an answer: in it lies the choice."""

ASKS = 12
"""Requests a list of tools: the list is computed once for all of them."""

WHOLE = 0.6
"""Share of the requests whose whole answer is a target too, and not only the choice, but for the last stage."""


PASSED = 0.8
"""Share of right choices at which a stage is left early."""


@dataclass(frozen=True)
class Stage:
    """``k``: fewest and most tools. Shares: ``texts`` of plain texts in the tokens, ``copied`` of repeated tokens in
    these, ``rank`` of rankings, ``real`` of lists of real tools where there are any. ``until``: share of the budget at
    which the stage is over at the latest; ``batch``: share of the tokens of a step; ``passed``: share of right choices
    at which it is over early; ``whole``: share of the requests whose whole answer is a target."""

    k: tuple[int, int]
    level: Level
    texts: float
    rank: float
    until: float
    real: float = 0.0
    copied: float = 0.2
    batch: float = 1.0
    passed: float = PASSED
    whole: float = WHOLE

    @property
    def copies(self) -> bool:
        """Whether all there is are texts: heads that copy form here within minutes, and beside other aims only late."""
        return self.texts == 1


STAGES = (
    Stage((1, 2), Level(2), 1.0, 0.5, 0.01, copied=1.0, batch=0.5),
    Stage((1, 2), Level(2, (1, 0, 0), 0.7, 0.0, 0, short=True), 0.5, 0.5, 0.03, copied=0.5, batch=0.7),
    Stage((2, 3), Level(2, (3, 1, 0), 0.6, 0.2, 1, short=True, unserved=0.1), 0.1, 0.4, 0.12),
    Stage((2, 5), Level(2, (3, 2, 1), 0.5, 0.3, 3, found=0.3, unserved=0.15), 0.1, 0.35, 0.4, 0.2),
    Stage((1, 10), Level(2, (2, 2, 1), 0.5, 0.4, 4, found=0.3, unserved=0.15), 0.05, 0.35, 0.8, 0.3),
    Stage(
        (1, 20),
        Level(2, (2, 2, 1), 0.5, 0.4, 5, found=0.3, unserved=0.15),
        0.05,
        0.35,
        0.6,
        0.3,
        passed=0.9,
    ),
    # Words of real documents as names: names are to be matched and copied token by token, not known.
    Stage(
        (1, 20),
        Level(2, (2, 2, 1), 0.6, 0.4, 5, found=0.7, unserved=0.15),
        0.05,
        0.35,
        1.0,
        0.3,
        whole=1.0,
    ),
)


def draw_level(rng: Random, stage: Stage) -> Level:
    """The stage's level with a number of tools, small ones more often."""
    low, high = stage.k
    k = min(rng.randint(low, high), rng.randint(low, high)) if high > 5 else rng.randint(low, high)
    return replace(stage.level, k=k)


class Lessons:
    """Renders worlds and texts with the product's own renderer."""

    def __init__(
        self,
        renderer: Renderer,
        words: Lexicon,
        real: Sequence[Tool] = (),
        pairs: Sequence[ToolPair] = (),
    ) -> None:
        self.renderer = renderer
        self.words = words
        self.real = real
        self.pairs = pairs
        self.numbers = frozenset(renderer.tokenizer.convert_tokens_to_ids(list(NUMBERS)))

    def choice_of(self, row: Rendered, weight: float = 1.0) -> Rendered:
        """Of a request's row only the number of the first tool in the answer as the target."""
        start = next(i for i in range(row.start, len(row.ids)) if row.ids[i] in self.numbers)
        return Rendered(row.ids[: start + 1], start, weight)

    def head(self, world: World) -> list[int]:
        """The tokens of a world's list of tools, with which all its prompts begin."""
        text = self.renderer.prompt_text("", None, world.tools, "select")
        return list(self.renderer.tokenizer(text[: text.index("<|user|>")])["input_ids"])

    def ask(self, world: World, ask: Ask, task: Task, head: list[int] | None = None) -> Rendered:
        """One request as prompt and target, equal to :meth:`Renderer.training`'s.

        Drawing must not hold up the training, so that the list (``head``) is rendered once for all its requests.
        """
        tokenizer = self.renderer.tokenizer
        messages, _ = prompt_messages(ask.query, ask.now, (), task, "native")
        answer = answer_message(task, ask.ranking, ask.call, "native")
        named = [
            {"function": {"name": tool.name, "description": "", "parameters": {}}} for tool in world.tools
        ]
        whole = tokenizer.apply_chat_template([*messages, answer], tools=named, tokenize=False)
        tail = tokenizer(whole[whole.index("<|user|>") :])["input_ids"]
        head = head or self.head(world)
        start = tail.index(tokenizer.convert_tokens_to_ids("<|assistant|>")) + 1
        return Rendered([*head, *tail], len(head) + start)

    def text(self, rng: Random, copied: float) -> Rendered:
        """A plain text, every token a target; of that share tokens in any order, their repetition the target."""
        if rng.random() < copied:
            half = rng.choices(range(len(self.renderer.tokenizer)), k=rng.randint(12, 40))
            return Rendered([*half, *half], len(half) + 1, 1.0)
        text = rng.choice((repeated, recalled))(rng, self.words)
        ids = self.renderer.tokenizer(text, add_special_tokens=False)["input_ids"]
        return Rendered([*ids, self.renderer.tokenizer.eos_token_id], 1, 1.0)

    def group(self, rng: Random, stage: Stage) -> list[Rendered]:
        """The rows of one list of tools."""
        level = draw_level(rng, stage)
        sources = [name for name, there in (("real", self.real), ("open", self.pairs)) if there]
        source = rng.choice(sources) if sources and rng.random() < stage.real else "made"
        rank = stage.rank
        if source == "real":
            world = cloze_world(rng, self.real, min(level.k, 8), ASKS, self.words.found)
        elif source == "open":
            world = served_world(rng, self.pairs, min(level.k, 6), ASKS)
        else:
            world = draw_world(rng, self.words, level, ASKS)
        head = self.head(world)
        rows = [self.ask(world, a, "rank" if rng.random() < rank else "select", head) for a in world.asks]
        whole = [row for row in rows if rng.random() < stage.whole]
        return [*whole, *(self.choice_of(row, CHOICE) for row in rows), *self.read_too(rows)]

    def read_too(self, rows: list[Rendered]) -> list[Rendered]:
        """Rows that make the documents and the requests targets as well, weighing less than answers."""
        user = self.renderer.tokenizer.convert_tokens_to_ids("<|user|>")
        more = [Rendered(row.ids[: row.start], row.ids.index(user) + 1, 0.1) for row in rows]
        return [*more, Rendered(rows[0].ids[: rows[0].ids.index(user)], 1, 0.25)]

    def step(self, rng: Random, stage: Stage, tokens: int) -> list[Rendered]:
        """Rows of about that many unique tokens."""
        rows: list[Rendered] = []
        size = texts = 0
        while size < stage.batch * tokens:
            if stage.copies or texts < stage.texts * size or (size == 0 and rng.random() < stage.texts):
                text = self.text(rng, stage.copied)
                rows.append(text)
                texts += len(text.ids)
                size += len(text.ids)
                continue
            group = self.group(rng, stage)
            size += unique_tokens(group)
            rows += group
        return rows
