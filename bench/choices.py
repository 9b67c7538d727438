"""What do the choices of an ablation's models consist of: telling when to decline, how readily, and picking a tool?

    python bench/choices.py runs/ablation --out bench/results/choices.json     # after gentool ablate

Arrival needs three things: to tell a list that serves the query from one that does not, to put the border between the
two at the right place, and to pick the right tool of a list. For every prompt of the probes each tool's call is scored
by the log-likelihood of its first tokens, up to where calls differ. With `margin`, the best tool's score minus that of
`generate_response`:

- `telling`: the chance that a query's margin is higher with its tool in the list than without (0.5: not told at all);
- `picking`: share of lists with one useful tool where the tool with the highest score is the right one;
- `preferring`: the same where both tools of a pair are shown and either one is the best;
- `arrival`: as it is, by scores, and `arrival_moved`: if calls need a margin above a border that is chosen for each
  model on the dev pairs (group D), where arrival is highest. What is left between rows then is not a matter of how
  readily they decline.

Test scores are means over the cells of the endpoint, over pairs first; intervals are not given, seeds are.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gentool.ablation.cells import Cell, build_of, cell_config, probes_of
from gentool.ablation.settings import AblationConfig, load_ablation
from gentool.evaluation.metrics import pair_names, right_tool
from gentool.evaluation.predict import shown_tools
from gentool.evaluation.requests import Request, query_requests
from gentool.evaluation.scores import ENDPOINT_CELLS
from gentool.inference.transformers import TransformersBackend
from gentool.models import load_tokenizer
from gentool.progress import Progress
from gentool.prompting.renderer import Renderer
from gentool.records import GENERATE_RESPONSE, Probe, Tool, ToolCall
from gentool.training.plan import stage_folders

Scores = Mapping[tuple[str, str], Mapping[str, float]]
"""(Query id, tool set id) -> each shown tool's log-likelihood, in nats."""


def calls_begun(renderer: Renderer, request: Request, shown: Sequence[Tool]) -> dict[str, list[int]]:
    """For each tool the tokens of its call's beginning, up to where the calls of all shown tools differ."""
    query = request.query
    targets = {}
    for tool in shown:
        row = renderer.training(query.query, query.now, shown, "select", (tool.name,), ToolCall.of(tool.name))
        targets[tool.name] = row.ids[row.start :]
    size = 1
    while len({tuple(target[:size]) for target in targets.values()}) < len(targets):
        size += 1
    return {name: list(target[:size]) for name, target in targets.items()}


def score(folder: str, requests: Sequence[Request], tools: Mapping[str, Tool], seed: int) -> Scores:
    """What the model in a folder gives to each tool of each request."""
    renderer = Renderer(load_tokenizer(folder))
    model = TransformersBackend(folder, renderer, dtype="float32", batch_size=32)
    shown = [shown_tools(request, tools, seed) for request in requests]
    prompts, continuations = [], []
    for request, some in zip(requests, shown, strict=True):
        query = request.query
        prompts.append(renderer.prompt(query.query, query.now, some, "select"))
        continuations.append(list(calls_begun(renderer, request, some).values()))
    found: dict[tuple[str, str], dict[str, float]] = {}
    for batch in model.score(prompts, continuations):
        for n, values in batch:
            names = [tool.name for tool in shown[n]]
            found[requests[n].query.id, requests[n].tool_set.id] = dict(zip(names, values, strict=True))
    return found


class Choices:
    """The choices that follow from scores, on some probes."""

    def __init__(self, scores: Scores, probes: Sequence[Probe], tools: Mapping[str, Tool]) -> None:
        self.scores, self.probes, self.tools = scores, probes, tools

    def sides(self, probe: Probe) -> list[tuple[str, float, str]]:
        """Before and after: the right choice, the margin, and the likeliest tool but ``generate_response``."""
        found = []
        for tool_set in (probe.before, probe.after):
            of = dict(self.scores[probe.query.id, tool_set.id])
            declined = of.pop(GENERATE_RESPONSE)
            best = max(of, key=lambda name: of[name])
            right = right_tool(probe.query, pair_names(tool_set, self.tools))
            found.append((right, of[best] - declined, best))
        return found

    def arrived(self, probe: Probe, border: float) -> bool:
        """Whether the choice is right before and after, where a call needs a margin above the border."""
        return all(
            right == (best if margin > border else GENERATE_RESPONSE)
            for right, margin, best in self.sides(probe)
        )

    def over_pairs(self, wanted: Iterable[Probe], value: Any) -> float | None:
        """The mean over pairs of the mean over their probes; ``None`` if there is no probe."""
        by_pair: dict[str, list[float]] = {}
        for probe in wanted:
            by_pair.setdefault(probe.pair, []).append(float(value(probe)))
        return statistics.fmean(map(statistics.fmean, by_pair.values())) if by_pair else None

    def border(self) -> float:
        """The border with the highest arrival, the mean over transitions, on these probes."""
        margins = sorted(margin for probe in self.probes for _, margin, _ in self.sides(probe))
        tried = [0.0, *margins[:: max(1, len(margins) // 100)]]
        kinds = {probe.transition for probe in self.probes}

        def arrival(border: float) -> float:
            return sum(
                self.over_pairs(
                    (p for p in self.probes if p.transition == kind), lambda p: self.arrived(p, border)
                )
                or 0.0
                for kind in kinds
            )

        return max(tried, key=arrival)

    def parts(self, border: float) -> dict[str, float | None]:
        """The shares of the module's text."""
        unseen = [p for p in self.probes if "unseen_tool" in p.scenario]
        adopt = [p for p in unseen if p.transition == "zero_to_one"]
        better = [p for p in unseen if p.transition == "weak_to_strong"]

        def picked(probe: Probe) -> bool:
            right, _, best = self.sides(probe)[1]
            return right == best

        def told(probe: Probe) -> bool:
            (_, before, _), (_, after, _) = self.sides(probe)
            return after > before

        def arrival(at: float) -> float:
            cells = [
                self.over_pairs(
                    (p for p in self.probes if (p.scenario, p.transition) == cell),
                    lambda p: self.arrived(p, at),
                )
                for cell in ENDPOINT_CELLS
            ]
            return statistics.fmean(value for value in cells if value is not None)

        return {
            "telling": self.over_pairs(adopt, told),
            "picking": self.over_pairs(adopt, picked),
            "preferring": self.over_pairs(better, picked),
            "arrival": arrival(0.0),
            "arrival_moved": arrival(border),
            "border": border,
        }


def weights_of(ablation: AblationConfig, folder: Path, cell: Cell, base: str) -> str:
    """The folder of a cell's model."""
    config = cell_config(ablation, cell, None)
    if not config.train.arms:
        return base
    place = folder / "cells" / cell.name / "stages"
    weights = stage_folders(place, config.train.arms[0], cell.seed, config.train.schedule)[-1]
    if not weights.is_dir():
        raise SystemExit(f"{weights}: no trained model. Fix: run gentool ablate first, and keep its folder.")
    return str(weights)


def measure(
    ablation: AblationConfig, folder: Path, results: Mapping[str, Any], only: Sequence[str], most: int
) -> list[dict[str, Any]]:
    """One line a row that was run (``only``: of these, if any): its parts with each of ``most`` seeds."""
    run = build_of(ablation.config(ablation.reference), folder, Progress())
    tools, seed = run.tools(), run.config.seed
    splits = {split: probes_of(run, split) for split in ("dev", "test")}
    lines = []
    for row in (row for row in results["rows"] if row["run"] and (not only or row["row"] in only)):
        seeds = []
        for each in row["seeds"][:most]:
            cell = Cell(row["row"], row["learning_rate"], each)
            weights = weights_of(ablation, folder, cell, run.base())
            of = {
                split: Choices(
                    score(weights, query_requests(probes, rank=False, joint=False), tools, seed),
                    probes,
                    tools,
                )
                for split, probes in splits.items()
            }
            seeds.append(of["test"].parts(of["dev"].border()))
            print(
                row["row"], each, {k: round(v, 3) for k, v in seeds[-1].items() if v is not None}, flush=True
            )
        lines.append({"row": row["row"], "seeds": seeds})
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of a finished ablation")
    parser.add_argument("--recipe", type=Path, default=Path("recipes/ablation.yaml"))
    parser.add_argument("--row", action="append", default=[], help="only this row; may be repeated")
    parser.add_argument("--seeds", type=int, default=100, help="so many seeds of a row")
    parser.add_argument("--out", type=Path, default=Path("bench/results/choices.json"))
    given = parser.parse_args()
    results = json.loads((given.folder / "results.json").read_text(encoding="utf-8"))
    rows = measure(load_ablation(given.recipe), given.folder, results, given.row, given.seeds)
    found = {"machine": platform.processor() or platform.machine(), "ablation": results["name"], "rows": rows}
    given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
