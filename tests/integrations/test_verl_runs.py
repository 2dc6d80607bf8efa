"""The released veRL reads our rows and pays our rewards, in its own workers and threads: `make test-verl`.

What needs a GPU is left out: rollouts, and the trainer's steps.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chexphi.integrations import verl as ours
from chexphi.schema import Example

pytestmark = pytest.mark.stack

THINK = "There is a small left pleural effusion. No pneumothorax."
COMPLETIONS = (
    f"<think>{THINK}</think><answer>yes</answer>",
    f"<think>{THINK}</think><answer>no</answer>",
    "<think>There is a pneumothorax.</think><answer>yes</answer>",
    "<answer>yes</answer>",
    "?",
)
EXAMPLES = [
    Example("a", ("prior.png", "current.png"), "Has it grown?", ("yes", "no"), COMPLETIONS[0], "compare"),
    Example("b", (), "What is it?", ("yes",), COMPLETIONS[0]),
    Example("c", (), "Is it clear?", ("no",), "<think>So it is.</think><answer>no</answer>"),
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A saved tokenizer of which every completion is one token."""
    from tokenizers import AddedToken, Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    backend.add_tokens([AddedToken(text, normalized=False) for text in COMPLETIONS[:-1]])
    made = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", pad_token="<pad>")
    made.save_pretrained(folder := tmp_path_factory.mktemp("tokenizer"))
    return PreTrainedTokenizerFast.from_pretrained(folder)


@pytest.fixture(scope="module")
def config(tokenizer: Any) -> Any:
    """veRL's own settings with the three lines that name our function."""
    from hydra import compose, initialize_config_dir
    from verl.experimental.reward_loop import migrate_legacy_reward_impl

    (root,) = importlib.util.find_spec("verl").submodule_search_locations
    words = [
        "reward.custom_reward_function.path=pkg://chexphi.integrations.verl",
        "reward.custom_reward_function.name=compute_score",
        "+reward.custom_reward_function.reward_kwargs.match=any",
        f"actor_rollout_ref.model.path={tokenizer.name_or_path}",
        "reward.num_workers=2",
        f"+data.cache_dir={tokenizer.name_or_path}",
        "data.filter_overlong_prompts=false",
    ]
    with initialize_config_dir(str(Path(root) / "trainer" / "config"), version_base=None):
        return migrate_legacy_reward_impl(compose("ppo_trainer", words))


@pytest.fixture(scope="module")
def dataset(config: Any, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from verl.utils.dataset.rl_dataset import RLHFDataset

    folder = tmp_path_factory.mktemp("rows")
    ours.write_rows(folder / "train.parquet", EXAMPLES, folder)
    # A film's row asks whether there is a processor; it is used in the rollout alone.
    return RLHFDataset(str(folder / "train.parquet"), tokenizer, config.data, processor=object())


def test_its_dataset_reads_the_rows(dataset: Any) -> None:
    rows = [dataset[index] for index in range(len(dataset))]
    (turn,) = rows[0]["raw_prompt"]
    assert [part["type"] for part in turn["content"]] == ["image", "image", "text"]
    assert [Path(part["image"]).name for part in turn["content"][:2]] == ["prior.png", "current.png"]
    assert turn["content"][2]["text"] == EXAMPLES[0].question
    assert rows[1]["raw_prompt"] == [{"role": "user", "content": EXAMPLES[1].question}]
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert [row["extra_info"]["id"] for row in rows] == ["a", "b", "c"]


@pytest.fixture
def ray() -> Iterator[Any]:
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def test_its_workers_pay_every_completion_of_every_row(
    ray: Any, config: Any, dataset: Any, tokenizer: Any
) -> None:
    import torch
    from verl import DataProto
    from verl.experimental.reward_loop import RewardLoopManager
    from verl.utils.dataset.rl_dataset import collate_fn

    pairs = [(row, text) for row in range(len(dataset)) for text in COMPLETIONS]
    columns = collate_fn([dataset[row] for row, _ in pairs])
    named = [tokenizer.convert_tokens_to_ids(text) for _, text in pairs]
    responses = torch.tensor([[token, tokenizer.eos_token_id, tokenizer.pad_token_id] for token in named])
    mask = torch.tensor([[1, 1, 1, 0]] * len(pairs))
    tensors = {"prompts": torch.zeros(len(pairs), 1).long(), "responses": responses, "attention_mask": mask}
    kept = {name: columns[name] for name in ("data_source", "reward_model", "extra_info")}
    paid = RewardLoopManager(config).compute_rm_score(DataProto.from_dict(tensors, kept))
    expected = [
        ours.compute_score(
            "chexphi", text, EXAMPLES[row].explanation, {"answer": EXAMPLES[row].answer}, match="any"
        )
        for row, text in pairs
    ]
    scores = torch.tensor([parts["score"] for parts in expected])
    assert torch.equal(paid.batch["rm_scores"][:, 1], scores)  # at the last token, and nowhere else
    assert torch.equal(paid.batch["rm_scores"].sum(1), scores)
    assert sorted(paid.meta_info["reward_extra_keys"]) == sorted(expected[0])
    for name in expected[0]:
        assert paid.non_tensor_batch[name].tolist() == [parts[name] for parts in expected]
    assert set(scores.tolist()) == {0.0, 1.0, 2.0}
