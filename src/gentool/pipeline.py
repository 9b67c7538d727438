"""A run: one YAML file -> (synthesized pairs) -> scenarios -> trained arms -> predictions -> scores -> report.

All in one folder. Each step reads files and writes files. A step that is done is skipped; one that was begun goes on.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gentool import __version__, data
from gentool.catalog.pairs import check_file, read_pairs, read_tools
from gentool.config import Arm, Config, ConfigError, ModelKey
from gentool.jsonl import read_jsonl, sync_folder, write_text
from gentool.lineage import Lineage, files_hash
from gentool.lock import locked
from gentool.processes import is_first, wait_for_all
from gentool.progress import Progress, Stopped
from gentool.recipe import dump_config
from gentool.records import SCENARIOS, Probe, Sample, Tool
from gentool.training.plan import stage_folders

if TYPE_CHECKING:
    from gentool.synthesis.plan import Plan

Step = Literal["synthesize", "build", "train", "evaluate", "report"]
STEPS: tuple[Step, ...] = ("synthesize", "build", "train", "evaluate", "report")

_BASE_FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)


class Run:
    """The files of a run folder, and the steps that make them. ``plan``: of the synthesis, if it was made before.

    ``ask``: whether a model behind a server may be asked for pairs, which costs. ``made``: another run folder, whose
    synthesized pairs are taken, as they are, where there are any.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        progress: Progress,
        plan: Plan | None = None,
        ask: bool = True,
        made: Path | None = None,
    ) -> None:
        self.config = config
        self.folder = folder
        self.progress = progress
        self.plan = plan
        self.ask = ask
        self.synthesized = made if made and (made / "pairs.jsonl").is_file() else folder
        self.lineage = Lineage(folder / "lineage.json")

    @property
    def scenarios(self) -> Path:
        return self.folder / "scenarios"

    def until(self, step: Step) -> None:
        """Do all steps up to ``step``. Raises :class:`Stopped` when asked to stop.

        Of several processes all train; the first one does the rest alone. Raises :class:`gentool.lock.LockedError`
        if another run works in the folder, :class:`ConfigError` if a step needs a model and there is none.
        """
        if STEPS.index(step) > STEPS.index("build") and (
            self.config.train.arms or self.config.evaluate.models
        ):
            self._need_model()
        if not is_first():
            self._until(step)
            return
        with locked(self.folder) as held:
            if not held:
                self.progress.say("This file system has no locks: take care not to start this run twice.")
            self._tidy()
            self._until(step)

    def _tidy(self) -> None:
        """Read what was done before, and remove the temporary files of a run that was killed."""
        if not self.lineage.read():
            self.progress.say(f"{self.lineage.path} is damaged; what it recorded is made anew where in doubt")
        for left in self.folder.rglob(".*.tmp"):
            left.unlink(missing_ok=True)

    def _until(self, step: Step) -> None:
        for name in STEPS:
            # Pairs that are given need no synthesis, unless it is asked for.
            if name == "synthesize" != step and not (self._makes_pairs and self.synthesized == self.folder):
                continue
            if self.progress.stopping:
                raise Stopped
            if name == "train" or is_first():
                getattr(self, name)()
            if name == "build":
                wait_for_all()
            if name == step or (name == "train" and not is_first()):
                return

    def _write_config(self) -> None:
        """Write the options down, as soon as something is made with them."""
        write_text(self.folder / "config.yaml", dump_config(self.config))

    def _need_model(self) -> None:
        if not self.config.model.is_given:
            raise ConfigError(
                "model: expected a model to train and to evaluate; found none. Fix: give exactly one of `path` and "
                "`random_init`; or leave training out, with train.arms: [] and evaluate.models: []."
            )

    @property
    def _makes_pairs(self) -> bool:
        """Whether the pairs of the run are those that it synthesizes."""
        return self.config.synthesis is not None and self.config.data.pairs is None

    @property
    def catalog(self) -> Path:
        """The tools that pairs were synthesized from."""
        return self.synthesized / "catalog.jsonl"

    def _input_paths(self) -> tuple[Path, list[Path]]:
        names = self.config.data.tool_files
        tools = [self.catalog if name == "catalog" else data.tools_file(name) for name in names]
        if self._makes_pairs:
            return self.synthesized / "pairs.jsonl", tools
        return data.pairs_file(self.config.data.pairs or "package"), tools

    def synthesize(self) -> None:
        """Tools of the user -> verified pairs; what was made before is kept."""
        from gentool.synthesis.funnel import funnel_table
        from gentool.synthesis.synthesize import synthesize

        self._write_config()
        funnel = synthesize(self.config, self.folder, self.progress, self.lineage, self.plan, self.ask)
        self.progress.console.print(funnel_table(funnel))

    def _scenario_files(self) -> list[Path]:
        names = ["pairs", "tools", "train", *SCENARIOS, "dev"]
        return [self.scenarios / f"{name}.jsonl" for name in names] + [self.scenarios / "summary.json"]

    def build(self) -> None:
        """Pairs -> training samples and probes."""
        from gentool.scenarios.build import build_scenarios, write_scenarios
        from gentool.scenarios.neighbours import resolve_embedding
        from gentool.scenarios.table import build_table

        config = self.config
        pairs_path, tool_paths = self._input_paths()
        for key, path in [("data.pairs", pairs_path), *(("data.tools", path) for path in tool_paths)]:
            check_file(key, path)
        inputs = [
            files_hash([pairs_path, *tool_paths]),
            config.scenarios.model_dump(mode="json"),
            resolve_embedding(config.scenarios.embedding),
            config.seed,
            __version__,
            *(["without repeats"] if self._makes_pairs else []),
        ]
        if self.lineage.done("build", inputs, self._scenario_files()):
            self.progress.say("build: done before")
        else:
            started = datetime.now(UTC)
            pairs = read_pairs(pairs_path)
            paired = {tool.name for pair in pairs for tool in pair.tools}
            # The catalogue holds the tools that pairs were made of.
            pool = list(
                {
                    tool.id: tool
                    for path in tool_paths
                    for tool in read_tools(path)
                    if path != self.catalog or tool.name not in paired
                }.values()
            )
            built = build_scenarios(
                pairs, pool, config.scenarios, config.seed, drop_repeats=self._makes_pairs
            )
            self._write_config()
            self.lineage.begin("build")
            write_scenarios(built, self.scenarios)
            if repeats := built.summary.get("repeated_queries"):
                self.progress.say(
                    f"build: {repeats:,} queries nearly repeat those of other pairs, and are left out"
                )
            self.lineage.record("build", inputs, self._scenario_files(), config.seed, started)
        summary = json.loads((self.scenarios / "summary.json").read_text(encoding="utf-8"))
        self.progress.console.print(build_table(summary))

    def tools(self) -> dict[str, Tool]:
        """All tools of the scenarios, by id."""
        return {t.id: t for t in read_jsonl(Tool, self.scenarios / "tools.jsonl")}

    def samples(self) -> list[Sample]:
        """The samples that are trained on."""
        return read_jsonl(Sample, self.scenarios / "train.jsonl")

    def probes(self) -> list[Probe]:
        """The probes of all scenarios."""
        return [p for s in SCENARIOS for p in read_jsonl(Probe, self.scenarios / f"{s}.jsonl")]

    def base(self) -> str:
        """The model that all arms start from; made here if the recipe asks for a random one.

        A folder is given in full, since an adapter remembers where its base lies.
        """
        self._need_model()
        if self.config.model.path is not None:
            name = data.model_path(self.config.model.path)
            if Path(name).is_dir():
                return str(Path(name).resolve())
            revision = self.config.model.revision
            return f"{name}@{revision}" if revision else name
        from gentool.models import make_base, template_file
        from gentool.training.dataset import sample_texts

        folder = (self.folder / "base").resolve()
        inputs = [
            self.config.model.model_dump(mode="json"),
            self.config.seed,
            files_hash([self.scenarios / "train.jsonl", template_file(self.config.model.chat_template)]),
            __version__,
        ]
        outputs = [folder / name for name in _BASE_FILES]
        if is_first() and not self.lineage.done("base", inputs, outputs):
            started = datetime.now(UTC)
            self.lineage.begin("base")
            shutil.rmtree(folder, ignore_errors=True)
            make_base(self.config.model, sample_texts(self.samples(), self.tools()), self.config.seed, folder)
            sync_folder(folder)
            self.lineage.record("base", inputs, outputs, self.config.seed, started)
        return str(folder)

    def _stages(self, arm: Arm, seed: int) -> list[Path]:
        return stage_folders(self.folder / "stages", arm, seed, self.config.train.schedule)

    def _stage_files(self) -> list[Path]:
        """Manifests and weights of all stages."""
        folders = [f for a in self.config.train.arms for s in self.config.seeds for f in self._stages(a, s)]
        return [f / "stage.json" for f in folders] + [w for f in folders for w in f.glob("*.safetensors")]

    def train(self) -> None:
        """Training samples -> a checkpoint for each arm and seed; stages that are done are skipped."""
        started = datetime.now(UTC)
        if is_first():
            self._write_config()
        if not self.config.train.arms:
            return
        from gentool.training.arms import train_arms
        from gentool.training.prepare import prepare

        base = self.base()
        wait_for_all()
        stages = self.folder / "stages"
        data = prepare(self.config, self.samples(), self.tools(), base, stages, self.progress)
        train_arms(self.config, data, base, stages, self.progress)
        if not is_first():
            return
        inputs = self.config.model_dump(mode="json", exclude={"evaluate"})
        self.lineage.record("train", inputs, self._stage_files(), self.config.seed, started)

    def checkpoints(self, model: ModelKey) -> dict[int, str]:
        """Folder or name of a model's weights, by training seed; ``base`` has one, whatever the seed."""
        if model == "base":
            return {self.config.seeds[0]: self.base()}
        return {seed: str(self._stages(model, seed)[-1]) for seed in self.config.seeds}

    def _prediction_files(self) -> list[Path]:
        rows = [*self.config.evaluate.models, *self.config.evaluate.servers]
        return [self.folder / "predictions" / row / f"{s}.jsonl" for row in rows for s in SCENARIOS]

    def evaluate(self) -> None:
        """Checkpoints and probes -> predictions -> ``scores.json``; what was answered before is not asked again."""
        from gentool.evaluation.evaluate import evaluate_models
        from gentool.evaluation.retention import retention

        started = datetime.now(UTC)
        config = self.config
        models = {m: self.checkpoints(m) for m in config.evaluate.models}
        base = self.base() if models else None
        predictions = self.folder / "predictions"
        scores = evaluate_models(
            config,
            models,
            base,
            self.probes(),
            self.tools(),
            predictions,
            self.folder / "cache" / "calls.sqlite",
            self.progress,
        )
        retained = retention(config, models, base, predictions, self.progress) if base else None
        if retained is not None:
            scores["retention"] = retained
        write_text(self.folder / "scores.json", json.dumps(scores, indent=1, allow_nan=False) + "\n")
        outputs = [*self._prediction_files(), self.folder / "scores.json"]
        self.lineage.record("evaluate", config.model_dump(mode="json"), outputs, config.seed, started)

    def report(self) -> None:
        """Everything so far -> ``report.html``."""
        from gentool.report.write import write_report

        write_report(self.folder)
        self.progress.say(f"report: {self.folder / 'report.html'}")
