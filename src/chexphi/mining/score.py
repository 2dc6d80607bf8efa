"""Let a policy answer a pool of questions and record what it gets right: `chexphi mine score`."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from chexphi import config, ranges
from chexphi.data.film_loader import FilmLoader, with_films
from chexphi.data.read import image_root_of, read_examples
from chexphi.graph.open import check_extractor, open_extractor
from chexphi.graph.types import Extractor
from chexphi.mining.graph_rewards import graph_rewards
from chexphi.mining.scored_row import ScoredRow, has_wrong_reason
from chexphi.models.question_batches import films_together, unfinished_batches
from chexphi.models.run_check import MODEL_RANGES, ModelFields, check_run
from chexphi.number_text import counted
from chexphi.ranges import COUNT, SEED, TEMPERATURE
from chexphi.rewards import rules, settings
from chexphi.rewards.rules import AnswerRule, GraphRule
from chexphi.rewards.score import is_right
from chexphi.runs import jsonl, processes, run_folder, terminal
from chexphi.runs.progress_display import rows_display
from chexphi.schema import Example, InputError, shown

if TYPE_CHECKING:
    from chexphi.models.generate import Generation
    from chexphi.models.rollout.drafting import Drafter

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GraphFields:
    """Whether the reasonings of the samples are compared with the references', and how."""

    HEADING: ClassVar[str] = GraphRule.HEADING
    measure: str = field(default="", metadata={"help": f"{rules.MEASURE_HELP}; without it no graph is read"})
    extractor: str = field(default="lexicon", metadata={"help": rules.EXTRACTOR_HELP})
    ontology: str = field(default="", metadata={"help": rules.ONTOLOGY_HELP})

    @property
    def graph_rule(self) -> GraphRule | None:
        """How the graphs of the samples are compared with the reference's; None if they are not."""
        return GraphRule(self.measure, ontology=self.ontology) if self.measure else None


@dataclass(frozen=True)
class MineScoreRecipe(GraphFields, ModelFields):
    """Score a pool: how often is the policy right, and how sure is it?"""

    HEADING: ClassVar[str] = "Sampling"
    data: str = field(default="", metadata={"help": "the pool of examples", "required": True})
    out: str | None = field(
        default=None, metadata={"help": "run folder (default: a new one, runs/<timestamp>_mine)"}
    )
    samples: int = field(default=4, metadata={"help": "answers a question; 1 is greedy"})
    temperature: float = field(
        default=1.0, metadata={"help": "sampling temperature (ignored with one sample)"}
    )
    batch_size: int = field(default=32, metadata={"help": "questions a batch"})
    max_new_tokens: int = field(default=256, metadata={"help": "longest completion in tokens"})
    seed: int = field(default=0, metadata={"help": "seed of the samples"})


RANGES = MODEL_RANGES | {
    "samples": COUNT, "temperature": TEMPERATURE, "batch_size": COUNT, "max_new_tokens": COUNT, "seed": SEED,
}  # fmt: skip


def parse(argv: Sequence[str]) -> MineScoreRecipe:
    """Read the recipe from the command line."""
    return config.parse(argv, MineScoreRecipe, prog="chexphi mine score", number_ranges=RANGES)[0]


def score_samples(
    example: Example, samples: Sequence[Generation], graph: tuple[float | None, ...] = ()
) -> ScoredRow:
    """How often the samples answer one question right; an answer counts wherever it can be read.

    So a question is hard if the policy does not know its answer, and not if it forgets a tag. The reward and
    `evaluate` also need the tags (`rewards.score.is_right`).

    Confidence is the mean probability of a generated token: exp of the mean log-probability (CheXPO's
    token-level confidence, arXiv 2507.06959), averaged over the samples.

    `graph` is what the graph of each sample earns, where it is compared.
    """
    rule = AnswerRule(format_gate=False)
    return ScoredRow(
        id=example.id,
        kind=example.kind,
        question_type=example.question_type,
        correct=tuple(float(bool(is_right(sample.parsed, example.answer, rule))) for sample in samples),
        confidence=sum(math.exp(sum(s.logprobs) / len(s.logprobs)) for s in samples) / len(samples),
        graph=graph,
    )


def _score_batch(
    recipe: MineScoreRecipe,
    model: Any,
    processor: Any,
    extractor: Extractor | None,
    batch: Sequence[Example],
    films: Sequence[Sequence[Any]],
    drafter: Drafter,
) -> list[ScoredRow]:
    """Let the policy answer a batch of questions, several times each, and score the answers."""
    from chexphi.models.generate import generate
    from chexphi.models.rollout.numbers import number_of_id

    generations = generate(
        model,
        processor,
        [example.question for example in batch],
        films,
        max_new_tokens=recipe.max_new_tokens,
        temperature=recipe.temperature if recipe.samples > 1 else 0.0,
        samples=recipe.samples,
        seed=recipe.seed,
        numbers=[number_of_id(example.id) for example in batch],
        drafter=drafter,
    )
    if extractor is None or recipe.graph_rule is None:
        return list(map(score_samples, batch, generations))
    rewards = graph_rewards(batch, generations, extractor, recipe.graph_rule)
    return list(map(score_samples, batch, generations, rewards))


def check(recipe: MineScoreRecipe) -> None:
    """Refuse settings that a pool cannot be scored with.

    Raises:
        InputError: For the first of them.
    """
    config.check_required("mine score", recipe)
    ranges.check(vars(recipe), RANGES, "mine score")
    if recipe.measure:
        ranges.check_choices("mine score", vars(recipe), {"measure": rules.CHOICES["measure"]})
    if not recipe.measure and recipe.extractor != "lexicon":
        raise InputError(
            f"mine score: extractor is {shown(recipe.extractor)}, but without a measure no graph is read: "
            "set measure, or leave extractor out"
        )
    check_extractor(recipe.extractor)
    settings.check_ontology("mine score", recipe.measure, recipe.ontology)


def read_done_ids(path: Path, *, with_graph: bool) -> set[str]:
    """The ids in the `scored.jsonl` of a run that goes on.

    Raises:
        InputError: If its rows have graph figures and the new ones will not, or the other way round: then the
            run is of a version without `--measure`, or its settings were edited.
    """
    rows = list(jsonl.read(path, growing=True)) if path.exists() else []
    if any((row.get("graph") is not None) != with_graph for row in rows):
        raise InputError(
            f"{path} was scored {'without' if with_graph else 'with'} --measure: go on with it as it was "
            "begun, or choose another --out"
        )
    return {row["id"] for row in rows}


def _open_extractor(recipe: MineScoreRecipe) -> Extractor:
    with processes.fail_together(), terminal.loading_extractor(recipe.extractor):
        return open_extractor(recipe.extractor, ontology=recipe.ontology)


def main(recipe: MineScoreRecipe) -> dict[str, Any]:
    """Score the pool into `scored.jsonl` of the run folder; returns figures about it.

    Raises:
        InputError: For bad data, settings or folders, before the model is loaded.
    """
    processes.join()
    data = Path(recipe.data)
    out = Path(recipe.out) if recipe.out else run_folder.default_folder("mine")
    with processes.fail_together():
        check(recipe)
        run = check_run(recipe, out, data=data)
        scored_path = out / "scored.jsonl"
        if recipe.resume:
            read_done_ids(scored_path, with_graph=bool(recipe.measure))
        examples = read_examples(data, image_root=recipe.image_root, limit=recipe.limit)
    with terminal.waiting("loading libraries"):  # torch takes seconds: only after the checks
        from chexphi.models.rollout.drafting import fed_drafter
        from chexphi.models.stage import begin

    extractor = _open_extractor(recipe) if recipe.measure else None
    model, processor = begin(recipe, run, stage="mine", seed=recipe.seed, examples=len(examples))
    jsonl.join_parts(scored_path)
    with processes.fail_together():  # all processes read before one writes
        done_ids = read_done_ids(scored_path, with_graph=bool(recipe.measure))
    lines = jsonl.JsonLines(processes.own_part(scored_path))
    film_loader = FilmLoader(image_root_of(data, recipe.image_root), processor.prepare_film)
    drafter = fed_drafter(processor.tokenizer, (e.explanation for e in examples), model.device.type)
    batches = processes.own_share(unfinished_batches(films_together(examples), done_ids, recipe.batch_size))
    new_count = 0
    with rows_display("mine score", len(examples), done=len(done_ids)) as display:
        for batch, films in with_films(batches, film_loader):
            rows = _score_batch(recipe, model, processor, extractor, batch, films, drafter)
            new_rows = [row.to_dict() for row in rows if row.id not in done_ids]
            lines.write(*new_rows)
            new_count += len(new_rows)
            display.update(len(done_ids) + new_count * processes.count())
    lines.close()
    jsonl.join_parts(scored_path, [example.id for example in examples])
    scored_rows = [ScoredRow.from_dict(row) for row in jsonl.read(scored_path)]
    summary = figures(scored_rows)
    logger.info("scored %s", counted(len(scored_rows), "example"))
    if processes.is_main():
        run_folder.write_json(out / "summary.json", summary)
    return {"out": str(out), **summary}


def figures(rows: Sequence[ScoredRow]) -> dict[str, float | None]:
    """How often the policy is right, and how many questions it answers right never, sometimes and always.

    Where graphs were compared also `graph_reward`, the mean over all samples (None if no reference has
    anything to compare), and `right_for_wrong_reason`, the number of questions (`has_wrong_reason`).
    """
    means = [row.accuracy for row in rows]
    return {
        "rows": len(rows),
        "accuracy": sum(means) / len(means),
        "never_right": sum(mean == 0 for mean in means),
        "sometimes_right": sum(0 < mean < 1 for mean in means),
        "always_right": sum(mean == 1 for mean in means),
        **_graph_figures(rows),
    }


def _graph_figures(rows: Sequence[ScoredRow]) -> dict[str, float | None]:
    if not any(row.graph for row in rows):
        return {}
    rewards = [reward for row in rows for reward in row.graph if reward is not None]
    return {
        "graph_reward": sum(rewards) / len(rewards) if rewards else None,
        "right_for_wrong_reason": sum(map(has_wrong_reason, rows)),
    }
