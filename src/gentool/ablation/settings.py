"""An ablation's YAML: a recipe, and rows that each change something in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from gentool.config import Config, ConfigError, ModelKey, Options, Positive, RowName, Seed
from gentool.jsonl import error_lines
from gentool.recipe import make_config, read_tree


class RowOptions(Options):
    """A row of the table: an arm, and what differs from the recipe."""

    arm: ModelKey = Field("gentool", description="which arm is trained; base: none")
    set: dict[str, Any] = Field(default={}, description="options of the recipe, as `train.schedule: mixed`")
    says: str = Field("", description="what the row is, for the table")


class AblationConfig(Options):
    """Rows x learning rates on the dev split, then rows x seeds on the test."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")] = Field(description="of its folder")
    recipe: dict[str, Any] = Field(description="the options that all rows share")
    seeds: list[Seed] = Field(default=[0, 1, 2], min_length=1, description="one model each, for every row")
    learning_rates: list[Annotated[float, Field(gt=0)]] = Field(
        min_length=1, description="for each row the best one on the dev split is taken, with the first seed"
    )
    reference: RowName = Field("gentool", description="the row that the others are compared with")
    contrasts: list[tuple[RowName, RowName]] = Field(
        default=[], description="further differences, each of one row minus another"
    )
    jobs: Positive = Field(2, description="models trained at once")
    rows: dict[RowName, RowOptions] = Field(description="what is compared")

    @model_validator(mode="after")
    def _has_reference(self) -> AblationConfig:
        if self.reference not in self.rows:
            raise ValueError(
                f"reference: expected one of the rows ({', '.join(self.rows)}); found {self.reference!r}"
            )
        for pair in self.contrasts:
            if unknown := [row for row in pair if row not in self.rows]:
                raise ValueError(
                    f"contrasts: expected two of the rows ({', '.join(self.rows)}); found {unknown[0]!r}"
                )
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds must differ")
        return self

    def config(self, row: str, seed: int | None = None, rate: float | None = None) -> Config:
        """The options of a row's model. Raises :class:`ConfigError` for options that the recipe does not know."""
        options = self.rows[row]
        arms = [] if options.arm == "base" else [options.arm]
        tree = _copied(self.recipe)
        for key, value in options.set.items():
            _set(tree, key, value)
        _set(tree, "name", self.name)
        _set(tree, "train.arms", arms)
        _set(tree, "evaluate.models", [options.arm])
        _set(tree, "seeds", [self.seeds[0] if seed is None else seed])
        if rate is not None:
            _set(tree, "train.learning_rate", rate)
        return make_config(tree, f"{self.name}: row {row}")


def _copied(tree: Any) -> Any:
    return {key: _copied(value) for key, value in tree.items()} if isinstance(tree, dict) else tree


def _set(tree: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        tree = tree.setdefault(part, {})
    tree[last] = value


def load_ablation(path: Path, settings: list[str] | None = None) -> AblationConfig:
    """Read an ablation's YAML, every row's options checked. Raises :class:`ConfigError`."""
    tree = read_tree(path, settings)
    try:
        config = AblationConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("\n".join(error_lines(error, str(path)))) from None
    for row in config.rows:
        config.config(row)
    return config
