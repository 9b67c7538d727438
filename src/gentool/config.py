"""One YAML file = one tree of these models. Unknown keys are refused with the nearest known name."""

from __future__ import annotations

import contextlib
import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gentool.jsonl import GenToolError, describe_errors
from gentool.records import Group

Arm = Literal["sft", "no_ranking", "gentool"]
ModelKey = Literal["base", "sft", "no_ranking", "gentool"]
Schedule = Literal["two_pass", "one_output", "mixed"]
StageName = Literal["rank", "select", "joint", "mixed"]
Positive = Annotated[int, Field(ge=1)]


class ConfigError(GenToolError):
    """A configuration that cannot be used; names the file, the key and the fix."""


class Options(BaseModel):
    """Base of all option groups."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(Options):
    """What to build from. ``package`` stands for the pairs and tools that come with GenTool."""

    pairs: str = Field("package", description="JSONL of ToolPairs with graded queries")
    tools: str | list[str] | None = Field(
        "package", description="JSONL of stand-alone tools, for distractors; or a list of such files"
    )


class ScenarioConfig(Options):
    """Tool sets and the split."""

    k: Annotated[int, Field(ge=3, le=100)] = Field(5, description="external tools in a set")
    embedding: str = Field("auto", description="auto, tfidf, or a sentence-transformers model")
    held_out: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.25, description="share of a T pair's queries kept for test"
    )
    pool_test_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="share of stand-alone tools without a `split` that go to test"
    )
    groups: dict[Group, Annotated[float, Field(ge=0)]] = Field(
        default={"T": 0.5, "A": 0.17, "B": 0.17, "U": 0.16},
        description="shares for pairs whose `group` is not given",
    )

    @model_validator(mode="after")
    def _something_trained(self) -> ScenarioConfig:
        if not self.groups.get("T"):
            raise ValueError("groups: the share of T must be above 0, else nothing is trained on")
        return self


class RandomInit(Options):
    """A small model and tokenizer made from nothing, for demos and tests."""

    architecture: Literal["qwen3", "llama", "mistral"] = "qwen3"
    hidden_size: Positive = 128
    layers: Positive = 4
    heads: Positive = 4
    key_value_heads: Positive = 2
    vocabulary: Annotated[int, Field(ge=300)] = 2048
    context: Positive = Field(8192, description="longest sequence, in tokens")


class ModelConfig(Options):
    """The model to start from: a hub name or folder, or ``random_init``."""

    path: str | None = None
    random_init: RandomInit | None = None
    chat_template: str | None = Field(None, description="jinja file instead of the tokenizer's own")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"

    @model_validator(mode="after")
    def _one_source(self) -> ModelConfig:
        if (self.path is None) == (self.random_init is None):
            raise ValueError("give exactly one of `path` and `random_init`")
        return self


class PromptConfig(Options):
    """How prompts are rendered."""

    tool_format: Literal["native", "text"] = Field(
        "native", description="text: for templates that ignore tools or drop content beside calls"
    )


class LoraOptions(Options):
    """Low-rank adapters (peft)."""

    rank: Positive = 16
    alpha: Positive = 32
    target_modules: str | list[str] = "all-linear"


class StageOptions(Options):
    """What may differ from stage to stage; what is not given is taken from ``train``."""

    epochs: Annotated[float, Field(gt=0)] | None = None
    learning_rate: Annotated[float, Field(gt=0)] | None = None


class TrainConfig(Options):
    """Both stages of all arms. Batch sizes count samples; a step is one optimizer update."""

    arms: list[Arm] = ["sft", "gentool"]
    schedule: Schedule = Field("two_pass", description="of the arm `gentool`")
    method: Literal["full", "lora"] = "full"
    lora: LoraOptions = LoraOptions()
    epochs: Annotated[float, Field(gt=0)] = 3
    learning_rate: Annotated[float, Field(gt=0)] = 2e-5
    learning_rates: dict[Arm, Annotated[float, Field(gt=0)]] = Field(
        default={}, description="per arm, where dev chose different ones"
    )
    stages: dict[StageName, StageOptions] = Field(default={}, description="of the arm `gentool`")
    replay: Annotated[float, Field(ge=0, le=1)] = Field(
        0.1, description="two_pass: share of rank samples replayed in the select stage"
    )
    equal_budget: bool = Field(
        True, description="smaller arms repeat their data to the tokens and steps of `gentool`"
    )
    batch_size: Positive = 16
    micro_batch_size: Positive = Field(4, description="samples in memory at once, per device")
    max_length: Positive = Field(8192, description="tokens; a longer sample is an error")
    warmup: Annotated[float, Field(ge=0, lt=1)] = Field(0.03, description="share of the steps")
    scheduler: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    bf16: bool | None = Field(None, description="mixed precision; by default on CUDA only")
    gradient_checkpointing: bool = False
    save_steps: Positive = 100
    log_steps: Positive = 5

    def stage(self, arm: Arm, name: StageName) -> tuple[float, float]:
        """Epochs and learning rate of a stage of an arm; ``stages`` are those of ``gentool``."""
        own = self.stages.get(name, StageOptions()) if arm == "gentool" else StageOptions()
        rate = own.learning_rate or self.learning_rates.get(arm) or self.learning_rate
        return own.epochs or self.epochs, rate


class EvaluateConfig(Options):
    """Which models are asked what, and how it is counted."""

    models: list[ModelKey] = ["base", "sft", "gentool"]
    max_prompts: Positive | None = Field(None, description="prompts a model, over all scenarios")
    rank: bool = Field(True, description="ask for rankings too")
    batch_size: Positive = 16
    max_new_tokens: Positive = 256
    bootstrap: Positive = Field(2000, description="resamples for the intervals")
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95


class Config(Options):
    """A run."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")]
    seed: int = Field(0, description="of the build: groups, held-out queries, orders")
    seeds: list[int] = Field(default=[0], min_length=1, description="of training, one model each")
    data: DataConfig = DataConfig()
    scenarios: ScenarioConfig = ScenarioConfig()
    model: ModelConfig
    prompt: PromptConfig = PromptConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        unknown = set(self.evaluate.models) - {"base"} - set(self.train.arms)
        if unknown:
            raise ValueError(f"evaluate.models names {sorted(unknown)}, which train.arms does not train")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds must differ")
        return self


def _known_keys(path: tuple[str | int, ...]) -> list[str]:
    """The option names at a place of the tree."""
    fields: Any = Config
    for part in path:
        found = fields.model_fields.get(str(part)) if hasattr(fields, "model_fields") else None
        if found is None:
            return []
        options = (found.annotation, *getattr(found.annotation, "__args__", ()))
        fields = next((a for a in options if isinstance(a, type) and issubclass(a, BaseModel)), None)
    return list(fields.model_fields) if fields else []


def _describe(error: ValidationError, where: str) -> str:
    lines = []
    for part, line in zip(error.errors(), describe_errors(error, where).split("\n"), strict=False):
        if part["type"] == "extra_forbidden":
            *path, key = part["loc"]
            known = _known_keys(tuple(path))
            near = difflib.get_close_matches(str(key), known, n=1)
            field = ".".join(map(str, part["loc"]))
            hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
            line = f"{where}: {field}: unknown key; {hint}"
        lines.append(line)
    return "\n".join(lines)


def _override(tree: dict[str, Any], setting: str) -> None:
    key, separator, text = setting.partition("=")
    if not separator:
        raise ConfigError(f"--set {setting}: expected key=value, for example train.learning_rate=1e-5")
    *path, last = key.strip().split(".")
    for part in path:
        if not isinstance(tree.setdefault(part, {}), dict):
            raise ConfigError(f"--set {setting}: {part!r} is a value, not a group of options")
        tree = tree[part]
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    if isinstance(value, str):  # YAML 1.1 reads 1e-5, without a dot, as text
        with contextlib.suppress(ValueError):
            value = float(value)
    tree[last] = value


def make_config(tree: Any, where: str) -> Config:
    """A checked configuration. Raises :class:`ConfigError`, its text beginning with ``where``."""
    if not isinstance(tree, dict):
        raise ConfigError(f"{where}: expected a mapping of options; found {type(tree).__name__}")
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_describe(error, where)) from None


def load_config(path: Path, settings: list[str] | None = None) -> Config:
    """Read a recipe, then apply ``--set key=value`` settings. Raises :class:`ConfigError`."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}. Fix: check the path.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if isinstance(tree, dict):
        for setting in settings or []:
            _override(tree, setting)
    return make_config(tree, str(path))


def dump_config(config: Config) -> str:
    """The configuration as YAML, every default written out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
