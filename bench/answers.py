"""What do an ablation's models answer, by the kind of list that they are shown?

    python bench/answers.py runs/ablation --out bench/results/answers.json     # after gentool ablate

Of the test's probes with unseen tools, each prompt once, all seeds of a row together. Kinds of lists:

- `none`: no tool of the pair is shown, only others;
- `near miss`: tools of the pair are shown, and none serves the query;
- `one`: one tool of the pair is shown, and serves the query fully or partly;
- `both`: both are shown, and one is the best.

Answers: the `right` one, the pair's `other version`, `another tool`, `declined` (``generate_response``), `malformed`.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gentool.ablation.cells import Cell, build_of, probes_of
from gentool.ablation.settings import load_ablation
from gentool.evaluation.metrics import Answers, chosen, pair_names, right_tool
from gentool.evaluation.predict import read_predictions
from gentool.progress import Progress
from gentool.records import GENERATE_RESPONSE, GradedQuery, Prediction, Probe, Tool

KINDS = ("none", "near miss", "one", "both")
ANSWERS = ("right", "other version", "another tool", "declined", "malformed")


def kind_of(query: GradedQuery, names: Sequence[str]) -> str:
    """The kind of a list with these tools of the pair."""
    if not names:
        return "none"
    if not query.useful(names):
        return "near miss"
    return "one" if len(names) == 1 else "both"


def answer_of(prediction: Prediction, query: GradedQuery, names: Sequence[str]) -> str:
    """Which of ``ANSWERS`` a prediction is."""
    choice = chosen(prediction)
    if choice is None:
        return "malformed"
    if choice == right_tool(query, names):
        return "right"
    if choice == GENERATE_RESPONSE:
        return "declined"
    return "other version" if choice in names else "another tool"


def count(probes: Iterable[Probe], answers: Answers, tools: Mapping[str, Tool]) -> dict[str, Counter[str]]:
    """How often each kind of list got each answer; prompts that were not asked do not count."""
    lists = {(p.query.id, s.id): (p.query, s) for p in probes for s in (p.before, p.after)}
    found: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for query, tool_set in lists.values():
        names, prediction = pair_names(tool_set, tools), answers.call(query, tool_set)
        if prediction:
            found[kind_of(query, names)][answer_of(prediction, query, names)] += 1
    return found


def read_answers(folder: Path) -> Answers:
    """All predictions of a cell on the test."""
    files = sorted((folder / "predictions/test").glob("*.jsonl"))
    if not files:
        raise SystemExit(f"{folder}: no answers. Fix: run gentool ablate first, and keep its folder.")
    return Answers({p.key: p for file in files for p in read_predictions(file)})


def measure(recipe: Path, folder: Path, results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One line for each row that was run and each kind of list: prompts, and the share of each answer."""
    ablation = load_ablation(recipe)
    run = build_of(ablation.config(ablation.reference), folder, Progress())
    tools = run.tools()
    probes = [p for p in probes_of(run, "test") if p.scenario.endswith("unseen_tool")]
    lines = []
    for row in (row for row in results["rows"] if row["run"]):
        total: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        for seed in row["seeds"]:
            cell = Cell(row["row"], row["learning_rate"], seed)
            for kind, counts in count(probes, read_answers(folder / "cells" / cell.name), tools).items():
                total[kind] += counts
        for kind, counts in total.items():
            number = counts.total()
            shares = {answer: round(counts[answer] / number, 4) for answer in ANSWERS} if number else {}
            lines.append({"row": row["row"], "list": kind, "prompts": number, **shares})
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of a finished ablation")
    parser.add_argument("--recipe", type=Path, default=Path("recipes/ablation.yaml"))
    parser.add_argument("--out", type=Path, default=Path("bench/results/answers.json"))
    given = parser.parse_args()
    done = given.folder / "results.json"
    if not done.is_file():
        parser.error(f"{done}: no such file. Fix: run gentool ablate first, and give its folder.")
    results = json.loads(done.read_text(encoding="utf-8"))
    lines = measure(given.recipe, given.folder, results)
    for line in lines:
        print(*line.values(), sep="\t")
    found = {"ablation": results["name"], "version": results["version"], "lists": lines}
    given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
