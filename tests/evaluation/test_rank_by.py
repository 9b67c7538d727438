"""``evaluate.rank_by: score`` through the real command line: scored rankings beside written answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gentool.evaluation.predict import read_predictions
from gentool.inference.score import ranking_by_score
from gentool.inference.transformers import TransformersBackend
from gentool.records import SCENARIOS, Prediction
from tests.conftest import read_json
from tests.llm.fake_server import FakeServer

SCORE = ("--set", "evaluate.rank_by=score")


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The weights that are loaded to be asked."""
    found: list[str] = []
    load = TransformersBackend.__init__

    def counted(self: TransformersBackend, path: str, *args: Any, **options: Any) -> None:
        found.append(path)
        load(self, path, *args, **options)

    monkeypatch.setattr(TransformersBackend, "__init__", counted)
    return found


def predictions(folder: Path, row: str) -> list[Prediction]:
    return [
        p for s in SCENARIOS for p in read_predictions(folder / "runs/tiny/predictions" / row / f"{s}.jsonl")
    ]


def of_task(found: list[Prediction], rank: bool) -> list[Prediction]:
    return [p for p in found if (p.task == "rank") == rank]


def test_scored_rankings_beside_written_answers(
    gentool: Callable[..., int],
    recipe: Callable[..., Path],
    fake_server: FakeServer,
    tmp_path: Path,
    capsys: Any,
    loads: list[str],
) -> None:
    server = {"model": "m", "base_url": fake_server.url}
    file = recipe(train__arms=[], evaluate__models=["base"], evaluate__servers={"big": server})
    assert gentool("evaluate", file) == 0
    printed = capsys.readouterr().err
    assert "tokens are computed" in printed and "likelihoods" not in printed
    written, by_server = predictions(tmp_path, "base"), predictions(tmp_path, "big")
    assert of_task(written, True) and not any(p.scores for p in written)

    assert gentool("evaluate", file, *SCORE) == 0
    printed = capsys.readouterr().err
    assert printed.count("big: a server gives no likelihoods, so its rankings are generated, not scored") == 1
    assert predictions(tmp_path, "big") == by_server
    scored = predictions(tmp_path, "base")
    assert of_task(scored, False) == of_task(written, False), "calls were kept"
    ranked = of_task(scored, True)
    assert {p.key for p in ranked} == {p.key for p in of_task(written, True)}
    assert not {p.prompt_hash for p in scored} & {p.prompt_hash for p in of_task(written, True)}
    for p in ranked:
        assert p.scores is not None and set(p.scores) == set(p.shown) and max(p.scores.values()) < 0
        assert p.ranking == ranking_by_score(p.scores) and p.text == " > ".join(p.ranking)
        assert (p.outcome, p.error, p.completion_tokens) == ("ranking", None, 0)
    scores = read_json(tmp_path / "runs/tiny/scores.json")
    cell = scores["models"]["base"]["unseen_query_unseen_tool"]["all"]["ndcg"]
    assert cell["n_pairs"] == 1 and 0 <= cell["value"] <= 1

    del loads[:]
    assert gentool("evaluate", file, *SCORE) == 0
    assert not loads and predictions(tmp_path, "base") == scored, "nothing is left to score"
    assert gentool("report", tmp_path / "runs/tiny") == 0
    assert gentool("evaluate", file) == 0
    again = predictions(tmp_path, "base")
    assert len(loads) == 1 and sorted(again, key=str) == sorted(written, key=str), "no scored one stays"


def test_no_sharing_gives_the_same(
    gentool: Callable[..., int], recipe: Callable[..., Path], tmp_path: Path, capsys: Any
) -> None:
    found = []
    for shared in ("auto", "off"):
        file = recipe(name=shared, train__arms=[], evaluate__models=["base"], evaluate__shared_prefix=shared)
        assert gentool("evaluate", file, *SCORE) == 0
        (tmp_path / "runs" / shared).rename(tmp_path / "runs" / "tiny")
        found.append(predictions(tmp_path, "base"))
        (tmp_path / "runs" / "tiny").rename(tmp_path / "runs" / shared)
    shared, alone = ({(p.key, p.tool_set): p for p in some} for some in found)
    assert shared.keys() == alone.keys()
    for key, p in shared.items():
        assert (p.text, p.ranking) == (alone[key].text, alone[key].ranking)
        assert (p.scores or {}) == pytest.approx(alone[key].scores or {}, abs=1e-3)


def test_one_output_is_not_scored(
    gentool: Callable[..., int], recipe: Callable[..., Path], tmp_path: Path, capsys: Any
) -> None:
    file = recipe(
        train__arms=["gentool"],
        train__schedule="one_output",
        train__epochs=0.1,
        evaluate__models=["gentool"],
    )
    assert gentool("evaluate", file, *SCORE) == 0
    assert (
        capsys.readouterr().err.count("gentool: it writes ranking and call as one output; its rankings") == 1
    )
    found = predictions(tmp_path, "gentool")
    assert {p.task for p in found} == {"joint"} and not any(p.scores for p in found)
