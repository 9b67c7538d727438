"""Is chat ability retained? The loss on held-out conversations of the user's own, before and after training."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gentool.config import Config, ModelKey
from gentool.evaluation.statistics import Floats, estimate
from gentool.jsonl import content_hash, write_text
from gentool.progress import Progress, Stopped
from gentool.prompting.renderer import Rendered, Renderer
from gentool.training.mixture import ChatTurn, read_mixture

Losses = Sequence[float]
"""Summed loss of each turn's target tokens, in nats."""


def turn_losses(model: Any, rendered: Sequence[Rendered], pad_id: int, batch_size: int) -> list[float]:
    """The summed negative log-likelihood of each target, in nats."""
    import torch

    from gentool.training.dataset import collate
    from gentool.training.loss import keeps_logits

    on = next(model.parameters()).device
    whole = not keeps_logits(model)
    losses = [0.0] * len(rendered)
    order = sorted(range(len(rendered)), key=lambda i: -len(rendered[i].ids))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = collate([[rendered[i] for i in chosen]], pad_id, whole)
        labels = batch.pop("labels").to(on)
        with torch.inference_mode():
            inputs = {k: v.to(on) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
            logits = model(**inputs).logits.float()
        found = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="none"
        )
        for i, loss in zip(chosen, found.view(len(chosen), -1).sum(1).tolist(), strict=True):
            losses[i] = loss
    return losses


def retention(
    config: Config, models: Mapping[ModelKey, Mapping[int, str]], base: str, folder: Path, progress: Progress
) -> dict[str, Any] | None:
    """:func:`measure` for the models of a run; ``None`` if ``data.mix`` holds out nothing."""
    from gentool.models import device, load_model, torch_dtype, weights_hash
    from gentool.training.prepare import make_renderer, token_limit

    turns = read_mixture(config.data.mix, config.seed).held_out
    if not turns:
        return None
    dtype, four_bit = config.model.dtype, config.train.method == "qlora"

    def load(path: str) -> Any:
        return load_model(path, torch_dtype(dtype), four_bit=four_bit).to(device()).eval()

    return measure(
        {"base": {config.seeds[0]: base}, **{m: seeds for m, seeds in models.items() if m != "base"}},
        lambda path: f"{weights_hash(path)} {dtype}{' in 4 bits' if four_bit else ''}",
        load,
        make_renderer(config, base),
        turns,
        token_limit(config, base),
        config.evaluate.batch_size,
        folder,
        progress,
    )


def measure(
    models: Mapping[str, Mapping[int, str]],
    weights: Callable[[str], str],
    load: Callable[[str], Any],
    renderer: Renderer,
    turns: Sequence[ChatTurn],
    limit: int,
    batch_size: int,
    folder: Path,
    progress: Progress,
) -> dict[str, Any]:
    """The part ``retention`` of ``scores.json``: see ``docs/formats.md``.

    ``models``: name -> seed -> where it lies, ``base`` among them; ``weights``: what its losses depend on besides the
    conversations; ``load`` loads it. What was measured before is read from ``folder``. Turns of more than
    ``limit`` tokens are left out and counted. Raises :class:`Stopped` when asked to stop.
    """
    every = [renderer.chat(t.messages, t.answer, t.tools) for t in turns]
    fitting = [i for i, r in enumerate(every) if len(r.ids) <= limit]
    rendered = [every[i] for i in fitting]
    where = [turns[i].where for i in fitting]
    data = content_hash([[r.ids, r.start] for r in rendered])
    left = len(turns) - len(rendered)
    found: dict[str, dict[int, list[float]]] = {}
    for model, seeds in models.items():
        path = folder / model / "retention.json"
        kept = _read(path)
        for seed, place in seeds.items():
            if progress.stopping:
                raise Stopped
            key = f"{weights(place)} {data}"
            if kept.get(str(seed), {}).get("of") != key:
                bar = progress.start(f"{model} seed {seed}: retention", len(rendered))
                loaded = load(place)
                losses = turn_losses(loaded, rendered, renderer.tokenizer.pad_token_id, batch_size)
                kept[str(seed)] = {"of": key, "losses": losses}
                write_text(path, json.dumps(kept) + "\n")
                progress.update(bar, len(rendered))
            found.setdefault(model, {})[seed] = kept[str(seed)]["losses"]
    tokens = [len(r.ids) - r.start for r in rendered]
    return {
        "turns": len(rendered),
        "left_out": left,
        "tokens": sum(tokens),
        "models": _compare(found, tokens, where),
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _compare(
    found: Mapping[str, Mapping[int, Losses]],
    tokens: Sequence[int],
    where: Sequence[str],
    resamples: int = 2000,
) -> dict[str, Any]:
    """Loss a token of each model, and how it differs from the base's: interval over conversations and seeds."""
    conversations = sorted(set(where))
    of = np.array([conversations.index(w) for w in where], dtype=int)

    def by_conversation(values: Sequence[float]) -> Floats:
        return np.bincount(of, np.array(values), minlength=len(conversations)).astype(np.float64)

    if not conversations:
        return {}
    count = by_conversation(tokens)[None]
    (before,) = (by_conversation(losses) for losses in found["base"].values())
    models = {}
    for model, seeds in found.items():
        total = np.stack([by_conversation(losses) for losses in seeds.values()])
        row: dict[str, Any] = {"loss": float(total.mean(0).sum() / count.sum())}
        if model != "base":
            change = estimate((total - before)[None], count, resamples)
            row["change"] = change.value
            if change.error is not None:
                row["low"], row["high"] = change.interval(0.95, -1e9, 1e9)
        models[model] = row
    return models
