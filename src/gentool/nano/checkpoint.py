"""Checkpoints of a training: a folder that is there whole or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from gentool.jsonl import sync_folder, write_text


def _optimizer_tensors(optimizers: list[Any]) -> dict[str, torch.Tensor]:
    found = {}
    for n, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                found[f"{n}.{index}.{key}"] = torch.as_tensor(value).contiguous()
    return found


def save_checkpoint(folder: Path, model: Any, optimizers: list[Any], state: dict[str, Any]) -> None:
    """Write ``folder/step-N``; it gets its name when all of it is on the disk, then older ones go."""
    place = folder / f"step-{state['step']}"
    parts = folder / "unfinished"
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(parents=True)
    weights = {name: p.detach().cpu().contiguous() for name, p in model.named_parameters()}
    save_file(weights, parts / "weights.safetensors")
    save_file(_optimizer_tensors(optimizers), parts / "optimizers.safetensors")
    write_text(parts / "state.json", json.dumps(state, indent=1) + "\n")
    sync_folder(parts)
    shutil.rmtree(place, ignore_errors=True)
    parts.replace(place)
    sync_folder(folder)
    for other in folder.glob("step-*"):
        if other != place:
            shutil.rmtree(other)


def load_checkpoint(folder: Path, model: Any, optimizers: list[Any]) -> dict[str, Any] | None:
    """Bring model and optimizers to the newest checkpoint and return its state; ``None`` if there is none."""
    found = sorted(folder.glob("step-*"), key=lambda place: int(place.name.split("-")[1]))
    if not found:
        return None
    weights = load_file(found[-1] / "weights.safetensors")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
    kept = load_file(found[-1] / "optimizers.safetensors")
    for n, optimizer in enumerate(optimizers):
        whole = optimizer.state_dict()
        for key, value in kept.items():
            number, index, name = key.split(".")
            if int(number) == n:
                whole["state"].setdefault(int(index), {})[name] = value
        optimizer.load_state_dict(whole)
    state: dict[str, Any] = json.loads((found[-1] / "state.json").read_text(encoding="utf-8"))
    return state
