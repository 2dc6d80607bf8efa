#!/usr/bin/env bash
# TRL 1.16.0, prompt-completion SFT with published chat templates of thinking models.
#
# `trl.data_utils.apply_chat_template` renders prompt + completion as one conversation and cuts the prompt back
# to the characters that this text and the prompt asked for generation have in common. With a target of
# `<think>REASONING</think><answer>ANSWER</answer>` that gives, without a warning:
#
# * DeepSeek-R1-Distill: the template drops an assistant's reasoning, and the common text ends *inside a tag*:
#   the trained prompt ends in `<`, the target is `answer>yes</answer>`, the reasoning is gone.
# * Qwen3.5 (2B and smaller): the model is asked with `<think>\n\n</think>\n\n` at the end of its prompt, and
#   trained on a prompt that ends in `<think>\n`, which generation never asks.
# * Qwen3.8: the reasoning is not split off the content any more, so that the target first closes an empty
#   reasoning and then opens a second one.
#
# Fails if TRL or the templates that it ships do otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip="$folder/venv/bin/python -m pip install --quiet"
$pip trl==1.16.0 transformers==5.23.0 torch==2.13.0 jinja2==3.1.6
cat > "$folder/run.py" <<'PYTHON'
from pathlib import Path

import trl
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from trl.data_utils import apply_chat_template

TARGET = "<think>Clear lungs.</think><answer>yes</answer>"
# template: the end of the prompt asked, the end of the prompt trained on, the target trained on
SEEN = {
    "deepseek_r1_distill": ("<｜Assistant｜><think>\n", "<｜Assistant｜><", "answer>yes</answer><eos>"),
    "qwen3_5_nothink": (
        "assistant\n<think>\n\n</think>\n\n",
        "assistant\n<think>\n",
        "Clear lungs.\n</think>\n\n<answer>yes</answer><|im_end|>\n",
    ),
    "qwen3_8": ("assistant\n<think>\n", "assistant\n<think>\n", f"\n</think>\n\n{TARGET}<|im_end|>\n"),
}
prompt = [{"role": "user", "content": "Is the lung clear?"}]
row = {"prompt": prompt, "completion": [{"role": "assistant", "content": TARGET}]}
print("trl", trl.__version__)
for name, (asked_end, trained_end, target) in SEEN.items():
    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<bos>", eos_token="<eos>")
    template = Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja"
    tokenizer.chat_template = template.read_text(encoding="utf-8")
    asked = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
    trained = apply_chat_template(row, tokenizer)
    print(f"\n{name}\n  asked   …{asked[-36:]!r}\n  trained …{trained['prompt'][-36:]!r}\n  target  {trained['completion']!r}")
    assert asked.endswith(asked_end), asked
    assert trained["prompt"].endswith(trained_end), trained["prompt"]
    assert trained["completion"].replace("<｜end▁of▁sentence｜>", "<eos>") == target, trained["completion"]
PYTHON
cd "$folder"
"$folder/venv/bin/python" run.py
