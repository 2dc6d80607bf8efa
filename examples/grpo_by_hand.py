"""GRPO with an answer reward and a graph reward, by hand: `python examples/grpo_by_hand.py`.

One step of group-relative policy optimisation (arXiv 2402.03300), as `configs/grpo_kg.yaml` asks for it:

1. draw P questions and let the policy write G completions of each;
2. reward a completion for its answer, and for the graph of findings that its reasoning makes;
3. compare it with the other completions of its own question: better than they are is an advantage;
4. make the tokens of better completions likelier and those of worse ones less likely, in small steps, and
   stay near the policy that training began with (the reference).

There is no critic and no trainer. `chexphi grpo` computes the same loss and gradients; a test holds the two
together. The films are drawn, the policy is small and learns from nothing: two minutes of one CPU.

It is made to be read. In 40 steps with the config's BETA it moves little, and 8 questions a step are noisy:
the first 20 steps earn 0.32 for answers and 0.23 for graphs, the last 20 earn 0.40 and 0.25 (one run).
`make demo` trains for longer and tests the result.

Three numbers may follow, `python examples/grpo_by_hand.py 400 40 1`: steps of imitation before GRPO, steps of
GRPO, and updates of the policy with the completions of a step.

The end of a tensor's name gives its axes: P prompts, G completions of a prompt, N = P * G of both in one axis
(the completions of a prompt are neighbours), T tokens of a completion, V words of the vocabulary.
"""

from __future__ import annotations

import copy
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chexphi.data.images import load_image
from chexphi.data.phantom import build as phantom
from chexphi.data.read import read_examples
from chexphi.graph.open import open_extractor
from chexphi.models.families import phi4, tiny
from chexphi.models.trainable import prepare
from chexphi.prompts import messages
from chexphi.rewards import AccuracyReward, GraphReward
from chexphi.schema import Example

# The values of configs/grpo_kg.yaml, where each has its source ...
G = 8  # num_generations
TEMPERATURE = 0.9
EPSILON = 0.2  # how far the probability of a token may move before its gradient is cut off
BETA = 0.5  # weight of the distance to the reference
WEIGHTS = (1.0, 1.0)  # of the answer reward and of the graph reward
# ... but for the sizes, which suit a small policy that learns from nothing in a few minutes.
P, TOKENS, RATE = 8, 72, 2e-3
SIZES = phantom.Sizes(sight=0, sft=1600, pool=400, valid=0, test=0)
LEXICON = open_extractor("lexicon")  # reads a text as a graph


def encode(processor: Any, examples: Sequence[Example], images: Path) -> dict[str, Tensor]:
    """The policy's inputs: films and questions, padded on the left so that completions can follow."""
    prompts = [messages(example.question, len(example.images)) for example in examples]
    return processor(
        text=[processor.apply_chat_template(prompt, add_generation_prompt=True) for prompt in prompts],
        images=[[load_image(name, images) for name in example.images] for example in examples],
        padding=True, padding_side="left", return_tensors="pt",
    )  # fmt: skip


@torch.no_grad()
def sample(policy: Any, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Draw a completion for each row of the inputs: ids_NT, and mask_NT, which is 0 after its end."""
    ids_NT = policy.generate(
        **inputs, do_sample=True, temperature=TEMPERATURE, top_p=1.0, top_k=0, max_new_tokens=TOKENS
    )[:, inputs["input_ids"].shape[1] :]
    ended_NT = torch.isin(ids_NT, torch.tensor(policy.generation_config.eos_token_id))
    mask_NT = (ended_NT.cumsum(1) - ended_NT.long() == 0).long()  # the first end token still counts
    return ids_NT, mask_NT


def logprobs(policy: Any, inputs: dict[str, Tensor], ids_NT: Tensor, mask_NT: Tensor) -> Tensor:
    """log pi(token | film, question, tokens before it) of every token, at the sampling temperature."""
    together = {
        "input_ids": torch.cat([inputs["input_ids"], ids_NT], dim=1),
        "attention_mask": torch.cat([inputs["attention_mask"], mask_NT], dim=1),
    }
    logits = policy(**{**inputs, **together}, logits_to_keep=ids_NT.shape[1] + 1).logits
    logits_NTV = logits[:, :-1] / TEMPERATURE  # what stands before a token predicts it
    return logits_NTV.log_softmax(-1).gather(-1, ids_NT[..., None])[..., 0]


def score(processor: Any, ids_NT: Tensor, mask_NT: Tensor, examples_N: Sequence[Example]) -> Tensor:
    """The two rewards of each completion, (N, 2).

    R_answer is 1 if the answer is the reference's, else 0. R_graph reads two reasonings, the completion's and
    the reference's, as graphs of entities E and relations R, and is (J(E, E*) + J(R, R*)) / 2 with the
    Jaccard index J(A, B) = |A and B| / |A or B|; contradictions and repetitions lower it. A completion that
    is not <think>...</think><answer>...</answer>, or that was cut off, earns nothing.
    """
    ids_N = [ids[mask.bool()].tolist() for ids, mask in zip(ids_NT, mask_NT, strict=True)]
    columns: dict[str, Any] = {
        "completions": processor.tokenizer.batch_decode(ids_N, skip_special_tokens=True),
        "completion_ids": ids_N,
        "solution": [example.explanation for example in examples_N],
        "answer": [list(example.answer) for example in examples_N],
    }
    ends = processor.tokenizer.convert_tokens_to_ids(["<|end|>", "<|endoftext|>"])
    rewards = AccuracyReward(end_token_ids=ends), GraphReward(LEXICON, end_token_ids=ends)
    # None: the reference cannot be scored. That is so for all completions of a prompt, and 0 does no harm.
    return torch.tensor([[value or 0.0 for value in reward(**columns)] for reward in rewards]).T


def advantages(rewards_N: Tensor, completions: int) -> Tensor:
    """A = (r - mean) / std, both over the completions of one prompt.

    The group is its own yardstick: a question that is easy for the policy pays no more than a hard one. Where
    all completions earn the same there is nothing to learn, and A is 0; 1e-4 keeps that from being 0 / 0.
    """
    rewards_PG = rewards_N.view(-1, completions)
    spread_P1 = rewards_PG.std(dim=1, keepdim=True)
    return ((rewards_PG - rewards_PG.mean(dim=1, keepdim=True)) / (spread_P1 + 1e-4)).flatten()


def grpo_loss(
    logp_NT: Tensor, old_NT: Tensor, ref_NT: Tensor, mask_NT: Tensor, advantage_N: Tensor
) -> Tensor:
    """L = - mean over completions, mean over tokens of  min(w A, clip(w, 1 - eps, 1 + eps) A) - beta KL."""
    # w = pi / pi_old: how much likelier the token is than when it was sampled. It is 1 at the first update of
    # a batch, where its gradient is that of log pi: plain policy gradient.
    ratio_NT = (logp_NT - old_NT).exp()
    clipped_NT = ratio_NT.clamp(1 - EPSILON, 1 + EPSILON)
    # The smaller of the two: once a token has moved far enough in the direction that A asks for, its gradient
    # is 0; one that moved the wrong way is always pulled back.
    gain_NT = torch.minimum(ratio_NT * advantage_N[:, None], clipped_NT * advantage_N[:, None])
    # KL(pi, pi_ref) = pi_ref / pi - log(pi_ref / pi) - 1, estimated at the sampled token: unbiased, never
    # negative (Schulman's k3).
    kl_NT = (ref_NT - logp_NT).exp() - (ref_NT - logp_NT) - 1
    loss_NT = -(gain_NT - BETA * kl_NT)
    return ((loss_NT * mask_NT).sum(1) / mask_NT.sum(1)).mean()


def imitate(policy: Any, processor: Any, examples: Sequence[Example], images: Path, steps: int) -> None:
    """Fine-tune on written explanations: GRPO can only choose among what a policy already writes."""
    optimizer = torch.optim.AdamW(policy.parameters(), 2e-3)
    for _ in range(steps):
        batch = random.sample(examples, 16)
        texts = [example.explanation + "<|end|>" for example in batch]
        targets = processor.tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
        ids_NT, mask_NT = targets["input_ids"], targets["attention_mask"]
        logp_NT = logprobs(policy, encode(processor, batch, images), ids_NT, mask_NT)
        (-(logp_NT * mask_NT).sum() / mask_NT.sum()).backward()
        optimizer.step()
        optimizer.zero_grad()


def start(folder: Path, warm_up_steps: int) -> tuple[Any, Any, list[Example], Path]:
    """A small policy that writes explanations, its processor, questions to learn from and their films."""
    print("drawing films", flush=True)
    phantom.build(folder / "films", counts=SIZES)
    parts = [read_examples(folder / f"films/annotations/{part}/train.json") for part in ("sft", "pool")]
    tiny.build(folder / "model", [text for one in parts[0] for text in (one.question, one.explanation)])
    policy, processor = phi4.load(folder / "model")
    print(f"imitating written explanations, {warm_up_steps} steps", flush=True)
    imitate(policy, processor, parts[0], folder / "films/images", warm_up_steps)
    return policy, processor, parts[1], folder / "films/images"


def main(warm_up_steps: int = 400, grpo_steps: int = 40, updates: int = 1) -> list[list[float]]:
    """Draw films, make a policy and train it; returns the mean of both rewards at each step."""
    random.seed(0)
    torch.manual_seed(0)
    history = []
    with tempfile.TemporaryDirectory() as folder:
        policy, processor, pool, images = start(Path(folder), warm_up_steps)
        reference = copy.deepcopy(policy).requires_grad_(False)  # it stays where it is
        policy = prepare(policy, "vision_lora+lm_head", targets=policy.lora_targets, rank=16, alpha=32)
        optimizer = torch.optim.AdamW([one for one in policy.parameters() if one.requires_grad], RATE)
        for step in range(grpo_steps):
            examples_N = [example for example in random.sample(pool, P) for _ in range(G)]
            inputs = encode(processor, examples_N, images)
            ids_NT, mask_NT = sample(policy, inputs)
            rewards_N2 = score(processor, ids_NT, mask_NT, examples_N)
            advantage_N = advantages(rewards_N2 @ torch.tensor(WEIGHTS), G)
            with torch.no_grad():
                old_NT, ref_NT = (logprobs(one, inputs, ids_NT, mask_NT) for one in (policy, reference))
            for _ in range(updates):  # one in the config: w is 1 and nothing is clipped
                logp_NT = logprobs(policy, inputs, ids_NT, mask_NT)
                grpo_loss(logp_NT, old_NT, ref_NT, mask_NT, advantage_N).backward()
                torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
            history.append(rewards_N2.mean(0).tolist())
            print(f"step {step + 1:3}  answer {history[-1][0]:.3f}  graph {history[-1][1]:.3f}", flush=True)
    return history


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
