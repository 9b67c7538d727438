"""Models and tokenizers: where they lie, what is supported, loading, making small ones. Imports torch: import late."""

import logging

import transformers

from gentool.models.load import (
    context_length,
    device,
    load_model,
    load_tokenizer,
    torch_dtype,
    weights_hash,
)
from gentool.models.random_init import (
    PLAIN_TEMPLATE,
    make_base,
    make_model,
    make_tokenizer,
    template_file,
)
from gentool.models.source import ModelError, adapter_base, split_revision
from gentool.models.supported import check_method, check_supported

__all__ = [
    "PLAIN_TEMPLATE",
    "ModelError",
    "adapter_base",
    "check_method",
    "check_supported",
    "context_length",
    "device",
    "load_model",
    "load_tokenizer",
    "make_base",
    "make_model",
    "make_tokenizer",
    "split_revision",
    "template_file",
    "torch_dtype",
    "weights_hash",
]

transformers.utils.logging.disable_progress_bar()  # our own bars are enough
# transformers imports bitsandbytes where it is installed, which then warns of kernels that nobody asked for.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
