"""How far plain rankers get on the dataset: one that is solved without understanding is no benchmark."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gentool.jsonl import canonical_json
from gentool.records import GradedQuery, Tool, ToolPair

_FOLDS = 10


def split_words(text: str) -> str:
    """Names taken apart: ``findTrain_times`` becomes ``find Train times``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_\-./]", " ", text)


def tool_words(tool: Tool) -> str:
    """Name, description and parameters of a tool as plain words."""
    return split_words(f"{tool.name} {tool.description} {canonical_json(tool.parameters)}")


def contested(pairs: Sequence[ToolPair]) -> list[tuple[ToolPair, GradedQuery]]:
    """The queries that one of their pair's tools serves best."""
    return [(pair, query) for pair in pairs for query in pair.queries if query.best is not None]


def lexical_choices(pairs: Sequence[ToolPair], ngrams: tuple[int, int] = (1, 2)) -> list[bool]:
    """For each contested query: whether the tool whose words it shares most (TF-IDF, cosine) is the best one.

    A tie is half right; it counts as right for every second one.
    """
    found = contested(pairs)
    texts = {tool.id: tool_words(tool) for pair in pairs for tool in pair.tools}
    vectors = TfidfVectorizer(sublinear_tf=True, stop_words="english", ngram_range=ngrams)
    matrix = vectors.fit_transform(texts.values())
    row = {tool_id: i for i, tool_id in enumerate(texts)}
    asked = vectors.transform([query.query for _, query in found])
    right = []
    for i, (pair, query) in enumerate(found):
        best = pair.tool(str(query.best))
        other = pair.tool(pair.sibling(best.name))
        scores = [float(asked[i].multiply(matrix[row[t.id]]).sum()) for t in (best, other)]
        right.append(scores[0] > scores[1] or (scores[0] == scores[1] and i % 2 == 0))
    return right


def embedding_accuracy(pairs: Sequence[ToolPair]) -> float | None:
    """Share of contested queries whose best tool is the nearer one by sentence embeddings.

    ``None`` where none are installed (``gentool[embed]``).
    """
    from gentool.scenarios.neighbours import resolve_embedding, similarity, tool_text

    if resolve_embedding("auto") == "tfidf":
        return None
    found = contested(pairs)
    texts = {tool.id: tool_text(tool) for pair in pairs for tool in pair.tools}
    alike = similarity(texts | {q.id: q.query for _, q in found}, "auto", fit_on=list(texts))
    right = 0
    for pair, query in found:
        best = pair.tool(str(query.best))
        other = pair.tool(pair.sibling(best.name))
        values = alike.between([query.id], [best.id, other.id])[0]
        right += bool(values[0] > values[1])
    return round(right / max(1, len(found)), 4)


def tools_only_accuracy(pairs: Sequence[ToolPair]) -> float:
    """Accuracy of a classifier that sees the two tools and not the query, on pairs it was not fitted on.

    Logistic regression on differences of lengths, numbers of parameters and words, ten folds over pairs; each query
    gives two rows, one for each order of the tools. Chance is 0.5.
    """
    rows, labels, groups = [], [], []
    for pair, query in contested(pairs):
        for first, second in (pair.tools, pair.tools[::-1]):
            rows.append(_shape(first) - _shape(second))
            labels.append(int(query.best == first.name))
            groups.append(pair.id)
    folds = min(_FOLDS, len(set(groups)))
    if folds < 2:
        return 0.5
    model = make_pipeline(StandardScaler(with_mean=False), LogisticRegression(C=0.1, max_iter=1000))
    guessed = cross_val_predict(model, np.array(rows), np.array(labels), groups=groups, cv=GroupKFold(folds))
    return float((guessed == np.array(labels)).mean())


def _shape(tool: Tool) -> np.ndarray:
    """What can be seen of a tool without reading it."""
    properties = tool.parameters.get("properties", {})
    text = canonical_json(tool.parameters)
    return np.array(
        [
            np.log1p(len(tool.description)),
            len(tool.name),
            len(properties),
            len(tool.parameters.get("required", [])),
            text.count('"enum"'),
            text.count('"description"'),
            np.log1p(len(text)),
            tool.description.count("."),
            int(bool(re.search(r"\b(?:only|not|no|cannot|without)\b", tool.description))),
            int(bool(re.search(r"v?\d", tool.name))),
        ],
        dtype=float,
    )
