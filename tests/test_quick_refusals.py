"""A mistake and `--help` are answered before torch is imported, by every verb.

`bench/start_time.py` has the seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")
EVAL = "evaluate --model model --data data/annotations/eval"
MINE = "mine score --model model --data data/annotations/pool/train.json"
KG_TRAIN = "kg train sentences.jsonl --out kg_run --encoder"
TRAIN = "--model model --data data/annotations/pool/train.json"
GRPO = f"grpo {TRAIN} --per_device_train_batch_size 4 --num_generations 2"
SFT = f"sft {TRAIN}"
SWEEP = f"sweep --config sweep.yaml {TRAIN}"
HELP = (
    *("sft", "grpo", "plan", "sweep"),
    *("demo", "study", "evaluate", "ask", "compare", "report", "verl-rows", "swift-plugin"),
    *("mine", "mine score", "mine select", "data", "data phantom", "data import", "data check"),
    *("kg", "kg extract", "kg bench", "kg show", "kg audit", "kg eval", "kg train", "kg radgraph-f1"),
    *("checkpoint", "checkpoint inspect", "checkpoint import", "checkpoint export", "checkpoint merge"),
    *("rewards", "rewards score", "rewards probe", "rewards agree", "watch", "card", "doctor"),
)
MISTAKES = {
    "sft": "needs --model and --data",
    "sft --foo 1": "unknown flag --foo",
    "sft --config missing.yaml": "missing.yaml does not exist",
    "sft --config taken/manifest.json": "needs --model and --data",
    "sft --model nowhere --data data/annotations/pool/train.json": "model folder nowhere does not exist",
    "sft --model cut --data data/annotations/pool/train.json": "is damaged or cut short",
    "sft --model model --data missing.json": "missing.json does not exist",
    f"{SFT} --image_root nowhere": "image root nowhere is not a folder",
    f"{SFT} --out taken": "already holds a run",
    f"{SFT} --out empty/fresh --resume": "holds no run to go on with",
    f"{SFT} --resume --overwrite": "exclude each other",
    f"{SFT} --learning_rate fast": "--learning_rate: 'fast' is not a number (see `chexphi sft --help-all`)",
    f"{SFT} --learning_rate nan": "use at least 0",
    f"{SFT} --max_steps": "expected one argument",
    f"{SFT} --optim adamw_toch": "use one of adamw_torch",
    f"{SFT} --lr_scheduler_kwargs power": "give a mapping",
    f"{SFT} --lr_scheduler_kwargs '{{1}}'": "is not JSON",
    f"{SFT} --loss_type unheard_of": "use one of nll, dft",
    f"{SFT} --push_to_hub": "is not uploaded",
    f"{SFT} --report_to wandbb": "report_to names 'wandbb'",
    f"{SFT} --eval_strategy steps": "no data to evaluate on",
    f"{SFT} --chat_template_path nowhere": "does not exist",
    f"{SFT} --trust_remote_code": "is not run",
    f"{SFT} --trainable ''": "trainable is empty",
    f"{SFT} --dtype float99": "dtype is 'float99'",
    f"{SFT} --dynamic_hd 99": "dynamic_hd is 99",
    "grpo --num_generatoins 4": "did you mean --num_generations?",
    "grpo --model nowhere --data missing.json": "model folder nowhere does not exist",
    f"{GRPO} --data missing.json": "missing.json does not exist",
    f"{GRPO} --pools missing.json": "missing.json",
    f"{GRPO} --out taken": "already holds a run",
    f"{GRPO} --rewards nonsense": "did you mean",
    f"{GRPO} --rewards no_module:f": "there is no module no_module",
    f"{GRPO} --reward_weights 1": "reward_weights has 1 value for 2 rewards",
    f"{GRPO} --reward_weights 1,x": "is not a list of numbers",
    f"{GRPO} --extractor rexkg:nowhere": "checkpoint folder nowhere",
    f"{GRPO} --num_generations 3": "must be divisible by num_generations",
    f"{GRPO} --generation_batch_size 6": "must be divisible by the 4 rows",
    f"{GRPO} --generation_batch_size 8 --steps_per_generation 2": "leave one of them out",
    f"{GRPO} --per_device_train_batch_size 4000": "a step takes 2,000 prompts, and the data have",
    f"{GRPO} --log_completions": "would print patients' texts",
    f"{GRPO} --unscorable perhaps": "unscorable is 'perhaps'",
    f"{GRPO} --use_vllm --vllm_mode both": "vllm",
    "plan --stage evaluate": "stage is 'evaluate'",
    "plan --memry 80": "did you mean --memory?",
    "plan --model nowhere": "model folder nowhere does not exist",
    "plan --model foreign": "only 'phi4_multimodal' is counted",
    "plan --stage grpo --num_generations 3": "must be divisible by num_generations",
    "plan --optim lion_32bit": "is not known: use adamw_torch",
    "plan --image_size 5": "write width x height",
    "sweep": "the grid is empty",
    "sweep --gird 1": "did you mean --grid?",
    f"{SWEEP} --out taken": "already holds a run",
    f"{SWEEP} --engine nonsense": "use local or ray",
    f"{SWEEP} --grid '{{\"beta\": [0.1, -1]}}'": "beta is -1",
    f"{SWEEP} --grid '{{\"betta\": [0.1]}}'": "did you mean beta",
    f"{SWEEP} --settings '{{}}' --grid '{{\"num_generations\": [2, 3]}}'": "must be divisible by",
    f"{SWEEP} --model nowhere": "model folder nowhere does not exist",
    "nonsense": "no such command",
    "demo --seedd 1": "seed",
    "demo --workers 0": "workers is 0",
    "demo --limit 0": "limit is 0",
    "demo --out taken": "already holds a run",
    "study --seeds 1 1": "seeds is",
    "study --quik true": "quick",
    "study --out taken": "already holds a run",
    "evaluate --data data/annotations/eval": "evaluate needs --model: give it",
    "evaluate --modell model": "model",
    "evaluate --model model --data missing.json": "missing.json does not exist",
    "evaluate --model model --data notes.txt": "unknown form",
    "evaluate --model nowhere --data data/annotations/eval": "model folder nowhere does not exist",
    "evaluate --model empty --data data/annotations/eval": "has no config.json",
    "evaluate --model no_weights --data data/annotations/eval": "no *.safetensors file",
    "evaluate --model pickled --data data/annotations/eval": "is a pickle and is not read",
    "evaluate --model foreign --data data/annotations/eval": "type 'llama'",
    "evaluate --model cut --data data/annotations/eval": "is damaged or cut short",
    f"{EVAL} --out taken": "already holds a run",
    f"{EVAL} --image_root nowhere": "image root nowhere is not a folder",
    f"{EVAL} --image-root nowhere": "image root nowhere is not a folder",
    f"{EVAL} --img_root nowhere": "image root nowhere is not a folder",
    f"{EVAL} --extractor nonsense": "extractor is 'nonsense'",
    f"{EVAL} --extractor rexkg:nowhere": "checkpoint folder nowhere does not exist",
    f"{EVAL} --extractor rexkg:empty": "config.json is missing",
    f"{EVAL} --ontology missing.toml": "missing.toml cannot be read",
    f"{EVAL} --ontology notes.txt": "notes.txt",
    f"{EVAL} --dtype float99": "dtype is 'float99'",
    f"{EVAL} --attn_implementation sdpaa": "attn_implementation is 'sdpaa'",
    f"{EVAL} --dynamic_hd 99": "dynamic_hd is 99",
    f"{EVAL} --batch_size 0": "batch_size is 0",
    "mine score --model nowhere --data data/annotations/pool/train.json": "nowhere does not exist",
    "mine score --model model --data missing.json": "missing.json does not exist",
    f"{MINE} --sampless 3": "samples",
    f"{MINE} --temperature -1": "temperature is -1",
    f"{MINE} --measure recall": "mine score: measure is 'recall': use jaccard, f1, clinical",
    f"{MINE} --measure clinical --extractor rexkg:nowhere": "checkpoint folder nowhere does not exist",
    f"{MINE} --measure clinical --ontology missing.toml": "missing.toml cannot be read",
    f"{MINE} --ontology notes.txt": "ontology is 'notes.txt', which only measure clinical uses",
    f"{MINE} --out taken": "already holds a run",
    "mine select nowhere data/annotations/pool/train.json --out new.json": "nowhere does not exist",
    "mine select taken pool --out new.json --selecton uniform": "--selection",
    "ask model": "missing argument",
    "ask nowhere Question": "model folder nowhere does not exist",
    "ask model missing.png Question": "'missing.png' does not exist",
    "ask model notes.txt Question": "not an image",
    "ask model Question --extractor rexkg:nowhere": "checkpoint folder nowhere",
    "ask model Question --ontology missing.toml": "missing.toml cannot be read",
    "ask model Question --reference x": "nothing can be compared",
    "ask model Question --temperatur 1": "--temperature",
    "card nowhere": "nowhere has no weights",
    "compare nowhere nowhere": "nowhere does not exist",
    "compare notes.txt notes.txt": "is not JSON",
    "report nowhere --out page.html": "run folder nowhere does not exist",
    "report empty --out page.html": "give the folder of a training run",
    "report taken --out notes.txt": "not an HTML page",
    "kg extract missing.txt --out kg.jsonl": "missing.txt is not a file",
    "kg extract notes.txt --out kg.jsonl --extractor rexkg:nowhere": "folder nowhere does not exist",
    "kg extract notes.txt --out kg.jsonl --extractor radgraph:nonsense": "has no model 'nonsense'",
    "kg extract notes.txt --out sentences.jsonl": "sentences.jsonl exists",
    "kg bench missing.txt": "missing.txt is not a file",
    "kg show text --extractor nonsense": "extractor is 'nonsense'",
    "kg audit nowhere nowhere": "nowhere is not a file",
    "kg eval notes.txt": "is not JSON",
    "kg eval sentences.jsonl --extractor rexkg:nowhere": "folder nowhere does not exist",
    "kg train missing.jsonl --encoder empty --out kg_run": "missing.jsonl is not a file",
    f"{KG_TRAIN} nowhere": "model folder nowhere does not exist",
    f"{KG_TRAIN} no_weights": "has no model.safetensors",
    f"{KG_TRAIN} model": "is of type 'phi4_multimodal'",
    f"{KG_TRAIN} model --encoder-rate -1": "encoder_rate is -1",
    "kg radgraph-f1 nowhere nowhere": "nowhere is not a file",
    "checkpoint inspect nowhere": "model folder nowhere does not exist",
    "checkpoint import nowhere new": "model folder nowhere does not exist",
    "checkpoint import model new": "is in the native layout",
    "checkpoint import original new": "has no tokenizer.json",
    "checkpoint export foreign new": "only Phi-4-multimodal has an original layout",
    "checkpoint export model taken": "is not empty",
    "checkpoint export original new": "is in the original layout",
    "checkpoint merge nowhere new": "model folder nowhere does not exist",
    "checkpoint merge model new": "has no adapter",
    "data phantom --out taken": "already holds files",
    "data phantom --out new --size 3": "film size 3",
    "data import nonsense nowhere --out new.json": "unknown format 'nonsense'",
    "data check missing.json": "missing.json does not exist",
    "data check data/annotations/pool/train.json --image_root nowhere": "image root nowhere",
    "data check data/annotations/pool/train.json --rewards nonsense": "did you mean",
    "rewards score missing.jsonl": "missing.jsonl does not exist",
    "rewards agree missing.jsonl": "missing.jsonl does not exist",
    "rewards agree data/annotations/pool/train.json": "is not a row of RadPref or RadJudge",
    "rewards probe data/annotations/pool/train.json --out taken": "already holds a run",
    "rewards probe data/annotations/pool/train.json --extractor rexkg:nowhere": "folder nowhere",
    "verl-rows data/annotations/pool/train.json --out new.json": "not a Parquet file",
    "verl-rows data/annotations/pool/train.json --out new.parquet --image_root nowhere": "image root nowhere",
}
"""Command -> part of its message."""
RUN_ALL = f"""
import contextlib, io, json, shlex, sys
from chexphi.cli import main
for command in json.load(sys.stdin):
    sys.argv = ["chexphi", *shlex.split(command)]
    printed, code = io.StringIO(), 0
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    print(json.dumps([command, code, printed.getvalue(), heavy]), flush=True)
"""


@pytest.fixture(scope="module")
def folder(tiny_model_dir: Path, subsets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders and files of every wrong kind."""
    root = tmp_path_factory.mktemp("mistakes")
    (root / "model").symlink_to(tiny_model_dir)
    (root / "data").symlink_to(subsets.parent)
    for name, kind in (
        *(("no_weights", "phi4_multimodal"), ("pickled", "phi4_multimodal"), ("foreign", "llama")),
        *(("original", "phi4mm"), ("cut", "phi4_multimodal")),
    ):
        (root / name).mkdir()
        (root / name / "config.json").write_text(json.dumps({"model_type": kind}))
    (root / "empty").mkdir()
    (root / "taken").mkdir()
    (root / "taken" / "manifest.json").write_text("{}")
    (root / "pickled" / "pytorch_model.bin").write_bytes(b"x")
    weights = (tiny_model_dir / "model.safetensors").read_bytes()
    (root / "cut" / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    (root / "notes.txt").write_text("Small effusion.\n")
    sentence = {"tokens": ["small", "effusion"], "entities": [[0, 0, "size"], [1, 1, "disorder_present"]]}
    (root / "sentences.jsonl").write_text(json.dumps(sentence | {"relations": [[0, "modify", 1]]}) + "\n")
    sweep = {"grid": {"beta": [0.1]}, "settings": {"per_device_train_batch_size": 4, "num_generations": 2}}
    (root / "sweep.yaml").write_text(json.dumps(sweep))
    return root


def test_mistakes_and_help_need_no_torch(folder: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())
    commands = [f"{verb} --help" for verb in HELP] + list(MISTAKES)
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        input=json.dumps(commands), cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == commands
    for command, code, printed, heavy in rows:
        text = " ".join(printed.replace("│", " ").split())
        assert not heavy, f"{command} imported {heavy}"
        assert code == (0 if command.endswith("--help") else 2), f"{command}: {text}"
        assert MISTAKES.get(command, "") in text, f"{command}: {text}"
        assert "Traceback" not in text
    assert sorted(path.name for path in folder.iterdir()) == before  # nothing was begun
