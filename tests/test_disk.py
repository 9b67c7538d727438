"""Errors of a disk, from whichever library, as one message."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from gentool.disk import disk_error


def system(number: int, path: str | bytes | None = None) -> OSError:
    return OSError(number, os.strerror(number), path)


@pytest.mark.parametrize(
    ("error", "place", "reason", "fix"),
    [
        (system(errno.ENOSPC), "runs/x: ", "No space left on device (", "free some space there"),
        (system(errno.ENOSPC, "/nowhere/a/b"), "/nowhere/a/b: ", "MiB free)", "free some space there"),
        (system(errno.EDQUOT, b"runs/x/y"), "runs/x/y: ", "quota", "quota there"),
        (system(errno.EROFS, "runs"), "runs: ", "Read-only", "--runs FOLDER"),
        (system(errno.EACCES, "runs"), "runs: ", "Permission denied", "permissions"),
        (system(errno.ENOTDIR, "runs"), "runs: ", "Not a directory", "in the way"),
        (SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"), "runs/x: ",
         "No space left on device", "free some space"),
        (Exception("Disk quota exceeded (os error 122)"), "runs/x: ", "quota exceeded", "quota there"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), "runs/x: ",
         "No space left on device", "free some space"),
    ],
)  # fmt: skip
def test_an_error_of_the_disk_names_path_reason_and_fix(
    error: Exception, place: str, reason: str, fix: str
) -> None:
    text = str(disk_error(error, Path("runs/x"), "gentool run it.yaml"))
    assert text.startswith(place) and reason in text
    assert fix in text.split("What was done is kept. Fix: ")[1]
    assert text.endswith("; then go on with: gentool run it.yaml")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA out of memory"),
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        FileNotFoundError(errno.ENOENT, "no such file", "x"),
        SafetensorError("Error while deserializing header: header too large"),
        Exception("who knows (os error 111)"),
        OSError("We couldn't connect to the hub"),
    ],
)
def test_other_errors_are_left_alone(error: Exception) -> None:
    assert disk_error(error, Path("runs/x"), "again") is None


def test_torch_and_safetensors_still_say_it_that_way(tmp_path: Path) -> None:
    """On a disk that is full from the start, where Linux has one."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(RuntimeError) as found:
        torch.save({"a": torch.zeros(100_000)}, full)
    assert disk_error(found.value, tmp_path, "again") is not None
