"""How runs of several processes begin and end: launchers, their configs, bad input said once, shares."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from accelerate.commands import launch
from accelerate.commands.config.config_args import load_config_from_file
from alike import alike_files
from several_processes import accelerate, free_port, side_by_side, torchrun
from transformers.models.phi4_multimodal import modeling_phi4_multimodal

from chexphi.cli import launched
from chexphi.runs import processes
from chexphi.schema import InputError
from chexphi.training import sft, sft_checks, sft_run, trainer_settings

CONFIGS = Path(__file__).parents[2] / "configs" / "accelerate"
FLAGS = ["--num_generations=4", "--max_completion_length=8", "--max_steps=3", "--disable_tqdm=true"]


def said(started: list[tuple[int, str, str]]) -> str:
    """The one sentence of processes that all ended with exit code 2."""
    assert [code for code, *_ in started] == [2] * len(started), started
    errors = "".join(text for *_, text in started)
    assert "Traceback" not in errors
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.faults
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
        (["grpo", "--learning_rat=1"], "unknown flag --learning_rat"),
        (["grpo", "--num_generations=3"], "(4) must be divisible by num_generations (3)"),
        (["grpo", "--generation_batch_size=6"], "must be divisible by the global batch size (4)"),
        (["sft", "--out", "taken"], "holds files but not a run"),
        (["grpo", "--out", "taken"], "already holds a run"),
        (["grpo", "--model", "nowhere"], "model folder nowhere does not exist"),
        (["evaluate", "--model", "nowhere"], "model folder nowhere does not exist"),
        (["mine", "score", "--batch_size=0"], "batch_size is 0: use at least 1"),
        (["evaluate", "--batch_size=0"], "batch_size is 0: use at least 1"),
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
    assert "reward broken:reward raised RuntimeError on row" in done.stderr
    assert "the reward is broken" not in done.stderr  # it may hold a patient's text
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
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 3
    refused = accelerate("--cpu", "--num_processes", 2, *common, "--overwrite")
    assert refused.returncode != 0
    assert refused.stderr.count("error: ") == 1
    assert "asked for several processes and started one" in refused.stderr


@pytest.mark.faults
@pytest.mark.parametrize(
    "verb",
    [["evaluate", "--max_new_tokens=6", "--answer_samples=2"], ["mine", "score", "--max_new_tokens=6"]],
)
def test_shares_of_a_pool_make_the_file_of_one_process(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, verb: list[str]
) -> None:
    """Interrupted on three processes, gone on with on two, it is the file of one, but for the last digits."""
    name = "predictions.jsonl" if verb[0] == "evaluate" else "scored.jsonl"
    command = ["-m", "chexphi", *verb, "--model", tiny_model_dir, "--data", pool, "--batch_size=3"]
    (alone,) = side_by_side([*command, "--out", tmp_path / "one"])
    assert alone[0] == 0, alone
    started = side_by_side(*[[*command, "--out", tmp_path / "two"]] * 2)
    assert [code for code, *_ in started] == [0, 0], started
    whole = (tmp_path / "one" / name).read_text().splitlines(keepends=True)
    assert alike_files(tmp_path / "two" / name, tmp_path / "one" / name)
    broken = tmp_path / "two"
    (broken / name).write_text("".join(whole[6:9]))
    part = Path(name)
    (broken / f"{part.stem}.part1{part.suffix}").write_text("".join(whole[:2]) + whole[2][:20])
    (broken / f"{part.stem}.part2{part.suffix}").write_text("".join(whole[12:15]))
    started = side_by_side(*[[*command, "--out", broken, "--resume"]] * 2)
    assert [code for code, *_ in started] == [0, 0], started
    assert alike_files(broken / name, tmp_path / "one" / name)
    assert not list(broken.glob("*.part*"))
    assert alike_files(broken / "summary.json", tmp_path / "one" / "summary.json")


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


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_reads_every_launcher_config(path: Path) -> None:
    """Its own reader refuses keys that it does not know; what it makes of them starts what the name says."""
    read = load_config_from_file(str(path))
    parser = launch.launch_command_parser()
    words = ["--config_file", str(path), "-m", "chexphi", "grpo"]
    args, *_ = launch._validate_launch_command(parser.parse_args(words))
    assert (args.module, args.training_script) == (True, "chexphi")
    assert args.mixed_precision == "no"  # DeepSpeed would take bf16 on the CPU as well
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


def test_one_process_on_several_gpus_is_refused(tiny_model_dir: Path, films: Path, tmp_path: Path) -> None:
    """transformers would spread its rows over the GPUs (DataParallel), which films do not survive."""
    data = films / "annotations" / "sft" / "train.json"
    argv = ["--model", str(tiny_model_dir), "--data", str(data), "--out", str(tmp_path / "run")]
    recipe, settings = sft.parse(argv)
    args = trainer_settings.config(settings, "sft")
    args._n_gpu = 2
    with pytest.raises(InputError, match="sees 2 GPUs and trains on one"):
        sft_run.run(recipe, args, sft_checks.check_stage(recipe, settings))
    assert not (tmp_path / "run").exists()


def test_a_verb_that_does_not_divide_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    for words in (["grpo"], ["mine", "score"], ["demo", "--help"]):
        launched.check_verb(words)
    for words, verb in ((["demo", "--quick"], "demo"), (["mine", "select"], "mine select")):
        with pytest.raises(InputError) as refused:
            launched.check_verb(words)
        assert str(refused.value) == (
            f"chexphi {verb} runs in one process: start it without torchrun or accelerate launch, which are "
            "for sft, grpo, evaluate, mine score"
        )
