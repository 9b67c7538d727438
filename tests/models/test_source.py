"""Where models are looked for, and what is said where there is none; no hub is asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from typer.testing import CliRunner

from gentool.cli import app
from gentool.config import ConfigError
from gentool.models import (
    ModelError,
    adapter_base,
    load_model,
    load_tokenizer,
    source,
    split_revision,
    weights_hash,
)
from gentool.pipeline import Run
from gentool.progress import Progress
from gentool.recipe import make_config
from tests.models.tiny import save_tiny

FIRST, SECOND = "1" * 40, "2" * 40


@pytest.fixture(autouse=True)
def ask_anew() -> Iterator[None]:
    """What was found out about the hub is kept for a process; not from test to test."""
    source.hub_answers.cache_clear()
    source._hub_options.cache_clear()
    yield
    source.hub_answers.cache_clear()
    source._hub_options.cache_clear()


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model in the hub's cache, at two revisions: ``main`` and ``v2``."""
    cache = tmp_path / "cache"
    repository = cache / "models--someone--small"
    for commit, name, seed in ((FIRST, "main", 0), (SECOND, "v2", 1)):
        save_tiny(repository / "snapshots" / commit, "llama", seed)
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / name).write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    return "someone/small"


def test_a_revision_of_a_hub_name_is_loaded_everywhere(cached: str) -> None:
    first, second = (load_model(name, torch.float32).state_dict() for name in (cached, f"{cached}@v2"))
    assert any(not torch.equal(first[k], second[k]) for k in first)
    third = load_model(f"{cached}@{SECOND}", torch.float32).state_dict()
    assert all(torch.equal(second[k], third[k]) for k in second)
    assert (weights_hash(cached), weights_hash(f"{cached}@v2")) == (f"{cached}@{FIRST}", f"{cached}@{SECOND}")
    assert load_tokenizer(f"{cached}@v2").chat_template


def test_a_revision_goes_from_the_recipe_to_the_adapter(cached: str, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    config = make_config({"name": "x", "model": {"path": cached, "revision": "v2"}}, "recipe")
    base = Run(config, tmp_path / "run", Progress()).base()
    assert base == f"{cached}@v2"
    assert split_revision(base) == (cached, "v2")
    options = LoraConfig(
        r=2, target_modules="all-linear", task_type="CAUSAL_LM", revision=split_revision(base)[1]
    )
    get_peft_model(load_model(base, torch.float32), options).save_pretrained(tmp_path / "adapter")
    assert adapter_base(str(tmp_path / "adapter")) == base
    loaded = load_model(str(tmp_path / "adapter"), torch.float32).get_base_model()
    assert torch.equal(loaded.lm_head.weight, load_model(base, torch.float32).lm_head.weight)


def test_a_folder_has_no_revision(tmp_path: Path) -> None:
    folder = tmp_path / "a@b"
    save_tiny(folder, "llama")
    assert split_revision(str(folder)) == (str(folder), None)
    load_model(str(folder), torch.float32)
    for model in ({"path": str(folder), "revision": "v2"}, {"random_init": {}, "revision": "v2"}):
        with pytest.raises(ConfigError, match="revision: only a hub name has one"):
            make_config({"name": "x", "model": model}, "recipe")


def test_an_unknown_revision_is_named(cached: str) -> None:
    with pytest.raises(ModelError, match="someone/small"):
        load_model(f"{cached}@v9", torch.float32)


def test_offline_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_tokenizer("no/such")
    assert str(caught.value) == (
        "model 'no/such': no such folder, nothing of that name in the hub's cache, and HF_HUB_OFFLINE is set. "
        "Fix: check the name; or run `hf download no/such` where there is a network, and give the folder."
    )


class Session:
    """Counts what is asked, and answers nothing."""

    def __init__(self) -> None:
        self.asked = 0

    def head(self, url: str, timeout: float) -> None:
        self.asked += 1
        assert timeout <= 5
        raise OSError("no network")


def test_a_hub_out_of_reach_is_asked_once(monkeypatch: pytest.MonkeyPatch, cached: str) -> None:
    session = Session()
    monkeypatch.setattr(huggingface_hub, "is_offline_mode", lambda: False)
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: session)
    for name in ("no/such", "no/other", "gpt17"):
        for load in (load_tokenizer, lambda n: load_model(n, torch.float32), weights_hash):
            with pytest.raises(
                ModelError, match=rf"model '{name}': no such folder.*cannot be reached. Fix: check"
            ):
                load(name)
    load_model(cached, torch.float32)  # what is in the cache is still found
    assert session.asked == 1


def _refuse(kind: type[Exception]) -> Any:
    def download(*args: Any, **kwargs: Any) -> str:
        error = kind.__new__(kind)
        Exception.__init__(error, "a long story")
        raise error

    return download


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (RepositoryNotFoundError, "no such model on the hub. Fix: check the name"),
        (GatedRepoError, "is gated. Fix: accept its licence"),
        (RevisionNotFoundError, "has no revision 'v9' of it"),
        (RemoteEntryNotFoundError, "at revision 'v9' has no config.json"),
        (TimeoutError, r"the hub did not deliver it \(a long story\)"),
    ],
    ids=lambda v: v.__name__ if isinstance(v, type) else "",
)
def test_what_the_hub_refuses_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, kind: type[Exception], message: str
) -> None:
    monkeypatch.setattr(source, "hub_answers", lambda: True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", _refuse(kind))
    with pytest.raises(ModelError, match=message) as caught:
        load_tokenizer("a/b@v9")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["/no/such/folder", "runs/demo/stages/gentool", "./here", "a b"])
def test_what_cannot_be_a_hub_name_is_a_missing_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where `make demo` was not run
    with pytest.raises(
        ModelError, match=r"no such folder. Fix: give a folder, or a hub name like owner/name"
    ):
        load_tokenizer(name)


# ------------------------------------------------------------------------------ folders


def test_a_run_folder_names_the_models_in_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for arm, stage in (("gentool", "rank"), ("gentool", "select"), ("sft", "select")):
        folder = run / "stages" / arm / "seed-0" / stage
        folder.mkdir(parents=True)
        (folder / "stage.json").write_text("{}")
    with pytest.raises(ModelError, match="is no model, but holds models: ") as caught:
        load_tokenizer(str(run))
    text = str(caught.value)
    assert all(
        f"stages/{s}" in text for s in ("gentool/seed-0/rank", "gentool/seed-0/select", "sft/seed-0/select")
    )
    for number in range(1, 9):
        shutil.copytree(run / "stages" / "sft" / "seed-0", run / "stages" / "sft" / f"seed-{number}")
    with pytest.raises(ModelError, match=r" and 5 more\. Fix: give one of these"):
        load_model(str(run), torch.float32)


@pytest.mark.parametrize("model", ["FOLDER", "wrongname"])
def test_predict_says_what_is_wrong_with_its_model(tmp_path: Path, model: str) -> None:
    tools = Path(__file__).parents[2] / "docs" / "example_tools.json"
    arguments = ["--model", model.replace("FOLDER", str(tmp_path)), "--tools", str(tools), "hello"]
    found = CliRunner().invoke(app, ["predict", *arguments]).exception
    assert isinstance(found, ModelError)
    assert ("holds neither config.json" if model == "FOLDER" else "no such folder") in str(found)


def test_an_unfinished_stage_is_told_from_a_model(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(
        ModelError, match=r"is a stage that is not finished\. Fix: go on with `gentool train`"
    ):
        load_tokenizer(str(tmp_path))


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    folder = Path(save_tiny(tmp_path / "model", "llama"))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="holds no safetensors weights, only pickled ones"):
        load_model(str(folder), torch.float32)
    load_tokenizer(str(folder))


def test_an_adapter_without_its_base_names_the_place(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    adapter = {"base_model_name_or_path": str(gone)}
    (tmp_path / "adapter_config.json").write_text(json.dumps(adapter))
    with pytest.raises(ModelError, match=rf"trained on '{gone}', which is not there. Fix: put the new place"):
        load_model(str(tmp_path), torch.float32)


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    folder = Path(save_tiny(tmp_path / "model", "llama"))
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ModelError, match="no tokenizer there"):
        load_tokenizer(str(folder))
