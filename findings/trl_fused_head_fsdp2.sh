#!/usr/bin/env bash
# TRL 1.16.0: the fused head of GRPO gives a wrong gradient where FSDP2 shards `lm_head` as a unit of its own.
#
# GRPOTrainer reads `lm_head.weight` without calling `lm_head`, so that FSDP2 does not gather it; the fused head
# then calls `full_tensor()`, whose backward hands each process the gradient of its own rows for its own part of
# the weight. Nothing is averaged over processes: the loss is right, the gradient of `lm_head` is not, and there
# is no error. (accelerate 1.15 puts the final norm into the same unit where it finds one, whose call gathers
# both; it does not find one in every model.)
#
# A small random Llama on two CPU processes (gloo), beside the same model in one process on all rows.
# Seen 2026-11-30 on Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install trl==1.16.0 transformers==5.24.0 torch==2.14.1
cat >check.py <<'PY'
import torch
import torch.distributed as dist
import trl
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import init_device_mesh
from transformers import LlamaConfig, LlamaForCausalLM
from trl.trainer.utils import add_fused_lm_head

config = LlamaConfig(
    vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
    tie_word_embeddings=False,
)
torch.manual_seed(0)
rows = torch.randint(0, 32, (4, 8))


def model():
    torch.manual_seed(1)
    made = LlamaForCausalLM(config)
    add_fused_lm_head(made)
    return made


def gradient(one, ids):
    """Of the mean log-probability of the rows, the weight of `lm_head`."""
    loss = one(input_ids=ids, labels=ids, fused_lm_head=True).log_probs.mean()
    loss.backward()
    weight = one.lm_head.weight.grad
    return loss.detach(), weight.full_tensor() if hasattr(weight, "full_tensor") else weight


dist.init_process_group("gloo")
rank = dist.get_rank()
loss, expected = gradient(model(), rows)
own = rows[rank * 2 : rank * 2 + 2]
mesh = init_device_mesh("cpu", (2,))
seen = {}
for gathered in (False, True):
    sharded = model()
    for unit in (sharded.model.layers[0], sharded.lm_head, sharded):
        fully_shard(unit, mesh=mesh)
    if gathered:  # what a call of the head would do
        sharded.register_forward_pre_hook(lambda module, args: sharded.lm_head.unshard())
    own_loss, found = gradient(sharded, own)
    dist.all_reduce(own_loss)
    seen[gathered] = ((found - expected).norm() / expected.norm()).item()
    if rank == 0:
        text = "gathered before" if gathered else "as TRL reads it"
        print(f"{text}: loss {own_loss / 2:.4f} for {loss:.4f}, norm of the gradient {found.norm():.4f} "
              f"for {expected.norm():.4f}, off by {seen[gathered]:.0%}")
if rank == 0:
    print("trl", trl.__version__)
    assert seen[True] < 1e-4 and seen[False] > 0.1, seen
dist.destroy_process_group()
PY
HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 venv/bin/python -m torch.distributed.run --standalone --nproc_per_node 2 check.py 2>err.log || { tail -5 err.log; exit 1; }
# seen:
# as TRL reads it: loss -3.4765 for -3.4765, norm of the gradient 0.9826 for 0.7518, off by 97%
# gathered before: loss -3.4765 for -3.4765, norm of the gradient 0.7518 for 0.7518, off by 0%
# trl 1.16.0
