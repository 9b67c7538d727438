"""The parts of a run folder's ``config.yaml`` and ``scores.json`` that the report reads, and their types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gentool.jsonl import RecordError, describe_errors


class _Cell(BaseModel):
    value: float | None
    low: float | None
    high: float | None
    n_pairs: int
    n_queries: int


class _Guard(BaseModel):
    name: str
    low: float | None
    passed: bool | None


class _Scores(BaseModel):
    seeds: list[int] = []
    confidence: float
    models: dict[str, dict[str, dict[str, dict[str, _Cell]]]]
    comparisons: list[dict[str, Any]] = []


class _Train(BaseModel):
    arms: list[str] = []


class _Evaluate(BaseModel):
    models: list[str] = []


class _Config(BaseModel):
    seeds: list[int] = []
    model: dict[str, Any] = {}
    scenarios: dict[str, Any] = {}
    train: _Train = _Train()
    evaluate: _Evaluate = _Evaluate()


def check_shapes(folder: Path, config: Any, scores: Any) -> None:
    """Raise :class:`RecordError` naming the file and each field that is not as a run writes it."""
    for kind, value, name in ((_Config, config, "config.yaml"), (_Scores, scores, "scores.json")):
        try:
            kind.model_validate(value)
        except ValidationError as error:
            raise RecordError(
                f"{describe_errors(error, str(folder / name))}\nFix: delete {folder / name} and `gentool run RECIPE`, "
                "which makes it anew."
            ) from None
