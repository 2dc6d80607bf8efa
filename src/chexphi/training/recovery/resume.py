"""A run that resumes where it stopped: what both trainers save, when, and how they load it.

transformers saves whenever a step is a multiple of `save_steps`. Between two generations a checkpoint would
lack the completions in memory, so such a save is delayed to the next boundary. A checkpoint counts once it is
complete (`checkpoints`), and only then may older ones go.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from chexphi.model_card import pages, write
from chexphi.model_folder import reading
from chexphi.models import fsdp
from chexphi.runs import jsonl, processes, replaced_run
from chexphi.runs.library_records import ON_TERMINAL
from chexphi.runs.stop import STOP, PreemptedError
from chexphi.training.recovery import checkpoints, finite, load_weights
from chexphi.training.recovery.checkpoints import RunProgress

logger = logging.getLogger(__name__)


def due(requested: bool, *, at_boundary: bool, is_last_step: bool) -> tuple[bool, bool]:
    """Whether to save now, and whether to delay the save to a later step.

    Args:
        requested: Whether a save falls on this step, was delayed, or is needed because the run is stopped.
        at_boundary: Whether the next step begins with new completions.
        is_last_step: Whether there is no next step.

    >>> due(True, at_boundary=False, is_last_step=False)
    (False, True)
    """
    saves = requested and (at_boundary or is_last_step)
    return saves, requested and not saves


def cut_logs(out: Path, progress: RunProgress, names: Sequence[str]) -> None:
    """Log where a run resumes, and cut its logs back to there."""
    for line in progress.skipped:
        logger.warning(line)
    if (checkpoint := progress.checkpoint) is None:
        logger.warning("no complete checkpoint in %s: starting from the beginning", out)
    else:
        logger.info("the run goes on from %s", checkpoint.path, extra=ON_TERMINAL)
    for name in names if processes.is_main() else ():
        jsonl.cut_back(out / name, checkpoint.logs.get(name, 0) if checkpoint else 0)


@contextmanager
def completed(trainer: Trainer, folder: Path, **marks: Any) -> Iterator[None]:
    """For a block in which all processes write a folder: afterwards the folder is marked as complete.

    Args:
        trainer: It trains the policy that is written.
        folder: What a killed run left there is removed first.
        marks: For `checkpoints.mark`.

    Raises:
        NotFiniteError: If a trained tensor is not finite; then nothing is written.
    """
    finite.check(trainer)
    if trainer.args.should_save:
        checkpoints.remove(folder)
    trainer.accelerator.wait_for_everyone()
    with checkpoints.written(folder):
        yield
        trainer.accelerator.wait_for_everyone()
        if trainer.args.should_save:
            checkpoints.mark(folder, trainer.state.global_step, **marks)
    trainer.accelerator.wait_for_everyone()  # a launcher ends all processes once one has ended


def finish(trainer: Trainer, folder: Path) -> None:
    """Save the trained policy, an adapter or the whole model, mark it as complete, and write its card.

    Users share this folder, so a pickle of the run's settings and PEFT's card, both with paths of this
    machine, are removed from it.
    """
    earlier_card = pages.read(folder)
    with completed(trainer, folder):
        trainer.save_model(str(folder))
        if trainer.args.should_save:
            for name in ("training_args.bin", "README.md"):
                (folder / name).unlink(missing_ok=True)
    if trainer.args.should_save:
        write.after_training(folder.parent, earlier=earlier_card)


class Recovering(Trainer):
    """Mixed into a trainer before TRL's class: saves that are complete or do not count, and stopping."""

    recovery_logs: Sequence[Path] = ()
    """The run's logs, whose lengths belong to a checkpoint."""
    _save_is_delayed = False

    def _at_boundary(self) -> bool:
        """Whether the next step needs nothing from the steps so far but what a checkpoint holds."""
        return True

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> Any:
        if self.is_fsdp_enabled:
            fsdp.prepare_head(self.model)
        return super()._prepare_for_training(*args, **kwargs)

    def _run_epoch(self, **arguments: Any) -> None:
        STOP.steps_begin()
        if self.state.global_step < self.state.max_steps:  # transformers would do a step more
            super()._run_epoch(**arguments)

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        stopping = self._is_stopping()
        is_last_step = self.state.global_step >= self.state.max_steps
        requested = self.control.should_save or self._save_is_delayed or stopping
        saving, self._save_is_delayed = due(
            requested, at_boundary=self._at_boundary(), is_last_step=is_last_step
        )
        self.control.should_save = saving
        if stopping:
            self.args.save_only_model = False  # to resume, a run needs more than its weights
        if saving:  # the log refuses values that are not finite: the last checkpoint is a good one
            self.control.should_log = True
        super()._maybe_log_save_evaluate(*args, **kwargs)
        if self.args.should_save:
            replaced_run.drop(Path(self.args.output_dir))
        if stopping and saving:
            signal, step = STOP.signal_name or "a signal", self.state.global_step
            logger.info("%s: saved at step %d, --resume auto goes on", signal, step, extra=ON_TERMINAL)
            raise PreemptedError

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with reading(Path(checkpoint or "."), "a checkpoint of this run"):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with reading(Path(checkpoint or "."), "a checkpoint of this run"):
            super()._load_rng_state(checkpoint)

    def _is_stopping(self) -> bool:
        """Whether any process was asked to stop; all of them see it at the same step."""
        if self.accelerator.num_processes == 1:
            return bool(STOP.signal_name)
        local_stop = torch.tensor(float(bool(STOP.signal_name)), device=self.accelerator.device)
        return bool(self.accelerator.reduce(local_stop, "sum").item())

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        run = Path(self._get_output_dir(trial=trial))
        folder = run / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        limit, self.args.save_total_limit = self.args.save_total_limit, None  # not before it is complete
        marks = {"logs": self.recovery_logs, "weights_only": self.args.save_only_model}
        try:
            with completed(self, folder, **marks):
                super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        if self.args.should_save:
            checkpoints.rotate(run, limit, self.state.best_model_checkpoint)
        self.accelerator.wait_for_everyone()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if model is not None or self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            load_weights.load(self.model, Path(resume_from_checkpoint))
