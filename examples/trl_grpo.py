"""GRPO with both rewards in bare TRL, without our trainer, on any model that `chexphi sft` takes:

    python examples/trl_grpo.py --model_name_or_path MODEL --dataset_name ROWS.jsonl --output_dir runs/trl \\
        --dtype bfloat16 --bf16 true --learning_rate 1e-5 --max_steps 100 --lora_r 32 --lora_alpha 64 \\
        --num_generations 8 --per_device_train_batch_size 8 \\
        --max_completion_length 512 --logging_steps 1 --report_to none

MODEL is a folder on your disk: Phi-4-multimodal (native weights, or after `chexphi checkpoint import`),
Qwen2.5-VL, Qwen3-VL, Gemma 3 or MedGemma (published safetensors), or a policy trained here. Nothing else
changes with the family: `load_model` brings its chat template, its image tokens and the layers for LoRA. What
shapes a film is in the folder's `preprocessor_config.json`: `dynamic_hd` of Phi-4, `size` of the others.

A line of ROWS.jsonl, with paths from the working folder:

    {"prompt": [{"role": "user", "content": QUESTION}], "images": [PATH, …], "solution": REFERENCE}

REFERENCE is `<think>…</think><answer>…</answer>`. TRL puts the films before the question, and cuts no prompt.
"""

from datasets import Image, List, load_dataset
from trl import GRPOConfig, GRPOTrainer, ModelConfig, ScriptArguments, TrlParser

from chexphi import AccuracyReward, GraphReward, load_model
from chexphi.models import trainable
from chexphi.training.dataset import opens_think

script, args, names = TrlParser((ScriptArguments, GRPOConfig, ModelConfig)).parse_args_and_config()
how = {"dtype": names.dtype or "auto", "attn_implementation": names.attn_implementation or "sdpa"}
model, processor = load_model(names.model_name_or_path, **how)  # TRL knows no Phi-4
lora = {"targets": model.lora_targets, "rank": names.lora_r, "alpha": names.lora_alpha}
rows = load_dataset("json", data_files=script.dataset_name, split="train")
rows = rows.add_column("opened_think", [opens_think(processor)] * len(rows))  # what the rewards read
trainer = GRPOTrainer(
    trainable.prepare(model, "vision_lora", **lora),
    reward_funcs=[AccuracyReward(), GraphReward()],
    args=args,
    train_dataset=rows.cast_column("images", List(Image())),
    processing_class=processor,
)
trainer.train()
