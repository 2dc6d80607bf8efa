"""What the Phi-4 adapter costs beside the native class of transformers: forward and backward. One table.

Same weights, same batch, one thread, both in turn; median of the rounds' ratios of CPU seconds.
Attention between patches runs both ways in both (`phi4._ImageEmbedding`: the native class has to be told).
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import random
import statistics
import tempfile
import time
from typing import Any

from PIL import Image
from rich.console import Console
from rich.table import Table
from transformers.models.phi4_multimodal import modeling_phi4_multimodal as native

from chexphi.data.phantom.draw import render
from chexphi.data.phantom.language import caption
from chexphi.data.phantom.scene import sample_build, sample_scene
from chexphi.models.families import phi4, tiny
from chexphi.prompts import messages
from chexphi.prompts import render as target

REPEATS = 40
ROWS = 16
SIZE = 64
"""Side of a crop in pixels."""


def drawn(size: int) -> tuple[list[Image.Image], list[str]]:
    """Films, all different, and a completion for each."""
    rng, films, texts = random.Random(0), [], []
    for _ in range(ROWS):
        scene = sample_scene(rng, sample_build(rng))
        films.append(render(scene, size).convert("RGB"))
        texts.append(target(caption(rng, scene, "train")[1].think, "yes"))
    return films, texts


def native_twin(model: Any) -> Any:
    """The native class with the adapter's weights and two-way attention between patches."""
    twin = native.Phi4MultimodalForCausalLM(model.config)
    twin.load_state_dict(model.state_dict())
    for layer in twin.model.embed_tokens_extend.image_embed.img_processor.encoder.layers:
        layer.self_attn.is_causal = False
    return twin.eval()


def batch(
    processor: Any, films: list[Image.Image], texts: list[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same rows in the adapter's names and in the native ones, the mask made beforehand as natively."""
    rows = [[*messages("Is there an opacity?", 1), {"role": "assistant", "content": text}] for text in texts]
    prompts = [processor.apply_chat_template(row) for row in rows]
    ours = dict(processor(text=prompts, images=[[f] for f in films], padding=True, return_tensors="pt"))
    ours["labels"] = ours["input_ids"].masked_fill(ours["attention_mask"] == 0, -100)
    pixels, sizes = ours["pixel_values"], ours["image_sizes"]
    patch_size = processor.image_processor.patch_size
    theirs = {name: ours[name] for name in ("input_ids", "attention_mask", "labels")} | {
        "image_pixel_values": pixels,
        "image_sizes": sizes[:, :2],
        "image_attention_mask": phi4.extent_mask(sizes, pixels.shape[1], size=SIZE, patch_size=patch_size),
    }
    return ours, theirs


def seconds(model: Any, inputs: dict[str, Any]) -> float:
    """CPU seconds of a forward and a backward."""
    model.zero_grad()
    start = time.process_time()
    model(**inputs, use_cache=False).loss.backward()
    return time.process_time() - start


def difference(model: Any, twin: Any) -> float:
    """Norm of the difference of all gradients, relative to the native ones' norm."""
    pairs = zip(model.parameters(), twin.parameters(), strict=True)
    grads = [(a.grad, b.grad) for a, b in pairs if a.grad is not None]
    apart, whole = sum((a - b).square().sum() for a, b in grads), sum(b.square().sum() for _, b in grads)
    return float((apart / whole).sqrt())


def ratios(model: Any, twin: Any, ours: dict[str, Any], theirs: dict[str, Any]) -> list[float]:
    """Adapter over native, a round each; who goes first takes turns."""
    found = []
    for turn in range(-1, REPEATS):  # the first round warms up
        if turn % 2:
            native_seconds, adapter_seconds = seconds(twin, theirs), seconds(model, ours)
        else:
            adapter_seconds, native_seconds = seconds(model, ours), seconds(twin, theirs)
        found.append(adapter_seconds / native_seconds)
    return found[1:]


def main() -> None:
    one, texts = drawn(SIZE)
    four, _ = drawn(2 * SIZE)
    cases = (
        ("all different, 5 crops each", four, 4, "<= 1.03"),
        ("all different, 1 crop each (arrives twice)", one, 1, ""),
        ("2 different, 8 completions each, 5 crops", [four[i // 8] for i in range(ROWS)], 4, ""),
    )
    title = f"forward + backward, {ROWS} rows, 1.2 M parameters, 1 thread"
    table = Table("films", "adapter / native", "bar", "middle half", "gradients", title=title)
    with tempfile.TemporaryDirectory() as folder:
        tiny.build(folder, texts)
        model, processor = phi4.load(folder)
        twin = native_twin(model)
        for name, films, tiles, bar in cases:
            processor.image_processor.dynamic_hd = tiles
            ours, theirs = batch(processor, films, texts)
            low, middle, high = statistics.quantiles(ratios(model, twin, ours, theirs), n=4)
            apart = f"{difference(model, twin):.0e} apart"
            table.add_row(name, f"{middle:.3f}", bar, f"{low:.3f} to {high:.3f}", apart)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
