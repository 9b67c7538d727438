"""Two processes give what one gives: data parallel through the real command line, and fully sharded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import read_json

ROOT = Path(__file__).parents[2]


def launch(*words: object, processes: int = 1, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Python, by torchrun if there are several processes."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(torchrun if processes > 1 else []), *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def curve(stage: Path) -> list[tuple[float, float]]:
    lines = (stage / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [(json.loads(line)["loss"], json.loads(line)["grad_norm"]) for line in lines]


STAGES = ("sft/seed-0/select", "gentool/seed-0/rank", "gentool/seed-0/select")


def test_two_processes_give_the_loss_curve_and_the_answers_of_one(
    recipe: Callable[..., Path], tmp_path: Path
) -> None:
    # Steps of 5 samples in micro-batches of 2: the last one is empty for one process, and 3 + 2 for two.
    file = recipe(train__batch_size=5, train__micro_batch_size=2)
    launch("-m", "gentool", "run", file, "--runs", tmp_path / "one", cwd=tmp_path)
    words = ["-m", "gentool", "run", file, "--runs", tmp_path / "two"]
    shown = launch(*words, processes=2, cwd=tmp_path)
    one, two = tmp_path / "one" / "tiny", tmp_path / "two" / "tiny"
    for stage in STAGES:
        assert len(curve(one / "stages" / stage)) > 3
        for a, b in zip(curve(one / "stages" / stage), curve(two / "stages" / stage), strict=True):
            assert b == pytest.approx(a, rel=1e-5)
    assert read_json(two / "scores.json")["models"] == read_json(one / "scores.json")["models"]
    assert (two / "report.html").is_file()
    assert shown.stdout.count("Report:") == 1  # one process speaks
    again = launch(*words, processes=2, cwd=tmp_path)
    assert again.stderr.count("done before") == 1 + len(STAGES)


def test_fully_sharded_gives_the_loss_and_gradients_of_one_process(
    recipe: Callable[..., Path], tmp_path: Path
) -> None:
    file = recipe(train__batch_size=6, train__micro_batch_size=4)
    launch("-m", "gentool", "build", file, "--runs", tmp_path / "runs", cwd=tmp_path)
    script = Path(__file__).with_name("sharded.py")
    found = []
    for processes, batches in ((1, "plain"), (2, "plain"), (2, "shared")):
        out = tmp_path / f"{processes}{batches}.pt"
        launch(script, file, tmp_path / "runs" / "tiny", out, batches, processes=processes, cwd=tmp_path)
        found.append(torch.load(out, weights_only=True))
    one, *others = found
    for two in others:
        assert two["loss"].item() == pytest.approx(one["loss"].item(), rel=1e-6)
        for name, gradient in one["gradients"].items():
            torch.testing.assert_close(two["gradients"][name], gradient, rtol=1e-4, atol=1e-6)
