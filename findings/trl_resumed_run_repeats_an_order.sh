#!/usr/bin/env bash
# TRL 1.16.0: a GRPO run that is resumed in its second epoch trains on other prompts than the unbroken run.
#
# The order of the prompts is drawn by the sampler's own generator, which is seeded when the trainer is made and
# goes on from epoch to epoch. No checkpoint has its state. A resumed run makes a new one, and its first pass
# over the data gets the order of epoch 1, whatever the epoch is: of that order it skips what it has done in its
# own epoch. So some prompts come twice in the epoch and others not at all. In the first epoch all is well.
#
# A small random Llama and eight prompts, one a step. Seen 2026-11-30 on Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install trl==1.16.0 transformers==5.24.0 torch==2.14.1
cat >check.py <<'PY'
import torch
import trl
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, PrinterCallback
words = ["<pad>", "<eos>", "[UNK]", *"abcdefghijklmnopqrstuvwxyz"]
backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
backend.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>", padding_side="left"
)
config = LlamaConfig(
    vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
    pad_token_id=0, bos_token_id=None, eos_token_id=1,
)
rows = Dataset.from_list([{"prompt": letter} for letter in "abcdefgh"])


def train(folder, steps, **resume):
    asked = []

    def reward(prompts, completions, **columns):
        asked.append(prompts[0])
        return [float(len(text)) for text in completions]

    torch.manual_seed(0)
    args = trl.GRPOConfig(
        output_dir=folder, per_device_train_batch_size=2, num_generations=2, gradient_accumulation_steps=1,
        max_completion_length=4, max_steps=steps, save_steps=12, use_cpu=True, report_to="none", bf16=False,
        disable_tqdm=True, logging_strategy="no", gradient_checkpointing=False,
    )
    trainer = trl.GRPOTrainer(
        model=LlamaForCausalLM(config), reward_funcs=reward, args=args, train_dataset=rows,
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(**resume)
    return "".join(asked)


unbroken = train("unbroken", 16)
before = train("broken", 12)  # the middle of the second epoch
after = train("broken", 16, resume_from_checkpoint=True)
print("trl", trl.__version__)
print("unbroken run, two epochs of eight:", unbroken[:8], unbroken[8:])
print("stopped at step 12 and resumed:   ", before[:8], before[8:] + "|" + after)
assert sorted(unbroken[:8]) == sorted(unbroken[8:]) == list("abcdefgh")
assert before == unbroken[:12]
assert after == unbroken[4:8] != unbroken[12:], "the resumed run goes on with the order of epoch 1"
assert len(set(before[8:] + after)) < 8
PY
HF_HUB_OFFLINE=1 venv/bin/python check.py 2>err.log || { tail -5 err.log; exit 1; }
# seen:
# trl 1.16.0
# unbroken run, two epochs of eight: gdahcbef ebhgdcaf
# stopped at step 12 and resumed:    gdahcbef ebhg|cbef
