"""Which models can be trained and asked, told from the configuration alone, before weights are loaded."""

from __future__ import annotations

from typing import Any

from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from gentool.models.source import ModelError, read_config

_ATTENTION = {"full_attention", "sliding_attention", "chunked_attention"}
"""Kinds of layers in which a token sees what the mask allows and nothing else."""

_INSTEAD = "Fix: take a decoder-only language model, for example of the families Llama, Qwen3 or Mistral."


def text_config(config: Any) -> Any:
    """The configuration of the language model within ``config``: of a multimodal model, its text decoder's."""
    try:
        return config.get_text_config()
    except ValueError:  # several, as in models that make music
        return config


def is_multimodal(config: Any) -> bool:
    """Whether the model takes images or sound too."""
    parts = ("vision_config", "audio_config")
    return text_config(config) is not config or any(getattr(config, part, None) is not None for part in parts)


def _recurrent_kinds(text: Any) -> set[str]:
    """The kinds of layers that carry a state from token to token; none for plain attention."""
    mixers = set(getattr(text, "layer_types", None) or ()) - {"moe", "mlp"}  # those mix no tokens
    kinds = mixers - _ATTENTION
    # Not all say so layer by layer; transformers marks the classes whose state cannot be cut back.
    if not kinds and MODEL_FOR_CAUSAL_LM_MAPPING[type(text)]._is_stateful:
        kinds = {text.model_type}
    return kinds


def check_supported(config: Any, path: str) -> None:
    """Raise :class:`ModelError` for anything but a decoder-only language model of attention layers.

    ``config``: as transformers reads it; ``path``: how the user names the model.
    """
    kind = config.model_type
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(
            f"model {path!r} ({kind}) is an encoder-decoder; GenTool trains decoder-only language models. {_INSTEAD}"
        )
    if kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False):
        raise ModelError(f"model {path!r} ({kind}) is an encoder, which cannot write text. {_INSTEAD}")
    text = text_config(config)
    if is_multimodal(config) and (text is config or text.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES):
        raise ModelError(
            f"model {path!r} ({kind}) is multimodal, and transformers cannot load its text decoder by itself. "
            "Fix: take the text-only model of that family."
        )
    if text.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise ModelError(
            f"model {path!r} ({kind}) is no language model that transformers can load. {_INSTEAD}"
        )
    kinds = _recurrent_kinds(text)
    if kinds:
        raise ModelError(
            f"model {path!r} ({kind}) has layers that are not plain attention ({', '.join(sorted(kinds))}): they "
            "carry a state from token to token, so samples cannot share a prompt's computation, and not all "
            f"of them keep padding out of it. {_INSTEAD}"
        )
    if is_multimodal(config) and quantization(config):
        raise ModelError(
            f"model {path!r} ({kind}) is multimodal and quantized; its text decoder can be taken out of an "
            "unquantized checkpoint only. Fix: take that one; train.method: qlora quantizes it by itself."
        )


def quantization(config: Any) -> str | None:
    """How a checkpoint was quantized before (``gptq``, ``awq``, ``bitsandbytes``...); ``None`` if it was not."""
    options = getattr(config, "quantization_config", None)
    if not options:
        return None
    method = options.get("quant_method") if isinstance(options, dict) else options.quant_method
    return str(getattr(method, "value", method) or "unknown")


def check_method(path: str, method: str) -> None:
    """Raise :class:`ModelError` if the model cannot be trained by ``method`` (``full``, ``lora``, ``qlora``)."""
    config = read_config(path)
    check_supported(config, path)
    quantized = quantization(config)
    if quantized is None or (method == "qlora" and quantized == "bitsandbytes"):
        return
    raise ModelError(
        f"model {path!r} is quantized ({quantized}); train.method: {method} needs unquantized weights. Fix: take "
        "the unquantized model; train.method: qlora quantizes it by itself."
    )
