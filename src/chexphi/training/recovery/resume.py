"""A run that goes on where it stopped: what both trainers save, when, and how they take it up.

transformers saves whenever a step is a multiple of `save_steps`. Between two generations that leaves out the
completions at hand, so a save that falls there is put off to the next boundary. A checkpoint counts once it
is complete (`checkpoints`), and only then may older ones go.
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

from chexphi.model_folder import reading
from chexphi.models import fsdp
from chexphi.runs import jsonl, processes, replaced_run
from chexphi.runs.stop import STOP, PreemptedError
from chexphi.training.recovery import checkpoints, finite, load_weights
from chexphi.training.recovery.checkpoints import Standing

logger = logging.getLogger(__name__)


def due(asked: bool, *, boundary: bool, last: bool) -> tuple[bool, bool]:
    """Whether to save now, and whether to come back to it at the next step.

    Args:
        asked: Whether a save falls on this step, was put off, or is wanted by who stops the run.
        boundary: Whether the next step begins with new completions.
        last: Whether there is no next step.

    >>> due(True, boundary=False, last=False)
    (False, True)
    """
    now = asked and (boundary or last)
    return now, asked and not now


def cut_logs(out: Path, stands: Standing, names: Sequence[str]) -> None:
    """Say where a resumed run goes on, and cut its logs back to there."""
    for line in stands.skipped:
        logger.warning(line)
    if (checkpoint := stands.checkpoint) is None:
        logger.warning("%s has no complete checkpoint: the run begins anew", out)
    else:
        logger.info("the run goes on from %s", checkpoint.path)
    for name in names if processes.is_main() else ():
        jsonl.cut_back(out / name, checkpoint.logs.get(name, 0) if checkpoint else 0)


@contextmanager
def completed(trainer: Trainer, folder: Path, **said: Any) -> Iterator[None]:
    """Around what writes a folder on all processes: it is marked as complete behind the last of them.

    Args:
        trainer: Whose it is.
        folder: What a killed run left there is removed first.
        said: For `checkpoints.mark`.

    Raises:
        FloatingPointError: If what is trained is not finite; nothing is touched.
    """
    finite.check(trainer)
    if trainer.args.should_save:
        checkpoints.remove(folder)
    trainer.accelerator.wait_for_everyone()
    with checkpoints.written(folder):
        yield
        trainer.accelerator.wait_for_everyone()
        if trainer.args.should_save:
            checkpoints.mark(folder, trainer.state.global_step, **said)
    trainer.accelerator.wait_for_everyone()  # a launcher ends all processes once one has ended


def finish(trainer: Trainer, folder: Path) -> None:
    """Save the trained policy, an adapter or the whole model, and say that it is complete.

    It is what a user shares: a pickle of the run's settings and PEFT's card, both with paths of this
    machine, are not left in it.
    """
    with completed(trainer, folder):
        trainer.save_model(str(folder))
        if trainer.args.should_save:
            for name in ("training_args.bin", "README.md"):
                (folder / name).unlink(missing_ok=True)


class Recovering(Trainer):
    """Before a trainer among a class's bases: saves that are complete or do not count, and stopping."""

    recovery_logs: Sequence[Path] = ()
    """The run's logs, whose lengths belong to a checkpoint."""
    _put_off = False

    def _at_boundary(self) -> bool:
        """Whether nothing of the steps so far is needed by the next one but what a checkpoint holds."""
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
        last = self.state.global_step >= self.state.max_steps
        asked = self.control.should_save or self._put_off or stopping
        saving, self._put_off = due(asked, boundary=self._at_boundary(), last=last)
        self.control.should_save = saving
        if stopping:
            self.args.save_only_model = False  # a run that is to go on needs the rest, too
        if saving:  # what is saved is looked at first: the last checkpoint is a good one
            self.control.should_log = True
        super()._maybe_log_save_evaluate(*args, **kwargs)
        if self.args.should_save:
            replaced_run.drop(Path(self.args.output_dir))
        if stopping and saving:
            said = (STOP.signal_name or "a signal", self.state.global_step)
            logger.warning("%s: saved at step %d, --resume auto goes on", *said)
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
        asked = torch.tensor(float(bool(STOP.signal_name)), device=self.accelerator.device)
        return bool(self.accelerator.reduce(asked, "sum").item())

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        run = Path(self._get_output_dir(trial=trial))
        folder = run / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        limit, self.args.save_total_limit = self.args.save_total_limit, None  # not before it is complete
        said = {"logs": self.recovery_logs, "weights_only": self.args.save_only_model}
        try:
            with completed(self, folder, **said):
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
