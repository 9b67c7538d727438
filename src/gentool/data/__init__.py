"""The hand-written tool pairs and stand-alone tools that come with GenTool (see ``docs/formats.md``)."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
PAIRS = FOLDER / "pairs.jsonl"
TOOLS = FOLDER / "tools.jsonl"
OPEN = FOLDER / "open"
"""The open dataset, compiled from ``dataset/``: ``pairs``, ``tools`` and ``readings``, each ``.jsonl.gz``."""
