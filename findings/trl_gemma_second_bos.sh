#!/usr/bin/env bash
# TRL 1.16.0 with transformers 5.24.0: GRPO on Gemma 3 with images trains with wrong log-probabilities.
#
# Where a prompt has images, GRPOTrainer renders the chat template to text, which begins with `<bos>`, and gives
# the text to the processor again to get `pixel_values` and `token_type_ids`. Gemma's tokenizer puts a second
# `<bos>` in front. The ids come from elsewhere and are right, but `token_type_ids`, which say which tokens are
# an image, are one token longer and off by one. Tokens of an image see each other in both directions in
# Gemma 3, so one image token sees too little and one text token too much. Nothing is raised or logged; all
# log-probabilities, and so the loss, differ from the model's own.
#
# The model is a small random Gemma 3; its tokenizer adds `<bos>` as Gemma's does; the chat template is the one
# that TRL ships. Seen 2026-11-30 on Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install trl==1.16.0 transformers==5.24.0 torch==2.14.1 torchvision==0.29.1 pillow==13.0.0 jinja2==3.1.6
cat >check.py <<'PY'
from pathlib import Path

import torch
import trl
from datasets import Dataset
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessor,
    Gemma3Processor,
    PrinterCallback,
    PreTrainedTokenizerFast,
)

special = "<pad> <eos> <bos> <start_of_turn> <end_of_turn> <start_of_image> <end_of_image> <image_soft_token>".split()
words = [*special, "[UNK]", "user", "model", "Is", "the", "lung", "clear", "?", "yes", "no", "it", "is", "not"]
backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
backend.pre_tokenizer = pre_tokenizers.Whitespace()
backend.add_special_tokens(special)
backend.post_processor = TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=backend, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", padding_side="left",
    extra_special_tokens={
        "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"
    },
)
template = (Path(trl.__file__).parent / "chat_templates" / "gemma3.jinja").read_text()
images = Gemma3ImageProcessor(size={"height": 32, "width": 32})
processor = Gemma3Processor(images, tokenizer, chat_template=template, image_seq_length=4)
text_config = {
    "vocab_size": len(words), "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 4, "head_dim": 12,
    "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2,
}
vision_config = {
    "model_type": "siglip_vision_model", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 2, "image_size": 32, "patch_size": 8,
}
torch.manual_seed(0)
model = Gemma3ForConditionalGeneration(
    Gemma3Config(
        text_config=text_config, vision_config=vision_config, mm_tokens_per_image=4,
        boi_token_index=5, eoi_token_index=6, image_token_index=7,
    )
).eval()
with torch.no_grad():
    for parameter in model.parameters():
        parameter.normal_(0, 0.2)


class Watched(trl.GRPOTrainer):
    def _compute_loss(self, model, inputs):
        logps, *_ = self._get_per_token_logps_and_entropies(
            model,
            torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1),
            torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1),
            inputs["completion_ids"].shape[1],
            **{name: inputs[name] for name in ("pixel_values", "token_type_ids", "num_images")},
        )
        self.watched = inputs, logps.detach()
        return super()._compute_loss(model, inputs)


question = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is the lung clear ?"}]}]
picture = Image.effect_noise((32, 32), 90).convert("RGB")
trainer = Watched(
    model=model,
    reward_funcs=lambda completions, **_: [float(number) for number in range(len(completions))],
    args=trl.GRPOConfig(
        output_dir="out", per_device_train_batch_size=2, num_generations=2, max_completion_length=4, max_steps=1,
        use_cpu=True, report_to="none", save_strategy="no", disable_tqdm=True, learning_rate=0.0, bf16=False,
        gradient_checkpointing=False,
    ),
    train_dataset=Dataset.from_dict({"prompt": [question] * 2, "image": [picture] * 2}),
    processing_class=processor,
)
trainer.remove_callback(PrinterCallback)
trainer.train()
inputs, by_trl = trainer.watched
ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
given = inputs["token_type_ids"]
right = (ids == 7).long()
print("first row, ids:           ", ids[0].tolist())
print("image tokens are the ids 7:", right[0].tolist())
print("token_type_ids of TRL:     ", given[0].tolist())
assert given.shape[1] == ids.shape[1] + 1 and torch.equal(given[:, 1:], right), given
with torch.no_grad():
    logits = model(
        input_ids=ids, attention_mask=torch.ones_like(ids), token_type_ids=right, pixel_values=inputs["pixel_values"]
    ).logits
width = inputs["completion_ids"].shape[1]
own = logits[:, -width - 1 : -1].log_softmax(-1).gather(2, inputs["completion_ids"][..., None])[..., 0]
real = inputs["completion_mask"].bool()
difference = (own - by_trl)[real].abs().max().item()
print(f"largest difference of a token's log-probability: {difference:.3f}")
assert difference > 0.01, difference
PY
HF_HUB_OFFLINE=1 venv/bin/python check.py 2>err.log || { tail -5 err.log; exit 1; }
# seen:
# first row, ids:            [2, 3, 9, 5, 7, 7, 7, 7, 6, 11, 12, 13, 14, 15, 4, 3, 10, 10, 11, 11, 11]
# image tokens are the ids 7: [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
# token_type_ids of TRL:      [0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
# largest difference of a token's log-probability: 0.160
