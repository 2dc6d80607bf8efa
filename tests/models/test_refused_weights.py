"""Folders of weights that are refused from their headers and settings, each with what to do about it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from chexphi import model_folder
from chexphi.models import adapter_check, policy_folder, tensor_headers, trial_question
from chexphi.models.families import phi4
from chexphi.models.original_layout import pickles, side_files, stream
from chexphi.models.original_layout.exporting import export
from chexphi.models.original_layout.importing import convert
from chexphi.schema import InputError

LORA = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": "x"}


def written(folder: Path, file: str, content: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / file).write_text(json.dumps(content))
    return folder


def test_weights_that_are_not_there_or_there_twice(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no \*\.safetensors file: name the folder of the weights"):
        tensor_headers.read(tmp_path)
    for name in "ab":
        save_file({"head": torch.zeros(2)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(
        InputError, match=r"b\.safetensors holds head, which a\.safetensors holds as well: remove"
    ):
        tensor_headers.read(tmp_path)


def test_a_file_that_ends_inside_a_tensor(tmp_path: Path) -> None:
    save_file({"head": torch.zeros(8)}, tmp_path / "a.safetensors")
    header = tensor_headers.read(tmp_path)["head"]
    file = tmp_path / "a.safetensors"
    file.write_bytes(file.read_bytes()[:-4])  # cut after its header was read
    with pytest.raises(InputError, match=r"a\.safetensors ends inside a tensor: copy it again"):
        list(stream.chunks(file, header))


def test_an_adapter_of_another_base(tmp_path: Path) -> None:
    written(tmp_path, "adapter_config.json", LORA)
    save_file(
        {"base_model.model.tower.lora_A.weight": torch.zeros(2)}, tmp_path / "adapter_model.safetensors"
    )
    with pytest.raises(
        InputError, match=r"has tower\.lora_A\.weight, for which this base has no place: it belongs to"
    ):
        adapter_check.check(tmp_path, {"head.weight": (2, 2)}, "head")


def test_folders_that_have_no_original_layout(tmp_path: Path) -> None:
    other = written(tmp_path / "other", "config.json", {"model_type": "qwen2_5_vl"})
    save_file({"head": torch.zeros(2)}, other / "model.safetensors")
    with pytest.raises(
        InputError, match="is of type 'qwen2_5_vl': only Phi-4-multimodal has an original layout"
    ):
        export(other, tmp_path / "out")
    with pytest.raises(InputError, match=r"is not a model folder: it has no config\.json"):
        convert(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_pickle_of_something_else_than_tensors(tmp_path: Path) -> None:
    torch.save([torch.zeros(2)], tmp_path / "model.bin")
    with (
        pytest.raises(InputError, match=r"model\.bin holds more than tensors by name: it is not read"),
        pickles.as_safetensors(tmp_path, tmp_path / "out", allow=True),
    ):
        pytest.fail("it was read")


def test_a_tokenizer_of_another_model(tmp_path: Path) -> None:
    Tokenizer(WordLevel({"lung": 0, "[UNK]": 1}, unk_token="[UNK]")).save(str(tmp_path / "tokenizer.json"))
    written(tmp_path, "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    with pytest.raises(
        InputError, match=r"tokenizer\.json does not know <\|endoftext\|>: it is another model's"
    ):
        side_files.read_tokenizer(tmp_path)


def test_a_tokenizer_and_a_processor_of_other_models(tiny_pair: tuple[Any, Any], tmp_path: Path) -> None:
    model, _ = tiny_pair
    size = model.get_input_embeddings().num_embeddings
    with pytest.raises(
        InputError, match=f"has the token {size} and its model {size} tokens: take both from one"
    ):
        trial_question._check_ids(model, torch.tensor([[0, size]]), [1], tmp_path)
    with pytest.raises(
        InputError, match="writes a film as 2 films of its model: take the tokenizer, the chat"
    ):
        trial_question._check_ids(model, torch.tensor([[0]]), [2], tmp_path)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"dtype": "fp8"}, "dtype is 'fp8': use "),
        ({"attn_implementation": "fast"}, "attn_implementation is 'fast': use "),
    ],
)
def test_settings_of_a_policy(setting: dict[str, str], sentence: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"dtype": "auto", "attn_implementation": "sdpa", "dynamic_hd": None}
    with pytest.raises(InputError, match=f"^{sentence}"):
        policy_folder.check_settings(tmp_path, **settings | setting)


def test_a_runs_folder_in_place_of_its_model(tmp_path: Path) -> None:
    run, model = tmp_path / "run", tmp_path / "run" / "model"
    model.mkdir(parents=True)
    for folder, advice in ((run, f": did you mean {model}?"), (model, "")):
        with pytest.raises(InputError) as refused:
            model_folder.read_config(folder)
        assert str(refused.value) == f"{folder} is not a model folder: it has no config.json{advice}"


def test_a_model_of_another_family(tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "other"))
    config = json.loads((folder / "config.json").read_text())
    written(folder, "config.json", config | {"model_type": "qwen3_vl"})
    with pytest.raises(InputError) as refused:
        phi4.load(folder)
    assert str(refused.value) == (
        f"{folder} holds no model of type 'phi4_multimodal' (its config.json is missing or another's): name "
        "the folder of one"
    )
