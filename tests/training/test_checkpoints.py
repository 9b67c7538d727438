"""Which checkpoints are trusted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from gentool.training.checkpoints import SEAL, Seal, newest_checkpoint

IDENTITY = {"arm": "gentool", "steps": 9}


@pytest.fixture
def save(tmp_path: Path) -> Callable[[int], Path]:
    """Writes a checkpoint as Trainer does, then has it sealed."""
    newest_checkpoint(tmp_path, IDENTITY)

    def make(step: int) -> Path:
        folder = tmp_path / f"checkpoint-{step}"
        (folder / "parts").mkdir(parents=True)
        for name in ("model.safetensors", "optimizer.pt", "parts/0.distcp", "trainer_state.json"):
            (folder / name).write_bytes(os.urandom(100))
        state = SimpleNamespace(global_step=step)
        Seal().on_save(SimpleNamespace(output_dir=str(tmp_path)), state, None)
        return folder

    return make


def test_the_older_checkpoint_goes_when_the_newer_one_is_sealed(
    tmp_path: Path, save: Callable[[int], Path]
) -> None:
    assert newest_checkpoint(tmp_path, IDENTITY) is None
    save(9)
    newest = save(10)
    assert [p.name for p in tmp_path.glob("checkpoint-*")] == ["checkpoint-10"]
    assert newest_checkpoint(tmp_path, IDENTITY) == str(newest)


@pytest.mark.parametrize(
    "harm",
    [
        lambda c: (c / SEAL).unlink(),
        lambda c: (c / SEAL).write_text('{"model.saf'),
        lambda c: (c / SEAL).write_text("[]"),
        lambda c: (c / SEAL).write_bytes(b"\xff\x00"),
        lambda c: (c / "optimizer.pt").unlink(),
        lambda c: (c / "parts/0.distcp").write_bytes(b"half"),
        lambda c: (c / "trainer_state.json").write_text(""),
    ],
)
def test_a_checkpoint_that_is_not_whole_is_cleared_away_and_the_one_before_taken(
    tmp_path: Path, save: Callable[[int], Path], harm: Callable[[Path], object]
) -> None:
    before = save(2)
    kept = tmp_path / "kept"
    before.rename(kept)
    newest = save(4)
    kept.rename(before)
    assert newest_checkpoint(tmp_path, IDENTITY) == str(newest)
    harm(newest)
    assert newest_checkpoint(tmp_path, IDENTITY) == str(before)
    assert not newest.exists()


@pytest.mark.parametrize("mark", [None, b"", b"{", b"\xff\xfe"])
def test_checkpoints_of_another_configuration_are_never_taken(
    tmp_path: Path, save: Callable[[int], Path], mark: bytes | None
) -> None:
    save(2)
    if mark is None:
        assert newest_checkpoint(tmp_path, {**IDENTITY, "steps": 10}) is None
    else:
        (tmp_path / "identity.json").write_bytes(mark)
    assert newest_checkpoint(tmp_path, IDENTITY) is None
    assert not list(tmp_path.glob("checkpoint-*"))
