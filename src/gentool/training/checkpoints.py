"""Checkpoints that can be trusted: sealed when every file is on the disk, resumed from only if sealed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import TrainerCallback

from gentool.jsonl import sync_folder, write_text
from gentool.processes import is_first, wait_for_all

SEAL = "whole.json"
"""Written last into a checkpoint: names and sizes of its files."""


def is_whole_file(weights: Path) -> bool:
    """Whether a safetensors file has the length that its header says; the weights themselves are not read."""
    try:
        with safe_open(weights, framework="pt"):
            return True
    except (OSError, SafetensorError):
        return False


def _is_whole(checkpoint: Path) -> bool:
    try:
        sizes = json.loads((checkpoint / SEAL).read_text(encoding="utf-8"))
        return bool(sizes) and all((checkpoint / n).stat().st_size == size for n, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


class Seal(TrainerCallback):  # type: ignore[misc]
    """Seals each new checkpoint and then, not before, removes the older ones."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        wait_for_all()  # every process writes a part
        if not is_first():
            return
        newest = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        sync_folder(newest)
        files = sorted(p for p in newest.rglob("*") if p.is_file())
        sizes = {file.relative_to(newest).as_posix(): file.stat().st_size for file in files}
        write_text(newest / SEAL, json.dumps(sizes, indent=1) + "\n")
        for other in newest.parent.glob("checkpoint-*"):
            if other != newest:
                shutil.rmtree(other)


def newest_checkpoint(folder: Path, identity: dict[str, Any]) -> str | None:
    """The newest whole checkpoint of this very stage; all others are cleared away."""
    if is_first():
        _clear(folder, json.dumps(identity))
    wait_for_all()
    whole = list(folder.glob("checkpoint-*"))
    return str(max(whole, key=lambda c: int(c.name.split("-")[1]))) if whole else None


def _clear(folder: Path, identity: str) -> None:
    """Remove checkpoints of another configuration and those that are not whole, half written or half removed."""
    mark = folder / "identity.json"
    if not mark.is_file() or mark.read_bytes() != identity.encode():
        shutil.rmtree(folder, ignore_errors=True)
        write_text(mark, identity)
    for checkpoint in folder.glob("checkpoint-*"):
        if not _is_whole(checkpoint):
            shutil.rmtree(checkpoint)
