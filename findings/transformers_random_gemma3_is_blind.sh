#!/usr/bin/env bash
# transformers 5.24.0: a Gemma 3 that is made from its config does not see images.
#
# The projection from the vision tower into the language model is initialised with zeros, so each image becomes
# zero vectors. A published checkpoint overwrites them; a small random Gemma 3 for tests keeps them: whatever
# image it is shown, its output is the same, and a test that images arrive, that two of them are not mixed up or
# that a cache of features is right passes without having tested anything. Other families (here Qwen2.5-VL) draw
# theirs at random.
#
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
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)

print("transformers", transformers.__version__)
sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
torch.manual_seed(0)
gemma = Gemma3ForConditionalGeneration(
    Gemma3Config(
        text_config={**sizes, "vocab_size": 64, "head_dim": 16, "num_key_value_heads": 2, "pad_token_id": 0},
        vision_config={**sizes, "model_type": "siglip_vision_model", "image_size": 32, "patch_size": 8},
        mm_tokens_per_image=4, boi_token_index=1, eoi_token_index=2, image_token_index=3,
    )
).eval()
rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}
qwen = Qwen2_5_VLForConditionalGeneration(
    Qwen2_5_VLConfig(
        text_config={**sizes, "vocab_size": 64, "num_key_value_heads": 2, "rope_parameters": rope},
        vision_config={"depth": 2, "hidden_size": 32, "num_heads": 2, "patch_size": 4, "out_hidden_size": 32},
        image_token_id=3, video_token_id=4, vision_start_token_id=1, vision_end_token_id=2,
    )
).eval()
ids = torch.tensor([[1, 3, 3, 3, 3, 2, 10, 11]])
types = (ids == 3).long()


@torch.no_grad()
def logits(model, noise):
    if model is gemma:
        return model(input_ids=ids, token_type_ids=types, pixel_values=noise.view(1, 3, 32, 32)).logits[0, -1]
    grid = torch.tensor([[1, 4, 4]])  # 16 patches of 2 x 3 x 4 x 4 values, four to a token
    return model(
        input_ids=ids, mm_token_type_ids=types, pixel_values=noise[:1536].view(16, 96), image_grid_thw=grid
    ).logits[0, -1]


noise = [torch.randn(3 * 32 * 32) for _ in range(2)]
for name, model, expected in (("Gemma 3", gemma, False), ("Qwen2.5-VL", qwen, True)):
    difference = (logits(model, noise[0]) - logits(model, noise[1])).abs().max().item()
    print(f"{name:10} from its config, two images: logits differ by {difference:.2g}")
    assert (difference > 0) == expected
assert not gemma.model.multi_modal_projector.mm_input_projection_weight.any()
PY
HF_HUB_OFFLINE=1 venv/bin/python check.py 2>err.log || { tail -5 err.log; exit 1; }
# seen:
# transformers 5.24.0
# Gemma 3    from its config, two images: logits differ by 0
# Qwen2.5-VL from its config, two images: logits differ by 0.12
