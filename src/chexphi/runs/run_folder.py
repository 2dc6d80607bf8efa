"""A run's folder: made, locked, refused, and its log. `run_files` has what is in it."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import json
import logging
import shutil
import sys
from pathlib import Path
from typing import Any, Literal

from chexphi import atomic
from chexphi.runs import library_records, processes, replaced_run, run_lock
from chexphi.schema import InputError

logger = logging.getLogger(__name__)

Resume = bool | Literal["auto"]
"""Whether to go on with the run in a folder; `auto` goes on if there is one, and else begins one."""
RESUME_HELP = "go on with the run in --out; auto: or begin one"
BEFORE_MANIFEST = {
    run_lock.NAME, "train.log", "config.yaml", "config.yaml.part", "README.md", "README.md.part",
    "manifest.json.part",
}  # fmt: skip
"""Files that a run may have left that was killed at its very start."""


def default_folder(name: str, above: Path = Path("runs")) -> Path:
    """`runs/<timestamp>_<name>`; all processes of a run use the time of the main one."""
    return above / processes.gather(f"{datetime.datetime.now():%Y%m%d-%H%M%S}_{name}")[0]


def resumes_run(out: Path, resume: Resume) -> bool:
    """Whether there is a run to go on with.

    Raises:
        InputError: If there must be one and there is none.
    """
    has_run = (out / "manifest.json").is_file()
    if resume is True and not has_run:
        raise InputError(
            f"output folder {out} holds no run to go on with: leave out --resume, or use --resume auto, "
            "which begins one"
        )
    return bool(resume) and has_run


def check_folder(out: Path, *, resume: Resume = False, overwrite: bool = False) -> None:
    """Refuse a folder that a run must not write into; nothing is touched.

    Raises:
        InputError: If both options are given, or the folder holds a run and neither is; if it holds no run to
            go on with; if another process uses it, or it cannot be written.
    """
    if resume and overwrite:
        raise InputError("--resume and --overwrite exclude each other: choose one")
    if out.exists() and not out.is_dir():
        raise InputError(f"output folder {out} is a file: choose another --out")
    going_on = resumes_run(out, resume)
    atomic.check_place(out)
    if not out.exists():
        return
    run_lock.check(out)
    ignored = BEFORE_MANIFEST if resume == "auto" else {run_lock.NAME}
    if not going_on and {path.name for path in out.iterdir()} - ignored:
        if resume:
            raise InputError(f"output folder {out} holds files but not a run: choose another --out")
        if not overwrite:
            raise InputError(
                f"output folder {out} already holds a run: go on with --resume, replace it with --overwrite, "
                "or choose another --out"
            )
        if not (out / "manifest.json").is_file():
            raise InputError(
                f"output folder {out} holds files but not a run, and --overwrite only replaces runs: "
                "choose another --out"
            )


def open_run(
    out: Path, *, resume: Resume = False, overwrite: bool = False, keep_replaced: bool = False
) -> Path:
    """Make the folder of a run and lock it; one that holds a run is only touched when the user says how.

    Args:
        out: The folder.
        resume: Go on with the run in it.
        overwrite: Replace the run in it.
        keep_replaced: With `overwrite`, only move that run beside `out`, until `replaced_run.drop`.

    Raises:
        InputError: As in `check_folder`, or if the folder cannot be made.
    """
    check_folder(out, resume=resume, overwrite=overwrite)
    try:
        if overwrite and out.exists():
            run_lock.acquire(out)
            if keep_replaced:
                replaced_run.move_aside(out)
            else:
                shutil.rmtree(out)
        out.mkdir(parents=True, exist_ok=True)
        run_lock.acquire(out)
    except OSError as error:
        remove_unbegun(out)
        raise InputError(
            f"output folder {out} cannot be made ({error.strerror}): make room, or choose another --out"
        ) from None
    return out


def remove_unbegun(out: Path, *file_names: str) -> None:
    """Delete a folder in which no run has begun; it stays if it holds more than these files of ours."""
    if not (out / "manifest.json").exists():
        with contextlib.suppress(OSError):
            for name in (run_lock.NAME, "train.log", *file_names):
                (out / name).unlink(missing_ok=True)
            out.rmdir()


def sha256(path: Path) -> str:
    """The hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of(data: Path | None) -> str | None:
    """For the manifest: the hash of a dataset that is a single file, else None."""
    return sha256(data) if data and data.is_file() else None


def atomic_write(path: Path, text: str) -> None:
    """Write a whole file or none of it.

    Raises:
        InputError: If the disk is full, or the user may not write there.
    """
    atomic.write_text(path, text)


def write_json(path: Path, value: Any) -> None:
    """Write a whole JSON file or none of it.

    Raises:
        InputError: If the disk is full, or the user may not write there.
    """
    atomic_write(path, json.dumps(value, indent=2) + "\n")


def yaml_values(settings: Any) -> dict[str, Any]:
    """A dataclass of settings as values that YAML can hold; others are written as text."""
    values = settings.to_dict() if hasattr(settings, "to_dict") else dataclasses.asdict(settings)
    return json.loads(json.dumps(values, default=str))


class _LogFile(logging.FileHandler):
    """`train.log`; when the disk is full, one line says so, and the run goes on without the file."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        error = sys.exc_info()[1]
        if not (reason := atomic.disk_trouble(error)):
            super().handleError(record)
            return
        logging.getLogger("chexphi").removeHandler(self)
        library_records.keep_in(None)
        with contextlib.suppress(OSError):
            self.close()
        logger.warning("%s cannot be written (%s): the run goes on without it", self.baseFilename, reason)


def log_to(out: Path) -> None:
    """Send the package's log lines to `train.log` as well; they never hold report text or a patient's id."""
    logger = logging.getLogger("chexphi")
    logger.setLevel(logging.INFO)
    for handler in [h for h in logger.handlers if isinstance(h, logging.FileHandler)]:
        logger.removeHandler(handler)
        handler.close()
    handler = _LogFile(out / "train.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    library_records.keep_in(handler)


def write_to_log(sentence: str, level: int = logging.ERROR) -> None:
    """Write why a run ends to its `train.log` alone, because the terminal shows it when the verb ends."""
    package = logging.getLogger("chexphi")
    record = package.makeRecord(package.name, level, __file__, 0, sentence, (), None)
    for handler in package.handlers:
        if isinstance(handler, _LogFile):
            handler.handle(record)
