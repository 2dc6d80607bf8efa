#!/usr/bin/env bash
# transformers 5.24.0: an image's features in Phi-4-multimodal depend on the images beside it in the batch.
#
# The vision tower's attention is meant to run in both directions, but its layers say `is_causal = True`. With
# `sdpa`, which is the default, the mask is left out where no patch of the batch is padding, and the attention
# falls back to that flag: each patch sees only those before it. As soon as one image of the batch has padding,
# all of the batch is read in both directions. With `eager` it always is. So the same image has other features
# (here by 24 %) when it is alone, or when the batch changes, and nothing says so.
#
# A small random vision tower from the native classes. Seen 2026-11-30 on Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install transformers==5.24.0 torch==2.14.1 torchvision==0.29.1 pillow==13.0.0
cat >check.py <<'PY'
import torch
import transformers
from transformers.models.phi4_multimodal.configuration_phi4_multimodal import Phi4MultimodalVisionConfig
from transformers.models.phi4_multimodal.modeling_phi4_multimodal import Phi4MultimodalVisionModel

print("transformers", transformers.__version__)
config = Phi4MultimodalVisionConfig(
    hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
    image_size=64, crop_size=64, patch_size=16,
)
torch.manual_seed(0)
model = Phi4MultimodalVisionModel(config).eval()
with torch.no_grad():
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(0, 0.3)
image, other = torch.rand(2, 3, 64, 64)
full = torch.ones(4, 4, dtype=torch.bool)
padded = full.clone()
padded[:, 3:] = False  # the other image is narrower


@torch.no_grad()
def features(images, masks):
    return model(torch.stack(images), patch_attention_mask=torch.stack(masks)).last_hidden_state[0]


def difference(first, second):
    return ((first - second).norm() / second.norm()).item()


seen = {}
for attention in ("sdpa", "eager"):
    model.set_attn_implementation(attention)
    alone = features([image], [full])
    seen[attention, "a full image"] = difference(features([image, other], [full, full]), alone)
    seen[attention, "an image with padding"] = difference(features([image, other], [full, padded]), alone)
for (attention, beside), value in seen.items():
    print(f"{attention:6} beside {beside:22} its features change by {value:.1%}")
assert seen.pop(("sdpa", "an image with padding")) > 0.1
assert max(seen.values()) < 1e-4, seen
PY
HF_HUB_OFFLINE=1 venv/bin/python check.py 2>err.log || { tail -5 err.log; exit 1; }
# seen:
# transformers 5.24.0
# sdpa   beside a full image           its features change by 0.0%
# sdpa   beside an image with padding  its features change by 23.5%
# eager  beside a full image           its features change by 0.0%
# eager  beside an image with padding  its features change by 0.0%
