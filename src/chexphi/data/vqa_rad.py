"""The chest part of VQA-RAD: clinicians' questions and answers about films from MedPix (CC0).

Reads `vqa_rad_chest.json` with the images beside it (Lau et al., Scientific Data 2018). The set has no
reasoning: the text between <think> tags says the reference answer as a statement, made by the templates
below from question and answer. It is a form to imitate, not what a radiologist thought.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chexphi import prompts
from chexphi.data import publish
from chexphi.schema import Example, InputError

FILE = "vqa_rad_chest.json"
SPLITS = {"train": "train", "dev": "valid", "test": "test"}
VALID_SHARE = 0.2
"""Share of the cases for validation, should the file's own split share a case; our choice, as in the file."""
# The file's codes; of two ("POS, PRES") the first counts.
QUESTION_TYPES = {
    "PRES": "presence",
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
    r"(?P<state>(?:(?:abnormally|clearly|properly|easily|an?) )*(?:present|seen|shown|depicted|noted|visible"
    r"|visuali[sz]ed|enlarged|normal|abnormal|large|clear|midline|broken|fractured|deviated|displaced|dilated"
    r"|obscured|intubated|rotated|hyperinflated|underexposed|flat|flattened|sharp|preserved|pathologic"
    r"|increased|thickened)\b.*)",
    re.IGNORECASE,
)
# "Is it wider than normal?" is no statement about "it wider than"; "any" cannot be denied by "not".
_NO_SUBJECT = re.compile(r"(?:any|anything|either|both)\b.*|.*\b(?:than|of|to|in|or)", re.IGNORECASE)
_WHERE = re.compile(r"where (?P<verb>is|are) (?P<what>(?!there\b).+?)(?: located| placed)?", re.IGNORECASE)
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

    A yes or no to a question that no template fits is not restated: turned round wrongly it would
    claim the opposite.

    >>> statement("Is there evidence of a pneumothorax?", "No")
    'There is no pneumothorax.'
    >>> statement("Is the heart enlarged?", "yes")
    'The heart is enlarged.'
    >>> statement("Where is the mass?", "left upper lobe")
    'The mass is in the left upper lobe.'
    """
    question, answer = " ".join(question.split()).rstrip(" .?"), " ".join(answer.split()).rstrip(" .")
    if answer.lower() in ("yes", "no"):
        found = _yes_no(question, yes=answer.lower() == "yes")
        return _sentence(found or f"the reference answers this question with {answer.lower()}")
    where = _WHERE.fullmatch(question)
    if where:
        place = re.sub(r"^(?:in |at |on )?(?:the )?", "", answer, flags=re.IGNORECASE)
        link = "" if _ADJECTIVE.fullmatch(place) else "in the "
        return _sentence(f"{where['what']} {where['verb'].lower()} {link}{_lower(place)}")
    return _sentence(f"the answer is {_lower(answer)}")


def _lower(text: str) -> str:
    """The text as it stands within a sentence; abbreviations keep their capitals."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _subjects(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The patient of each film: its case; cases that share a film are one patient, named by the first."""
    films: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        films[row["image_name"]].add(str(row["image_case_url"]).rpartition("=")[2])
    subject = {case: case for cases in films.values() for case in cases}
    for cases in films.values():
        joined = {subject[case] for case in cases}
        subject = {case: min(joined) if old in joined else old for case, old in subject.items()}
    return {film: subject[min(cases)] for film, cases in films.items()}


def _splits(
    rows: Sequence[Mapping[str, Any]], subjects: Mapping[str, str], seed: int
) -> tuple[dict[str, str], bool]:
    """The split of each patient, and whether the file's own had to be given up."""
    own: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        own[subjects[row["image_name"]]].add(SPLITS.get(row["split"], str(row["split"])))
    if all(len(found) == 1 for found in own.values()):
        return {subject: next(iter(found)) for subject, found in own.items()}, False
    order = sorted(own)
    random.Random(seed).shuffle(order)
    cut = max(1, round(VALID_SHARE * len(order)))
    return {subject: "valid" if place < cut else "train" for place, subject in enumerate(order)}, True


def _semantic(answer_type: str, answer: str) -> str:
    if answer_type == "open":
        return "query"
    return "verify" if answer.lower() in ("yes", "no") else "choose"


def to_example(row: Mapping[str, Any], subject: str, split: str) -> Example:
    """One row; yes and no in lower case, other answers as written."""
    question, answer = " ".join(str(row["question"]).split()), " ".join(str(row["answer"]).split())
    answer = answer.lower() if answer.lower() in ("yes", "no") else answer
    answer_type = str(row["answer_type"]).strip().lower()
    code = str(row["question_type"]).partition(",")[0].strip()
    return Example(
        id=f"vqarad-{row['qid']}",
        images=(row["image_name"],),
        question=question,
        answer=(answer,),
        explanation=prompts.render(statement(question, answer), answer),
        kind="basic",
        semantic_type=_semantic(answer_type, answer),
        question_type=QUESTION_TYPES.get(code, code.lower()),
        answer_type=answer_type,
        subject_id=subject,
        study_id=Path(row["image_name"]).stem,
        split=split,
    )


NEEDED = (
    "qid",
    "question",
    "answer",
    "image_name",
    "image_case_url",
    "answer_type",
    "question_type",
    "split",
)


def read_rows(src: Path) -> tuple[list[dict[str, Any]], Path]:
    """The rows of the annotation file, and the folder of the images.

    Raises:
        InputError: If the file is missing, broken or empty, or a row lacks a field.
    """
    file = src / FILE if src.is_dir() else src
    if not file.is_file():
        raise InputError(f"{src} holds no {FILE}: give the folder of VQA-RAD's chest part")
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file}, line {getattr(error, 'lineno', 1)} is no JSON: download it again"
        ) from None
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{file} is empty: it must hold an array of rows")
    for number, row in enumerate(rows, 1):
        values = row if isinstance(row, dict) else {}
        lacking = [name for name in NEEDED if str(values.get(name, "")).strip() in ("", "None")]
        if lacking:
            raise InputError(f"{file}, row {number} has no {lacking[0]}: complete or remove the row")
    if len({str(row["qid"]) for row in rows}) < len(rows):
        raise InputError(f"{file} holds a qid twice: keep one row a question")
    return rows, file.parent


def convert(
    src: Path, out: Path, *, limit: int | None = None, seed: int = 0, split: str | None = None
) -> dict[str, Any]:
    """Write `train.json` and `valid.json` into a folder, or all into one file.

    Args:
        src: Folder with `vqa_rad_chest.json` and the images.
        out: A folder, or a file that ends in .json, .jsonl or .parquet.
        limit: Write the first questions of each split only.
        seed: Seed of a new split by case; unused as long as the file's own shares no case.
        split: Write this split only.

    Returns:
        See `publish.publish`; also `split_made` (True if the file's split shared a case or a film and a
        new one was made) and `restated` (share of explanations that say the answer as a statement).

    Raises:
        InputError: For a broken file, or a film that is missing or damaged.
    """
    rows, root = read_rows(src)
    subjects = _subjects(rows)
    splits, made = _splits(rows, subjects, seed)
    examples = [
        to_example(row, subjects[row["image_name"]], splits[subjects[row["image_name"]]]) for row in rows
    ]
    files = publish.by_split(out, publish.limited(examples, limit), split=split)
    summary = publish.publish(files, root)
    written = [example for part in files.values() for example in part]
    plain = sum("the reference answers" in example.explanation.lower() for example in written)
    return {**summary, "split_made": made, "restated": 1 - plain / len(written)}
