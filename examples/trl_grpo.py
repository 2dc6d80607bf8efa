"""Bare TRL with both rewards: `--model_name_or_path MODEL --dataset_name ROWS.jsonl --output_dir OUT`.

A row: {"prompt": [{"role": "user", "content": QUESTION}], "images": [PATH, …], "solution": REFERENCE}
"""

from datasets import Image, List, load_dataset
from trl import GRPOConfig, GRPOTrainer, ModelConfig, ScriptArguments, TrlParser

from chexphi.graph.open import open_extractor
from chexphi.rewards import AccuracyReward, GraphReward

script, args, model = TrlParser((ScriptArguments, GRPOConfig, ModelConfig)).parse_args_and_config()
rows = load_dataset("json", data_files=script.dataset_name, split="train")
trainer = GRPOTrainer(
    model.model_name_or_path,
    reward_funcs=[AccuracyReward(), GraphReward(open_extractor("lexicon"))],
    args=args,
    train_dataset=rows.cast_column("images", List(Image())),
)
trainer.train()
