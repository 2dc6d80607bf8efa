"""How many completions are sampled at once, known before TRL is imported: as TRL's config has it."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
from trl import GRPOConfig

from chexphi.schema import InputError
from chexphi.training import generation_batch

NAMES = (
    "per_device_train_batch_size", "gradient_accumulation_steps", "num_generations", "generation_batch_size",
    "steps_per_generation",
)  # fmt: skip


@pytest.mark.parametrize("rows", [1, 4, 6])
def test_it_is_what_the_library_computes_and_refuses(tmp_path: Path, rows: int) -> None:
    outcomes = set()
    for values in itertools.product([rows], [1, 3], [2, 3, 4], [None, 6, 8, 12], [None, 1, 2]):
        given = dict(zip(NAMES, values, strict=True))
        try:
            real = GRPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, **given)
        except ValueError:
            with pytest.raises(InputError, match="grpo: "):
                generation_batch.check(SimpleNamespace(**given), 1)
            outcomes.add(False)
        else:
            generation_batch.check(SimpleNamespace(**given), 1)
            assert generation_batch.size(SimpleNamespace(**given), 1) == real.generation_batch_size
            assert generation_batch.size(real, 1) == real.generation_batch_size
            outcomes.add(True)
    assert outcomes == {True, False}


def test_every_process_samples_its_share() -> None:
    args = SimpleNamespace(**dict(zip(NAMES, (4, 2, 8, None, None), strict=True)))
    assert [generation_batch.size(args, processes) for processes in (1, 2, 3)] == [8, 16, 24]
    args.num_generations = 16
    with pytest.raises(InputError, match=r"8 completions are sampled at once .* 16: change one of them"):
        generation_batch.check(args, 1)
    generation_batch.check(args, 2)
