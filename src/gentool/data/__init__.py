"""The tool pairs and stand-alone tools that come with GenTool (see ``docs/formats.md`` and ``docs/dataset.md``)."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
PAIRS = FOLDER / "pairs.jsonl"
TOOLS = FOLDER / "tools.jsonl"
OPEN = FOLDER / "open"
"""The open dataset, compiled from ``dataset/``: ``pairs``, ``tools`` and ``readings``, each ``.jsonl.gz``."""

PROCEDURAL = FOLDER / "procedural"
"""Pairs made by ``python -m gentool.nano.pairs``: ``pairs`` and ``tools``, each ``.jsonl.gz``."""

NANO = FOLDER / "nano"
MODELS = {"gentool-nano": NANO}
"""Models that come with the package: ``python -m gentool.nano`` trains it (``docs/nano.md``)."""

NAMED = {
    "package": (PAIRS, TOOLS),
    "procedural": (PROCEDURAL / "pairs.jsonl.gz", PROCEDURAL / "tools.jsonl.gz"),
    "gentool-open": (OPEN / "pairs.jsonl.gz", OPEN / "tools.jsonl.gz"),
}
"""What a recipe's ``data`` may name: files of pairs and of stand-alone tools."""


def model_path(name: str) -> str:
    """The folder that the name of a model of the package stands for; any other name or path as it is."""
    return str(MODELS.get(name, name))


def pairs_file(name: str) -> Path:
    """The file of pairs that a name or path stands for."""
    return NAMED[name][0] if name in NAMED else Path(name)


def tools_file(name: str) -> Path:
    """The file of stand-alone tools that a name or path stands for."""
    return NAMED[name][1] if name in NAMED else Path(name)
