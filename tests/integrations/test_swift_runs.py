"""The released ms-swift with our plugin, both as installed: `make test-swift`.

The model is untrained, but its vocabulary holds whole completions, so that what it samples earns something.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.stack

THINK = "There is a small left pleural effusion. No pneumothorax."
SOLUTION = f"<think>{THINK}</think><answer>yes</answer>"
COMPLETIONS = {  # what is sampled: (answer, graph by Jaccard, graph by F1)
    SOLUTION: (1.0, 1.0, 1.0),
    f"<think>{THINK}</think><answer>no</answer>": (0.0, 1.0, 1.0),
    "<think>No pneumothorax.</think><answer>yes</answer>": (1.0, 0.125, 0.2),
    "<answer>yes</answer>": (0.0, 0.0, 0.0),
}
NAMES = ("external_r1v_acc", "external_kg_jac", "external_kg_f1")
"""The plugin's two, and that of the documentation."""
PAGE = Path(__file__).parents[2] / "docs" / "integrations.md"
BIN = Path(sys.executable).parent


def build_model(folder: Path) -> None:
    """A Qwen2 of two layers that knows the completions, its chat's words and `?`."""
    import torch
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    backend = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_tokens([AddedToken(text, normalized=False) for text in COMPLETIONS])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|endoftext|>", unk_token="?"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=False,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    # Swift 4.6 fails on an empty completion (it takes the whole row for the completion).
    model.generation_config.begin_suppress_tokens = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def run(command: str, folder: Path) -> str:
    """Both outputs of a shell's command, with this environment's programs; fails with them."""
    env = os.environ | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "MODELSCOPE_CACHE": str(folder / "cache"),
        "HF_HOME": str(folder / "cache"),
    }
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:]
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two GRPO steps of which only `lm_head` learns, every completion logged."""
    folder = tmp_path_factory.mktemp("swift")
    build_model(folder / "model")
    row = {"messages": [{"role": "user", "content": "Effusion?"}], "solution": SOLUTION, "answer": ["yes"]}
    (folder / "rows.jsonl").write_text(f"{json.dumps(row)}\n" * 4)
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    (folder / "my_rewards.py").write_text(next(text for text in snippets if "orms[" in text))
    run(
        "swift rlhf --rlhf_type grpo --external_plugins $(chexphi swift-plugin) my_rewards.py"
        f" --reward_funcs {' '.join(NAMES)} --model model --model_type qwen2 --template qwen"
        " --dataset rows.jsonl --output_dir out --add_version false --report_to none"
        " --tuner_type full --freeze_parameters_ratio 1 --trainable_parameters_regex 'lm_head'"
        " --log_completions true --torch_dtype float32 --use_vllm false --max_steps 2 --save_steps 2"
        " --logging_steps 1 --num_generations 8 --per_device_train_batch_size 8 --learning_rate 0.1"
        " --max_completion_length 2 --temperature 1 --dataloader_num_workers 1",
        folder,
    )
    return folder


def worth(text: str) -> tuple[float, ...]:
    """What a completion of at most two tokens earns: words and control tokens beside it change nothing."""
    return COMPLETIONS.get(re.sub(r"\?|<\|\w+\|>", "", text).strip(), (0.0, 0.0, 0.0))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_completion_gets_its_own_rewards(trained: Path) -> None:
    (file,) = trained.glob("out/**/completions.jsonl")
    sampled: list[str] = []
    for step in {entry["step"][0]: entry for entry in lines(file)}.values():  # it writes the last one twice
        for text, *values in zip(step["completion"], *(step[name] for name in NAMES), strict=True):
            assert values == pytest.approx(worth(text)), text
            sampled.append(text)
    assert len(sampled) == 16
    assert len({worth(text) for text in sampled}) > 1


def test_rewards_are_logged_under_our_names(trained: Path) -> None:
    (file,) = trained.glob("out/**/logging.jsonl")
    steps = [entry for entry in lines(file) if "reward" in entry]
    assert len(steps) == 2
    for entry in steps:
        parts = [entry[f"rewards/{name}/mean"] for name in NAMES]
        assert entry["reward"] == pytest.approx(sum(parts), abs=1e-6)


def test_what_swift_was_told_to_freeze_stays(trained: Path) -> None:
    from safetensors.torch import load_file

    (after,) = trained.glob("out/**/model.safetensors")
    old, new = load_file(trained / "model" / "model.safetensors"), load_file(after)
    assert {name for name in old if not old[name].equal(new[name])} == {"lm_head.weight"}


def test_the_plugin_brings_nothing_heavy_and_hides_nothing(tmp_path: Path) -> None:
    """Swift puts the plugin's folder first on the path of processes that it spawns."""
    plugin = run("chexphi swift-plugin", tmp_path).strip()
    code = (
        "import multiprocessing, sys\n"
        "from swift.rewards import orms\n"
        "from swift.utils import get_logger, import_external_file\n"
        "if __name__ == '__main__':\n"
        "    before = set(sys.modules)\n"
        f"    import_external_file({plugin!r})\n"
        "    print('NEW', *sorted(set(sys.modules) - before))\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print('SPAWNED', pool.apply_async(get_logger).get(timeout=120) is not None)\n"
    )
    (tmp_path / "spawn.py").write_text(code)
    out = run("python spawn.py", tmp_path)
    new = re.search(r"^NEW (.*)$", out, re.M)[1].split()
    assert "chexphi.rewards" in new
    roots = {name.partition(".")[0] for name in new}
    assert roots.isdisjoint({"torch", "trl", "transformers", "peft", "datasets", "pyarrow"})
    assert not [n for n in new if n.startswith(("chexphi.training", "chexphi.models", "chexphi.data"))]
    assert "SPAWNED True" in out
