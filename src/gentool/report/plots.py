"""The report's plots as inline SVG. Colours are CSS classes, so that they follow the theme."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from gentool.evaluation.scores import ENDPOINT_CELLS
from gentool.records import SCENARIOS, TRANSITIONS
from gentool.report.collect import RunData, Stage
from gentool.report.labels import CLASS_GROUPS, SCENARIO_LABELS, TRANSITION_LABELS, percent

WIDTH = 372
SERIES = 6
"""How many colours there are for models and seeds (classes ``c0`` ... of the style sheet)."""
_FIXED = {"base": 0, "sft": 1, "no_ranking": 2, "gentool": 3}


def colours(models: Sequence[str]) -> dict[str, str]:
    """The class of each model's colour: the four known ones always have the same."""
    free = [n for n in range(SERIES) if n not in _FIXED.values()]
    others = [m for m in models if m not in _FIXED]
    return {m: f"c{_FIXED[m] if m in _FIXED else free[others.index(m) % len(free)]}" for m in models}


def _tag(name: str, body: object = "", **attributes: object) -> Markup:
    """One SVG element; ``body`` is escaped unless it is Markup, ``class_`` stands for ``class``."""
    parts = []
    for key, value in attributes.items():
        shown = f"{value:.1f}" if isinstance(value, float) else value
        parts.append(Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), shown))
    start = Markup(f"<{name}") + Markup("").join(parts)
    return start + Markup(">") + escape(body) + Markup(f"</{name}>")


def _svg(identity: str, title: str, description: str, height: float, parts: Sequence[Markup]) -> Markup:
    head = [
        _tag("title", title, id=f"{identity}-title"),
        _tag("desc", description, id=f"{identity}-desc"),
    ]
    return _tag(
        "svg",
        Markup("").join([*head, *parts]),
        viewBox=f"0 0 {WIDTH} {height:.0f}",
        role="img",
        aria_labelledby=f"{identity}-title {identity}-desc",
    )


def bars(run: RunData, metric: str, transition: str) -> Markup:
    """One panel: a metric of a transition, a group of bars per scenario, a bar with its interval per model."""
    left, top, bottom, height = 36.0, 8.0, 170.0, 214.0
    span = bottom - top
    colour = colours(run.models)
    group = (WIDTH - left) / len(SCENARIOS)
    step = min(20.0, (group - 16) / max(1, len(run.models)))
    parts, told = [], []
    for n, scenario in enumerate(SCENARIOS):
        if metric == "arrival" and (scenario, transition) in ENDPOINT_CELLS:
            band = _tag("title", "an endpoint cell")
            parts.append(
                _tag("rect", band, class_="band", x=left + n * group, y=top, width=group, height=span)
            )
    for tick in range(0, 101, 25):
        y = bottom - span * tick / 100
        parts.append(_tag("line", class_="grid" if tick else "axis", x1=left, x2=WIDTH, y1=y, y2=y))
        text = f"{tick} %" if tick == 100 else str(tick)
        parts.append(_tag("text", text, class_="tick", x=left - 5, y=y + 3.5, text_anchor="end"))
    for n, scenario in enumerate(SCENARIOS):
        middle = left + (n + 0.5) * group
        first = middle - step * len(run.models) / 2
        empty = True
        for m, model in enumerate(run.models):
            cell = run.scores["models"][model].get(scenario, {}).get(transition, {}).get(metric)
            if not cell or cell["value"] is None:
                continue
            empty = False
            says = (
                f"{model}, {SCENARIO_LABELS[scenario]}: {percent(cell['value'])} % "
                f"({percent(cell['low'])} to {percent(cell['high'])}), {cell['n_pairs']} pairs"
            )
            told.append(says)
            x, size = first + m * step, span * cell["value"]
            high, low = bottom - span * cell["high"], bottom - span * cell["low"]
            at = x + step / 2
            whisker = f"M{at:.1f} {high:.1f}V{low:.1f}M{at - 3:.1f} {high:.1f}h6M{at - 3:.1f} {low:.1f}h6"
            drawn = [
                _tag("title", says),
                _tag("rect", class_="hit", x=x, y=top, width=step, height=span),
                _tag(
                    "rect",
                    class_=f"bar {colour[model]}",
                    x=x + 1.5,
                    y=bottom - max(size, 1.0),
                    width=step - 3,
                    height=max(size, 1.0),
                ),
                _tag("path", class_="whisker", d=whisker),
            ]
            parts.append(_tag("g", Markup("").join(drawn)))
        if empty:
            parts.append(_tag("text", "–", class_="tick", x=middle, y=bottom - 6, text_anchor="middle"))
        for line, words in enumerate(SCENARIO_LABELS[scenario].split(", ")):
            y = bottom + 17 + 14 * line
            parts.append(_tag("text", words, class_="tick", x=middle, y=y, text_anchor="middle"))
    title = f"{metric}, {TRANSITION_LABELS[transition]}"
    said = "; ".join(told) or "no values"
    return _svg(f"bars-{metric}-{transition}", title, said, height, parts)


def bar_panels(run: RunData, metric: str) -> list[tuple[str, Markup]]:
    """The panels of a metric, each with its heading: one per transition that has a value."""
    found = []
    for transition in TRANSITIONS:
        cells = [
            run.scores["models"][m].get(s, {}).get(transition, {}).get(metric) or {}
            for m in run.models
            for s in SCENARIOS
        ]
        if any(c.get("value") is not None for c in cells):
            found.append((TRANSITION_LABELS[transition], bars(run, metric, transition)))
    return found


def class_counts(run: RunData) -> dict[tuple[str, str], Counter[str]]:
    """How often each model's answers after the arrival have each class, by (scenario, model); all seeds."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for model, of_model in run.answers.items():
        for seed in of_model:
            for probe, outcome in zip(run.asked, run.outcomes(model, seed, run.asked), strict=True):
                if outcome:
                    counts.setdefault((probe.scenario, model), Counter())[outcome.after.name] += 1
    return counts


def class_panels(run: RunData, counts: Mapping[tuple[str, str], Counter[str]]) -> list[tuple[str, Markup]]:
    """The groups of classes of each model's answers, per scenario: stacked shares."""
    models = [m for m in run.models if any((s, m) in counts for s in SCENARIOS)]
    return [
        (SCENARIO_LABELS[s], _stacked(s, {m: counts[s, m] for m in models if (s, m) in counts}))
        for s in SCENARIOS
        if any((s, m) in counts for m in models)
    ]


def _stacked(scenario: str, counts: Mapping[str, Counter[str]]) -> Markup:
    left, right, row = 78.0, 44.0, 30.0
    width = WIDTH - left - right
    parts, told = [], []
    for n, (model, counter) in enumerate(counts.items()):
        y = 4 + n * row
        total = counter.total()
        parts.append(_tag("text", model, class_="name", x=left - 8, y=y + 15, text_anchor="end"))
        x = left
        for name, classes in CLASS_GROUPS.items():
            number = sum(counter[c] for c in classes)
            share = number / total
            size = width * share
            if not size:
                continue
            says = f"{model}: {name} {percent(share)} % ({number} of {total})"
            told.append(says)
            drawn = [
                _tag("title", says),
                _tag("rect", class_=f"k-{name}", x=x, y=y, width=max(size - 1, 0.5), height=22.0),
            ]
            if size > 24:
                label = f"{100 * share:.0f}"
                drawn.append(
                    _tag("text", label, class_=f"on-{name}", x=x + size / 2, y=y + 15, text_anchor="middle")
                )
            parts.append(_tag("g", Markup("").join(drawn)))
            x += size
        parts.append(_tag("text", f"n {total}", class_="tick", x=left + width + 6, y=y + 15))
    y = 4 + len(counts) * row + 10
    for tick in (0, 50, 100):
        text = f"{tick} %" if tick == 100 else str(tick)
        parts.append(
            _tag("text", text, class_="tick", x=left + width * tick / 100, y=y, text_anchor="middle")
        )
    title = f"Classes of answers, {SCENARIO_LABELS[scenario]}"
    return _svg(f"classes-{scenario}", title, "; ".join(told), y + 8, parts)


def _nice_step(largest: float) -> float:
    """A step of 1, 2 or 5 times a power of ten that cuts 0 ... ``largest`` into three to six parts."""
    rough = max(largest, 1e-9) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    return next(f * power for f in (1, 2, 5, 10) if f * power >= rough * 0.999)


def loss_panels(stages: Sequence[Stage]) -> list[tuple[str, Markup]]:
    """Training loss per arm and stage, one line per seed, all on one scale of loss."""
    drawn = [s for s in stages if any(math.isfinite(loss) for _, loss in s.losses)]
    if not drawn:
        return []
    top = max(loss for s in drawn for _, loss in s.losses if math.isfinite(loss))
    seeds = sorted({s.seed for s in drawn})
    keys = list(dict.fromkeys((s.arm, s.name) for s in drawn))
    return [
        (
            f"{arm}: {name}",
            _losses(arm, name, [s for s in drawn if (s.arm, s.name) == (arm, name)], top, seeds),
        )
        for arm, name in keys
    ]


def _losses(arm: str, name: str, stages: Sequence[Stage], largest: float, seeds: Sequence[int]) -> Markup:
    left, right, top, bottom, height = 40.0, 12.0, 8.0, 158.0, 192.0
    step = _nice_step(largest)
    ceiling = step * math.ceil(largest / step - 1e-9) or 1.0
    last = max(at for s in stages for at, _ in s.losses)
    parts, told = [], []
    for n in range(round(ceiling / step) + 1):
        y = bottom - (bottom - top) * n * step / ceiling
        parts.append(_tag("line", class_="grid" if n else "axis", x1=left, x2=WIDTH - right, y1=y, y2=y))
        parts.append(_tag("text", f"{n * step:g}", class_="tick", x=left - 5, y=y + 3.5, text_anchor="end"))
    width = WIDTH - right - left
    across = max(1.0, _nice_step(last))
    for n in range(int(last / across + 1e-9) + 1):
        x = left + width * n * across / last
        parts.append(_tag("text", f"{n * across:g}", class_="tick", x=x, y=bottom + 16, text_anchor="middle"))
    parts.append(_tag("text", "step", class_="tick", x=left + width / 2, y=bottom + 31, text_anchor="middle"))
    middle = (top + bottom) / 2
    turn = f"rotate(-90 9 {middle:.0f})"
    parts.append(_tag("text", "loss", class_="tick", x=9, y=middle + 3, text_anchor="middle", transform=turn))
    for stage in stages:
        points = [(at, loss) for at, loss in stage.losses if math.isfinite(loss)]
        if not points:
            continue
        (start, begun), (end, ended) = points[0], points[-1]
        says = f"seed {stage.seed}: loss {begun:.3g} at step {start:g}, {ended:.3g} at step {end:g}"
        told.append(says)
        number = seeds.index(stage.seed)
        d = "L".join(
            f"{left + width * at / last:.1f} {bottom - (bottom - top) * loss / ceiling:.1f}"
            for at, loss in points
        )
        line: list[Any] = [_tag("title", says), _tag("path", class_="line", d="M" + d)]
        if len(points) <= 30:
            line += [
                _tag("circle", class_="dot", cx=float(x), cy=float(y), r=2.2)
                for x, y in (p.split() for p in d.split("L"))
            ]
        parts.append(_tag("g", Markup("").join(line), class_=f"s{number % SERIES}"))
    return _svg(f"loss-{arm}-{name}", f"Training loss, {arm}, stage {name}", "; ".join(told), height, parts)
