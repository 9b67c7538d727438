"""What is shown before training is what will be trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gentool.pipeline import Run
from gentool.progress import Progress
from gentool.recipe import load_config
from gentool.scenarios.targets import served
from gentool.training.preview import preview_samples


@pytest.mark.parametrize("most", [1.0, 0.0])
def test_samples_that_are_never_trained_on_are_not_shown(
    recipe: Callable[..., Path], tmp_path: Path, most: float
) -> None:
    run = Run(load_config(recipe(train__max_declined=most)), tmp_path / "run", Progress())
    run.build()
    samples = {s.id: s for s in run.samples()}
    panels = list(preview_samples(run.config, run.base(), run.samples(), run.tools(), len(samples), "rank"))
    shown = {str(panel.title).removeprefix("rank: sample ") for panel in panels}
    assert shown == {i for i, s in samples.items() if most or served(s)}
    assert any(not served(s) for s in samples.values())


def test_names_are_masked_as_in_training(recipe: Callable[..., Path], tmp_path: Path) -> None:
    run = Run(load_config(recipe(train__mask_names=1.0)), tmp_path / "run", Progress())
    run.build()
    (panel,) = preview_samples(run.config, run.base(), run.samples(), run.tools(), 1, "rank")
    assert "tool_" in str(panel.renderable)
    assert not any(tool.name in str(panel.renderable) for tool in run.tools().values())
