"""nano's tokenizer: byte-level BPE trained on the recipe's own text, digits one by one, words of a name apart."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from gentool.prompting.renderer import RANK_REQUEST
from gentool.records import GENERATE_RESPONSE

TEMPLATE = Path(__file__).parent / "nano.jinja"
CONTEXT = 4096

END = "<|end|>"
_SPECIAL = ("<|pad|>", END, "<|tools|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
_PIECES = (
    "<tool_call>",
    "</tool_call>",
    '{"tool": "',
    '", "name": "',
    '{"name": "',
    '", "arguments": {',
    "}}",
    GENERATE_RESPONSE,
    RANK_REQUEST,
    "Current date and time: ",
)
"""Texts that never vary, one token each: shorter prompts and answers, and no loss spent on them."""

NUMBERS = tuple(f"{n})" for n in range(1, 65))
"""Numbers of tools in a list, one token each; later ones are written digit by digit."""

_WORDS = r" ?\p{Lu}?[\p{Ll}\p{Lo}\p{M}]+| ?\p{Lu}+(?!\p{Ll})| ?\p{L}| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s"


def train_tokenizer(texts: Iterable[str], size: int, words: str = _WORDS) -> Any:
    """A tokenizer of ``size`` tokens with nano's chat template. The same texts give the same tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(_PIECES) - len(NUMBERS),
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        min_frequency=3,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in (*_PIECES, *NUMBERS)])
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token="<|pad|>",
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    made.chat_template = TEMPLATE.read_text(encoding="utf-8")
    return made
