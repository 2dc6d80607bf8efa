#!/usr/bin/env bash
# transformers 5.24.0: a resumed run of a whole Qwen2.5-VL goes on from the base weights, with a warning only.
#
# `save_pretrained`, and so a checkpoint, gives tensors their published names (`visual.…`, `model.…`), which for
# Qwen2.5-VL, Gemma 3 and others are not the names that the class has (`model.visual.…`,
# `model.language_model.…`). `from_pretrained` translates them; `Trainer.train(resume_from_checkpoint=…)` does
# not: it calls `load_state_dict(…, strict=False)`, which finds next to nothing, and warns of missing keys. The
# optimizer, the step and the learning rate are those of the checkpoint, the weights those that the model was
# made with: what was learned is gone, but for `lm_head`, whose name is the same.
#
# A small random model; what a LoRA run saves is not concerned. Seen 2026-11-30 on Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install transformers==5.24.0 torch==2.14.1 torchvision==0.29.1 pillow==13.0.0 accelerate==1.15.0
cat >check.py <<'PY'
import copy

import torch
import transformers
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

print("transformers", transformers.__version__)
sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}
torch.manual_seed(0)
base = Qwen2_5_VLForConditionalGeneration(
    Qwen2_5_VLConfig(
        text_config={**sizes, "vocab_size": 64, "num_key_value_heads": 2, "rope_parameters": rope},
        vision_config={"depth": 2, "hidden_size": 32, "num_heads": 2, "patch_size": 4, "out_hidden_size": 32},
    )
)
rows = [{"input_ids": torch.arange(8) + 1, "labels": torch.arange(8) + 1}] * 8


class Begin(TrainerCallback):
    """Counts the tensors that are no longer those of the base when training begins."""

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        print(f"begins at step {state.global_step} with {learned(model)} learned tensors")
        begins.append(learned(model))


def learned(model):
    return sum(not torch.equal(one, two) for one, two in zip(model.parameters(), base.parameters()))


def train(steps, **resume):
    args = TrainingArguments(
        output_dir="run", max_steps=steps, save_steps=4, save_strategy="steps", learning_rate=1e-2, use_cpu=True,
        lr_scheduler_type="constant", per_device_train_batch_size=2, report_to="none", disable_tqdm=True,
    )
    trainer = Trainer(model=copy.deepcopy(base), args=args, train_dataset=rows, callbacks=[Begin()])
    trainer.remove_callback(PrinterCallback)
    trainer.train(**resume)
    return trainer.model


begins = []
trained = train(4)
print("the run learned", learned(trained), "tensors in 4 steps")
opened = Qwen2_5_VLForConditionalGeneration.from_pretrained("run/checkpoint-4")
print("from_pretrained reads", learned(opened), "of them from its checkpoint")
train(6, resume_from_checkpoint="run/checkpoint-4")
assert learned(opened) == learned(trained) > 20
assert begins == [0, 1], begins  # `lm_head` alone has the same name in both
PY
HF_HUB_OFFLINE=1 venv/bin/python check.py 2>err.log || { tail -5 err.log; exit 1; }
# seen:
# transformers 5.24.0
# begins at step 0 with 0 learned tensors
# the run learned 27 tensors in 4 steps
# from_pretrained reads 27 of them from its checkpoint
# begins at step 4 with 1 learned tensors
