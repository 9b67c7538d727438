"""Where a model lies: a folder, or ``name`` or ``name@revision`` on the hub. What is wrong there is said at once."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from transformers import AutoConfig

from gentool.jsonl import GenToolError, read_json_object

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?")
_SHOWN_STAGES = 6


class ModelError(GenToolError):
    """A model or tokenizer that cannot be loaded or used; says which, why and what to do."""


def split_revision(path: str) -> tuple[str, str | None]:
    """``name@revision`` -> name and revision; a folder, whatever its name, has none."""
    if Path(path).is_dir():
        return path, None
    name, _, revision = path.partition("@")
    return name, revision or None


def adapter_base(path: str) -> str | None:
    """The model that a LoRA folder was trained on; ``None`` if ``path`` is no LoRA folder.

    Raises :class:`ModelError` if that was a folder which is gone.
    """
    file = Path(path) / "adapter_config.json"
    if not file.is_file():
        return None
    config = read_json_object(file, "base_model_name_or_path")
    base = str(config["base_model_name_or_path"])
    if Path(base).is_absolute() and not Path(base).is_dir():
        raise ModelError(
            f"{file}: the adapter was trained on {base!r}, which is not there. Fix: put the new place of that "
            "model into `base_model_name_or_path`."
        )
    return f"{base}@{config['revision']}" if config.get("revision") else base


@cache
def hub_answers() -> bool:
    """Whether the hub can be reached: asked once, for five seconds at most, where huggingface_hub retries for long."""
    if huggingface_hub.is_offline_mode():
        return False
    try:
        huggingface_hub.get_session().head(constants.ENDPOINT, timeout=5)
    except Exception:  # whatever the network, a proxy or a certificate is in the way with
        return False
    return True


def _check_folder(folder: Path) -> None:
    """Raise :class:`ModelError` for a folder that is no model; of a run folder, name the models in it."""
    if any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
        if any(folder.glob("*.safetensors")):
            return
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt*"))
        raise ModelError(
            f"{str(folder)!r} holds no safetensors weights{', only pickled ones' if pickled else ''}. Fix: give a "
            "folder or a hub name of a model with safetensors weights."
        )
    if (folder / "checkpoints").is_dir():
        raise ModelError(
            f"{str(folder)!r} is a stage that is not finished. Fix: go on with `gentool train` and the run's recipe."
        )
    stages = sorted(str(m.parent) for m in folder.glob("**/stage.json"))
    if stages:
        more = f" and {len(stages) - _SHOWN_STAGES} more" if len(stages) > _SHOWN_STAGES else ""
        raise ModelError(
            f"{str(folder)!r} is no model, but holds models: {', '.join(stages[:_SHOWN_STAGES])}{more}. Fix: give "
            "one of these; an arm's model is its last stage."
        )
    raise ModelError(
        f"{str(folder)!r} is no model: it holds neither config.json nor adapter_config.json. Fix: give a folder "
        "with a model and its tokenizer, or a hub name."
    )


@cache
def _hub_options(name: str, revision: str | None) -> dict[str, Any]:
    """What ``from_pretrained`` needs besides the name: the commit, so that all files are of one.

    Raises :class:`ModelError` where the hub has no such model.
    """
    if not hub_answers():
        file = huggingface_hub.try_to_load_from_cache(name, "config.json", revision=revision)
        if isinstance(file, str):
            return {"revision": Path(file).parent.name, "local_files_only": True}
        why = (
            "HF_HUB_OFFLINE is set"
            if huggingface_hub.is_offline_mode()
            else f"{constants.ENDPOINT} cannot be reached"
        )
        raise ModelError(
            f"model {name!r}: no such folder, nothing of that name in the hub's cache, and {why}. Fix: check the "
            f"name; or run `hf download {name}` where there is a network, and give the folder."
        )
    at = f" at revision {revision!r}" if revision else ""
    try:
        file = huggingface_hub.hf_hub_download(name, "config.json", revision=revision)
    except RevisionNotFoundError:
        raise ModelError(
            f"model {name!r}: the hub has no revision {revision!r} of it. Fix: give a branch, a tag or a whole "
            "commit hash (`model.revision`)."
        ) from None
    except GatedRepoError:
        raise ModelError(
            f"model {name!r} is gated. Fix: accept its licence on the hub, then log in with `hf auth login`."
        ) from None
    except RepositoryNotFoundError:
        raise ModelError(
            f"model {name!r}: no such folder, and no such model on the hub. Fix: check the name; for a private "
            "model log in with `hf auth login`."
        ) from None
    except RemoteEntryNotFoundError:
        raise ModelError(
            f"model {name!r}{at} has no config.json on the hub. Fix: give a model in the transformers format; an "
            f"adapter is read from a folder (`hf download {name} --local-dir FOLDER`)."
        ) from None
    except Exception as error:
        raise ModelError(
            f"model {name!r}{at}: the hub did not deliver it ({str(error)[:200]}). Fix: try again later."
        ) from None
    return {"revision": Path(file).parent.name}  # the cache has a folder for each commit


def locate(path: str, weights: bool = True) -> tuple[str, dict[str, Any]]:
    """Folder or hub name, and what ``from_pretrained`` needs with it.

    Raises :class:`ModelError` for what is neither, and (``weights``) for a folder without weights.
    """
    folder = Path(path)
    if folder.is_dir():
        if weights or not (folder / "tokenizer_config.json").is_file():
            _check_folder(folder)
        return path, {}
    name, revision = split_revision(path)
    if not _HUB_NAME.fullmatch(name):
        raise ModelError(
            f"model {path!r}: no such folder. Fix: give a folder, or a hub name like owner/name."
        )
    return name, _hub_options(name, revision)


def read_config(path: str) -> Any:
    """The configuration of a model, of its base if it is an adapter. Raises :class:`ModelError`."""
    name, options = locate(adapter_base(path) or path)
    try:
        return AutoConfig.from_pretrained(name, trust_remote_code=False, **options)
    except Exception as error:
        raise ModelError(
            f"model {path!r}: its configuration cannot be read ({str(error)[:200]}). Fix: give a model that the "
            "installed transformers knows; code from a model's repository is never run."
        ) from None
