"""completions.jsonl of real runs: which steps it has, what it costs, truncated rows, and its reader."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import datasets
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trl import GRPOTrainer

from chexphi.models import policy
from chexphi.models.families import phi4
from chexphi.models.shared_prompts.sharing import SharedPrompts
from chexphi.runs.jsonl import JsonLines
from chexphi.schema import InputError
from chexphi.training import completions, grpo, grpo_run, policy_pass
from chexphi.training.completions import is_logged, read

FLAGS = [
    "--learning_rate=1e-4", "--per_device_train_batch_size=4", "--gradient_accumulation_steps=2",
    "--num_generations=4", "--max_completion_length=8", "--disable_tqdm=true", "--save_strategy=no",
    "--lora_rank=4", "--lora_alpha=8", "--rewards", "external_r1v_acc",
    # an end is likelier with every token, so that some completions come to theirs
    "--generation_kwargs", '{"exponential_decay_length_penalty": [2, 1.4]}',
]  # fmt: skip


ROW: dict[str, Any] = {
    "schema": 1, "step": 1, "id": "a", "prompt": "Trübung?", "completion": "käse", "token_ids": [1],
    "raw_completion_tokens": ["ä"], "per_token_logps": [-0.5], "rewards": {"r": None}, "total": 0.0,
    "advantage": 0.0, "truncated": False, "kept": True,
}  # fmt: skip

WHOLE = ["--per_device_train_batch_size=8", "--gradient_accumulation_steps=1"]
"""Without micro-batches, in which TRL and ours put other rows."""


@pytest.fixture(autouse=True)
def spread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward that tells the completions of an untrained model apart."""

    def letters(completions: list[Any], **columns: Any) -> list[float]:
        return [float(len(set(completion[0]["content"]))) for completion in completions]

    monkeypatch.setattr(grpo_run, "reward_functions", lambda *args: [letters])


@pytest.fixture
def run(tiny_model_dir: Path, films: Path) -> Callable[..., Path]:
    def start(out: Path, *flags: str) -> Path:
        data = films / "annotations" / "pool" / "train.json"
        argv = ["--model", str(tiny_model_dir), "--data", str(data), "--out", str(out), *FLAGS, *flags]
        return grpo.main(*grpo.parse(argv))

    return start


Run = Callable[..., Path]


def figures_of(out: Path) -> list[dict[str, float]]:
    """The lines of `metrics.jsonl` without times."""
    lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    times = ("time", "runtime", "_per_second", "seconds")
    return [{k: v for k, v in line.items() if not k.endswith(times)} for line in lines]


def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on `grpo` trains with TRL's own trainer, which writes nothing."""

    def trl(model: Any, completions: Any, log_every: Any, limits: Any, share_prefix: Any, epochs_done: Any,
            logs: Any, refuse_unscorable: bool, drafter: Any, recorder: Any,
            **kwargs: Any) -> GRPOTrainer:  # fmt: skip
        model.get_base_model().prompt_sharing = SharedPrompts(None if share_prefix else "off")
        return GRPOTrainer(model=model, **kwargs)

    monkeypatch.setattr(grpo_run, "LoggedGRPOTrainer", trl)


@pytest.mark.parametrize(
    "flags",
    [
        ["--temperature=0.7", "--beta=0.1", "--max_steps=2"],
        ["--temperature=0.9", "--num_iterations=2", "--max_steps=4"],
    ],
)
def test_the_log_reads_the_model_no_more_often_than_trl(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    calls: list[tuple[int, ...]] = []
    forward = phi4.Phi4MultimodalModel.forward

    def counted(
        self: Any, input_ids: Any = None, *args: Any, inputs_embeds: Any = None, **kwargs: Any
    ) -> Any:
        given = input_ids if inputs_embeds is None else inputs_embeds
        calls.append(tuple(given.shape[:2]))
        return forward(self, input_ids, *args, inputs_embeds=inputs_embeds, **kwargs)

    monkeypatch.setattr(phi4.Phi4MultimodalModel, "forward", counted)
    products: list[int] = []
    plain = policy_pass.logps_at_temperature_one
    monkeypatch.setattr(
        policy_pass,
        "logps_at_temperature_one",
        lambda *args: products.append(len(args[0])) or plain(*args),
    )
    flags = [*flags, "--share_prefix=false", "--sampling=library"]
    found, counts = [], []
    for name, more in (("every", []), ("other", ["--log_every=2"])):
        out = run(tmp_path / name, *flags, *more)
        found.append((calls.copy(), figures_of(out)))
        counts.append((len(list(completions.read(out / "completions.jsonl"))), len(products)))
        calls.clear()
        products.clear()
    bare(monkeypatch)
    run(tmp_path / "bare", *flags)
    assert found[0][0] == found[1][0] == calls
    assert len(calls) > 12
    assert found[0][1] == found[1][1]
    assert counts[0] == (2 * counts[1][0], 2 * counts[1][1]) != (0, 0)


def test_a_step_is_on_disk_before_the_next_is_sampled(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []

    def reads(completions: list[Any], **columns: Any) -> list[float]:
        seen.append([row.step for row in read(tmp_path / "run" / "completions.jsonl")])
        return [float(i) for i in range(len(completions))]

    monkeypatch.setattr(grpo_run, "reward_functions", lambda *args: [reads])
    run(tmp_path / "run", "--max_steps=3")
    assert seen == [[], [1] * 8, [1] * 8 + [2] * 8]


@given(
    every=st.integers(1, 5), accumulation=st.integers(1, 6), parts=st.integers(1, 6), times=st.integers(1, 3)
)
def test_every_nth_generation_is_logged(every: int, accumulation: int, parts: int, times: int) -> None:
    period = parts * times
    steps = [m // accumulation for m in range(60 * accumulation) if m % period == 0]  # TRL's rule
    generating = sorted(set(steps))
    chosen = [s for s in generating if is_logged(s, every, accumulation=accumulation, period=period)]
    assert chosen == generating[::every]


def test_rank_0_writes_the_rows_of_all_in_their_order(tmp_path: Path, tiny_model_dir: Path) -> None:
    """Micro-batches bring rows in any order; a batch is written once, when its last row is there."""
    tokenizer = phi4.load(tiny_model_dir)[1].tokenizer
    path = tmp_path / "completions.jsonl"
    lines = JsonLines(path)
    ranks = [
        [{**ROW, "id": f"{rank}-{i}", "token_ids": [5 + i] * (1 + i), "step": 1} for i in range(2)]
        for rank in range(2)
    ]
    for row in (row for rows in ranks for row in rows):
        for name in ("completion", "raw_completion_tokens", "per_token_logps", "truncated"):
            row.pop(name)
    for rank in (1, 0):  # the other one is done first
        log = completions.CompletionLog(
            lines, tokenizer, (6,), gather=lambda _: [*ranks[0], *ranks[1]], main=rank == 0
        )
        log.begin(ranks[rank])
        for i in (1, 0):
            assert log.waits_for(torch.tensor([i]))
            log.keep(torch.tensor([i]), torch.tensor([[-1.0 - i, -2.0, 0.0]]))
            assert not log.waits_for(torch.tensor([i]))
            assert bool(path.read_text()) == (rank == 0 and i == 0)
    rows = list(completions.read(path))
    assert [row.id for row in rows] == ["0-0", "0-1", "1-0", "1-1"]
    assert [row.per_token_logps for row in rows] == [(-1.0,), (-2.0, -2.0)] * 2
    assert [row.truncated for row in rows] == [True, False] * 2


def cut(out: Path, step: int, within: int) -> None:
    """As a kill leaves it: this checkpoint is the last, and a line of this step is half written."""
    for checkpoint in out.glob("checkpoint-*"):
        if int(checkpoint.name.split("-")[1]) > step:
            shutil.rmtree(checkpoint)
    lines = (out / "completions.jsonl").read_bytes().splitlines(keepends=True)
    place = [i for i, line in enumerate(lines) if json.loads(line)["step"] == within][2]
    (out / "completions.jsonl").write_bytes(b"".join(lines[:place]) + lines[place][: len(lines[place]) // 2])


@pytest.mark.parametrize(
    ("flags", "within", "steps"),
    [
        ([], 3, [1, 2, 3, 4, 5, 6]),
        (["--log-every=2", "--temperature=0.7"], 5, [1, 3, 5]),
        (["--log-every", "3"], 4, [1, 4]),
        (["--steps_per_generation=4", "--log_every=2"], 5, [1, 5]),
    ],
)
def test_a_run_killed_within_a_step_goes_on_as_an_unbroken_one(
    run: Run, tmp_path: Path, flags: list[str], within: int, steps: list[int]
) -> None:
    flags = [*flags, "--max_steps=6", "--save_strategy=steps", "--save_steps=2"]
    whole = run(tmp_path / "whole", *flags)
    half = shutil.copytree(whole, tmp_path / "half")
    cut(half, 2, within)
    run(half, *flags, "--resume=true")
    assert (half / "completions.jsonl").read_bytes() == (whole / "completions.jsonl").read_bytes()
    rows = list(completions.read(half / "completions.jsonl"))
    assert sorted({row.step for row in rows}) == steps
    assert len(rows) == len(steps) * (16 if "--steps_per_generation=4" in flags else 8)


def test_a_log_probability_that_is_not_finite_stops_an_unlogged_step(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = GRPOTrainer._get_per_token_logps_and_entropies

    def broken(self: Any, *args: Any, **kwargs: Any) -> Any:
        logps, *rest = plain(self, *args, **kwargs)
        return logps * (torch.nan if self.state.global_step == 2 else 1), *rest

    monkeypatch.setattr(GRPOTrainer, "_get_per_token_logps_and_entropies", broken)
    flags = ["--steps_per_generation=4", "--log_every=2", "--max_steps=4", "--share_prefix=false"]
    with pytest.raises(FloatingPointError, match=r"a log-probability is nan at step 3 in row \S+: the run"):
        run(tmp_path / "run", *flags, "--temperature=0.7")
    assert {row.step for row in completions.read(tmp_path / "run" / "completions.jsonl")} == {1}


@pytest.mark.parametrize("value", ["0", "-3"])
def test_log_every_is_at_least_one(run: Run, tmp_path: Path, value: str) -> None:
    with pytest.raises(InputError, match=f"log_every is {value}: use at least 1"):
        run(tmp_path / "run", "--log_every", value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ["--beta=0.1", "--loss_type=grpo", *WHOLE],
        ["--loss_type=dapo", "--temperature=0.7", *WHOLE],
        ["--loss_type=dapo", "--steps_per_generation=4", "--share_prefix=false"],
    ],
)
def test_masked_truncated_completions_are_read_and_move_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    """The loss, its metrics and the step are TRL's own; the log has what TRL hides from every pass."""
    flags = [*flags, "--max_steps=2", "--mask_truncated_completions=true", "--sampling=library"]
    out = run(tmp_path / "ours", *flags)
    rows = list(completions.read(out / "completions.jsonl"))
    assert {row.truncated for row in rows} == {True, False}
    for row in rows:
        assert len(row.token_ids) == len(row.raw_completion_tokens) == len(row.per_token_logps) > 0
        assert row.truncated == (row.raw_completion_tokens[-1] not in ("<|end|>", "<|endoftext|>"))
        assert len(row.token_ids) == 8 or not row.truncated
        assert max(row.per_token_logps) < 0
    bare(monkeypatch)
    other = run(tmp_path / "bare", *flags)
    for mine, theirs in zip(figures_of(out), figures_of(other), strict=True):
        assert mine == pytest.approx(theirs, abs=1e-5, rel=1e-4)
    a, b = (policy.load(folder / "model")[0].state_dict() for folder in (out, other))
    moved = torch.cat([(a[name] - b[name]).abs().flatten() for name in a])
    assert moved.mean() < 1e-6


def test_pandas_and_datasets_read_the_log(run: Run, tmp_path: Path) -> None:
    path = run(tmp_path / "run", "--max_steps=2") / "completions.jsonl"
    rows = list(completions.read(path))
    frame = pandas.DataFrame(completions.read(str(path)))
    assert list(frame.columns) == [*list(rows[0].to_dict())[1:], "schema"]
    assert frame.groupby("step").total.mean().tolist() == pytest.approx(
        [sum(row.total for row in rows if row.step == step) / 8 for step in (1, 2)]
    )
    assert (frame.token_ids.map(len) == frame.per_token_logps.map(len)).all()
    assert list(frame.per_token_logps[3]) == list(rows[3].per_token_logps)
    whole = datasets.Dataset.from_list([row.to_dict() for row in rows])
    streamed = datasets.Dataset.from_generator(
        lambda: (row.to_dict() for row in completions.read(path)), cache_dir=str(tmp_path / "cache")
    )
    for found in (whole, streamed):
        assert [tuple(values) for values in found["token_ids"]] == [row.token_ids for row in rows]
        assert list(found["rewards"]) == [row.rewards for row in rows]
    assert pandas.read_json(path, lines=True).completion.tolist() == [row.completion for row in rows]
    loaded = datasets.load_dataset("json", data_files=str(path), cache_dir=str(tmp_path / "cache"))["train"]
    assert loaded["total"] == [row.total for row in rows]


def test_the_lines_of_the_formats_page_read_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    blocks = [text for text in re.findall(r"```python\n(.*?)```", page, re.S) if "runs/grpo" in text]
    folder = tmp_path / "runs" / "grpo"
    folder.mkdir(parents=True)
    row = {**ROW, "rewards": {"external_kg_jac": 0.5}}
    (folder / "completions.jsonl").write_text(f"{json.dumps(row)}\n" * 2)
    (folder / "metrics.jsonl").write_text('{"step": 1, "rewards/external_kg_jac/mean": 0.5}\n')
    (folder / "manifest.json").write_text('{"stage": "grpo"}')
    (tmp_path / "block.py").write_text("\n".join(blocks))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    found = runpy.run_path("block.py")
    assert len(blocks) == 2
    frame = found["run"].completions
    assert frame.completion.tolist() == list(found["table"]["completion"]) == [ROW["completion"]] * 2


def test_a_file_that_is_being_written_is_read_up_to_its_last_whole_line(tmp_path: Path) -> None:
    """Wherever the writer stands, in the middle of a letter included."""
    path = tmp_path / "completions.jsonl"
    line = json.dumps(ROW, ensure_ascii=False).encode()
    found = []
    for end in range(len(line) + 2):
        path.write_bytes(line + b"\n" + (line + b"\n")[:end])
        found.append(len(list(completions.read(path))))
    assert found == [1] * len(line) + [2, 2]  # all of a line but its end is a line
    assert all(a <= b for a, b in pairwise(found))


@pytest.mark.parametrize("broken", [b'{"schema": 1, "torn\n', b"\xff\n", b"3\n"])
def test_a_broken_line_that_has_an_end_is_an_error(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "completions.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b"\n" + broken)
    with pytest.raises(InputError, match="line 2 is not"):
        list(completions.read(path))
