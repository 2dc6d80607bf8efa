#!/usr/bin/env bash
# transformers 5.24.0: several sequences a prompt in Phi-4-multimodal show a question with two images one of them.
#
# `generate(num_return_sequences=2)` (or beams) repeats every tensor of the inputs by rows. Of a prompt with the
# images A and B the ids become two rows, and the images A, A, B, B: the first row reads A twice, and the second
# one B twice. The counts match, so nothing is raised. Two rows that are given as such read A and B each.
#
# A small random model from the native classes; greedy, so that all sequences should be equal. The vision tower's
# attention is `eager` (with `sdpa` it depends on the batch, see transformers_phi4_vision_causal.sh).
# Seen 2026-11-30 on Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install transformers==5.24.0 torch==2.14.1 torchvision==0.29.1 pillow==13.0.0
cat >check.py <<'PY'
import torch
import transformers
from transformers import Phi4MultimodalConfig, Phi4MultimodalForCausalLM

print("transformers", transformers.__version__)
IMAGE = 5
small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
torch.manual_seed(0)
model = Phi4MultimodalForCausalLM(
    Phi4MultimodalConfig(
        **small, vocab_size=64, num_key_value_heads=2, max_position_embeddings=512,
        original_max_position_embeddings=512, bos_token_id=1, eos_token_id=2, pad_token_id=0,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 1.0},
        vision_config={**small, "image_size": 64, "crop_size": 64, "patch_size": 16, "image_token_id": IMAGE},
        audio_config={
            "hidden_size": 8, "intermediate_size": 8, "num_blocks": 1, "num_attention_heads": 1,
            "ext_pw_out_channel": 8, "depthwise_separable_out_channel": 8, "nemo_conv_channels": 8,
            "audio_token_id": 6,
        },
    ),
).eval()
model.set_attn_implementation("eager")
with torch.no_grad():
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.normal_(0, 0.3)
film = [IMAGE] * 13  # tokens of an image of one crop
question = torch.tensor([[1, *film, *film, 20, 21, 22]])
images = torch.rand(2, 2, 3, 64, 64)  # two images: the whole and its one crop
inputs = {
    "image_sizes": torch.tensor([[64, 64], [64, 64]]),
    "image_attention_mask": torch.ones(2, 2, 4, 4, dtype=torch.bool),
}
embed = model.model.embed_tokens_extend.image_embed
taken = []
embed.register_forward_pre_hook(lambda module, args, kwargs: taken.append(kwargs["image_pixel_values"]), with_kwargs=True)


def logits_of_first_token(ids, pixels, repeat, **extra):
    output = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), image_pixel_values=pixels, do_sample=False,
        max_new_tokens=1, return_dict_in_generate=True, output_logits=True,
        **{name: value.repeat(repeat, *[1] * (value.ndim - 1)) for name, value in inputs.items()}, **extra,
    )
    return output.logits[0]


rows = logits_of_first_token(question.repeat(2, 1), images.repeat(2, 1, 1, 1, 1), 2)
print("two rows given as two rows: largest difference", f"{(rows[0] - rows[1]).abs().max():.4f}")
taken.clear()
beams = logits_of_first_token(question, images, 1, num_beams=2, num_return_sequences=2)
order = ["AB"[int(torch.equal(one, images[1]))] for one in taken[0]]
print("one row, two sequences: images are read as", order)
print("difference of the two sequences to the right rows", [f"{value:.2f}" for value in (beams - rows).abs().amax(1)])
assert (rows[0] - rows[1]).abs().max() < 1e-4
assert order == ["A", "A", "B", "B"], order
assert (beams - rows).abs().amax(1).min() > 0.1
PY
HF_HUB_OFFLINE=1 venv/bin/python check.py 2>err.log || { tail -5 err.log; exit 1; }
# seen:
# transformers 5.24.0
# two rows given as two rows: largest difference 0.0000
# one row, two sequences: images are read as ['A', 'A', 'B', 'B']
# difference of the two sequences to the right rows ['0.63', '0.50']
