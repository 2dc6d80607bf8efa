#!/usr/bin/env bash
# transformers 5.24.0 without DeepSpeed: a `deepspeed` setting that is refused makes the next load of any model fail.
#
# `TrainingArguments(deepspeed=...)` raises an ImportError that names DeepSpeed, as it should. But before it does, it
# has put the settings into a variable of the module, a weak reference. While the error is alive (a notebook and
# `sys.last_value` keep it, and so does a test), every `from_pretrained` of the process asks them for the stage of
# ZeRO, and the class has no such method where DeepSpeed is not installed: AttributeError. A model without any trainer
# is concerned, too. `unset_hf_deepspeed_config()` ends it.
#
# A small GPT-2 is saved and loaded, before and after. Seen 2026-12-01 on Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install \
	torch==2.14.1 numpy==2.4.6 transformers==5.24.0 accelerate==1.15.0
cat >check.py <<'PY'
import transformers
from transformers import GPT2Config, GPT2LMHeadModel, TrainingArguments
from transformers.integrations import unset_hf_deepspeed_config


def load():
    try:
        GPT2LMHeadModel.from_pretrained("model")
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "loaded"


GPT2LMHeadModel(GPT2Config(vocab_size=8, n_positions=8, n_embd=8, n_layer=1, n_head=1)).save_pretrained("model")
print("transformers", transformers.__version__)
print("before:", load())
try:
    TrainingArguments("out", use_cpu=True, deepspeed={"zero_optimization": {"stage": 2}})
except ImportError as error:
    kept = error
print("refused:", " ".join(str(kept).split())[:60])
after = load()
print("after, while the error is kept:", after)
unset_hf_deepspeed_config()
last = load()
print("after unset_hf_deepspeed_config():", last)
assert "is_zero3" in after and last == "loaded"
PY
venv/bin/python check.py 2>err.log || { tail -5 err.log; exit 1; }
# seen:
# transformers 5.24.0
# before: loaded
# refused: No package metadata was found for The 'deepspeed>=0.9.3' dis
# after, while the error is kept: AttributeError: 'HfTrainerDeepSpeedConfig' object has no attribute 'is_zero3'
# after unset_hf_deepspeed_config(): loaded
