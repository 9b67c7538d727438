"""Small models and tokenizers made from nothing, for demos and tests."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from gentool.config import ModelConfig, RandomInit
from gentool.models.source import ModelError

PLAIN_TEMPLATE = Path(__file__).parent.parent / "prompting" / "plain.jinja"
"""Chat template of models made from nothing; tool calls in Hermes style."""


def template_file(chat_template: str | None) -> Path:
    """The chat template of a model made from nothing."""
    return Path(chat_template) if chat_template else PLAIN_TEMPLATE


def read_template(file: Path) -> str:
    """The text of a chat template. Raises :class:`ModelError`."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"model.chat_template: {str(file)!r} cannot be read: {error}. Fix: give a jinja file."
        ) from None


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
    template = read_template(template_file(chat_template))
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
