"""Fields of public datasets that are not ours: which dataset they look like, and what to do about it.

A row that lacks a field, but has it under another name, gets an error with advice from the table here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chexphi.schema import KEYS


@dataclass(frozen=True, slots=True)
class PublicForm:
    """A published form of rows that is not read as it is."""

    name: str
    marks: tuple[str, ...]
    """Fields that identify it, the most specific first."""
    advice: str


_LABELS_ONLY = "it has labels and no questions: write `question` and `answer` for each film"
PUBLIC_FORMS = (
    PublicForm(
        "SLAKE",
        ("img_name", "q_lang", "base_type", "triple", "img_id"),
        "rename `img_name` to `image`, keep the rows whose `q_lang` is en, and give imgs/ as the image root",
    ),
    PublicForm(
        "VQA-RAD",
        ("image_name", "image_case_url", "image_organ", "phrase_type", "qid_linked_id", "question_relation"),
        "run `chexphi data import vqa-rad FOLDER --out OUT`, or rename `image_name` to `image`",
    ),
    PublicForm(
        "NIH ChestX-ray14",
        ("Image Index", "Finding Labels"),
        "run `chexphi data import nih-labels FOLDER --out OUT`",
    ),
    PublicForm(
        "MIMIC-CXR-VQA",
        ("template_program", "template_arguments"),
        "rename `image_path` to `image`, remove `image_id`, and give the folder files/ of MIMIC-CXR-JPG"
        " as the image root",
    ),
    PublicForm(
        "EHRXQA",
        ("q_tag", "t_tag", "o_tag", "para_type", "is_impossible", "db_id"),
        "keep the rows that ask about films and write their paths as `images`",
    ),
    PublicForm(
        "Medical-Diff-VQA",
        ("ref_id",),
        "look up the films of `ref_id` (prior) and `study_id` (current) in mimic-cxr-2.0.0-metadata.csv and"
        " write both as `images`, the prior one first",
    ),
    PublicForm(
        "LLaVA",
        ("conversations", "conversatons"),
        "write its turns as `messages`: `from` human and gpt become `role` user and assistant, `value`"
        " becomes `content`",
    ),
    PublicForm(
        "OmniMedVQA",
        ("gt_answer", "option_A", "option_B"),
        "rename `image_path` to `image` and `gt_answer` to `answer`, and put the options into `question`",
    ),
    PublicForm(
        "PMC-VQA",
        ("Figure_path", "Answer_label", "Choice A", "Choice B"),
        "rename `Figure_path` to `image`, `Question` to `question` and `Answer` to `answer`, and put the"
        " choices into `question`",
    ),
    PublicForm(
        "ReXVQA",
        ("ImagePath", "correct_answer_explanation", "correct_answer", "task_name"),
        "rename `ImagePath` to `images` and `correct_answer` to `answer`, and put the options into"
        " `question`",
    ),
    PublicForm(
        "VQA v2",
        ("multiple_choice_answer",),
        "join questions and annotations by `question_id`, and rename `multiple_choice_answer` to `answer`",
    ),
    PublicForm("CheXpert", ("Frontal/Lateral", "AP/PA", "Enlarged Cardiomediastinum"), _LABELS_ONLY),
    PublicForm("MIMIC-CXR's metadata", ("dicom_id", "ViewPosition", "StudyDate"), _LABELS_ONLY),
    PublicForm("PadChest", ("ImageDir", "StudyDate_DICOM", "MethodProjection"), _LABELS_ONLY),
    PublicForm("VinDr-CXR", ("class_name", "rad_id", "x_min"), _LABELS_ONLY),
    PublicForm(
        "ms-swift's older rows",
        ("query", "response"),
        "rename `query` to `question` and `response` to `explanation`",
    ),
    PublicForm("R1-V", ("problem",), "rename `problem` to `question`"),
    PublicForm(
        "TRL's prompts",
        ("prompt", "completion"),
        "rename `prompt` to `question`, or to `messages` if it holds turns",
    ),
    PublicForm(
        "Alpaca",
        ("instruction", "output"),
        "rename `instruction` to `question` and `output` to `explanation`",
    ),
)
OTHER_NAMES = {
    "image": (
        "img_name image_path image_name img_path imgpath image_file img_file file_name filename filepath"
        " file_path file path img figure_path image_url image_paths dicom_id imageid film radiograph xray"
    ),
    "question": "conversations conversatons query problem prompt instruction q input",
    "answer": (
        "gt_answer multiple_choice_answer answers correct_answer answer_label response ground_truth target"
        " label labels output gold"
    ),
}
"""By our name: the names in other datasets, compared in lower case."""


def form_of(fields: Collection[str]) -> PublicForm | None:
    """The public form that shares the most fields; None if no form shares any."""
    closest = max(PUBLIC_FORMS, key=lambda form: len(set(form.marks) & set(fields)))
    return closest if set(closest.marks) & set(fields) else None


def hint(row: Mapping[str, Any], ours: str) -> str:
    """Under which other name a row has `image`, `question` or `answer`, and what to do; empty if unknown.

    >>> hint({"img_path": "a.png"}, "image")
    'it has `img_path`: rename it to `image`'
    """
    fields = [str(field) for field in row]
    form = form_of(fields)
    known_names = {name.lower() for name in (*OTHER_NAMES[ours].split(), ours)}
    field_name = next((field for field in fields if field.lower() in known_names and field != ours), None)
    if form is not None:
        field_name = field_name or next(mark for mark in form.marks if mark in fields)
        return f"it has `{field_name}`, as rows of {form.name} do: {form.advice}"
    if ours == "image" and "messages" in row and _films_in_turns(row["messages"]):
        return "it has films inside the turns of `messages`: write their paths as `images`"
    if ours == "question" and "messages" in row:
        return "its `messages` hold no text of role user: write `role` and `content`, or add `question`"
    return f"it has `{field_name}`: rename it to `{ours}`" if field_name else ""


def _films_in_turns(messages: Any) -> bool:
    turns = [turn for turn in messages if isinstance(turn, Mapping)] if isinstance(messages, list) else []
    contents = [turn["content"] for turn in turns if isinstance(turn.get("content"), list)]
    items = [item for content in contents for item in content if isinstance(item, Mapping)]
    return any(item.get("image") or item.get("image_url") or item.get("path") for item in items)


def advice_on_embedded(images: Any) -> str:
    """What to do about a film inside a row, as in Hugging Face's datasets; empty if the row has its name.

    `{"bytes": …, "path": …}` is how `datasets` keeps an `Image` column in Parquet.
    """
    entries = images if isinstance(images, list | tuple) else [images]
    for entry in entries:
        if isinstance(entry, bytes | bytearray):
            return "its film is bytes: write the films to files and their names as `images`"
        if isinstance(entry, Mapping):
            fields = ", ".join(f"`{field}`" for field in entry)
            fields = fields if KEYS.issuperset(entry) else f"{len(entry)} fields"
            if "bytes" in entry:
                return (
                    f"its film is a record of {fields}, as Hugging Face's datasets keep films in Parquet:"
                    " write the bytes to files and their names as `images`"
                )
            return f"its film is a record of {fields}: write the film's path alone as `images`"
    return ""


def table_hint(header: Iterable[str]) -> str:
    """Which public table has these columns, and what to do about it; empty if unknown."""
    fields = [name.strip().strip('"') for name in header]
    form = form_of(fields)
    if form is None:
        return ""
    column = next(mark for mark in form.marks if mark in fields)
    return f"its column `{column}` is one of {form.name}: {form.advice}"
