"""Ablations through the real command line, on a model that trains in seconds."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gentool.ablation.ablate import dev_score
from gentool.ablation.cells import probes_of
from gentool.ablation.settings import AblationConfig, load_ablation
from gentool.config import ConfigError
from gentool.pipeline import Run
from gentool.progress import Progress
from gentool.records import Probe, ToolPair
from tests.conftest import read_json

ROWS: dict[str, Any] = {
    "base": {"arm": "base"},
    "sft": {"arm": "sft"},
    "gentool": {},
    "one_output": {"set": {"train.schedule": "one_output"}},
    "zero_to_one_only": {"set": {"scenarios.train_sets": ["zero", "one"]}},
}


@pytest.fixture
def ablation(recipe: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Writes an ablation's YAML; keyword arguments change it."""

    def make(**changes: Any) -> Path:
        tree = yaml.safe_load(recipe().read_text(encoding="utf-8"))
        del tree["name"], tree["train"]["arms"]
        tree["train"]["micro_batch_size"] = 8
        file = tmp_path / "ablation.yaml"
        options = {"name": "abl", "recipe": tree, "seeds": [0, 1], "learning_rates": [1e-3], "rows": ROWS}
        file.write_text(yaml.safe_dump(options | changes, sort_keys=False), encoding="utf-8")
        return file

    return make


def budgets(folder: Path) -> set[tuple[int, int]]:
    """Tokens and steps of every model trained in ``folder``, over its stages."""
    found: dict[Path, tuple[int, int]] = {}
    for file in folder.glob("cells/**/stage.json"):
        identity = read_json(file)["identity"]
        tokens, steps = found.get(file.parents[1], (0, 0))
        found[file.parents[1]] = tokens + identity["tokens"], steps + identity["steps"]
    return set(found.values())


def test_rows_are_trained_with_equal_budgets_compared_and_kept(
    ablation: Callable[..., Path], gentool: Callable[..., int], tmp_path: Path
) -> None:
    file = ablation(contrasts=[["gentool", "sft"], ["base", "one_output"]])
    assert gentool("ablate", file) == 0
    folder = tmp_path / "runs/abl"
    results = read_json(folder / "results.json")
    rows = {line["row"]: line for line in results["rows"]}
    assert list(rows) == list(ROWS) and all(line["run"] for line in rows.values())
    assert rows["gentool"]["seeds"] == [0, 1] and rows["base"]["seeds"] == [0]
    assert "reference_minus_row" not in rows["gentool"]
    for name in ROWS.keys() - {"gentool"}:
        assert {"delta", "low", "high", "p_holm"} <= rows[name]["reference_minus_row"].keys()
    found = budgets(folder)
    tokens, steps = results["budget"]["tokens"], results["budget"]["steps"]
    assert len(list(folder.glob("cells/**/seed-*/stages"))) == 8
    for t, s in found:
        assert t == pytest.approx(tokens, rel=0.06) and s == pytest.approx(steps, rel=0.02)
    markdown = (folder / "results.md").read_text(encoding="utf-8").splitlines()
    of_reference, of_rows = results["contrasts"]
    assert (of_reference["row"], of_reference["minus"]) == ("gentool", "sft")
    assert of_reference | rows["sft"]["reference_minus_row"] == of_reference, (
        "the same difference, however it is asked"
    )
    difference = rows["base"]["arrival"]["value"] - rows["one_output"]["arrival"]["value"]
    assert of_rows["delta"] == pytest.approx(difference) and of_rows["n_seeds"] == 2
    assert of_rows["p_holm"] >= of_rows["p"]
    assert markdown[2 + len(ROWS)] == "" and markdown[-1].startswith("- base - one_output: ")
    assert len(markdown) == 5 + len(ROWS) and markdown[4].startswith("| gentool | 0.001 |")
    drawn = ElementTree.parse(folder / "results.svg").getroot()
    assert len([e for e in drawn if e.tag.endswith("circle")]) == len(ROWS)
    # The same command does nothing again: no weights, no answers, no process for them.
    before = {p: p.stat().st_mtime_ns for p in folder.glob("cells/**/*") if p.is_file()}
    assert any(p.name == "log.txt" for p in before) and gentool("ablate", file) == 0
    assert {p: p.stat().st_mtime_ns for p in folder.glob("cells/**/*") if p.is_file()} == before
    assert read_json(folder / "results.json") == results


def test_rows_can_be_run_apart_and_those_left_out_are_told(
    ablation: Callable[..., Path], gentool: Callable[..., int], tmp_path: Path
) -> None:
    file = ablation(seeds=[0], contrasts=[["sft", "base"]])
    assert gentool("ablate", file, "--row", "base") == 0
    rows = {line["row"]: line for line in read_json(tmp_path / "runs/abl/results.json")["rows"]}
    assert {name for name, line in rows.items() if line["run"]} == {"base", "gentool"}
    assert read_json(tmp_path / "runs/abl/results.json")["contrasts"] == [], "a row of it was not run"
    assert "not run" in (tmp_path / "runs/abl/results.md").read_text(encoding="utf-8")
    # A further row: those that were run before stay in the table, as they were.
    assert gentool("ablate", file, "--row", "sft") == 0
    results = read_json(tmp_path / "runs/abl/results.json")
    again = {line["row"]: line for line in results["rows"]}
    assert {name for name, line in again.items() if line["run"]} == {"base", "sft", "gentool"}
    assert again["gentool"] == rows["gentool"] and again["base"]["arrival"] == rows["base"]["arrival"]
    assert [(c["row"], c["minus"]) for c in results["contrasts"]] == [("sft", "base")]
    # One whose answers are not all there any more is not.
    next((tmp_path / "runs/abl/cells/base").rglob("unseen_query_unseen_tool.jsonl")).unlink()
    assert gentool("ablate", file, "--row", "sft") == 0
    last = {line["row"]: line["run"] for line in read_json(tmp_path / "runs/abl/results.json")["rows"]}
    assert not last["base"] and last["sft"]


def test_a_row_with_other_options_is_not_taken_from_the_disk(
    ablation: Callable[..., Path], gentool: Callable[..., int], tmp_path: Path
) -> None:
    rows = {"sft": {"arm": "sft"}, "gentool": {}}
    assert gentool("ablate", ablation(seeds=[0], rows=rows)) == 0
    changed = rows | {"sft": {"arm": "sft", "set": {"train.max_declined": 0.3}}}
    assert gentool("ablate", ablation(seeds=[0], rows=changed), "--row", "gentool") == 0
    found = {line["row"]: line["run"] for line in read_json(tmp_path / "runs/abl/results.json")["rows"]}
    assert found == {"sft": False, "gentool": True}


def test_the_learning_rate_is_chosen_on_the_dev_split(
    ablation: Callable[..., Path],
    gentool: Callable[..., int],
    few_pairs: list[ToolPair],
    tmp_path: Path,
) -> None:
    rows = {"sft": {"arm": "sft"}, "gentool": {"arm": "gentool"}}
    file = ablation(rows=rows, seeds=[0], learning_rates=[1e-4, 1e-3])
    assert gentool("ablate", file) == 2, "without dev pairs nothing can be chosen"
    lines = (tmp_path / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    dev = [json.loads(line) for line in lines]
    moved = next(p for p in dev if p["group"] == "T")
    moved["group"] = "D"
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(p) + "\n" for p in dev), encoding="utf-8")
    assert gentool("ablate", file) == 0
    for line in read_json(tmp_path / "runs/abl/results.json")["rows"]:
        assert line["dev"].keys() == {"0.0001", "0.001"}
        best = max(line["dev"].values())
        assert line["dev"][f"{line['learning_rate']:g}"] == best
    tested = list((tmp_path / "runs/abl/cells").glob("*/*/*/predictions/test"))
    assert len(tested) == 2, "only the chosen rates are tested"


def test_the_dev_score_is_the_endpoint(ablation: Callable[..., Path], tmp_path: Path) -> None:
    config = load_ablation(ablation())
    run = Run(config.config("gentool"), tmp_path / "run", Progress())
    run.until("build")
    probes: list[Probe] = probes_of(run, "test")
    always_right: list[dict[str, float] | None] = [{"arrival": 1.0} for _ in probes]

    def right_at(transition: str) -> list[dict[str, float] | None]:
        return [{"arrival": float(p.transition == transition)} for p in probes]

    assert dev_score(always_right, probes) == 1
    assert dev_score(right_at("zero"), probes) == 0, "always declining is worth nothing"
    assert dev_score(right_at("zero_to_one"), probes) == dev_score(right_at("weak_to_strong"), probes) == 0.5
    assert dev_score([None for _ in probes], probes) == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"reference": "other"}, "reference"),
        ({"contrasts": [["gentool", "other"]]}, "contrasts: expected two of the rows"),
        ({"learning_rates": []}, "learning_rates"),
        ({"rows": {"gentool": {"set": {"train.scedule": "mixed"}}}}, "did you mean 'schedule'"),
        ({"sedes": [1]}, "sedes"),
    ],
)
def test_what_is_wrong_is_named(
    ablation: Callable[..., Path], changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_ablation(ablation(**changes))


def test_a_row_that_is_not_there_is_named(
    ablation: Callable[..., Path], gentool: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert gentool("ablate", ablation(), "--row", "stf") == 2
    assert "stf" in capsys.readouterr().err


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "recipes").glob("ablation*.yaml")), ids=lambda p: p.stem
)
def test_the_shipped_ablations_load(path: Path) -> None:
    config: AblationConfig = load_ablation(path)
    assert config.name == path.stem and len(config.seeds) >= 3 and len(config.learning_rates) == 3
    assert {"base", "sft", "gentool"} <= config.rows.keys()
