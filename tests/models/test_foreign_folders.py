"""Folders of weights that somebody else made: read without their code, or refused in one sentence."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_families
import torch
from fuzz.folders import mutated_folders
from safetensors.torch import load_file, save_file

from chexphi import model_folder
from chexphi.models import adapter, policy
from chexphi.schema import InputError, shown

FAMILIES = ("phi4_multimodal", *tiny_families.BUILDERS)
SETTINGS = (
    *("config.json", "generation_config.json", "processor_config.json", "preprocessor_config.json"),
    *("video_preprocessor_config.json", "tokenizer_config.json", "adapter_config.json"),
)
OWN_CLASSES = {
    "auto_map": {
        "AutoConfig": "own.Own",
        "AutoModelForCausalLM": "own.Own",
        "AutoModelForImageTextToText": "own.Own",
        "AutoProcessor": "own.Own",
        "AutoImageProcessor": "own.Own",
        "AutoVideoProcessor": "own.Own",
        "AutoFeatureExtractor": "own.Own",
        "AutoTokenizer": ["own.Own", "own.Own"],
    },
    "tokenizer_class": "Own",
    "processor_class": "Own",
    "image_processor_type": "Own",
    "video_processor_type": "Own",
    "feature_extractor_type": "Own",
}
OWN_CODE = "from pathlib import Path\nPath({mark!r}).touch()\nclass Own: ...\n"


@pytest.fixture(scope="module")
def sources(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each family; never changed."""
    made = {kind: tiny_families.folder(kind, tmp_path_factory) for kind in tiny_families.BUILDERS}
    return {"phi4_multimodal": tiny_folder, **{kind: path for kind, path in made.items() if path}}


@pytest.fixture(scope="module")
def adapters(sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An adapter of each, with its processor."""
    folder = tmp_path_factory.mktemp("adapters")
    for kind, source in sources.items():
        model, processor = policy.load(source)
        model = adapter.with_new_lora(model, targets=model.lora_targets, rank=2, alpha=4, with_head=True)
        model.save_pretrained(folder / kind)
        processor.save_pretrained(folder / kind)
    return {kind: folder / kind for kind in sources}


@pytest.fixture
def copy(sources: dict[str, Path], adapters: dict[str, Path], tmp_path: Path) -> Callable[..., Path]:
    def make(kind: str, *, adapted: bool = False) -> Path:
        source = (adapters if adapted else sources)[kind]
        return shutil.copytree(source, tmp_path / f"{kind}-{len(list(tmp_path.iterdir()))}")

    return make


def change(path: Path, **values: Any) -> None:
    content = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(content | values))


def name_own_classes(folder: Path, *names: str) -> None:
    """The files name classes of a module in the folder that leaves a mark when it is run."""
    for name in names:
        change(folder / name, **OWN_CLASSES)
    for part in (folder, folder / "custom_generate"):
        part.mkdir(exist_ok=True)
        for module in ("own.py", "generate.py"):  # the library would run a copy in its cache
            (part / module).write_text(OWN_CODE.format(mark=str(folder / "ran")))


def refusal(folder: Path) -> str | None:
    """The one sentence with which a folder is refused; None if it is read."""
    try:
        policy.load(folder)
    except InputError as error:
        text = str(error)
        assert "\n" not in text
        assert len(text) < 600
        assert "trust_remote_code" not in text
        return text
    return None


@pytest.mark.parametrize("answer", ["y\n" * 20, ""], ids=["yes", "closed"])
@pytest.mark.parametrize("kind", FAMILIES)
def test_code_of_a_folder_is_neither_asked_about_nor_run(
    copy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, kind: str, answer: str
) -> None:
    """Every file names a class of its own, then each alone, for a model and for an adapter."""
    cases = [(adapted, SETTINGS) for adapted in (False, True)]
    cases += [(name == "adapter_config.json", (name,)) for name in SETTINGS if answer]
    for adapted, names in cases:
        typed = io.StringIO(answer)
        monkeypatch.setattr(sys, "stdin", typed)
        folder = copy(kind, adapted=adapted)
        own = [name for name in names if adapted or name != "adapter_config.json"]
        name_own_classes(folder, *own)
        said = refusal(folder)
        assert typed.tell() == 0
        assert not (folder / "ran").exists()
        assert said is None or "names a class of its own" in said or "auto_map" in said, said


def test_a_yes_on_standard_input_runs_nothing(copy: Callable[..., Path], tmp_path: Path) -> None:
    """As a whole process; the adapter can be folded in, for the library has classes of its own."""
    folder = copy("phi4_multimodal", adapted=True)
    name_own_classes(folder, "tokenizer_config.json", "processor_config.json")
    command = [sys.executable, "-m", "chexphi", "checkpoint", "merge", str(folder), str(tmp_path / "out")]
    ended = subprocess.run(command, input="y\n" * 9, text=True, capture_output=True, timeout=600)
    assert not (folder / "ran").exists()
    assert "[y/N]" not in ended.stdout + ended.stderr
    assert "whose code is not run" in ended.stderr or "it is not run" in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr


def test_weights_named_outside_the_folder_are_not_opened(copy: Callable[..., Path], tmp_path: Path) -> None:
    for name in ("../outside.safetensors", str(tmp_path / "outside.safetensors"), "sub/x.safetensors", 7):
        folder = copy("qwen2_5_vl")
        weights = folder / "model.safetensors"
        tensors = load_file(weights)
        first = min(tensors)
        (folder / "sub").mkdir()
        save_file({first: tensors.pop(first)}, tmp_path / "outside.safetensors")
        save_file(tensors, weights)
        index = {"weight_map": dict.fromkeys(tensors, weights.name) | {first: name}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        said = refusal(folder)
        assert said is not None
        assert "only files in its folder are read" in said
        assert shown(name) in said


def test_an_index_that_names_another_file_of_the_folder_is_refused(copy: Callable[..., Path]) -> None:
    folder = copy("gemma3")
    tensors = load_file(folder / "model.safetensors")
    first, *rest = sorted(tensors)
    (folder / "model.safetensors").unlink()
    save_file({first: tensors[first]}, folder / "a.safetensors")
    save_file({name: tensors[name] for name in rest}, folder / "b.safetensors")
    index = dict.fromkeys(tensors, "b.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    assert "and it is in a.safetensors" in (refusal(folder) or "")
    index[first] = "a.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    assert refusal(folder) is None


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_folder_of_links_is_read(sources: dict[str, Path], tmp_path: Path, kind: str) -> None:
    """As the hub's cache: plain names in `snapshots/`, which are links to `../../blobs/`."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "main"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for number, path in enumerate(sorted(sources[kind].iterdir())):
        shutil.copyfile(path, blobs / str(number))
        (snapshot / path.name).symlink_to(os.path.relpath(blobs / str(number), snapshot))
    assert refusal(snapshot) is None


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("tokenizer_config.json", {"vocab_file": "../vocab.txt"}),
        ("tokenizer_config.json", {"merges_file": "/etc/hostname"}),
        ("tokenizer_config.json", {"fast_tokenizer_files": ["../elsewhere/tokenizer.1.json"]}),
        ("tokenizer_config.json", {"gguf_file": "a/../../b.gguf"}),
        ("processor_config.json", {"audio_tokenizer": {"audio_tokenizer_name_or_path": "../model"}}),
        ("audio_tokenizer_config.json", {"audio_tokenizer_name_or_path": "org/model"}),
        ("config.json", {"text_config": {"attn_implementation": "org/kernel"}}),
        ("config.json", {"_attn_implementation": "org/kernel"}),
    ],
)
def test_a_file_or_model_named_outside_is_refused(
    copy: Callable[..., Path], file: str, values: dict[str, Any]
) -> None:
    folder = copy("qwen3_vl")
    change(folder / file, **values)
    said = refusal(folder)
    assert said is not None
    assert said.startswith(f"{folder / file}: ")


def test_records_of_another_machine_do_no_harm(copy: Callable[..., Path]) -> None:
    """As published folders of 2021 have them."""
    folder = copy("phi4_multimodal")
    records = dict.fromkeys(("special_tokens_map_file", "tokenizer_file"), "/root/.cache/x.json")
    change(folder / "tokenizer_config.json", name_or_path="/root/model", **records)
    assert refusal(folder) is None


def test_a_base_that_is_an_adapter_as_well_is_refused(copy: Callable[..., Path]) -> None:
    """The library would load the adapter, and look for the base that it names."""
    base, folder = copy("phi4_multimodal"), copy("phi4_multimodal", adapted=True)
    change(folder / "adapter_config.json", base_model_name_or_path=str(base))
    assert refusal(folder) is None
    shutil.copyfile(folder / "adapter_config.json", base / "adapter_config.json")
    assert "has an adapter_config.json of its own" in (refusal(folder) or "")


def test_settings_that_change_nothing_are_no_reason_to_refuse_a_folder(copy: Callable[..., Path]) -> None:
    """Defaults written out, keys of other tools, an attention that is not installed."""
    for kind in FAMILIES:
        folder = copy(kind)
        change(
            folder / "generation_config.json",
            num_beams=1, length_penalty=1.0, min_length=0, num_return_sequences=1, output_scores=False,
            trust_remote_code=True, max_window_size=6144, chat_format="chatml", do_sample=False,
            temperature=0.0, renormalize_logits=False, stop_strings=None,
        )  # fmt: skip
        change(folder / "config.json", _attn_implementation="flash_attention_2")
        assert refusal(folder) is None, kind


@pytest.mark.parametrize("setting", [True, False, "gaussian", "orthogonal"])
def test_how_an_adapter_was_drawn_does_not_matter(copy: Callable[..., Path], setting: Any) -> None:
    folder = copy("phi4_multimodal", adapted=True)
    change(folder / "adapter_config.json", init_lora_weights=setting)
    assert refusal(folder) is None


@pytest.mark.parametrize("setting", ["pissa", "pissa_niter_16", "olora", "corda", "loftq", "lora_ga"])
def test_an_adapter_that_began_with_parts_of_its_base_is_refused(
    copy: Callable[..., Path], setting: str
) -> None:
    """PEFT takes these parts out of the base: without that it is another policy."""
    folder = copy("phi4_multimodal", adapted=True)
    change(folder / "adapter_config.json", init_lora_weights=setting)
    assert f"init_lora_weights is '{setting}', and only plain LoRA is read" in (refusal(folder) or "")


DAMAGE: list[tuple[str, dict[str, Any] | str, str]] = [
    ("config.json", "{", "is not JSON"),
    ("config.json", "[]", "is not a JSON object"),
    ("config.json", {"dtype": "float99"}, "cannot be read as"),
    ("generation_config.json", "[]", "is not a JSON object"),
    ("generation_config.json", {"pad_token_id": 10**6}, "use ids of tokens"),
    ("generation_config.json", {"bos_token_id": -1}, "use ids of tokens"),
    ("generation_config.json", {"suppress_tokens": ["a"]}, "use ids of tokens"),
    ("generation_config.json", {"temperature": "hot", "do_sample": True}, "generation_config|cannot be read"),
    ("generation_config.json", {"num_beams": 4}, "num_beams is 4, and it is not read"),
    ("tokenizer_config.json", "null", "is not a JSON object"),
    ("tokenizer_config.json", {"eos_token": 7}, "cannot be read as"),
    ("tokenizer_config.json", {"extra_special_tokens": 7}, "cannot be read as"),
    ("tokenizer.json", "", "is not JSON"),
    ("tokenizer.json", "{}", "cannot be read as"),
    ("tokenizer.json", {"model": {"type": "Other"}}, "cannot be read as"),
    ("processor_config.json", {"image_processor": {"size": {"height": 0, "width": 0}}}, "the size of a film"),
    ("processor_config.json", {"image_processor": {"size": {"longest_edge": -4}}}, "the size of a film"),
    ("processor_config.json", {"image_processor": {"size": "big"}}, "the size of a film"),
]


@pytest.mark.parametrize("kind", FAMILIES)
def test_damage_is_one_sentence_that_names_the_folder(copy: Callable[..., Path], kind: str) -> None:
    for file, values, message in DAMAGE:
        folder = copy(kind)
        if isinstance(values, str):
            (folder / file).write_text(values)
        else:
            change(folder / file, **values)
        with pytest.raises(InputError, match=message) as caught:
            policy.load(folder)
        assert str(folder) in str(caught.value)


@pytest.mark.parametrize("kind", FAMILIES)
def test_weights_that_the_settings_leave_out_are_refused(copy: Callable[..., Path], kind: str) -> None:
    """A policy with fewer layers than its weights answers all the same, and otherwise."""
    counts = {"num_hidden_layers", "depth"}
    config = json.loads((copy(kind) / "config.json").read_text())
    parts = ("text_config" if "text_config" in config else "", "vision_config")
    for part in parts:
        section = config[part] if part else config
        (name,) = counts & section.keys()
        for value in {1, section[name] - 1} - {section[name]}:
            fewer = section | {name: value}
            if "layer_types" in section:
                fewer["layer_types"] = section["layer_types"][:value]
            folder = copy(kind)
            change(folder / "config.json", **({part: fewer} if part else fewer))
            assert "weights that its config.json does not describe" in (refusal(folder) or ""), (part, value)


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.filterwarnings("error")
def test_a_layer_without_numbers_is_refused_without_a_word_of_the_library(
    copy: Callable[..., Path], kind: str
) -> None:
    folder = copy(kind)
    section = json.loads((folder / "config.json").read_text())["vision_config"]
    change(folder / "config.json", vision_config=section | {"intermediate_size": 0})
    assert "has no numbers: copy it again" in (refusal(folder) or "")


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_tower_that_the_family_has_not_may_lie_beside_the_others(
    copy: Callable[..., Path], kind: str
) -> None:
    folder = copy(kind)
    tensors = load_file(folder / "model.safetensors")
    more = tensors | {f"{name}.layers.0.weight": torch.ones(2, 2) for name in ("tower", "model.speech")}
    save_file(more, folder / "model.safetensors", {"format": "pt"})
    assert refusal(folder) is None


@pytest.mark.parametrize(
    ("prefix", "merges", "refused"),
    [
        ("##", ["a ##b", "a ##cd"], False),
        ("##", [["a", "##b"]], False),
        ("##", ["a ##b", "a bcde"], True),
        ("##", [["a", "bcde"]], True),
        ("##", [["a", "##b"], []], True),
        ("##", [["a", "##b"], None], True),
        ("##", "a b", False),  # the library says what is wrong
        ("", ["a b"], False),
        (None, ["a b"], False),
    ],
)
def test_merges_have_the_prefix_of_their_tokenizer(
    tmp_path: Path, prefix: str | None, merges: Any, refused: bool
) -> None:
    model = {"type": "BPE", "continuing_subword_prefix": prefix, "merges": merges}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model}))
    if not refused:
        model_folder.check(tmp_path)
        return
    with pytest.raises(InputError, match=r"tokenizer\.json: model\.continuing_subword_prefix is '##'"):
        model_folder.check(tmp_path)


@pytest.mark.parametrize("kind", FAMILIES)
def test_sizes_that_the_weights_have_not_are_refused_before_memory_is_asked_for(
    copy: Callable[..., Path], kind: str
) -> None:
    for name, value in (
        ("vocab_size", 10**9),
        ("num_hidden_layers", 10**9),
        ("intermediate_size", 10**8),
        ("num_attention_heads", 0),
        ("hidden_size", -1),
        ("hidden_size", "wide"),
    ):
        folder = copy(kind)
        content = json.loads((folder / "config.json").read_text())
        content.get("text_config", content)[name] = value
        (folder / "config.json").write_text(json.dumps(content))
        said = refusal(folder)
        assert said is not None, name
        assert str(folder) in said


@pytest.mark.parametrize("kind", tiny_families.BUILDERS)
@pytest.mark.parametrize(
    "template", ["", "{% for x in messages %}", "{{ messages[9].content.a }}", "only words", "{{ 1 / 0 }}"]
)
def test_a_chat_template_that_cannot_ask_is_refused(
    copy: Callable[..., Path], kind: str, template: str
) -> None:
    folder = copy(kind)
    (folder / "chat_template.jinja").write_text(template)
    said = refusal(folder)
    assert said is not None
    assert str(folder) in said


def test_a_chat_template_reaches_nothing_but_the_conversation(copy: Callable[..., Path]) -> None:
    """The library renders it in a sandbox; the classes of Python are out of reach."""
    folder = copy("qwen3_vl")
    (folder / "chat_template.jinja").write_text("{{ messages.__class__.__base__.__subclasses__() }}")
    assert "SecurityError" in (refusal(folder) or "")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"r": 0}, "r is 0: it is the rank"),
        ({"r": "4"}, "it is the rank"),
        ({"r": 3}, "where its base and rank ask for"),
        ({"lora_alpha": "high"}, "lora_alpha is 'high'"),
        ({"lora_alpha": -1}, "lora_alpha is -1"),
        ({"lora_dropout": 1}, "lora_dropout is 1"),
        ({"use_rslora": "yes"}, "use_rslora is 'yes'"),
        ({"use_dora": True}, "use_dora is True, and only plain LoRA"),
        ({"megatron_config": {"a": 1}}, "megatron_config"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"modules_to_save": "lm_head"}, "use a list of names"),
        ({"modules_to_save": []}, "has weights of lm_head"),
        ({"modules_to_save": ["lm_head", "norm"]}, "modules_to_save names 'norm'"),
        ({"peft_type": "LOHA"}, "only LoRA is read"),
        ({"base_model_name_or_path": ["a"]}, "base_model_name_or_path is"),
        ({"base_model_name_or_path": "org/model"}, "where no model is"),
        ({"base_model_name_or_path": "a" * 5000}, "where no model is"),
        ({"base_model_name_or_path": "a\0"}, "where no model is"),
    ],
)
def test_settings_of_an_adapter_are_checked(
    copy: Callable[..., Path], values: dict[str, Any], message: str
) -> None:
    folder = copy("phi4_multimodal", adapted=True)
    change(folder / "adapter_config.json", **values)
    assert message in (refusal(folder) or "")


@pytest.mark.parametrize("adapted", [False, True], ids=["model", "adapter"])
@pytest.mark.parametrize("kind", FAMILIES)
def test_a_changed_folder_is_read_or_refused(
    sources: dict[str, Path], adapters: dict[str, Path], tmp_path: Path, kind: str, adapted: bool
) -> None:
    source = (adapters if adapted else sources)[kind]
    folders = mutated_folders(source, tmp_path, random.Random(f"{kind} {adapted}"))
    said = [refusal(folder) for folder in itertools.islice(folders, 12)]
    assert any(said)
    assert not all(said)


def test_a_processor_of_another_size_is_found_before_a_run(copy: Callable[..., Path]) -> None:
    folder = copy("gemma3")
    settings = json.loads((folder / "processor_config.json").read_text())
    settings["image_processor"]["size"] = {"height": 64, "width": 64}
    change(folder / "processor_config.json", **settings)
    assert "cannot be read as a policy that answers" in (refusal(folder) or "")


def test_weights_that_are_not_numbers_are_refused(copy: Callable[..., Path]) -> None:
    folder = copy("qwen3_vl")
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("language_model.norm.weight"))
    tensors[name].fill_(float("nan"))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert "not finite" in (refusal(folder) or "")
