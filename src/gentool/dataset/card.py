"""The card of the open dataset, its figures filled in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

THIRD_READING = Path(__file__).parent / "third_reading.txt"
"""What a last reading of a sample found, in words."""


def dataset_card(figures: Mapping[str, Any]) -> str:
    """The card as Markdown; ``figures`` are those of :func:`gentool.dataset.checks.check_dataset`."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.globals |= {"n": lambda value: f"{value:,}", "p": lambda value: f"{100 * value:.1f} %"}
    third = THIRD_READING.read_text(encoding="utf-8").strip() if THIRD_READING.exists() else ""
    return environment.get_template("card.md.jinja").render(f=figures, third=third)
