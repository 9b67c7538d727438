"""What a disk refuses, said in one way, whichever library met it."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

from gentool.jsonl import GenToolError

_PERMISSIONS = "check its permissions, or write elsewhere (--runs FOLDER)"
_IN_THE_WAY = "move what is in the way, or write elsewhere (--runs FOLDER)"
_FIXES = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some of your quota there",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "make it writable, or write elsewhere (--runs FOLDER)",
    errno.EACCES: _PERMISSIONS,
    errno.EPERM: _PERMISSIONS,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.EISDIR: _IN_THE_WAY,
    errno.EIO: "check the disk",
}

# Safetensors and tokenizers pass the system's number on in a text; torch tells only that less was written than meant.
_SYSTEM = re.compile(r"\(os error (\d+)\)")
_TORCH = re.compile(r"unexpected pos \d+ vs \d+|PytorchStreamWriter failed")


class DiskError(GenToolError):
    """Something that cannot be written; names the path, the reason and the fix."""


def _number(error: Exception) -> int | None:
    """The system's number of an error of the disk, ``None`` for any other error."""
    if isinstance(error, OSError):
        return error.errno
    text = str(error)
    if found := _SYSTEM.search(text):
        return int(found[1])
    return errno.ENOSPC if _TORCH.search(text) else None


def disk_error(error: Exception, folder: Path, again: str) -> DiskError | None:
    """``error`` as a :class:`DiskError`, ``None`` if it is not about the disk.

    ``folder`` is named where the error names no file; ``again`` is the command that goes on.
    """
    number = _number(error)
    if number not in _FIXES:
        return None
    path = Path(os.fsdecode(error.filename) if isinstance(error, OSError) and error.filename else folder)
    reason = os.strerror(number)
    if number == errno.ENOSPC:
        place = next(p for p in (path.absolute(), *path.absolute().parents) if p.is_dir())
        reason += f" ({shutil.disk_usage(place).free / 2**20:,.1f} MiB free)"
    return DiskError(
        f"{path}: {reason}. What was done is kept. Fix: {_FIXES[number]}; then go on with: {again}"
    )
