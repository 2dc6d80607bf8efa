"""Runs of two processes (gloo, on the CPU): the same training as one, and one sentence for bad input."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.commands import launch
from accelerate.commands.config.config_args import load_config_from_file
from safetensors.torch import load_file
from several_processes import accelerate, free_port, replay, side_by_side, table_of, torchrun
from transformers.models.phi4_multimodal import modeling_phi4_multimodal

from chexphi import processes
from chexphi.data.read import read_examples
from chexphi.models import adapter, phi4
from chexphi.models.checkpoint.names import TARGETS
from chexphi.rewards import named
from chexphi.schema import Completion, InputError
from chexphi.training import completions, grpo

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs" / "accelerate"
REPLAY = ROOT / "tests" / "several_processes.py"
FLAGS = [
    "--learning_rate=1e-3", "--num_generations=4", "--max_completion_length=64", "--max_steps=3",
    "--disable_tqdm=true", "--save_strategy=no",
]  # fmt: skip


@pytest.fixture(scope="module")
def pool(films: Path) -> Path:
    return films / "annotations" / "pool" / "train.json"


@pytest.fixture(scope="module")
def policy(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with an adapter that changes nothing yet."""
    folder = tmp_path_factory.mktemp("policy") / "model"
    shutil.copytree(tiny_model_dir, folder)
    model = adapter.fresh(phi4.load(folder)[0], targets=TARGETS, rank=4, alpha=8, with_head=False)
    model.save_pretrained(folder / "vision-lora")
    return folder


def rows_of(out: Path) -> list[Completion]:
    return list(completions.read(out / "completions.jsonl"))


def metrics_of(out: Path) -> list[dict[str, float]]:
    """The lines of `metrics.jsonl` without times, and without what is a mean of the processes' means."""
    lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    left = ("time", "runtime", "_per_second", "seconds", "entropy", "kl")
    return [
        {k: v for k, v in line.items() if not k.endswith(left) and not k.startswith("graph/")}
        for line in lines
    ]


@pytest.fixture
def both(pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Path]]:
    """both(model, flags, rows a micro-batch): the run folders of one process and of two, same completions."""

    def run(model: Path, flags: Sequence[str], size: int, start: Any = torchrun) -> list[Path]:
        table = table_of([example.question for example in read_examples(pool)])
        (tmp_path / "table.json").write_text(json.dumps(table))
        common = ["--model", str(model), "--data", str(pool), *FLAGS, *flags]
        one, two = tmp_path / "one", tmp_path / "two"
        with monkeypatch.context() as patch:
            replay(table, patch)
            grpo.main(*grpo.parse([*common, "--out", str(one), f"--per_device_train_batch_size={2 * size}"]))
        done = start(
            2, REPLAY, "--table", tmp_path / "table.json", *common, "--out", two,
            f"--per_device_train_batch_size={size}",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4000:]
        return [one, two]

    return run


def same_runs(one: Path, two: Path) -> None:
    """Completions, rewards, log-probabilities, metrics and weights of two runs."""
    mine, theirs = rows_of(one), rows_of(two)
    assert len({row.total for row in mine}) > 1
    assert len(mine) == len(theirs)
    for first, second in zip(mine, theirs, strict=True):
        assert first.per_token_logps == pytest.approx(second.per_token_logps, abs=1e-4)
        assert first.advantage == pytest.approx(second.advantage, abs=1e-4)
        left, right = (
            {k: v for k, v in row.to_dict().items() if k not in ("per_token_logps", "advantage")}
            for row in (first, second)
        )
        assert left == right
    figures, others = metrics_of(one), metrics_of(two)
    assert len(figures) == len(others) > 3
    for first_line, second_line in zip(figures, others, strict=True):
        assert first_line == pytest.approx(second_line, abs=1e-4, rel=1e-4)
    assert any(line["loss"] for line in figures[:-1])
    first_weights, second_weights = (weights_of(folder / "model") for folder in (one, two))
    assert first_weights.keys() == second_weights.keys()
    for name, tensor in first_weights.items():
        assert (tensor - second_weights[name]).abs().max() < 0.01, name  # Adam makes much of little
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in two.iterdir())


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """What was saved; FSDP writes a tied `lm_head` twice."""
    (file,) = folder.glob("*.safetensors")
    return {name: tensor for name, tensor in load_file(file).items() if name != "lm_head.weight"}


CASES: dict[str, tuple[list[str], int]] = {
    "all, micro-batches, reference": (
        ["--trainable=all", "--beta=0.1", "--temperature=0.9", "--gradient_accumulation_steps=2"], 2
    ),
    "a group on two processes": (["--trainable=all", "--share_prefix=false"], 2),
    "rows of dapo": (
        ["--trainable=all", "--loss_type=dapo", "--scale_rewards=batch", "--gradient_accumulation_steps=2",
         "--mask_truncated_completions=true", "--max_completion_length=24"], 4,
    ),
    "a generation of two steps": (["--trainable=all", "--num_iterations=2", "--beta=0.1"], 4),
    "dynamic sampling": (["--trainable=all", "--dynamic_sample=true", "--rewards", "external_r1v_acc"], 4),
}  # fmt: skip
LORA: dict[str, tuple[list[str], int]] = {
    "lora and head, reference": (
        ["--beta=0.1", "--temperature=0.9", "--gradient_accumulation_steps=2"], 4
    ),
    "lora alone, checkpointing": (
        ["--trainable=vision_lora", "--gradient_checkpointing=true", "--temperature=0.9"], 4
    ),
}  # fmt: skip
Both = Callable[..., list[Path]]


def test_two_processes_train_as_one(both: Both, tiny_model_dir: Path) -> None:
    same_runs(*both(tiny_model_dir, *CASES["all, micro-batches, reference"]))


@pytest.mark.faults
@pytest.mark.parametrize("case", list(CASES)[1:])
def test_two_processes_train_all_as_one(both: Both, tiny_model_dir: Path, case: str) -> None:
    one, two = both(tiny_model_dir, *CASES[case])
    same_runs(one, two)
    if case == "dynamic sampling":
        assert any(not row.kept for row in rows_of(two))
        assert (one / "never_spread.json").read_text() == (two / "never_spread.json").read_text()


@pytest.mark.faults
@pytest.mark.parametrize("case", LORA)
def test_two_processes_train_an_adapter_as_one(both: Both, policy: Path, case: str) -> None:
    same_runs(*both(policy, *LORA[case]))


@pytest.mark.faults
@pytest.mark.parametrize("case", ["all, micro-batches, reference", "lora alone, checkpointing"])
def test_weights_spread_with_fsdp_train_as_one_process(
    both: Both, tiny_model_dir: Path, policy: Path, case: str
) -> None:
    def start(number: int, *words: object) -> Any:
        return accelerate("--config_file", CONFIGS / "fsdp2.yaml", "--num_processes", number, *words)

    same_runs(*both(policy if case in LORA else tiny_model_dir, *(CASES | LORA)[case], start=start))


def test_each_process_samples_for_itself(tiny_model_dir: Path, pool: Path, tmp_path: Path) -> None:
    """Own sampling on two processes, of which one makes the folder, its default name included."""
    flags = [*FLAGS, "--max_completion_length=8", "--trainable=all", "--per_device_train_batch_size=2"]
    command = ["-m", "chexphi", "grpo", "--model", tiny_model_dir, "--data", pool, *flags]
    started = side_by_side(command, command, folder=tmp_path)
    assert [code for code, *_ in started] == [0, 0], started
    assert [bool(output) for _, output, _ in started] == [True, False]
    assert "chexphi" not in started[1][2]
    (out,) = (tmp_path / "runs").iterdir()
    rows = rows_of(out)
    assert [row.step for row in rows] == [step for step in (1, 2, 3) for _ in range(4)]
    groups = [rows[start : start + 4] for start in range(0, 12, 4)]
    assert all(len({row.id for row in group}) == 1 for group in groups)
    assert len({row.id for row in rows}) == 3
    assert len({row.token_ids for row in rows}) == 12  # nothing is drawn twice
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["processes"] == 2
    assert {path.name for path in out.iterdir()} == {
        "completions.jsonl", "metrics.jsonl", "diagnostics.jsonl", "config.yaml", "manifest.json",
        "train.log", "model",
    }  # fmt: skip
    assert (out / "train.log").read_text().count("grpo on 24 examples") == 1


def said(started: list[tuple[int, str, str]]) -> str:
    """The one sentence of processes that all ended with exit code 2."""
    assert [code for code, *_ in started] == [2] * len(started), started
    errors = "".join(text for *_, text in started)
    assert "Traceback" not in errors
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, lines
    return lines[0]


def test_a_file_that_one_process_lacks_ends_all(tiny_model_dir: Path, pool: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    commands = [
        ["-m", "chexphi", "grpo", "--model", tiny_model_dir, "--data", data, "--out", out, *FLAGS,
         "--per_device_train_batch_size=2"]
        for data in (pool, tmp_path / "absent.json")
    ]  # fmt: skip
    assert "absent.json does not exist" in said(side_by_side(*commands))
    assert not out.exists()


@pytest.mark.faults
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["grpo", "--learning_rat=1"], "unknown key 'learning_rat'"),
        (["grpo", "--num_generations=3"], "(4) must be divisible by num_generations (3)"),
        (["grpo", "--generation_batch_size=6"], "must be divisible by the global batch size (4)"),
        (["sft", "--out", "taken"], "holds files of no run"),
        (["grpo", "--out", "taken"], "already holds a run"),
        (["grpo", "--model", "nowhere"], "nowhere is not a model folder"),
        (["evaluate", "--model", "nowhere"], "nowhere is not a model folder"),
        (["mine", "score", "--batch_size=0"], "must be at least 1"),
        (["demo"], "chexphi demo runs in one process"),
    ],
)  # fmt: skip
def test_bad_input_is_said_once(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, words: list[str], sentence: str
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    given = (
        {"--model": tiny_model_dir, "--data": pool, "--out": tmp_path / "run"} if words != ["demo"] else {}
    )
    flags = [word for name, value in given.items() if name not in words for word in (name, str(value))]
    if words[0] in ("sft", "grpo"):
        flags += ["--per_device_train_batch_size=2"]
        flags += ["--overwrite"] if words[0] == "sft" else []
        flags += (
            [] if "--num_generations=3" in words else ["--num_generations=2"] if words[0] == "grpo" else []
        )
    command = ["-m", "chexphi", *words, *flags]
    assert sentence in said(side_by_side(command, command, folder=tmp_path))
    assert not (tmp_path / "run").exists()


@pytest.mark.faults
def test_a_reward_that_raises_on_one_process_ends_all(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text(
        "import os\n"
        "def reward(completions, **_):\n"
        "    if os.environ['RANK'] == '1':\n"
        "        raise RuntimeError('the reward is broken')\n"
        "    return [0.0] * len(completions)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    done = torchrun(
        2, "-m", "chexphi", "grpo", "--model", tiny_model_dir, "--data", pool, "--out", tmp_path / "run",
        *FLAGS, "--per_device_train_batch_size=2", "--trainable=all", "--rewards", "broken:reward",
    )  # fmt: skip
    assert done.returncode != 0
    assert "the reward is broken" in done.stderr
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.faults
def test_accelerate_launch_trains_on_two_processes(tiny_model_dir: Path, films: Path, tmp_path: Path) -> None:
    """SFT of all tensors, of which the audio tower's get no gradient."""
    data = films / "annotations" / "sft" / "train.json"
    common = [
        "-m", "chexphi", "sft", "--model", tiny_model_dir, "--data", data, "--out", tmp_path / "run",
        "--trainable=all", "--max_steps=2", "--per_device_train_batch_size=2", "--save_strategy=no",
        "--logging_steps=1", "--disable_tqdm=true",
    ]  # fmt: skip
    done = accelerate("--config_file", CONFIGS / "ddp.yaml", "--num_processes", 2, *common)
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["processes"] == 2
    assert len(metrics_of(tmp_path / "run")) == 3
    refused = accelerate("--cpu", "--num_processes", 2, *common, "--overwrite")
    assert refused.returncode != 0
    assert refused.stderr.count("error: ") == 1
    assert "asked for several processes and started one" in refused.stderr


@pytest.mark.faults
@pytest.mark.parametrize(
    "verb", [["evaluate", "--max_new_tokens=6"], ["mine", "score", "--max_new_tokens=6"]]
)
def test_shares_of_a_pool_make_the_file_of_one_process(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, verb: list[str]
) -> None:
    """Interrupted on three processes, gone on with on two, it is the file of one."""
    name = "predictions.jsonl" if verb[0] == "evaluate" else "scored.jsonl"
    command = ["-m", "chexphi", *verb, "--model", tiny_model_dir, "--data", pool, "--batch_size=3"]
    (alone,) = side_by_side([*command, "--out", tmp_path / "one"])
    assert alone[0] == 0, alone
    started = side_by_side(*[[*command, "--out", tmp_path / "two"]] * 2)
    assert [code for code, *_ in started] == [0, 0], started
    whole = (tmp_path / "one" / name).read_text().splitlines(keepends=True)
    assert (tmp_path / "two" / name).read_text() == "".join(whole)
    broken = tmp_path / "two"
    (broken / name).write_text("".join(whole[6:9]))
    part = Path(name)
    (broken / f"{part.stem}.part1{part.suffix}").write_text("".join(whole[:2]) + whole[2][:20])
    (broken / f"{part.stem}.part2{part.suffix}").write_text("".join(whole[12:15]))
    started = side_by_side(*[[*command, "--out", broken, "--resume"]] * 2)
    assert [code for code, *_ in started] == [0, 0], started
    assert (broken / name).read_text() == "".join(whole)
    assert not list(broken.glob("*.part*"))
    assert (broken / "summary.json").read_text() == (tmp_path / "one" / "summary.json").read_text()


@pytest.mark.parametrize(
    ("environment", "gpus", "sentence"),
    [
        ({}, 0, None),
        ({"RANK": "0", "WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8"}, 8, None),
        ({"RANK": "0", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "8"}, 2, "8 processes .* 2 GPUs"),
        ({"RANK": "9", "WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8"}, 1, "8 processes .* 1 GPU:"),
        ({"RANK": "0", "WORLD_SIZE": "9999", "LOCAL_WORLD_SIZE": "9999"}, 0, "9999 processes .* CPU core"),
        ({"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "8"}, 1, None),  # of a job, not of a launcher
        ({"ACCELERATE_USE_CPU": "True", "MASTER_PORT": "29500"}, 0, "started one"),
        ({"ACCELERATE_USE_CPU": "True", "MASTER_PORT": "29500", "PMI_SIZE": "2"}, 0, None),
        ({"ACCELERATE_USE_CPU": "True"}, 0, None),
    ],
)  # fmt: skip
def test_processes_have_to_fit_the_machine(
    environment: dict[str, str], gpus: int, sentence: str | None
) -> None:
    if sentence is None:
        processes.check(gpus, environment)
    else:
        with pytest.raises(InputError, match=sentence):
            processes.check(gpus, environment)


def test_rewards_leave_every_random_state_alone(pool: Path) -> None:
    """Ranks score other rows, so that a draw inside a reward would part their states."""
    names = ["external_r1v_acc", "external_kg_jac", "format", "repetition", "soft_overlong"]
    argv = ["--model=m", f"--data={pool}", "--out=o", "--num_generations=2", "--rewards", *names]
    recipe, args = grpo.parse(argv)
    functions = grpo.reward_functions(recipe, named.extractor_of(recipe), 1, args)
    examples = read_examples(pool)
    texts = [example.explanation for example in examples[1:] + examples[:1]]
    columns = {"solution": [e.explanation for e in examples], "answer": [e.answer for e in examples]}
    states = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    for function in functions:
        function(completions=texts, prompts=texts, completion_ids=[[2, 3, 1]] * len(texts), **columns)
    assert states == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_reads_every_launcher_config(path: Path) -> None:
    """Its own reader refuses keys that it does not know; what it makes of them starts what the name says."""
    read = load_config_from_file(str(path))
    parser = launch.launch_command_parser()
    words = ["--config_file", str(path), "-m", "chexphi", "grpo"]
    args, *_ = launch._validate_launch_command(parser.parse_args(words))
    assert (args.module, args.training_script) == (True, "chexphi")
    assert args.use_fsdp == (path.stem == "fsdp2")
    assert args.use_deepspeed == path.stem.startswith("zero")
    assert args.multi_gpu == (path.stem in ("ddp", "multi_node"))
    if args.use_fsdp:
        assert int(args.fsdp_version) == 2
        assert hasattr(modeling_phi4_multimodal, args.fsdp_transformer_layer_cls_to_wrap)
    if args.use_deepspeed:
        assert f"zero{read.deepspeed_config['zero_stage']}" == path.stem


@pytest.mark.faults
def test_two_launches_are_one_run_of_two_nodes(tiny_model_dir: Path, films: Path, tmp_path: Path) -> None:
    data = films / "annotations" / "sft" / "train.json"
    words = [
        "--config_file", CONFIGS / "multi_node.yaml", "--num_processes", 2, "--main_process_ip", "127.0.0.1",
        "--main_process_port", free_port(), "-m", "chexphi", "sft", "--model", tiny_model_dir, "--data", data,
        "--out", tmp_path / "run", "--max_steps=1", "--per_device_train_batch_size=2", "--trainable=all",
        "--save_strategy=no",
    ]  # fmt: skip
    with ThreadPoolExecutor(2) as nodes:
        ended = list(nodes.map(lambda node: accelerate("--machine_rank", node, *words), range(2)))
    assert [done.returncode for done in ended] == [0, 0], ended
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["processes"] == 2
