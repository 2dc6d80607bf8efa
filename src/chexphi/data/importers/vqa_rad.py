"""The chest part of VQA-RAD: clinicians' questions and answers about films from MedPix (CC0).

Reads the published JSON, or its chest part, with the films beside it (Lau et al., Scientific Data 2018; see
`vqa_rad_files.py`). The set has no reasoning: the text between <think> tags states the reference answer,
made from question and answer by the templates below. It is a form to imitate, not what a radiologist thought.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chexphi import prompts
from chexphi.data.importers import publish, vqa_rad_files
from chexphi.schema import Example

# The file's codes; where there are two ("POS, PRES") the first counts.
QUESTION_TYPES = {
    "PRES": "presence",
    "PRSE": "presence",
    "POS": "location",
    "SIZE": "size",
    "ABN": "abnormality",
    "OTHER": "other",
    "MODALITY": "modality",
    "PLANE": "view",
    "ORGAN": "organ",
    "ATTRIB": "attribute",
    "ATRIB": "attribute",
    "COUNT": "count",
    "COLOR": "color",
}

_EXISTS = re.compile(
    r"(?:(?P<there>is|are) there(?: evidence of)?|(?:do|can) you (?:see|appreciate)"
    r"|does? (?:this|the) (?:patient|image|film|cxr|(?:chest )?x-?ray|radiograph)"
    r" (?:have|show|display|depict|contain))"
    r" (?:any )?(?P<article>an? )?(?P<what>.+)",
    re.IGNORECASE,
)
_STATE = re.compile(
    r"(?P<verb>is|are|was|does|do) (?P<what>.+?) (?:(?:appear|look)s? (?:to be )?)?"
    r"(?P<state>(?:(?:abnormally|clearly|properly|easily|an?) ){0,3}(?:present|seen|shown|depicted|noted"
    r"|visible|visuali[sz]ed|enlarged|normal|abnormal|large|clear|midline|broken|fractured|deviated|displaced|dilated"
    r"|obscured|intubated|rotated|hyperinflated|underexposed|flat|flattened|sharp|preserved|pathologic"
    r"|increased|thickened)\b.*)",
    re.IGNORECASE,
)
# "Is it wider than normal?" is not a statement about "it wider than"; "any" cannot be denied by "not".
_NO_SUBJECT = re.compile(r"(?:any|anything|either|both)\b.*|.*\b(?:than|of|to|in|or)", re.IGNORECASE)
_WHERE_QUESTION = re.compile(
    r"where (?P<verb>is|are) (?P<what>(?!there\b).+?)(?: located| placed)?", re.IGNORECASE
)
_ADJECTIVE = re.compile(r"\w+(?:al|ac|ly|ar)|left|right", re.IGNORECASE)


def _sentence(text: str) -> str:
    text = " ".join(text.split()).rstrip(" .?")
    return text[:1].upper() + text[1:] + "."


def _yes_no(question: str, *, yes: bool) -> str | None:
    exists = _EXISTS.fullmatch(question)
    if exists:
        verb = "are" if (exists["there"] or "").lower() == "are" else "is"
        return f"there {verb} {(exists['article'] or '') if yes else 'no '}{exists['what']}"
    state = _STATE.fullmatch(question)
    if state and not _NO_SUBJECT.fullmatch(state["what"]):
        verb = {"does": "is", "do": "are"}.get(state["verb"].lower(), state["verb"].lower())
        return f"{state['what']} {verb} {'' if yes else 'not '}{state['state']}"
    return None


def statement(question: str, answer: str) -> str:
    """The answer as a statement.

    A yes or no to a question that fits no template is not restated: a wrong restatement would claim the
    opposite.

    >>> statement("Is there evidence of a pneumothorax?", "No")
    'There is no pneumothorax.'
    >>> statement("Is the heart enlarged?", "yes")
    'The heart is enlarged.'
    >>> statement("Where is the mass?", "left upper lobe")
    'The mass is in the left upper lobe.'
    """
    question, answer = " ".join(question.split()).rstrip(" .?"), " ".join(answer.split()).rstrip(" .")
    if answer.lower() in ("yes", "no"):
        yes_no_statement = _yes_no(question, yes=answer.lower() == "yes")
        return _sentence(yes_no_statement or f"the reference answers this question with {answer.lower()}")
    location = _WHERE_QUESTION.fullmatch(question)
    if location:
        anatomy = re.sub(r"^(?:in |at |on )?(?:the )?", "", answer, flags=re.IGNORECASE)
        link = "" if _ADJECTIVE.fullmatch(anatomy) else "in the "
        return _sentence(f"{location['what']} {location['verb'].lower()} {link}{_lower_first(anatomy)}")
    return _sentence(f"the answer is {_lower_first(answer)}")


def _lower_first(text: str) -> str:
    """The text as written within a sentence; abbreviations keep their capitals."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _semantic_type(answer_type: str, answer: str) -> str:
    if answer_type == "open":
        return "query"
    return "verify" if answer.lower() in ("yes", "no") else "choose"


def to_example(row: Mapping[str, Any], subject: str, split: str) -> Example:
    """One row of `read_source` as an example; yes and no in lower case, other answers as written."""
    question, answer = row["question"], row["answer"]
    answer = answer.lower() if answer.lower() in ("yes", "no") else answer
    answer_type = row["answer_type"].lower()
    code = row["question_type"].partition(",")[0].strip().upper()
    return Example(
        id=f"vqarad-{row['qid']}",
        images=(row["image_name"],),
        question=question,
        answer=(answer,),
        explanation=prompts.render(statement(question, answer), answer),
        kind="basic",
        semantic_type=_semantic_type(answer_type, answer),
        question_type=QUESTION_TYPES.get(code, code.lower()),
        answer_type=answer_type,
        subject_id=subject,
        study_id=Path(row["image_name"]).stem,
        split=split,
    )


def convert(
    src: Path,
    out: Path,
    *,
    image_root: Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    split: str | None = None,
    empty_answer: str = "refuse",
    missing_films: str = "refuse",
) -> dict[str, Any]:
    """Write one file for each split into a folder, or all into one file.

    Args:
        src: Folder of VQA-RAD with its JSON and the films, or the JSON.
        out: A folder, or a file that ends in .json, .jsonl or .parquet.
        image_root: Folder of the films; see `vqa_rad_files.read_source`.
        limit: Write the first questions of each split only.
        seed: Seed of a new split by case; unused if the file's own splits share no case.
        split: Write this split only.
        empty_answer: See `convert.convert`.
        missing_films: See `convert.convert`.

    Returns:
        See `publish.publish` and `convert.convert`; also `split_made` (True if the file's splits shared a
        case or a film, as the published file's do, and a new one was made) and `restated` (share of
        explanations that state the answer).

    Raises:
        InputError: For a broken file, or a film that is missing or damaged.
    """
    source = vqa_rad_files.read_source(src, image_root=image_root, empty_answer=empty_answer)
    subjects = vqa_rad_files.subjects_of(source.rows)
    splits, split_made = vqa_rad_files.splits_of(source.rows, subjects, seed)
    rows_with_subject = ((row, subjects[row["image_name"]]) for row in source.rows)
    examples = [to_example(row, subject, splits[subject]) for row, subject in rows_with_subject]
    left_out = dict(source.left_out)
    if missing_films == "skip":
        examples_with_films = publish.without_missing_films(examples, source.image_root)
        left_out["the film is missing"] = len(examples) - len(examples_with_films)
        examples = examples_with_films
    files = publish.by_split(out, publish.first_of_each_split(examples, limit), split=split)
    summary = publish.publish(files, source.image_root)
    written_examples = [example for examples_of_file in files.values() for example in examples_of_file]
    left_out["beyond --limit, or of another split"] = len(examples) - len(written_examples)
    unrestated_count = sum(
        "the reference answers" in example.explanation.lower() for example in written_examples
    )
    return {
        **summary,
        "split_made": split_made,
        "restated": 1 - unrestated_count / len(written_examples),
        "rows_read": source.rows_read,
        "left_out": {reason: count for reason, count in left_out.items() if count},
    }
