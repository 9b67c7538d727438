"""Loading models and tokenizers, whole or in 4 bits, with or without a LoRA adapter."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from gentool.jsonl import read_json_object
from gentool.models.random_init import read_template
from gentool.models.source import ModelError, adapter_base, locate, read_config
from gentool.models.supported import check_supported, quantization, text_config

_TEXT_KEYS = {
    r"^(?:model\.)?language_model\.(?:model\.)?(?!lm_head)": "model.",
    r"^(?:model\.)?language_model\.lm_head": "lm_head",
}
"""Names of a text decoder's weights within a multimodal checkpoint (both layouts in use) -> its own names."""


def device() -> torch.device:
    """CUDA, else Apple's GPU, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def torch_dtype(name: str, train_all: bool = False) -> torch.dtype:
    """The dtype of the weights. ``auto``: float32 to train all of them and on CPU, bfloat16 otherwise."""
    if name != "auto":
        dtype = getattr(torch, name)
        assert isinstance(dtype, torch.dtype)
        return dtype
    return torch.float32 if train_all or device().type == "cpu" else torch.bfloat16


def context_length(model: Any) -> int | None:
    """The longest sequence a model was made for, in tokens, where its configuration says so."""
    config = model.config.get_text_config()
    return getattr(config, "max_position_embeddings", None)


def load_tokenizer(path: str, chat_template: str | None = None) -> Any:
    """The tokenizer of a model, with a padding token. Raises :class:`ModelError`."""
    name, options = locate(path, weights=False)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, **options)
    except Exception as error:
        raise ModelError(
            f"model {path!r}: no tokenizer there ({str(error)[:200]}). Fix: give a folder or a hub name that holds "
            "a model and its tokenizer."
        ) from None
    if chat_template is not None:
        tokenizer.chat_template = read_template(Path(chat_template))
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def trained_in_four_bits(path: str) -> bool:
    """Whether a folder holds an adapter that was trained on a base in 4 bits (``train.method: qlora``)."""
    manifest = Path(path) / "stage.json"
    if adapter_base(path) is None or not manifest.is_file():
        return False
    options = read_json_object(manifest, "identity")["identity"]["options"]
    return bool(options["method"] == "qlora")


def _four_bit_options() -> dict[str, Any]:
    """What ``from_pretrained`` needs to load in 4 bits (NF4, as in the QLoRA paper). Raises :class:`ModelError`."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError("train.method: qlora needs bitsandbytes. Fix: pip install 'gentool[qlora]'")
    import bitsandbytes

    on = device()
    if on.type not in getattr(bitsandbytes, "supported_torch_devices", {"cuda"}):
        raise ModelError(
            f"train.method: qlora: bitsandbytes {bitsandbytes.__version__} does not run on {on.type}. Fix: use a "
            "CUDA GPU, or train.method: lora."
        )
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    # Quantized while it is loaded, so it must go to its device at once.
    return {"quantization_config": config, "device_map": {"": on}}


def load_model(
    path: str,
    dtype: torch.dtype,
    trainable: bool = False,
    four_bit: bool | None = None,
) -> Any:
    """A causal language model from safetensors, with its LoRA adapter if ``path`` is one.

    ``dtype`` is that of the weights, the base's under an adapter; ``trainable``: go on training the
    adapter; ``four_bit``: load the (base) model in 4 bits; by default as an adapter was trained. Of a multimodal
    model only the text decoder is loaded. Raises :class:`ModelError` for anything that is not a decoder-only model.
    """
    base = adapter_base(path)
    name, options = locate(base or path)
    config = read_config(base or path)
    check_supported(config, base or path)
    text = text_config(config)
    if text is not config:
        # Whether embeddings are tied is decided for the whole model.
        text.tie_word_embeddings = getattr(config, "tie_word_embeddings", text.tie_word_embeddings)
        options = {**options, "config": text, "key_mapping": _TEXT_KEYS}
    if (trained_in_four_bits(path) if four_bit is None else four_bit) and not quantization(config):
        options = {**options, **_four_bit_options()}
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            name,
            dtype=dtype,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except Exception as error:
        raise ModelError(
            f"model {path!r} cannot be loaded ({str(error)[:300]}). Fix: give a folder or a hub name of a causal "
            "language model with safetensors weights."
        ) from None
    if found["missing_keys"]:
        raise ModelError(
            f"model {path!r}: {len(found['missing_keys'])} weights are not in its safetensors files, for example "
            f"{min(found['missing_keys'])}, and would be random. Fix: give the whole checkpoint of a language model."
        )
    if text is not config:
        _forget_renaming(model)
    if base is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, path, is_trainable=trainable)
    return model


def _forget_renaming(model: Any) -> None:
    """Save a text decoder under its own names: transformers would undo the renaming of loading."""
    kept = getattr(model, "_weight_conversions", None) or []
    model._weight_conversions = [c for c in kept if not set(c.source_patterns) & set(_TEXT_KEYS)]


def weights_hash(path: str) -> str:
    """Hash of a folder's safetensors files, of the base's too if it is an adapter; of a hub name, name and commit."""
    folder = Path(path)
    digest = hashlib.sha256()
    base = adapter_base(path)
    if base is not None:
        digest.update(weights_hash(base).encode())
    if not folder.is_dir():
        name, options = locate(path)
        return f"{name}@{options['revision']}"
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(file.name.encode())
        with file.open("rb") as data:
            while block := data.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()[:16]
