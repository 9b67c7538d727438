"""What is refused, from the configuration alone: the weights files of these tests are no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from gentool.models import ModelError, check_method, check_supported, load_model
from tests.models.tiny import tiny_config, write_config

HYBRID = ["linear_attention", "full_attention"]
TWO = {"num_hidden_layers": 2}

REFUSED = [
    ({"model_type": "bert"}, "is an encoder, which cannot write text"),
    ({"model_type": "roberta"}, "is an encoder"),
    ({"model_type": "modernbert"}, "is an encoder"),
    ({"model_type": "deberta-v2"}, "is an encoder"),
    ({"model_type": "t5", "is_encoder_decoder": True}, "is an encoder-decoder"),
    ({"model_type": "bart"}, "is an encoder-decoder"),
    ({"model_type": "whisper"}, "is an encoder-decoder"),
    ({"model_type": "mamba"}, r"\(linear_attention\)"),
    ({"model_type": "mamba2"}, r"\(linear_attention\)"),
    ({"model_type": "falcon_mamba"}, r"\(linear_attention\)"),
    ({"model_type": "rwkv"}, r"\(rwkv\): they carry a state"),
    ({"model_type": "xlstm"}, r"\(xlstm\)"),
    ({"model_type": "jamba"}, "linear_attention"),
    ({"model_type": "bamba", "attn_layer_indices": [1]}, "linear_attention"),
    ({"model_type": "falcon_h1"}, r"\(hybrid\)"),
    ({"model_type": "zamba"}, "hybrid"),
    ({"model_type": "zamba2"}, "hybrid"),
    ({"model_type": "recurrent_gemma"}, "linear_attention"),
    ({"model_type": "nemotron_h"}, "linear_attention"),
    ({"model_type": "granitemoehybrid", **TWO, "layer_types": ["mamba", "attention"]}, "linear_attention"),
    ({"model_type": "lfm2", **TWO, "layer_types": ["conv", "full_attention"]}, r"\(conv\)"),
    ({"model_type": "minimax", **TWO, "layer_types": HYBRID}, "linear_attention"),
    ({"model_type": "qwen3_next", **TWO, "layer_types": HYBRID}, "linear_attention"),
    ({"model_type": "qwen3_5", "text_config": {**TWO, "layer_types": HYBRID}}, "linear_attention"),
    ({"model_type": "vit"}, "is no language model"),
    ({"model_type": "siglip"}, "is multimodal|is no language model"),
    ({"model_type": "wav2vec2"}, "is no language model"),
    ({"model_type": "qwen2_5_vl"}, "is multimodal, and transformers cannot load its text decoder by itself"),
    ({"model_type": "qwen3_vl"}, "is multimodal"),
    ({"model_type": "phi4_multimodal"}, "is multimodal"),
    ({"model_type": "never_heard_of"}, "its configuration cannot be read.*code from a model's repository"),
]


@pytest.mark.parametrize(
    ("config", "message"), REFUSED, ids=lambda v: v["model_type"] if isinstance(v, dict) else ""
)
def test_what_is_no_attention_decoder_is_refused(
    tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    path = write_config(tmp_path / "model", **config)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(path, torch.float32)
    text = str(caught.value)
    assert path in text and config["model_type"] in text and "Fix: " in text and len(text) < 450
    with pytest.raises(ModelError, match=message):
        check_method(path, "lora")


@pytest.mark.parametrize(
    "config",
    [
        *(
            {"model_type": t}
            for t in ("llama", "qwen2", "qwen3", "mistral", "phi3", "gemma", "gemma2", "gemma3_text")
        ),
        *(
            {"model_type": t}
            for t in ("mixtral", "qwen3_moe", "gpt2", "gpt_neox", "olmo2", "smollm3", "cohere2")
        ),
        {"model_type": "qwen3", **TWO, "layer_types": ["sliding_attention", "full_attention"]},
        {"model_type": "bert", "is_decoder": True},
        *({"model_type": t} for t in ("gemma3", "mistral3", "llava", "llama4")),
    ],
    ids=lambda c: c["model_type"],
)
def test_attention_decoders_are_supported(tmp_path: Path, config: dict[str, Any]) -> None:
    for method in ("full", "lora", "qlora"):
        check_method(write_config(tmp_path / "model", **config), method)


QUANTIZED = [
    ({"quant_method": "gptq", "bits": 4}, "gptq", set()),
    ({"quant_method": "awq", "bits": 4}, "awq", set()),
    ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes", {"qlora"}),
]


@pytest.mark.parametrize(("options", "name", "works"), QUANTIZED, ids=[q[1] for q in QUANTIZED])
def test_quantized_checkpoints_are_not_trained(
    tmp_path: Path, options: dict[str, Any], name: str, works: set[str]
) -> None:
    path = write_config(tmp_path / "model", model_type="llama", quantization_config=options)
    for method in ("full", "lora", "qlora"):
        if method in works:
            check_method(path, method)
            continue
        with pytest.raises(
            ModelError, match=rf"is quantized \({name}\); train.method: {method} needs unquantized"
        ):
            check_method(path, method)


def test_a_quantized_multimodal_checkpoint_is_refused(tmp_path: Path) -> None:
    path = write_config(
        tmp_path / "model", model_type="gemma3", quantization_config={"quant_method": "gptq", "bits": 4}
    )
    with pytest.raises(ModelError, match="is multimodal and quantized"):
        load_model(path, torch.float32)


def test_layers_are_told_by_what_the_configuration_says_and_not_by_name() -> None:
    plain = tiny_config("qwen3_next", layer_types=["full_attention", "full_attention"])
    mixed = tiny_config("qwen3_next", layer_types=HYBRID)
    with pytest.raises(ModelError, match="qwen3_next"):  # the class keeps a state, whatever its layers are
        check_supported(plain, "x")
    with pytest.raises(ModelError, match="linear_attention"):
        check_supported(mixed, "x")


# The reason given for refusing recurrent layers, measured on transformers itself.
LINEAR = {
    "linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
}  # fmt: skip
PADDING = [
    ("qwen3", {}, True),
    ("qwen3_5_text", {**LINEAR, "layer_types": HYBRID}, True),
    ("lfm2", {"layer_types": ["conv", "full_attention"]}, True),
    ("rwkv", {"attention_hidden_size": 32, "context_length": 128}, False),
    ("recurrent_gemma", {"lru_width": 32, "block_types": ["recurrent", "attention"]}, False),
]


@pytest.mark.parametrize(("model_type", "changes", "exact"), PADDING, ids=[p[0] for p in PADDING])
def test_padding_leaks_into_some_recurrent_layers_only(
    model_type: str, changes: dict[str, Any], exact: bool
) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(tiny_config(model_type, **changes), dtype=torch.float32).eval()
    ids, pad = torch.randint(3, 500, (1, 21)), torch.zeros(1, 40, dtype=torch.long)
    mask = torch.cat([pad, torch.ones_like(ids)], 1)
    with torch.no_grad():
        for parameter in model.parameters():  # biases begin at zero, which would hide a leak
            parameter.add_(0.1 * torch.randn_like(parameter))
        alone = model(input_ids=ids).logits
        padded = model(input_ids=torch.cat([pad, ids], 1), attention_mask=mask).logits[:, 40:]
    assert torch.allclose(alone, padded, atol=1e-4) == exact


def test_all_that_the_tests_name_is_known_to_transformers() -> None:
    known = {c["model_type"] for c, _ in REFUSED} - {"never_heard_of"}
    assert known <= set(CONFIG_MAPPING.keys())
