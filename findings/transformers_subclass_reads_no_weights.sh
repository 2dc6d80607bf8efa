#!/usr/bin/env bash
# transformers 5.24.0: an empty subclass of Qwen2.5-VL reads half of a published checkpoint, the rest is random.
#
# Published tensors of Qwen2.5-VL have other names than those of the class (`model.layers.…` for
# `model.language_model.layers.…`), which `from_pretrained` translates, but not for what it takes for custom code:
# each class that is defined outside of the package `transformers`. So a subclass that changes nothing gets its
# vision tower, and a language model of random weights. Nothing is raised: a table of missing keys is logged. What
# the subclass saves itself is read by both.
#
# A small random model. Seen 2026-11-30 on Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install transformers==5.24.0 torch==2.14.1 torchvision==0.29.1 pillow==13.0.0
cat >check.py <<'PY'
import torch
import transformers
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

print("transformers", transformers.__version__)


class OurQwen(Qwen2_5_VLForConditionalGeneration):
    """Nothing is changed."""


sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}
torch.manual_seed(0)
model = Qwen2_5_VLForConditionalGeneration(
    Qwen2_5_VLConfig(
        text_config={**sizes, "vocab_size": 64, "num_key_value_heads": 2, "rope_parameters": rope},
        vision_config={"depth": 2, "hidden_size": 32, "num_heads": 2, "patch_size": 4, "out_hidden_size": 32},
    )
)
model.save_pretrained("published")
wrong = {}
for cls in (Qwen2_5_VLForConditionalGeneration, OurQwen):
    read = cls.from_pretrained("published").state_dict()
    wrong[cls.__name__] = [name for name, value in model.state_dict().items() if not torch.equal(read[name], value)]
    matrices = [name for name in wrong[cls.__name__] if read[name].ndim > 1]
    print(f"{cls.__name__:34} has other values in {len(matrices):2} matrices than the checkpoint")
assert not wrong["Qwen2_5_VLForConditionalGeneration"]
assert len(wrong["OurQwen"]) > 10 and all(name.startswith("model.language_model.") for name in wrong["OurQwen"])
PY
HF_HUB_OFFLINE=1 venv/bin/python check.py 2>err.log || { tail -5 err.log; exit 1; }
# seen:
# transformers 5.24.0
# Qwen2_5_VLForConditionalGeneration has other values in  0 matrices than the checkpoint
# OurQwen                            has other values in 15 matrices than the checkpoint
