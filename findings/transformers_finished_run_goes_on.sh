#!/usr/bin/env bash
# transformers 5.24.0: `train(resume_from_checkpoint=True)` of a finished run trains one more step.
#
# A job that is started again until it succeeds ends in a model of `max_steps` steps only if it is not started
# again after it has succeeded. The loop of the Trainer looks for the end after a step, not before: with the
# checkpoint of step 4 of 4 it makes a fifth step, and the weights move. Nothing says so.
#
# A small random model. Seen 2026-11-30 on Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install transformers==5.24.0 torch==2.14.1 torchvision==0.29.1 pillow==13.0.0 accelerate==1.15.0
cat >check.py <<'PY'
import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM, PrinterCallback, Trainer, TrainingArguments

print("transformers", transformers.__version__)
torch.manual_seed(0)
config = LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
rows = [{"input_ids": torch.arange(8) + at, "labels": torch.arange(8) + at} for at in range(16)]


def train(**resume):
    args = TrainingArguments(
        output_dir="run", max_steps=4, save_steps=2, save_strategy="steps", learning_rate=1e-2, use_cpu=True,
        lr_scheduler_type="constant", per_device_train_batch_size=2, report_to="none", disable_tqdm=True,
    )
    trainer = Trainer(model=LlamaForCausalLM(config), args=args, train_dataset=rows)
    trainer.remove_callback(PrinterCallback)
    trainer.train(**resume)
    return trainer


first = train()
weights = {name: value.clone() for name, value in first.model.state_dict().items()}
again = train(resume_from_checkpoint=True)
moved = max((again.model.state_dict()[name] - value).abs().max().item() for name, value in weights.items())
print("steps of the finished run and of the resumed one:", first.state.global_step, again.state.global_step)
print("largest change of a weight:", moved)
assert (first.state.global_step, again.state.global_step) == (4, 5)
assert moved > 1e-3
PY
HF_HUB_OFFLINE=1 venv/bin/python check.py 2>err.log || { tail -5 err.log; exit 1; }
# seen:
# transformers 5.24.0
# steps of the finished run and of the resumed one: 4 5
# largest change of a weight: 0.010037284344434738
