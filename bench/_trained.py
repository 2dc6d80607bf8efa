"""A policy that writes reports, trained once for each size and kept in a folder.

Drafts of a policy with random weights are never right, so that it cannot show what they save.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from _cells import LENGTHS, Cell, examples, reports
from _policy import GPU, policy, silence
from rich.console import Console
from safetensors.torch import save_model
from trl import SFTConfig, SFTTrainer

from chexphi.models import adapter
from chexphi.training.dataset import sft_dataset
from chexphi.training.sft_recipe import DEFAULTS

POLICIES = Path("runs/bench_policies")
"""Where policies are kept by default."""
SHORT_STEPS, STEPS, ROWS = 300, 40, 8
"""Steps on films of one crop and short questions, and then on the prompts of the cell."""


def weights_of(cell: Cell, tokenizer: Any, folder: Path) -> Path:
    """The file with the weights of the cell's policy; where the folder lacks it, the policy is trained."""
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    key = repr(
        (cell.length, cell.films, cell.film, cell.shape, SHORT_STEPS, STEPS, ROWS, reports()[:9], words)
    )
    path = folder / f"policy-{hashlib.sha256(key.encode()).hexdigest()[:12]}.safetensors"
    if not path.exists():
        Console(stderr=True).print(f"a policy for {cell.name} is trained once, for {path}")
        model = _trained(cell, tokenizer)
        folder.mkdir(parents=True, exist_ok=True)
        part_path = path.with_suffix(".part")
        save_model(adapter.unwrapped(model), str(part_path))
        part_path.replace(path)
    return path


def _trained(cell: Cell, tokenizer: Any) -> Any:
    """A policy that has learnt to write the reports of drawn films."""
    model, processor = policy(tokenizer, replace(cell.shape, asked="all"), crops=36)
    short = replace(cell, length=cell.length and min(LENGTHS), films=1, film=(1, 1))
    for each, steps in ((short, SHORT_STEPS), (cell, STEPS)):
        with tempfile.TemporaryDirectory() as folder:
            drawn = examples(each, processor, steps * ROWS // 4, Path(folder), seed=2)
            trainer = SFTTrainer(
                model=model,
                args=_config(folder, steps),
                train_dataset=sft_dataset(drawn, Path(folder), processor.prepare_film, strip_tags=False),
                processing_class=processor,
            )
            silence(trainer)
            trainer.train()
    return model


def _config(folder: str, steps: int) -> SFTConfig:
    return SFTConfig(
        **DEFAULTS,
        output_dir=folder,
        per_device_train_batch_size=ROWS,
        max_steps=steps,
        learning_rate=1e-3,
        save_strategy="no",
        use_cpu=not GPU,
        bf16=GPU,
        gradient_checkpointing=False,
        disable_tqdm=True,
    )
