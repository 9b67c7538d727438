"""Tiny models of real architectures, from transformers' own classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from gentool.models import make_tokenizer

TEXTS = ['{"name": "find_trains", "description": "Trains between two stations.", "parameters": {}}'] * 3
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "intermediate_size": 48,
    "max_position_embeddings": 8192,
}


def tiny_config(model_type: str, vocabulary: int = 600, **changes: Any) -> Any:
    """A configuration of a decoder-only architecture."""
    tokens = {"vocab_size": vocabulary, "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0}
    return CONFIG_MAPPING[model_type](**{**SIZES, **tokens, **changes})


def save_tiny(folder: Path, model_type: str, seed: int = 0, **changes: Any) -> str:
    """Weights, configuration and tokenizer of a tiny model in ``folder``."""
    torch.manual_seed(seed)
    tokenizer = make_tokenizer(TEXTS, 600, 8192, None)
    config = tiny_config(model_type, len(tokenizer), **changes)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def write_config(folder: Path, **values: Any) -> str:
    """A folder that looks like a checkpoint, with ``config.json`` alone and no weights in its weights file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"never read")
    return str(folder)
