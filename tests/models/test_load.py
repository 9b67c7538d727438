"""Loading: whole, the text decoder of a multimodal model, in 4 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bitsandbytes
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMultimodalLM, Gemma3Config, LlavaConfig, Mistral3Config

from gentool.models import ModelError, load, load_model, load_tokenizer, torch_dtype
from tests.models.tiny import SIZES, save_tiny

VISION = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 28,
    "patch_size": 14,
}  # fmt: skip
TEXT = {**SIZES, "vocab_size": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
MULTIMODAL = {
    "gemma3": lambda: Gemma3Config(
        text_config=TEXT, vision_config=VISION, mm_tokens_per_image=4,
        image_token_index=60, boi_token_index=61, eoi_token_index=62,
    ),
    "mistral3": lambda: Mistral3Config(
        text_config={**TEXT, "model_type": "mistral"},
        vision_config={**VISION, "model_type": "pixtral", "head_dim": 16}, image_token_index=60,
    ),
    "llava": lambda: LlavaConfig(
        text_config={**TEXT, "model_type": "llama"},
        vision_config={**VISION, "model_type": "clip_vision_model", "projection_dim": 32}, image_token_index=60,
    ),
}  # fmt: skip
IDS = torch.arange(3, 40)[None]


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    found = model.eval()(input_ids=IDS).logits
    assert isinstance(found, torch.Tensor)
    return found


@pytest.mark.parametrize("prefix", ["language_model.model.", "model.language_model."])
@pytest.mark.parametrize("kind", MULTIMODAL)
def test_of_a_multimodal_model_the_text_decoder_is_loaded(tmp_path: Path, kind: str, prefix: str) -> None:
    torch.manual_seed(0)
    whole = AutoModelForMultimodalLM.from_config(MULTIMODAL[kind](), dtype=torch.float32)
    whole.save_pretrained(tmp_path / "whole")
    file = tmp_path / "whole" / "model.safetensors"  # both layouts are found on the hub
    weights = {k.replace("language_model.model.", prefix): v for k, v in load_file(file).items()}
    save_file(weights, file, metadata={"format": "pt"})
    text = load_model(str(tmp_path / "whole"), torch.float32)
    assert not [n for n, _ in text.named_parameters() if "vision" in n]
    assert torch.equal(logits(text), logits(whole))
    text.save_pretrained(tmp_path / "text")
    with safe_open(tmp_path / "text" / "model.safetensors", "pt") as saved:
        assert "model.layers.0.mlp.up_proj.weight" in saved.keys()  # noqa: SIM118
    assert torch.equal(logits(load_model(str(tmp_path / "text"), torch.float32)), logits(whole))


def test_weights_that_are_not_there_are_an_error(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model", "llama")
    file = Path(folder) / "model.safetensors"
    weights = load_file(file)
    del weights["lm_head.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(
        ModelError, match=r"1 weights are not in its safetensors files, for example lm_head\.weight"
    ):
        load_model(folder, torch.float32)


def test_weights_that_cannot_be_read_are_one_sentence(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model", "llama")
    (Path(folder) / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(folder, torch.float32)


def test_a_padding_token_is_there(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model", "llama")
    tokenizer = load_tokenizer(folder)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    assert load_tokenizer(folder).pad_token == load_tokenizer(folder).eos_token


def test_four_bits_are_near_the_weights(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model", "llama", hidden_size=64, head_dim=32, intermediate_size=64)
    whole = load_model(folder, torch.float32)
    small = load_model(folder, torch.float32, four_bit=True)
    layer = small.model.layers[0].mlp.up_proj
    assert isinstance(layer, bitsandbytes.nn.Linear4bit)
    assert (layer.weight.quant_type, layer.weight.compress_statistics) == ("nf4", True)
    assert layer.compute_dtype == torch.bfloat16
    assert isinstance(small.lm_head, torch.nn.Linear) and not isinstance(
        small.lm_head, bitsandbytes.nn.Linear4bit
    )
    error = (logits(small) - logits(whole)).norm() / logits(whole).norm()
    assert 0.01 < error < 0.3


def test_four_bits_without_bitsandbytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_tiny(tmp_path / "model", "llama")
    monkeypatch.setattr(load.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"needs bitsandbytes. Fix: pip install 'gentool\[qlora\]'"):
        load_model(folder, torch.float32, four_bit=True)


def test_four_bits_on_a_device_that_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_tiny(tmp_path / "model", "llama")
    monkeypatch.setattr(bitsandbytes, "supported_torch_devices", {"cuda"})
    monkeypatch.setattr(load, "device", lambda: torch.device("cpu"))
    with pytest.raises(ModelError, match=r"does not run on cpu\. Fix: use a CUDA GPU, or train"):
        load_model(folder, torch.float32, four_bit=True)


def test_dtypes() -> None:
    assert torch_dtype("bfloat16") is torch.bfloat16
    assert torch_dtype("auto", train_all=True) is torch.float32
