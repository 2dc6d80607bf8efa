"""Bare TRL with both rewards: `--model_name_or_path MODEL --dataset_name ROWS.jsonl --output_dir OUT`.

MODEL: a folder that `chexphi sft` takes (Phi-4-multimodal, Qwen-VL, Gemma 3, or a policy trained here).
A row: {"prompt": [{"role": "user", "content": QUESTION}], "images": [PATH, …], "solution": REFERENCE}
"""

from datasets import Image, List, load_dataset
from trl import GRPOConfig, GRPOTrainer, ModelConfig, ScriptArguments, TrlParser

from chexphi.graph.open import open_extractor
from chexphi.models import policy, trainable
from chexphi.rewards import AccuracyReward, GraphReward
from chexphi.training.dataset import opens_think

script, args, names = TrlParser((ScriptArguments, GRPOConfig, ModelConfig)).parse_args_and_config()
how = {"dtype": names.dtype or "auto", "attn_implementation": names.attn_implementation or "sdpa"}
model, processor = policy.load(names.model_name_or_path, **how)  # TRL knows no Phi-4
lora = {"targets": model.lora_targets, "rank": names.lora_r, "alpha": names.lora_alpha}
rows = load_dataset("json", data_files=script.dataset_name, split="train")
rows = rows.add_column("opened_think", [opens_think(processor)] * len(rows))  # what the rewards read
trainer = GRPOTrainer(
    trainable.prepare(model, "vision_lora", **lora),
    reward_funcs=[AccuracyReward(), GraphReward(open_extractor("lexicon"))],
    args=args,
    train_dataset=rows.cast_column("images", List(Image())),
    processing_class=processor,
)
trainer.train()
