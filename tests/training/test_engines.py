"""vLLM in GRPO: its copy of the policy, the comparison of both engines, and settings that cannot work.

vLLM itself needs a GPU. Only its server and its engine are stood in for: a copy of the base, read from the
disk as they would, that takes weights by name and samples. TRL's own side of both modes runs as it is.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_families
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel
from torch import Tensor
from trl.generation import vllm_generation

from chexphi.models import adapter, policy, policy_folder, trainable, what_learns
from chexphi.models.families import phi4
from chexphi.models.families.family import LAYERS
from chexphi.models.lora_names import TARGETS
from chexphi.models.original_layout.tensor_names import native
from chexphi.schema import InputError
from chexphi.training import grpo, grpo_run, vllm_engines, vllm_settings

FLAGS = [
    "--use_vllm=true", "--vllm_mode=server", "--learning_rate=1e-1", "--per_device_train_batch_size=8",
    "--num_generations=4", "--max_completion_length=8", "--max_steps=2", "--disable_tqdm=true",
    "--save_strategy=no", "--temperature=0.7", "--beta=0.1",
]  # fmt: skip


class Server:
    """What TRL's client of a vLLM server does, with a small model in the server's place."""

    folder: Path
    last: Server

    def __init__(self, **settings: Any) -> None:
        self.model, self.processor = phi4.load(self.folder)
        self.syncs = 0
        type(self).last = self

    def init_communicator(self, device: Any) -> None:
        pass

    def reset_prefix_cache(self) -> None:
        pass

    def get_server_info(self) -> dict[str, Any]:
        return {"model_config": {"logprobs_mode": "processed_logprobs"}}

    def image_features(self, images: Sequence[Any]) -> list[Any]:
        return [row and {"films": row, "mm_placeholders": {"image": [None] * len(row)}} for row in images]

    def update_named_params(self, metadata: Sequence[Any], tensors: Iterator[tuple[str, Tensor]]) -> None:
        own = dict(self.model.named_parameters())
        self.names = []
        for (name, dtype, shape), (again, tensor) in zip(metadata, tensors, strict=True):
            place = own[native(name)]  # as vLLM: a name that is not known is an error
            assert (name, dtype, shape) == (
                again,
                str(tensor.dtype).removeprefix("torch."),
                list(place.shape),
            )
            place.data.copy_(tensor)
            self.names.append(name)
        assert {native(name) for name in self.names} == own.keys()
        self.syncs += 1

    def generate(
        self, prompts: Sequence[list[int]], features: Sequence[Any], n: int, **sampling: Any
    ) -> dict[str, Any]:
        ids: list[list[int]] = []
        logprobs: list[list[list[float | None]]] = []
        for prompt, film in zip(prompts, features, strict=True):
            for tokens, values in self._sample(prompt, film, n, **sampling):
                ids.append(tokens)
                logprobs.append([[value] for value in values])
        return {"prompt_ids": list(prompts), "completion_ids": ids, "logprobs": logprobs}

    def _sample(
        self, prompt: list[int], film: Any, n: int, *, temperature: float, max_tokens: int, **sampling: Any
    ) -> Iterator[tuple[list[int], list[float | None]]]:
        assert sampling["generation_kwargs"]["logit_bias"].keys() == set(self.model.placeholder_ids)
        inputs = {"input_ids": torch.tensor([prompt] * n)}
        if film:
            spans = film["mm_placeholders"]["image"]
            where = [i for span in spans for i in range(span["offset"], span["offset"] + span["length"])]
            assert where == [i for i, token in enumerate(prompt) if token in self.model.placeholder_ids]
            pixels = self.processor.image_processor(film["films"], return_tensors="pt")
            inputs |= {
                k: pixels[k].repeat(n, *[1] * (pixels[k].ndim - 1)) for k in ("pixel_values", "image_sizes")
            }
        return sample(self.model, inputs, temperature, max_tokens)


def sample(
    model: Any, inputs: dict[str, Tensor], temperature: float, length: int
) -> Iterator[tuple[list[int], list[float | None]]]:
    """The tokens of each row, the end token included, and their log-probabilities at this temperature."""
    drawn = model.generate(
        **inputs, do_sample=True, temperature=temperature, top_k=0, max_new_tokens=length,
        output_scores=True, return_dict_in_generate=True,
    )  # fmt: skip
    new = drawn.sequences[:, inputs["input_ids"].shape[1] :]
    logprobs = torch.stack(drawn.scores, 1).float().log_softmax(-1).gather(2, new[..., None])[..., 0]
    for row, values in zip(new, logprobs, strict=True):
        ends = [i for i, token in enumerate(row) if token in model.generation_config.eos_token_id]
        kept = ends[0] + 1 if ends else len(row)
        yield row[:kept].tolist(), values[:kept].tolist()


class Engine:
    """What TRL's colocated mode uses of vLLM's `LLM`."""

    last: Engine

    def __init__(self, model: str, logprobs_mode: str, **settings: Any) -> None:
        assert logprobs_mode == "processed_logprobs"
        self.model, self.processor = policy.load(model)
        runner = SimpleNamespace(model=self)
        worker = SimpleNamespace(
            model_executor=SimpleNamespace(driver_worker=SimpleNamespace(model_runner=runner))
        )
        self.llm_engine, self.awake, self.syncs = worker, {"weights", "kv_cache"}, 0
        type(self).last = self

    def sleep(self, level: int) -> None:
        assert level == 2  # the weights are gone
        for parameter in self.model.parameters():
            parameter.data.fill_(float("nan"))
        self.awake = set()

    def wake_up(self, tags: list[str]) -> None:
        self.awake |= set(tags)

    def load_weights(self, tensors: Sequence[tuple[str, Tensor]]) -> None:
        assert "weights" in self.awake
        for name, tensor in tensors:
            self.model.get_parameter(name).data.copy_(tensor)

    def reset_prefix_cache(self) -> None:
        self.syncs += 1

    def generate(self, prompts: Sequence[Any], sampling_params: Any, use_tqdm: bool) -> list[Any]:
        assert self.awake == {"weights", "kv_cache"}
        assert sampling_params.logit_bias.keys() == set(self.model.placeholder_ids)
        found = []
        for prompt in prompts:
            inputs = {"input_ids": torch.tensor([prompt["prompt_token_ids"]])}
            inputs["mm_token_type_ids"] = (inputs["input_ids"] == self.model.config.image_token_id).long()
            if films := prompt.get("multi_modal_data", {}).get("image"):
                inputs |= self.processor.image_processor(films, return_tensors="pt")
            ((ids, values),) = sample(
                self.model, inputs, sampling_params.temperature, sampling_params.max_tokens
            )
            logprobs = [
                {i: SimpleNamespace(rank=1, logprob=value)} for i, value in zip(ids, values, strict=True)
            ]
            outputs = [SimpleNamespace(token_ids=ids, logprobs=logprobs)]
            found.append(SimpleNamespace(prompt_token_ids=prompt["prompt_token_ids"], outputs=outputs))
        return found


class Stale(Server):
    def update_named_params(self, metadata: Sequence[Any], tensors: Iterator[tuple[str, Tensor]]) -> None:
        list(tensors)


class Once(Server):
    def update_named_params(self, metadata: Sequence[Any], tensors: Iterator[tuple[str, Tensor]]) -> None:
        if self.syncs == 0:
            super().update_named_params(metadata, tensors)


class Unscaled(Server):
    """Log-probabilities before the temperature: vLLM's own default mode."""

    def _sample(self, *args: Any, temperature: float, **sampling: Any) -> Iterator[Any]:
        return super()._sample(*args, temperature=1.0, **sampling)


class Silent(Server):
    def _sample(self, *args: Any, **sampling: Any) -> Iterator[Any]:
        for ids, values in super()._sample(*args, **sampling):
            yield ids, [None, *values[1:]]  # TRL's client writes None for NaN


class Short(Server):
    def _sample(self, *args: Any, **sampling: Any) -> Iterator[Any]:
        for ids, values in super()._sample(*args, **sampling):
            yield ids, values[:-1]


@pytest.fixture(scope="module")
def tied(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model with a vision LoRA beside it that is far from zero."""
    folder = tmp_path_factory.mktemp("engines") / "tied"
    shutil.copytree(tiny_model_dir, folder)
    add_adapter(folder)
    return folder


@pytest.fixture(scope="module")
def untied(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with an `lm_head` of its own in the weights."""
    folder = tmp_path_factory.mktemp("engines") / "untied"
    shutil.copytree(tiny_model_dir, folder)
    model, _ = phi4.load(folder)
    trainable._untie(model, [trainable.HEAD])
    model.lm_head.weight.data += 0.01
    model.save_pretrained(folder)
    add_adapter(folder)
    return folder


def add_adapter(folder: Path) -> None:
    model = adapter.with_new_lora(phi4.load(folder)[0], targets=TARGETS, rank=4, alpha=8, with_head=False)
    draw(model)
    model.save_pretrained(str(folder / policy_folder.VISION_ADAPTER))


def draw(model: Any, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Server], Path], None]:
    """serve(kind, folder): what TRL takes for a vLLM server."""

    def start(kind: type[Server], folder: Path) -> None:
        kind.folder = folder
        monkeypatch.setattr(vllm_generation, "VLLMClient", kind)
        monkeypatch.setattr(vllm_generation, "is_vllm_available", lambda: True)
        monkeypatch.setattr(vllm_settings, "installed", lambda: True)

    def letters(completions: list[Any], **columns: Any) -> list[float]:
        return [float(len(set(completion[0]["content"]))) for completion in completions]

    monkeypatch.setattr(grpo_run, "reward_functions", lambda *args: [letters])
    return start


def run(model: Path, films: Path, out: Path, *flags: str) -> Path:
    data = films / "annotations" / "pool" / "train.json"
    argv = ["--model", str(model), "--data", str(data), "--out", str(out), *FLAGS, *flags]
    return grpo.main(*grpo.parse(argv))


@pytest.mark.parametrize("correction", ["true", "false"])
@pytest.mark.parametrize(("base", "setting"), [("tied", "vision_lora"), ("untied", "vision_lora+lm_head")])
def test_both_engines_agree_at_every_step(
    base: str,
    setting: str,
    correction: str,
    films: Path,
    tmp_path: Path,
    serve: Callable[..., None],
    request: pytest.FixtureRequest,
) -> None:
    folder = request.getfixturevalue(base)
    serve(Server, folder)
    flags = ["--trainable", setting, "--vllm_importance_sampling_correction", correction]
    out = run(folder, films, tmp_path / "run", *flags, "--logp_difference=0.01")
    assert Server.last.syncs == 2
    assert "model.embed_tokens_extend.image_embed.img_projection.0.weight" in Server.last.names
    if correction == "true":
        assert max(apart(out)) < 0.01
    served, start = Server.last.model.state_dict(), phi4.load(folder)[0].state_dict()
    changed = {name for name in start if not torch.equal(start[name], served[name])}
    head = {"lm_head.weight"} if setting != "vision_lora" else set()
    assert changed == {f"{name}.weight" for name in lora_modules(start)} | head


def apart(out: Path) -> list[float]:
    """TRL's own figure of every step."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line["sampling/sampling_logp_difference/mean"] for line in lines[:2]]


def test_weights_that_stop_arriving_later_show_in_the_metrics(
    tied: Path, films: Path, tmp_path: Path, serve: Callable[..., None]
) -> None:
    serve(Once, tied)
    first, second = apart(run(tied, films, tmp_path / "run", "--trainable=vision_lora"))
    assert first < 0.01 < second


def lora_modules(tensors: dict[str, Tensor]) -> set[str]:
    return {name.removesuffix(".weight") for name in tensors if re.fullmatch(TARGETS + r"\.weight", name)}


@pytest.mark.parametrize("sleep", ["true", "false"])
def test_a_colocated_engine_of_another_family_agrees(
    sleep: str, films: Path, tmp_path: Path, serve: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "base"
    tiny_families.qwen2_5_vl(base, tiny_families.TEXTS)
    serve(Server, base)
    monkeypatch.setattr(os, "environ", dict(os.environ))  # TRL sets a rank there and leaves it
    monkeypatch.setattr(vllm_generation, "LLM", Engine, raising=False)
    monkeypatch.setattr(vllm_generation, "SamplingParams", SimpleNamespace, raising=False)
    # a rate of 0.1 may give the placeholders, which the engine never samples, a share that shows
    flags = ["--vllm_mode=colocate", "--lora_rank=4", "--lora_alpha=8", "--learning_rate=1e-2"]
    out = run(base, films, tmp_path / "run", *flags, "--vllm_enable_sleep_mode", sleep)
    assert Engine.last.syncs == 2
    assert max(apart(out)) < 0.05  # four of 400 tokens are never sampled: a shift of about 0.01
    start = policy.load(base)[0].state_dict()
    if sleep == "false":
        served = Engine.last.model.state_dict()
        changed = {name for name in start if not torch.equal(start[name], served[name])}
        lora = {
            f"{name}.weight" for name, _ in Engine.last.model.named_modules() if re.fullmatch(LAYERS, name)
        }
        assert changed == lora | {"lm_head.weight"}


@pytest.mark.parametrize("correction", ["true", "false"])
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Stale, r"not the same policy: over the first batch's \d+ tokens .* on average \(limit 0.05\)"),
        (Unscaled, "not the same policy"),
        (Silent, r"8 of the first batch's \d+ tokens have no finite log-probability"),
        (Short, r"\d log-probabilities for the \d tokens of completion 0: use a vLLM that TRL supports"),
    ],
)
def test_another_policy_stops_the_run_before_its_first_step(
    kind: type[Server], message: str, correction: str, tied: Path, films: Path, tmp_path: Path,
    serve: Callable[..., None],
) -> None:  # fmt: skip
    serve(kind, tied)
    flags = ["--trainable=vision_lora", "--vllm_importance_sampling_correction", correction]
    with pytest.raises(InputError, match=message):
        run(tied, films, tmp_path / "run", *flags, "--temperature=0.4")
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == ""


def test_a_folded_copy_is_sent_and_the_base_stays_bit_for_bit(untied: Path) -> None:
    model = policy.load(untied, dtype="bfloat16", with_head=True)[0]
    model = trainable.prepare(model, what_learns.DEFAULT, targets="", rank=1, alpha=1)
    model.add_adapter("ref", model.peft_config["default"])  # as TRL does for the reference
    draw(model, seed=1)
    model.get_base_model().lm_head.modules_to_save["default"].weight.data += 0.5
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = dict(vllm_engines.folded_tensors(model))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    plain = phi4.load(untied, dtype="bfloat16")[0]
    assert found.keys() == dict(plain.named_parameters()).keys()
    scale, key = 8 / 4, "base_model.model.{}.lora_{}.default.weight"
    for name, start in plain.named_parameters():
        module = name.removesuffix(".weight")
        if module in lora_modules(found):
            delta = before[key.format(module, "B")] @ before[key.format(module, "A")] * scale
            assert torch.equal(found[name], (start.float() + delta).bfloat16())
        elif name == "lm_head.weight":
            torch.testing.assert_close(found[name], start.float() + 0.5)
        else:
            assert torch.equal(found[name], start)


def test_what_trl_does_instead_is_why(untied: Path) -> None:
    """TRL's own walk moves a bf16 base and names the reference's head; if this fails, ours may go."""
    model = policy.load(untied, dtype="bfloat16", with_head=True)[0]
    model.add_adapter("ref", model.peft_config["default"])
    draw(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    backend = vllm_generation.VLLMGeneration.__new__(vllm_generation.VLLMGeneration)
    backend.model = model
    backend._dist = SimpleNamespace(is_fsdp=False, gather_params=lambda tensors: torch.no_grad())
    assert "lm_head.modules_to_save.ref.weight" in dict(backend._iter_named_params())
    assert any(not torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_names_are_mapped_for_phi4_alone() -> None:
    pair = [("model.embed_tokens_extend.image_embed.sub_img_feature_extensor", torch.zeros(1))]
    assert [name for name, _ in vllm_engines.with_vllm_names(iter(pair), "qwen2_5_vl")] == [pair[0][0]]
    phi4_names = [name for name, _ in vllm_engines.with_vllm_names(iter(pair), "phi4_multimodal")]
    assert phi4_names == ["model.embed_tokens_extend.image_embed.sub_GN"]


@given(
    st.lists(st.tuples(st.floats(-20, 0), st.floats(-20, 0), st.booleans()), min_size=1, max_size=30),
    st.integers(0, 30),
)
def test_sums_are_over_sampled_tokens_and_add_up(rows: list[tuple[float, float, bool]], cut: int) -> None:
    sampled, own, mask = (torch.tensor(column).reshape(-1, 1) for column in zip(*rows, strict=True))
    sums = vllm_engines.difference_sums(sampled, own, mask.long())
    apart = [abs(float(a) - float(b)) for a, b, m in zip(sampled, own, mask, strict=True) if m]
    expected = [len(apart), 0, sum(d > vllm_settings.OUTLIER for d in apart), math.fsum(apart)]
    assert sums.tolist() == pytest.approx(expected)
    parts = (
        vllm_engines.difference_sums(sampled[part], own[part], mask[part])
        for part in (slice(cut), slice(cut, None))
    )
    assert sum(parts).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sums", "agree"),
    [
        ([100, 0, 0, 0.0], True),
        ([100, 0, 5, 5.0], True),  # on both limits
        ([100, 0, 0, 5.1], False),  # a shift of every token
        ([100, 0, 6, 4.0], False),  # few tokens, far apart
        ([100, 1, 0, 0.0], False),
        ([0, 0, 0, 0.0], False),  # nothing was sampled: nothing was compared
    ],
)
def test_the_limits(sums: list[float], agree: bool) -> None:
    assert (vllm_engines.disagreement(torch.tensor(sums), vllm_settings.Limits()) is None) == agree


def test_padding_and_infinities() -> None:
    sampled = torch.tensor([[-1.0, float("nan"), 7.0], [-2.0, -float("inf"), -1.0]])
    own = torch.tensor([[-1.25, -1.0, float("nan")], [-1.0, -1.0, -1.0]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert vllm_engines.difference_sums(sampled, own, mask).tolist() == [5, 2, 1, 1.25]


@pytest.mark.parametrize(
    ("ids", "logprobs", "message"),
    [
        ([[1, 2], [3]], [[[-1.0], [-2.0]], [[-1.0]]], None),
        ([[1, 2], [3]], None, "for 0 of 2 completions"),
        ([[1, 2], [3]], [[[-1.0], [-2.0]]], "for 1 of 2 completions"),
        (
            [[1, 2], [3]],
            [[[-1.0], [-2.0]], [[-1.0], [-1.0]]],
            "2 log-probabilities for the 1 tokens of completion 1",
        ),
        ([[], [3]], [[], [[-1.0]]], None),
    ],
)
def test_lengths(ids: Any, logprobs: Any, message: str | None) -> None:
    found = vllm_engines.why_malformed(ids, logprobs)
    assert (message is None and found is None) or (message is not None and found and message in found)


def test_samples_without_log_probabilities_are_refused() -> None:
    """As TRL's `VLLMGeneration` would pass them on: prompts, completions and log-probabilities."""
    model = SimpleNamespace(config=SimpleNamespace(model_type="phi4_multimodal"), placeholder_ids=(7,))
    generation = SimpleNamespace(
        model=model, _iter_named_params=None, generation_kwargs={}, generate=lambda: ([[5]], [[1, 2]], None)
    )
    vllm_engines.attach(generation)
    with pytest.raises(InputError) as refused:
        generation.generate()
    assert str(refused.value) == (
        "vLLM returned log-probabilities for 0 of 1 completions: use a vLLM that TRL supports (0.22 to 0.31)"
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--vllm_mode=colocate"], "Phi-4-multimodal in its original layout only"),
        (["--vllm_mode=local"], "vllm_mode is 'local': use one of colocate, server"),
        (["--top_p=0.9"], "set top_p to 1"),
        (["--top_k=50"], "top_k to 0"),
        (["--min_p=0.1"], "min_p to null"),
        (["--repetition_penalty=1.1"], "repetition_penalty to 1"),
        (["--logp_difference=0"], "logp_difference is 0.0"),
        (["--logp_outliers=2"], "logp_outliers is 2.0: use at most 1"),
        (
            ["--trainable=vision_lora+lm_head"],
            "would not take a trained lm_head: set trainable to vision_lora",
        ),
        (["--trainable=lm_head"], "would not take a trained lm_head"),
    ],
)
def test_what_cannot_work_is_one_sentence_before_the_model(
    flags: list[str], message: str, tied: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_settings, "installed", lambda: True)
    with pytest.raises(InputError, match=message):
        run(tied, films, tmp_path / "run", "--trainable=vision_lora", *flags)
    assert not (tmp_path / "run").exists()


def test_an_adapter_with_a_head_is_refused_on_a_tied_base(
    tied: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = policy.load(tied, with_head=True)
    assert isinstance(model, PeftModel)
    model.save_pretrained(str(tmp_path / "policy"))
    processor.save_pretrained(str(tmp_path / "policy"))
    monkeypatch.setattr(vllm_settings, "installed", lambda: True)
    with pytest.raises(InputError, match="chexphi checkpoint merge"):
        run(tmp_path / "policy", films, tmp_path / "run", "--trainable=vision_lora")


def test_a_missing_vllm_is_said_before_the_model(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_settings, "installed", lambda: False)
    with pytest.raises(InputError, match=r"use_vllm needs the package vllm: pip install .*\[vllm\]'"):
        run(tmp_path / "no_such_model", films, tmp_path / "run")


@pytest.mark.parametrize("mode", ["colocate", "server"])
def test_the_shipped_settings_differ_from_the_documented_run_in_the_vllm_section_alone(mode: str) -> None:
    root = Path(__file__).parents[2]
    plain, ours = root / "configs" / "grpo_kg.yaml", root / "configs" / "vllm" / f"{mode}.yaml"
    changed = yaml.safe_load(ours.read_text()).keys()
    assert {key for key in changed if "vllm" not in key} == {"trainable", "logp_difference", "logp_outliers"}
    recipe, args = grpo.parse(["--config", str(plain), "--config", str(ours), "--bf16=false"])
    assert (args.use_vllm, args.vllm_mode) == (True, mode)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vllm_settings, "installed", lambda: True)
        vllm_settings.check(args)
    kind = "phi4_multimodal" if mode == "server" else "qwen2_5_vl"
    vllm_settings.check_policy(args, recipe.trainable, policy_folder.PolicyFolders(root, None, root, kind))


def test_dynamic_sampling_draws_on_the_server(
    serve: Callable[..., None], tied: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(Server, tied)

    def half_spread(id: Sequence[str], **_: Any) -> list[float]:
        return [float(i % 2) * (zlib.crc32(name.encode()) % 2) for i, name in enumerate(id)]

    monkeypatch.setattr(grpo_run, "reward_functions", lambda *_: [half_spread])
    more = ["--dynamic_sample=true", "--max_resample_times=20", "--trainable=vision_lora"]
    more += ["--rewards", "external_r1v_acc"]
    out = run(tied, films, tmp_path / "run", *more)
    rows = [json.loads(line) for line in (out / "completions.jsonl").read_text().splitlines()]
    assert [row["kept"] for row in rows].count(True) == 16 < len(rows)
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    apart = [row.get("sampling/sampling_logp_difference/max", 0) for row in metrics]
    assert max(apart) < vllm_settings.OUTLIER  # what the server said of each row stays with it
    assert Server.last.syncs == 2  # once a step, however many rounds
