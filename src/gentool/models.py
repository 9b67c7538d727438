"""Loading models and tokenizers, and making small ones from nothing. Imports torch: import it late."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from gentool.config import ModelConfig, RandomInit
from gentool.jsonl import GenToolError

transformers.utils.logging.disable_progress_bar()  # our own bars are enough

PLAIN_TEMPLATE = Path(__file__).parent / "prompting" / "plain.jinja"
"""Chat template of models made from nothing; tool calls in Hermes style."""


class ModelError(GenToolError):
    """A model or tokenizer that cannot be loaded or used; says which, why and what to do."""


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


def template_file(chat_template: str | None) -> Path:
    """The chat template of a model made from nothing."""
    return Path(chat_template) if chat_template else PLAIN_TEMPLATE


def _read_template(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"model.chat_template: {str(file)!r} cannot be read: {error}. Fix: give a jinja file."
        ) from None


def context_length(model: Any) -> int | None:
    """The longest sequence a model was made for, in tokens, where its configuration says so."""
    config = model.config.get_text_config()
    return getattr(config, "max_position_embeddings", None)


def load_tokenizer(path: str, chat_template: str | None = None) -> Any:
    """The tokenizer of a model, with a padding token. Raises :class:`ModelError`."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except Exception as error:
        raise ModelError(
            f"model.path: no tokenizer at {path!r} ({str(error)[:200]}). Fix: give a folder or a hub name "
            "that holds a model and its tokenizer."
        ) from None
    if chat_template is not None:
        tokenizer.chat_template = _read_template(Path(chat_template))
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def adapter_base(path: str) -> str | None:
    """The model that a LoRA folder was trained on; ``None`` if ``path`` is no LoRA folder."""
    config = Path(path) / "adapter_config.json"
    if not config.is_file():
        return None
    return str(json.loads(config.read_text(encoding="utf-8"))["base_model_name_or_path"])


def load_model(path: str, dtype: torch.dtype, trainable: bool = False) -> Any:
    """A causal language model from safetensors, with its LoRA adapter if ``path`` is one.

    ``dtype`` is that of the weights, the base's under an adapter; ``trainable``: go on training the
    adapter. Raises :class:`ModelError` for anything that is not a decoder-only model.
    """
    base = adapter_base(path)
    try:
        config = AutoConfig.from_pretrained(base or path, trust_remote_code=False)
        if getattr(config, "is_encoder_decoder", False):
            raise ModelError(
                f"model.path: {path!r} is an encoder-decoder model; a causal language model is needed."
            )
        model = AutoModelForCausalLM.from_pretrained(
            base or path,
            dtype=dtype,
            trust_remote_code=False,
            use_safetensors=True,
        )
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"model.path: {path!r} cannot be loaded ({str(error)[:300]}). Fix: give a folder or a hub name of a "
            "causal language model with safetensors weights."
        ) from None
    if base is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, path, is_trainable=trainable)
    return model


_MARKERS = re.compile(r"<\|[a-z_]+\|>|\[/?[A-Z_]+\]|</?s>|</?tool_call>|<(?:start|end)_of_turn>")
"""What chat templates mark turns and calls with: a token each, as in the tokenizers that they were written for."""


def _bpe(texts: Iterable[str], size: int, special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def make_tokenizer(texts: Iterable[str], size: int, context: int, chat_template: str | None) -> Any:
    """A byte-level BPE tokenizer trained on ``texts``, with a chat template for tools."""
    template = _read_template(template_file(chat_template))
    markers = sorted(set(_MARKERS.findall(template)))
    stop = next((m for m in ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>") if m in markers), "</s>")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_bpe(texts, size, ["<|pad|>", *markers, *({stop} - set(markers))]),
        eos_token=stop,
        pad_token="<|pad|>",
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = template
    return tokenizer


_CONFIGS: dict[str, Any] = {"qwen3": Qwen3Config, "llama": LlamaConfig, "mistral": MistralConfig}


def make_model(options: RandomInit, tokenizer: Any, seed: int) -> Any:
    """A small model with random weights. The same seed gives the same weights."""
    torch.manual_seed(seed)
    extra: dict[str, Any] = {"sliding_window": None} if options.architecture == "mistral" else {}
    config = _CONFIGS[options.architecture](
        vocab_size=len(tokenizer),
        hidden_size=options.hidden_size,
        intermediate_size=options.hidden_size * 3,
        num_hidden_layers=options.layers,
        num_attention_heads=options.heads,
        num_key_value_heads=options.key_value_heads,
        head_dim=options.hidden_size // options.heads,
        max_position_embeddings=options.context,
        tie_word_embeddings=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        **extra,
    )
    return AutoModelForCausalLM.from_config(config)


def make_base(config: ModelConfig, texts: Iterable[str], seed: int, folder: Path) -> None:
    """Make ``config.random_init``'s model and tokenizer and save them in ``folder``."""
    assert config.random_init is not None
    options = config.random_init
    tokenizer = make_tokenizer(texts, options.vocabulary, options.context, config.chat_template)
    model = make_model(options, tokenizer, seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def weights_hash(path: str) -> str:
    """Hash of a folder's safetensors files, of the base's too if it is an adapter; of a hub name, name and commit."""
    folder = Path(path)
    digest = hashlib.sha256()
    base = adapter_base(path)
    if base is not None:
        digest.update(weights_hash(base).encode())
    if not folder.is_dir():
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        return f"{path}@{getattr(config, '_commit_hash', None)}"
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(file.name.encode())
        with file.open("rb") as data:
            while block := data.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()[:16]
