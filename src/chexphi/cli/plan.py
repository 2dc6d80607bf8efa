"""`chexphi plan` on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.table import Table

from chexphi.number_text import counted

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
PHASE_PARTS = {"cache": "KV cache", "logits": "logits", "gradients": "gradients"}


def table(figures: dict[str, Any]) -> Group:
    """Memory by part and phase, and the changes with which the run fits."""
    learns, film, tokens, rows = (figures[key] for key in ("parameters", "film", "tokens", "rows"))
    peak = figures["peak"]
    memory = Table(
        "", "GB", "of it", title=f"{figures['stage']} on {figures['model']}: {peak['total']:.1f} GB at most"
    )
    for name, size in figures["always"].items():
        memory.add_row(NAMES[name], f"{size:.2f}")
    memory.add_section()
    for name, phase in figures["phases"].items():
        details = [f"with all above {phase['total']:.2f}"]
        details += [f"{text} {phase[key]:.2f}" for key, text in PHASE_PARTS.items() if phase[key] >= 0.005]
        style = "bold" if name == peak["phase"] else None
        memory.add_row(NAMES[name], f"+ {phase['own']:.2f}", "; ".join(details), style=style)
    generated = f", {counted(rows['generated'], 'row')} generated at once" if rows["generated"] else ""
    memory.caption = (
        f"{learns['parameters']:,} parameters learn ({learns['share']:.2%}). "
        f"A film of {film['size'][0]} x {film['size'][1]} is {counted(film['crops'], 'crop')} and "
        f"{counted(film['tokens'], 'token')}; a prompt is {counted(tokens['prompt'], 'token')} "
        f"and its answer {tokens['completion']:,}; {counted(rows['micro-batch'], 'row')} a "
        f"micro-batch{generated}. "
        "GB are 10^9 bytes; the memory of CUDA itself and fragmentation are not counted."
    )
    return Group(memory, *_advice(figures))


def _advice(figures: dict[str, Any]) -> list[Any]:
    """The changes with which the run fits, if the size of a GPU is given."""
    if figures["memory"] is None:
        return []
    limit = f"{figures['memory']:g} GB"
    if figures["peak"]["total"] <= figures["memory"]:
        return [f"It fits {limit}."]
    changes = Table(
        "change, each with those above", "GB", "", title=f"To fit {limit}, the least harmful first"
    )
    for row in figures["changes"]:
        changes.add_row(row["change"], f"{row['total']:.1f}", "fits" if row["fits"] else "")
    fits = any(row["fits"] for row in figures["changes"])
    return [changes, *([] if fits else [f"No known change makes it fit {limit}: use a larger GPU."])]
