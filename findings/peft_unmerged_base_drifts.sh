#!/usr/bin/env bash
# PEFT 0.21.2: `merge_adapter` followed by `unmerge_adapter` does not give a bf16 base back, and errors add up.
#
# Merging adds the product of a LoRA to the base's weights, unmerging subtracts it, both rounded to the base's
# type. In bf16 each round trip leaves some weights one step of rounding off, and the next begins from there. A
# trainer that sends merged weights to a sampler at every step (TRL 1.16 with vLLM does) so moves a base that is
# meant to be frozen, and with it the reference policy that is the same base without the adapter. In fp32 the
# same is 70,000 times less.
#
# One layer and a LoRA that moves a little at each of 100 steps. Seen 2026-11-30 on Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install peft==0.21.2 transformers==5.24.0 torch==2.14.1
cat >check.py <<'PY'
import peft
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

print("peft", peft.__version__)


def drift(dtype):
    """How far the base has moved after 100 steps, as a share of its norm."""
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Linear(256, 256, bias=False)).to(dtype)
    before = layer[0].weight.detach().clone().float()
    model = get_peft_model(layer, LoraConfig(r=8, lora_alpha=16, target_modules=["0"]))
    lora = [parameter for name, parameter in model.named_parameters() if "lora_" in name]
    for _ in range(100):
        with torch.no_grad():
            for parameter in lora:
                parameter.add_(torch.randn_like(parameter), alpha=1e-3)
        model.merge_adapter()  # here the weights would be sent
        model.unmerge_adapter()
    after = layer[0].base_layer.weight.detach().float()
    return ((after - before).norm() / before.norm()).item(), (after != before).float().mean().item()


seen = {dtype: drift(dtype) for dtype in (torch.bfloat16, torch.float32)}
for dtype, (distance, changed) in seen.items():
    print(f"{dtype}: the base moved by {distance:.1e} of its norm, {changed:.0%} of its weights changed")
assert seen[torch.bfloat16][0] > 3e-3 and seen[torch.bfloat16][1] > 0.3
assert seen[torch.float32][0] < 1e-5
PY
HF_HUB_OFFLINE=1 venv/bin/python check.py 2>err.log || { tail -5 err.log; exit 1; }
# seen:
# peft 0.21.2
# torch.bfloat16: the base moved by 5.7e-03 of its norm, 51% of its weights changed
# torch.float32: the base moved by 8.1e-08 of its norm, 11% of its weights changed
