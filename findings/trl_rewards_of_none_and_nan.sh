#!/usr/bin/env bash
# TRL 1.16.0: what GRPOTrainer does with rewards that are None or NaN.
#
# * A row for which all reward functions return None is written to the log at level WARNING: the whole row, that
#   is prompt, completion and every column of the dataset. Where these are patients' texts, so is the log.
# * NaN counts as None. A reward that divides 0 by 0 is not reported: the row has no advantage.
# * Where one of several rewards is None (or NaN), the row's total is the sum of the others, as if it were 0. So
#   among the completions of one prompt, one that cannot be scored ranks below all that score above 0.
#
# A small random Llama. Seen 2026-11-30 on Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install trl==1.16.0 transformers==5.24.0 torch==2.14.1
cat >check.py <<'PY'
import logging

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
rows = Dataset.from_list([{"prompt": "a", "report": "PATIENT TEXT"}] * 2)
lines = []
handler = logging.Handler()
handler.emit = lambda record: lines.append(record.getMessage())
logging.getLogger("trl.trainer.grpo_trainer").addHandler(handler)


class Watched(trl.GRPOTrainer):
    def _generate_and_score_completions(self, inputs):
        output = super()._generate_and_score_completions(inputs)
        self.seen = [round(value, 2) for value in output["advantages"].tolist()]
        return output


def advantages(*rewards):
    functions = [lambda completions, values=values, **columns: list(values) for values in rewards]
    args = trl.GRPOConfig(
        output_dir="run", per_device_train_batch_size=4, num_generations=4, max_steps=1, use_cpu=True, bf16=False,
        max_completion_length=4, report_to="none", disable_tqdm=True, save_strategy="no", logging_strategy="no",
        gradient_checkpointing=False,
    )
    trainer = Watched(
        model=LlamaForCausalLM(config), reward_funcs=functions, args=args, train_dataset=rows,
        processing_class=tokenizer,
    )
    lines.clear()
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    print(*rewards, "-> advantages", trainer.seen, "| the report is in the log:", any("PATIENT TEXT" in line for line in lines))
    return trainer.seen, any("PATIENT TEXT" in line for line in lines)


print("trl", trl.__version__)
seen, logged = advantages([1.0, 0.0, 1.0, None])
assert seen[3] == 0 and logged
nan, logged = advantages([1.0, 0.0, 1.0, float("nan")])
assert nan == seen and logged
nan, logged = advantages([1.0, 0.0, 1.0, float("nan")], [0.5] * 4)
assert not logged and nan[3] == nan[1] < 0, "NaN is 0"
PY
HF_HUB_OFFLINE=1 venv/bin/python check.py 2>err.log || { tail -5 err.log; exit 1; }
# seen:
# trl 1.16.0
# [1.0, 0.0, 1.0, None] -> advantages [0.58, -1.15, 0.58, 0.0] | the report is in the log: True
# [1.0, 0.0, 1.0, nan] -> advantages [0.58, -1.15, 0.58, 0.0] | the report is in the log: True
# [1.0, 0.0, 1.0, nan] [0.5, 0.5, 0.5, 0.5] -> advantages [0.87, -0.87, 0.87, -0.87] | the report is in the log: False
