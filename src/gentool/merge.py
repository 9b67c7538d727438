"""An adapter and its base -> one plain checkpoint, which needs neither peft nor the base any more."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Literal

import torch

from gentool.jsonl import sync_folder, write_text
from gentool.models import ModelError, adapter_base, check_method, load_model, load_tokenizer, weights_hash
from gentool.models.load import trained_in_four_bits
from gentool.models.source import locate, read_config
from gentool.models.supported import text_config

MergedDtype = Literal["float32", "bfloat16", "float16"]


def _base_dtype(base: str) -> torch.dtype:
    """The dtype that the base's weights are stored in."""
    dtype = getattr(text_config(read_config(base)), "dtype", None)
    return dtype if isinstance(dtype, torch.dtype) else torch.float32


def _check_place(stage: Path, out: Path, force: bool) -> None:
    """Raise :class:`ModelError` where ``out`` must not be written to."""
    if out.resolve() == stage.resolve() or out.resolve() in stage.resolve().parents:
        raise ModelError(f"--out {str(out)!r} holds the adapter itself. Fix: give another folder.")
    if out.exists() and not out.is_dir():
        raise ModelError(f"--out {str(out)!r} is a file. Fix: give a folder.")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not force:
        raise ModelError(
            f"--out {str(out)!r} is not empty. Fix: give a new folder, or --force to replace it."
        )
    if not (out / "config.json").is_file():  # whatever it is, it is not ours to remove
        raise ModelError(f"--out {str(out)!r} is not empty and holds no model. Fix: give a new folder.")


def _note(stage: Path, base: str, dtype: torch.dtype) -> dict[str, Any]:
    """What was merged, for the manifest."""
    note = "base and adapter merged by gentool merge-adapter"
    if trained_in_four_bits(str(stage)):
        note += "; trained on the base in 4 bits, merged into its unquantized weights, so answers may differ a little"
    return {
        "adapter": str(stage.resolve()),
        "adapter_weights": weights_hash(str(stage)),
        "base": base,
        "dtype": str(dtype).removeprefix("torch."),
        "note": note,
    }


def _merged(stage: Path, dtype: torch.dtype) -> Any:
    """The model with its adapter merged in. Raises :class:`ModelError` where that cannot be exact."""
    model = load_model(str(stage), dtype, four_bit=False)
    adapted = {name.rpartition(".")[2] for name in model.base_model.targeted_module_names}
    if model.config.tie_word_embeddings and adapted & {"lm_head", "embed_tokens"}:
        raise ModelError(
            f"{str(stage)!r} adapts embeddings that the model's input and output share, so it cannot be merged into "
            "one of them alone. Fix: use the adapter, or train one with other train.lora.target_modules."
        )
    return model.merge_and_unload()


def merge_adapter(stage: Path, out: Path, dtype: MergedDtype | None = None, force: bool = False) -> str:
    """Write base + LoRA as a plain safetensors checkpoint with its tokenizer to ``out``; return the note on it.

    ``dtype``: of the weights written, by default as the base's are stored. An adapter of ``qlora`` is merged into
    the base without quantization. The folder appears whole or not at all; ``force`` replaces a model that is there.
    Raises :class:`ModelError` if ``stage`` is no adapter or ``out`` is taken.
    """
    base = adapter_base(str(stage))
    if base is None:
        if not stage.is_dir():
            raise ModelError(
                f"{str(stage)!r}: no such folder. Fix: give a stage folder of train.method lora or qlora."
            )
        locate(str(stage))  # says what is wrong with a folder that is no model at all
        raise ModelError(
            f"{str(stage)!r} holds whole weights, no adapter: there is nothing to merge. Fix: use it as it is."
        )
    _check_place(stage, out, force)
    check_method(base, "lora")
    weights = getattr(torch, dtype) if dtype else _base_dtype(base)
    model = _merged(stage, weights)
    tokenizer = load_tokenizer(str(stage))
    note = _note(stage, base, weights)
    new, old = (out.with_name(f".{out.name}.{kind}") for kind in ("new", "old"))
    shutil.rmtree(new, ignore_errors=True)
    try:
        model.save_pretrained(new)
        tokenizer.save_pretrained(new)
        manifest = stage / "stage.json"
        if manifest.is_file():
            told = json.loads(manifest.read_text(encoding="utf-8"))
            write_text(new / "stage.json", json.dumps({**told, "merged": note}, indent=2) + "\n")
        sync_folder(new)
        if out.is_dir():
            shutil.rmtree(old, ignore_errors=True)
            out.rename(old)
        new.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return str(note["note"])
