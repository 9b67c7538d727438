"""The card of a trained nano: what it is, what it was trained on, what it cost, how it learned, what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import packages_distributions, version
from typing import Any

from gentool.nano.lexicon import lexicon
from gentool.nano.real import PLACES

_CARD = """\
---
license: apache-2.0
library_name: transformers
tags: [tool-calling, tiny]
---
# gentool-nano

A Llama of {parameters:,} parameters ({layers} layers, width {width}) with a vocabulary of {vocabulary:,}
tokens, pretrained from random weights
to read tools in its context, rank them and write a call. It is made for experiments that need no GPU and no
model hub, not for use.

Made by this command, reproducibly on one kind of machine with the same versions of the packages below
(a stopped run goes on with the same command):

```
{command}
```

The rest of its plan: {rest}.

## Data

All of it is made by the recipe, in English:

- tool worlds, drawn anew in every step: {actions} actions x {things} things x qualifiers x arguments of 12
  kinds, and invented words; 1 to
  20 tools a list, {asks} requests a list, in words copied from a tool's document, synonyms, or a mixture. One request \
in seven is served by no tool.
  No list has two versions of a tool: what fine-tuning teaches of those can be measured;
- plain texts: repeated tokens and words, pairs to recall;
- names and first sentences of {real_tools:,} operations of installed packages ({packages}; Apache-2.0),
  with made-up arguments, asked for with a few of their words among those of another document; from the
  fourth stage on words of them are names of made-up tools and arguments, in the last one mostly;
- {open_pairs:,} pairs of the train group (T) of the open dataset: lists with one tool of a pair, and requests
  that it serves. No change of a catalogue is shown, and none of the other groups was read.

Words of the exam (`python -m gentool.nano.exam`) are in no tool name of the training.

## Cost and curve

{tokens:,} unique tokens (a list of tools counts once for all its requests) in {steps:,} steps, {hours:.2f}
hours of optimizer steps.

| tokens | stage | loss | right choice, call | right choice, ranking | two tools |
|---|---|---|---|---|---|
{curve}

The choice is the number of the first tool, judged on made-up tools of the stage's lists. The loss is a mean over
documents, requests and answers of that stage, so it cannot be compared between stages. What it can do on tools
of other words: `python -m gentool.nano.exam`.

## Limits

It knows next to nothing about the world and little English beyond its templates: it matches words.
Dates relative to today, numbers in words and synonyms that training did not show are often wrong, and names of
arguments that it did not show too. Descriptions of arguments are not in its prompts. One call an answer;
{context} tokens of context.

Its chat template numbers the tools and writes a tool's number before its name in calls (the key `tool`) and
rankings: one token in which the choice lies.
"""

ROWS = 20
"""Lines of the curve that the card shows."""


def training_command(plan: Mapping[str, Any], processes: int) -> str:
    """The command that a plan was trained with."""
    shape = plan["shape"]
    start = "python" if processes == 1 else f"torchrun --nproc-per-node {processes}"
    flags = [
        name
        for name, given in (
            ("bf16", plan["bf16"]),
            ("open", plan["open"]),
            ("no-real", not plan["real"]),
        )
        if given
    ]
    return " ".join(
        [
            f"{start} -m gentool.nano --out FOLDER --tokens {plan['tokens']} --seed {plan['seed']}",
            f"--width {shape['width']} --layers {shape['layers']} --vocabulary {shape['vocabulary']}",
            f"--batch {plan['batch']} --every {plan['every']}",
            *(f"--{name}" for name in flags),
            *(["--threads 1"] if processes > 1 else []),
        ]
    )


def _packages() -> str:
    """The installed packages that real tools are taken from, with versions."""
    owners = packages_distributions()
    names = [owners[module][0] for module in PLACES if module in owners]
    return ", ".join(f"{name} {version(name)}" for name in names) or "none"


def model_card(
    plan: Mapping[str, Any],
    sources: Mapping[str, int],
    state: Mapping[str, Any],
    log: Sequence[Mapping[str, Any]],
    parameters: int,
    asks: int,
    context: int,
    processes: int = 1,
) -> str:
    """The card as Markdown; ``log``: the lines of ``log.jsonl``."""
    words = lexicon()
    every = max(1, -(-len(log) // ROWS))
    shown = [line for n, line in enumerate(log) if (len(log) - 1 - n) % every == 0]
    curve = "\n".join(
        f"| {x['tokens']:,} | {x['stage'] + 1} | {x['loss']:.2f} | {x['select_right']:.0%} | {x['rank_right']:.0%} "
        f"| {x['two_tools_right']:.0%} |"
        for x in shown
    )
    return _CARD.format(
        parameters=parameters,
        layers=plan["shape"]["layers"],
        width=plan["shape"]["width"],
        vocabulary=plan["shape"]["vocabulary"],
        command=training_command(plan, processes),
        rest=", ".join(f"{name} {plan[name]}" for name in ("matrix_lr", "vector_lr", "warmup")),
        packages=_packages(),
        actions=len(words.actions),
        things=len(words.things),
        asks=asks,
        tokens=state["tokens"],
        steps=state["step"],
        hours=state["seconds"] / 3600,
        curve=curve,
        context=context,
        **sources,
    )
