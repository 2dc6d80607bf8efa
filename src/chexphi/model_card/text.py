"""The words of a model's card. Pure functions from facts to Markdown; no path of a machine, no patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chexphi.model_card.facts import CardFacts, DataFile
from chexphi.model_card.pages import BEGIN, END, FIGURES_BEGIN, FIGURES_END
from chexphi.number_text import counted

NAMES = {
    "phi4_multimodal": "Phi-4-multimodal",
    "qwen2_5_vl": "Qwen2.5-VL",
    "qwen3_vl": "Qwen3-VL",
    "gemma3": "Gemma 3",
}
"""`model_type` -> name of the family."""
METHODS = {
    "sft": "supervised fine-tuning",
    "grpo": "GRPO",
    "merge": "merged weights",
    "import": "imported weights",
    "export": "weights in the original layout",
}
CONVERSIONS = {
    "merge": "The adapter of a policy was folded into its base: the model answers as the two did together.",
    "import": "The weights were copied, value for value, from the original layout of Phi-4-multimodal.",
    "export": "The weights were copied, value for value, into the original layout of Phi-4-multimodal.",
}
"""How a folder was converted -> what that means."""
RESEARCH_ONLY = (
    "> **Research use only. This is not a medical device: nothing here may inform the care of a patient.**"
)
USE = """\
## Intended use

Research on the reasoning of vision-language models about chest radiographs: comparing ways of training, \
reading where answer and reasoning disagree, and repeating the experiment.

## Out of scope

- Any use in the care of a patient, also as a second opinion or for sorting a worklist.
- Images other than frontal or lateral chest radiographs, and languages other than that of the training data.
- Finding out who a patient is, or what a training report said.

## Limitations

- It may be wrong and sound sure. A right answer may have a wrong reasoning.
- It learned from one set of data. Other hospitals, machines and patients may give worse results, and \
nothing here says how much worse.
- Intervals hold for patients drawn as those of the test set were. They do not cover another seed of training.
- Graphs of reasoning are read by a program, which may misread a sentence, in the reward and in the figures.
- It may repeat mistakes and biases of the base, and of the reports that it learned from."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures of one evaluation, as a card shows them."""

    data: tuple[DataFile, ...]
    is_drawn: bool
    examples: int
    patients: int
    rows: tuple[tuple[str, str, int], ...]
    """Name of the metric, value with its interval, number of examples."""


def front_matter(facts: CardFacts) -> dict[str, Any]:
    """The settings above the text, as hubs read them."""
    values: dict[str, Any] = {
        "library_name": "peft" if facts.is_adapter else "transformers",
        "pipeline_tag": "image-text-to-text",
        "tags": ["chest-x-ray", "radiology", "chexphi", facts.stage or facts.conversion],
    }
    if facts.base_name:
        relation = "adapter" if facts.is_adapter else "finetune"
        values |= {"base_model": facts.base_name, "base_model_relation": relation}
    return values | ({"license": facts.license} if facts.license else {})


def card(facts: CardFacts, figures: str) -> str:
    """The marked part of a card: everything below the settings.

    Args:
        facts: What is known of the model.
        figures: The marked figures, from `figures_block` or an earlier card.
    """
    family = f"{NAMES.get(facts.kind, facts.kind)} architecture, " if facts.kind else ""
    sections = [
        BEGIN,
        f"# Chest-radiograph model: {family}{METHODS[facts.stage or facts.conversion]}",
        RESEARCH_ONLY,
        _about(facts),
        *([_data(facts)] if facts.data else []),
        *([_recipe(facts)] if facts.recipe else []),
        figures,
        USE,
        END,
    ]
    return "\n\n".join(sections)


def _about(facts: CardFacts) -> str:
    form = "a LoRA adapter of its base" if facts.is_adapter else "a whole model"
    kind = f", of type `{facts.kind}`" if facts.kind else ""
    sentences = [
        f"This is {form}{kind}. It looks at one or two chest radiographs and a question, "
        "and writes its reasoning between `<think>` and `</think>` and its answer between `<answer>` and "
        "`</answer>`."
    ]
    if facts.conversion:
        sentences.append(CONVERSIONS[facts.conversion])
    if facts.learned:
        count, share = int(facts.learned["parameters"]), float(facts.learned["share"])
        sentences.append(f"{count:,} parameters were trained, {100 * share:.3g} % of all.")
    if facts.weights_sha256 and facts.weights_sha256 == facts.start_sha256:
        sentences.append("The weights are those that training started from: training changed nothing.")
    base = (
        f"The base is `{facts.base_name}`."
        if facts.base_name
        else "The name of the base is not known to the program that wrote this card: if it has a public one, "
        "add it above as `base_model`."
    )
    licence = (
        f"The licence of the base is `{facts.license}`."
        if facts.license
        else "The folder of the base states no licence: look it up before you share this model."
    )
    hashes = [
        *_hash_rows(facts.weights_sha256, "this model"),
        *_hash_rows(facts.start_sha256, "what training started from"),
        *_hash_rows(facts.base_sha256, "the base of that adapter"),
    ]
    table = ["| weights | file | sha256 |", "|---|---|---|", *hashes] if hashes else []
    paragraphs = ["## What this is", " ".join(sentences), f"{base} {licence}", "\n".join(table)]
    return "\n\n".join(filter(None, paragraphs))


def _hash_rows(hashes: Mapping[str, str], of: str) -> list[str]:
    return [f"| {of} | `{name}` | `{sha256}` |" for name, sha256 in sorted(hashes.items())]


def _data(facts: CardFacts) -> str:
    left_out = f", without {facts.left_out} that no reward could score" if facts.left_out else ""
    agreement = (
        "The films and texts were drawn by a program (`chexphi data phantom`): no patient is in them."
        if facts.is_drawn
        else "If these data are of patients, this model is derived from data under an agreement of their "
        "own. It may not be shared unless that agreement allows it."
    )
    return (
        f"## Training data\n\n{counted(facts.examples, 'example')}{left_out}.\n\n{_data_table(facts.data)}"
        f"\n\n{agreement}"
    )


def _data_table(files: Sequence[DataFile]) -> str:
    rows = [f"| `{file.name}` | {f'`{file.sha256}`' if file.sha256 else 'a folder'} |" for file in files]
    return "\n".join(["| data | sha256 |", "|---|---|", *rows])


def _recipe(facts: CardFacts) -> str:
    words = [f"chexphi {facts.stage} --model MODEL --data DATA --out RUN"]
    words += [f"  --{name} {_word(value)}" for name, value in facts.recipe.items()]
    steps = f"{counted(facts.steps, 'step')}. " if facts.steps is not None else ""
    starts = (
        f" It was started {facts.starts} times, each time from its checkpoint." if facts.starts > 1 else ""
    )
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    revision = f", revision `{facts.git_revision}`" if facts.git_revision else ""
    return "\n\n".join(
        [
            "## Recipe",
            f"{steps}These are the settings that shape the result most; the run's `config.yaml` has all.",
            "```\n" + " \\\n".join(words) + "\n```",
            f"Trained on {facts.started[:10]} with {versions}{revision}.{starts}",
        ]
    )


def _word(value: Any) -> str:
    """A setting's value as it is typed."""
    if isinstance(value, list):
        return " ".join(map(_word, value))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if text and not set(text) & set(" '\"\\|*()[]$;&<>") else f"'{text}'"


def figures_block(evaluations: Sequence[Evaluation]) -> str:
    """The marked figures of a card."""
    sections = ["## Figures"]
    if not evaluations:
        sections.append(
            "There are no test figures yet. `chexphi evaluate --model MODEL --data TEST --out RUN` makes "
            "them, and `chexphi card MODEL RUN` adds them here."
        )
    else:
        sections.append("In brackets: 95 % intervals, by patient.")
    sections += map(_figures, evaluations)
    return "\n\n".join([FIGURES_BEGIN, *sections, FIGURES_END])


def _figures(evaluation: Evaluation) -> str:
    drawn = ", drawn by a program" if evaluation.is_drawn else ""
    names = ", ".join(f"`{file.name}`" for file in evaluation.data)
    hashes = ", ".join(f"sha256 `{file.sha256}`" for file in evaluation.data if file.sha256)
    counts = f"{counted(evaluation.examples, 'question')} of {counted(evaluation.patients, 'patient')}{drawn}"
    table = ["| figure | value [95 %] | n |", "|---|---|---|"]
    table += [f"| {name} | {value} | {count} |" for name, value, count in evaluation.rows]
    heading = f"Test data {names}" + (f" ({hashes})" if hashes else "")
    return f"{heading}: {counts}.\n\n" + "\n".join(table)
