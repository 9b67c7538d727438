"""Byte-level tokenizers with the special tokens and the chat templates of the model families."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trl
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from gentool.models import PLAIN_TEMPLATE
from gentool.prompting.renderer import Renderer

TRL_TEMPLATES = Path(trl.__file__).parent / "chat_templates"
OWN_TEMPLATES = Path(__file__).parent / "templates"


class Family(NamedTuple):
    """Special tokens of a model family; ``plain`` ones are single tokens but not special, as in Qwen."""

    eos: str
    bos: str | None
    special: tuple[str, ...]
    plain: tuple[str, ...] = ()


_QWEN = Family(
    "<|im_end|>",
    None,
    ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    ("<tool_call>", "</tool_call>", "<think>", "</think>"),
)
_LLAMA = Family(
    "<|eot_id|>",
    "<|begin_of_text|>",
    (
        "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
        "<|eot_id|>", "<|eom_id|>", "<|python_tag|>",
    ),
)  # fmt: skip
_MISTRAL = Family(
    "</s>",
    "<s>",
    (
        "<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]",
        "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
    ),
)  # fmt: skip
_MISTRAL_NAMED = _MISTRAL._replace(
    special=(*_MISTRAL.special, "[ARGS]", "[CALL_ID]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]")
)
_PHI = Family(
    "<|endoftext|>", "<s>", ("<s>", "<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
)
_PHI4 = Family("<|im_end|>", None, ("<|endoftext|>", "<|im_start|>", "<|im_sep|>", "<|im_end|>"))
_PHI4_MINI = Family(
    "<|endoftext|>",
    None,
    ("<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|tool|>", "<|/tool|>"),
)
_GEMMA = Family("<eos>", "<bos>", ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"))
_DEEPSEEK = Family(
    "<｜end▁of▁sentence｜>",
    "<｜begin▁of▁sentence｜>",
    ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"),
    ("<think>", "</think>"),
)
_PLAIN = Family("<|im_end|>", None, ("<|im_start|>", "<|im_end|>"))

FAMILIES = {
    "llama3": _LLAMA,
    "llama3_1": _LLAMA,
    "llama3_2": _LLAMA,
    "qwen2_5": _QWEN,
    "qwen3": _QWEN,
    "qwen3_instruct_2507": _QWEN,
    "mistral": _MISTRAL,
    "mistral_named": _MISTRAL_NAMED,
    "phi3": _PHI,
    "phi3_5": _PHI,
    "phi4": _PHI4,
    "phi4_mini": _PHI4_MINI,
    "gemma": _GEMMA,
    "gemma3": _GEMMA,
    "deepseek_r1_distill": _DEEPSEEK,
    "plain": _PLAIN,
}

# Words are split as in Llama 3 and Qwen: a run of line breaks is a piece of its own.
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CORPUS = [
    'assistant: walnut_probe > copper_probe > generate_response\n\n{"name": "x", "arguments": {"a": 1}}\n',
    "Given the following functions, please rank the tools that can serve this request, best first.\n\n\n",
    '{"type": "function", "function": {"description": "The weather of a city", "parameters": {"type": "object"}}}',
]


def read_template(family: str) -> str:
    """The chat template of a family: this project's, that of the tests, or the original one that TRL carries."""
    if family == "plain":
        return PLAIN_TEMPLATE.read_text(encoding="utf-8")
    own = OWN_TEMPLATES / f"{family}.jinja"
    return (own if own.is_file() else TRL_TEMPLATES / f"{family}.jinja").read_text(encoding="utf-8")


_MARKERS = re.compile(
    r"<\|[^|>'\"\s]+\|>|<[|\w]*(?:turn|tool_call|tool_response|channel)[|\w]*>|</?think>|<｜[^｜]+｜>"
)
_ENDS = (
    "<|im_end|>", "<|eot_id|>", "<|eot|>", "<|end|>", "<end_of_turn>", "<turn|>", "<|return|>", "<|END_OF_TURN_TOKEN|>",
    "<｜end▁of▁sentence｜>",
)  # fmt: skip


def _family(name: str, template: str) -> Family:
    """A family's special tokens; of one that is not listed here, the markers in its template."""
    found = FAMILIES.get(name) or FAMILIES.get(name.removesuffix("_training"))
    if found is not None:
        return found
    markers = sorted(set(_MARKERS.findall(template)))
    bos = ("<bos>",) if "bos_token" in template else ()
    end = next((m for m in _ENDS if m in markers), "</s>")
    return Family(end, bos[0] if bos else None, (*markers, *bos, *({end} - set(markers))))


def make_tokenizer(family: str = "plain", template: str | None = None) -> Any:
    """A tokenizer of a family, with its own chat template or with ``template``."""
    kind = _family(family, read_template(family) if template is None else template)
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        min_frequency=1,
        special_tokens=["<|pad|>", *kind.special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_CORPUS, trainer)
    if kind.bos is not None:  # as the real tokenizers do: what is encoded without care begins with it
        bos = (kind.bos, bpe.token_to_id(kind.bos))
        bpe.post_processor = processors.TemplateProcessing(single=f"{kind.bos} $A", special_tokens=[bos])
    bpe.add_tokens([AddedToken(t, special=False, normalized=False) for t in kind.plain])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=kind.eos, bos_token=kind.bos, pad_token="<|pad|>"
    )
    tokenizer.chat_template = read_template(family) if template is None else template
    return tokenizer


@cache
def make_renderer(family: str, tool_format: Any = "native", joint: bool = False) -> Renderer:
    """A checked renderer of a family, made once."""
    return Renderer(make_tokenizer(family), tool_format, joint)


@pytest.fixture(scope="session")
def tokenizer() -> Callable[..., Any]:
    """``tokenizer(family, template=None)``: a byte-level tokenizer with a family's special tokens."""
    return make_tokenizer


@pytest.fixture(scope="session")
def renderer() -> Callable[..., Renderer]:
    """``renderer(family, tool_format="native", joint=False)``."""
    return make_renderer
