"""`chexphi plan` on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.table import Table

NAMES = {
    "base": "weights of the model",
    "adapter": "adapter: LoRA, own lm_head",
    "reference": "reference policy",
    "optimiser": "optimiser",
    "films": "films as pixels",
    "features": "films as features",
    "generation": "generation",
    "scoring": "reference or old policy",
    "learning": "forward and backward",
    "optimiser step": "optimiser step",
}
PARTS = {"cache": "KV cache", "logits": "logits", "gradients": "gradients"}


def table(found: dict[str, Any]) -> Group:
    """Memory by part and phase, and the changes with which the run fits."""
    learns, film, tokens, rows = (found[key] for key in ("parameters", "film", "tokens", "rows"))
    peak = found["peak"]
    memory = Table(
        "", "GB", "of it", title=f"{found['stage']} on {found['model']}: {peak['total']:.1f} GB at most"
    )
    for name, size in found["always"].items():
        memory.add_row(NAMES[name], f"{size:.2f}")
    memory.add_section()
    for name, phase in found["phases"].items():
        parts = [f"{PARTS[part]} {phase[part]:.2f}" for part in PARTS if phase[part] >= 0.005]
        total = f"with all above {phase['total']:.2f}"
        style = "bold" if name == peak["phase"] else None
        memory.add_row(NAMES[name], f"+ {phase['own']:.2f}", "; ".join([total, *parts]), style=style)
    generated = f", {rows['generated']} rows generated at once" if rows["generated"] else ""
    memory.caption = (
        f"{learns['parameters']:,} parameters learn ({learns['share']:.2%}). "
        f"A film of {film['size'][0]} x {film['size'][1]} is {film['crops']} crops and "
        f"{film['tokens']:,} tokens; a prompt is {tokens['prompt']:,} tokens and its answer "
        f"{tokens['completion']:,}; {rows['micro-batch']} rows a micro-batch{generated}. "
        "GB are 10^9 bytes; what CUDA itself takes and fragmentation are not counted."
    )
    return Group(memory, *_advice(found))


def _advice(found: dict[str, Any]) -> list[Any]:
    if found["memory"] is None:
        return []
    limit = f"{found['memory']:g} GB"
    if found["peak"]["total"] <= found["memory"]:
        return [f"It fits {limit}."]
    changes = Table(
        "change, each with those above", "GB", "", title=f"To fit {limit}, the least harmful first"
    )
    for row in found["changes"]:
        changes.add_row(row["change"], f"{row['total']:.1f}", "fits" if row["fits"] else "")
    fits = any(row["fits"] for row in found["changes"])
    return [changes, *([] if fits else [f"Nothing known makes it fit {limit}: take a larger GPU."])]
