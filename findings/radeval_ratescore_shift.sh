#!/usr/bin/env bash
# RadEval 2.2.1: in RaTEScore a very short text moves all texts after it to another reference, in silence.
#
# RaTEScore drops sentences of fewer than three characters, and a text without any other vanishes from its
# list. Then predictions and references are paired in order. So with "." (or "no") as the first of three
# predictions, the second one is scored against the first reference and the third against the second: two
# numbers come back for three texts, and both belong to a wrong pair. (A list of one such text raises.)
#
# The pairing is RadEval's own code. The two networks are made here: a tagger that marks "effusion" and
# "edema", and an encoder, so that equal entities score 1. Python 3.11 or 3.12.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
pip() { venv/bin/pip --quiet --disable-pip-version-check "$@" 2>>pip.log; }
numpy=$(venv/bin/python -c 'import sys; print("numpy==1.26.4" if sys.version_info < (3, 12) else "numpy==2.4.6")')
pip install torch==2.13.0 "$numpy" transformers==5.24.0 medspacy==1.3.1 pandas loguru rouge_score
pip install --no-deps radeval==2.2.1
cat >check.py <<'PY'
import os

import torch
from transformers import BertConfig, BertForTokenClassification, BertModel, BertTokenizerFast

words = "[PAD] [UNK] [CLS] [SEP] [MASK] small large effusion edema .".split()
tagger, encoder = "Angelakeke/RaTE-NER-Deberta", "FremyCompany/BioLORD-2023-C"  # the names that RadEval opens
for folder in (tagger, encoder):
    os.makedirs(folder)
    with open(f"{folder}/vocab.txt", "w") as file:
        file.write("\n".join(words))
    BertTokenizerFast(f"{folder}/vocab.txt").save_pretrained(folder)
config = BertConfig(vocab_size=10, hidden_size=16, num_hidden_layers=0, num_attention_heads=1, intermediate_size=4)
config.id2label = {0: "O", 1: "B-DISEASE"}
config.label2id = {"O": 0, "B-DISEASE": 1}
torch.manual_seed(0)
model = BertForTokenClassification(config)
with torch.no_grad():
    for parameter in model.parameters():
        parameter.zero_()
    model.bert.embeddings.LayerNorm.weight.fill_(1)
    table = model.bert.embeddings.word_embeddings.weight
    table[:, 1] = 1.0
    for word in ("effusion", "edema"):
        table[words.index(word), 0] = 2.0
    model.classifier.weight[1, 0] = 10.0
    model.classifier.bias[0] = 1.0
model.save_pretrained(tagger)
config.num_hidden_layers, config.initializer_range = 1, 1.0
model = BertModel(config)
with torch.no_grad():  # each place attends to all words alike, so that other words are another vector
    for name, parameter in model.named_parameters():
        if ".query." in name or ".key." in name:
            parameter.zero_()
model.save_pretrained(encoder)

from radeval.rewards import make_reward_fn

score = make_reward_fn("ratescore")
references = ["small effusion.", "large edema.", "small effusion."]
for first in ("small effusion.", "."):
    predictions = [first, *references[1:]]
    values = score(completions=predictions, ground_truth=references)
    print(f"first prediction {first!r:18} rewards {[round(value, 3) for value in values]}")
    if first == ".":
        wrong = [score(completions=[references[at + 1]], ground_truth=[references[at]])[0] for at in (0, 1)]
        print(f"{'wrong pairs alone':35} rewards {[round(value, 3) for value in wrong]}")
        assert len(values) == 2 and values == wrong and max(values) < 0.999, values
    else:
        assert len(values) == 3 and min(values) > 0.999, values
PY
HF_HUB_OFFLINE=1 venv/bin/python check.py 2>err.log || { tail -5 err.log; exit 1; }
# seen:
# first prediction 'small effusion.'  rewards [1.0, 1.0, 1.0]
# first prediction '.'                rewards [0.778, 0.778]
# wrong pairs alone                   rewards [0.778, 0.778]
