"""The command line as a user meets it: verbs, exit codes, one sentence for bad input."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from chexphi.cli import main
from chexphi.rewards.settings import RewardFields

VERBS = (
    *("demo", "study", "sft", "grpo", "sweep", "plan", "evaluate", "ask", "compare", "report"),
    *("data", "mine", "kg", "checkpoint", "rewards"),
)


CONFIGS = Path(__file__).parents[1] / "configs"


def chexphi(*argv: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chexphi", *map(str, argv)], capture_output=True, text=True, check=False
    )


class Ended(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """The same in this process, which has imported torch already."""

    def run(*argv: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["chexphi", *map(str, argv)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn dataset made by the verb itself."""
    out = tmp_path_factory.mktemp("cli") / "data"
    done = chexphi(
        "data", "phantom", "--out", out, "--train", 6, "--pool", 6, "--valid", 4, "--test", 10, "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["out"] == str(out)
    return out


def test_help_fits_a_screen_and_names_every_verb() -> None:
    done = chexphi("--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) <= 48
    assert all(verb in done.stdout for verb in VERBS)


@pytest.mark.parametrize(
    "verb", [("sft",), ("grpo",), ("evaluate",), ("mine", "score"), ("demo",), ("study",), ("sweep",)]
)
def test_a_recipe_shows_its_own_fields(verb: tuple[str, ...], here: Callable[..., Ended]) -> None:
    done = here(*verb, "--help")
    assert done.returncode == 0
    assert "--out: run folder" in done.stdout
    assert ("TRL" in done.stdout) == (verb[0] in ("sft", "grpo"))


def test_data_check_says_what_is_there_and_what_is_wrong(small: Path) -> None:
    file = small / "annotations" / "pool" / "train.json"
    done = chexphi("data", "check", file, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 6
    rows = json.loads(file.read_text())
    rows[2]["question"] = ""
    broken = small / "broken.json"
    broken.write_text(json.dumps(rows))
    done = chexphi("data", "check", broken, "--image-root", small / "images", "--json")
    assert done.returncode == 2
    assert any("question" in problem for problem in json.loads(done.stdout)["problems"])


def test_data_check_shows_the_reward_check_in_one_line(small: Path, tmp_path: Path) -> None:
    file = small / "annotations" / "pool" / "train.json"
    text = chexphi("data", "check", file, "--rewards", "external_r1v_acc,external_kg_jac").stdout
    assert "\nrewards: gold earns 2.000 and garbage 0.000, means of 6 rows; gold earns too little in " in text
    assert text.endswith(" no row, garbage something in no row\n")
    assert "\nfilms: 6, all can be read\nrows with a graph: 6\nrows with a scene: 6\nproblems: none\n" in text
    assert "\nquestion types: " in text
    assert re.search(r"\nright without looking: 0\.\d{3} of the rows, ", text)
    assert "_" not in text.split("\n", 2)[2]  # after the paths: no names of fields
    rows = json.loads(file.read_text())
    for row in rows:
        del row["graph"], row["scene"]
    rows[0]["answer"] = ["something else"]
    other = small / "annotations" / "pool" / "without_graphs.json"
    other.write_text(json.dumps(rows))
    done = chexphi("data", "check", other, "--rewards", "external_r1v_acc,external_kg_jac")
    assert "means of 6 rows; gold earns too little in 1, garbage something in no row\n" in done.stdout
    assert "with a " not in done.stdout


def test_rewards_score_prints_one_object_or_figures(tmp_path: Path, here: Callable[..., Ended]) -> None:
    gold = "<think>There is a left pleural effusion.</think><answer>yes</answer>"
    rows = [
        {"id": i, "completion": text, "solution": gold, "group": 0} for i, text in enumerate((gold, "yes"))
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = here("rewards", "score", file, "--json")
    assert done.returncode == 0, done.stderr
    assert [row["total"] for row in json.loads(done.stdout)["rows"]] == [2.0, 0.0]
    seed = here("rewards", "score", file, "--compat", "original", "--rewards", "external_r1v_acc", "--json")
    assert [row["total"] for row in json.loads(seed.stdout)["rows"]] == [1.0, 1.0]
    plain = here("rewards", "score", file, "--weights", "2,1", "--combine", "gated")
    assert "mean total: 1.500" in plain.stdout
    assert "malformed no answer: 1" in plain.stdout


def test_every_setting_of_a_reward_is_an_option(
    tmp_path: Path, here: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")  # whole names in the help
    gold = "<think>There is a left pleural effusion.</think><answer>yes</answer>"
    again = gold.replace("effusion.", "effusion. There is a left pleural effusion.")
    denied = gold.replace("is a", "is no").replace("effusion.", "effusion. Clear left lung.")
    texts = ("<answer>yes</answer>", again, denied)
    rows = [{"id": i, "completion": text, "solution": gold} for i, text in enumerate(texts)]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def paid(*flags: str) -> list[tuple[float, float]]:
        done = here("rewards", "score", file, "--json", *flags)
        assert done.returncode == 0, done.stderr
        found = [row["rewards"] for row in json.loads(done.stdout)["rows"]]
        return [(row["external_r1v_acc"], row["external_kg_jac"]) for row in found]

    plain = paid()
    assert [paid("--no-format-gate")[0], paid("--format-gate")[0]] == [(1.0, 0.0), plain[0]]
    assert [plain[1][1], paid("--repetitions", "ignore")[1][1]] == pytest.approx([0.5, 1.0])
    assert plain[2][1] < paid("--contradictions", "ignore")[2][1]
    for verb in ("score", "probe"):
        text = here("rewards", verb, "--help").stdout
        names = {field.name for field in dataclasses.fields(RewardFields)}
        assert "(default: )" not in text
        assert [name for name in names if f"--{name.replace('_', '-')}" not in text] == []
        refused = here("rewards", verb, file, "--empty", "both")
        assert refused.returncode == 2
        assert "empty is 'both': use skip, one, zero" in refused.stderr


def test_rewards_probe_prints_tables_or_one_object_and_writes_a_page(
    small: Path, tmp_path: Path, here: Callable[..., Ended]
) -> None:
    file, out = small / "annotations" / "pool" / "train.json", tmp_path / "probe"
    plain = here("rewards", "probe", file, "--rewards", "external_r1v_acc,external_kg_jac")
    assert plain.returncode == 0, plain.stderr
    assert "polarity flipped" in plain.stdout
    argv = (
        "rewards",
        "probe",
        file,
        "--rewards",
        "format",
        "--rewards",
        "external_kg_jac",
        "--out",
        out,
        "--json",
    )
    done = here(*argv)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [one["name"] for one in found["configurations"]] == ["format", "external_kg_jac"]
    assert json.loads((out / "probe.json").read_text()) == found
    page = (out / "probe.html").read_text()
    assert "sides swapped" in page
    assert here(*argv).returncode == 2  # the folder holds a run
    assert here(*argv, "--overwrite").returncode == 0


def test_the_process_ends_as_the_verb_does(tmp_path: Path) -> None:
    done = chexphi("data", "check", tmp_path / "nowhere.json")
    assert done.returncode == 2
    assert "nowhere.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_training_that_blows_up_is_one_sentence(
    small: Path, tiny_model_dir: Path, tmp_path: Path, here: Callable[..., Ended]
) -> None:
    data = small / "annotations" / "sft" / "train.json"
    flags = ["--learning_rate", "1e30", "--max_steps", "3", "--per_device_train_batch_size", "2"]
    done = here("sft", "--model", tiny_model_dir, "--data", data, "--out", tmp_path / "run", *flags)
    assert done.returncode == 1
    assert "is nan at step" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["sft", "--model", "nowhere", "--data", "{file}"], "nowhere"),
        (["sft", "--model", "m", "--data", "nowhere.json"], "model folder m does not exist"),
        (["grpo", "--model", "m", "--data", "{file}", "--num_generations", "1"], "2"),
        (["grpo", "--config", "nowhere.yaml"], "nowhere.yaml does not exist"),
        (
            ["grpo", "--config", "{configs}/grpo_kg.yaml", "--config", "{configs}/presets/dap.yaml"],
            "dapo.yaml",
        ),
        (
            ["grpo", "--model", "m", "--data", "{file}", "--num_generations", "3"],
            "divisible by num_generations, which is 3",
        ),
        (
            ["grpo", "--model", "m", "--data", "{file}", "--rewards", "external_kg"],
            "did you mean external_kg_jac",
        ),
        (["grpo", "--model", "m", "--data", "{file}", "--rewards", "mine:reward"], "there is no module mine"),
        (
            ["evaluate", "--config", "{configs}/presets/dapo.yaml"],
            "loss_type is a setting of sft, grpo and plan: leave",
        ),
        (["plan", "--config", "nowhere.yaml"], "nowhere.yaml does not exist"),
        (["sweep", "--model", "m", "--data", "{file}"], "the grid is empty"),
        (
            ["sweep", "--learning-rate", "1"],
            "sweep: --learning_rate is a setting of sft, grpo and plan: in the sweep's YAML, write it below "
            "settings, or with a list of values below grid",
        ),
        (["sweep", "--config", "{configs}/sweep.yaml", "--model", "m"], "data (not given) has no {size}"),
        (["evaluate", "--data", "{file}"], "--model"),
        (["ask", "m", "nowhere.png", "Is it clear?"], "nowhere.png"),
        (["mine", "score", "--model", "m"], "--data"),
        (["mine", "select", "nowhere", "{file}", "--out", "x.json"], "nowhere"),
        (["data", "import", "coco", ".", "--out", "x"], "coco"),
        (
            ["data", "import", "mimic-vqa-cot", "{file}", "--out", "x", "--empty-answer", "drop"],
            "--empty-answer is 'drop': use refuse, none or skip",
        ),
        (
            ["data", "import", "vqa-rad", ".", "--out", "x", "--missing-films", "none"],
            "--missing-films is 'none': use refuse or skip",
        ),
        (["data", "import", "nih-labels", ".", "--out", "x"], "Data_Entry_2017_v2020.csv"),
        (["data", "check", "nowhere.json"], "nowhere.json"),
        (["data", "check", "{file}", "--rewards", "external_kg"], "did you mean external_kg_jac"),
        (["rewards", "score", "nowhere.jsonl"], "nowhere.jsonl"),
        (["rewards", "score", "nowhere.jsonl", "--rewards", "fromat"], "did you mean format"),
        (["rewards", "probe", "nowhere.json"], "nowhere.json"),
        (["rewards", "probe", "{file}", "--rewards", "fromat"], "did you mean format"),
        (["rewards", "probe", "{file}", "--limit", "1"], "give at least 2"),
        (["rewards", "probe", "{file}", "--rewards", "format", "--rewards", "format"], "given twice"),
        (["compare", "nowhere", "elsewhere"], "nowhere"),
        (["report", "nowhere", "--out", "x.html"], "nowhere"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    here: Callable[..., Ended],
    argv: list[str],
    message: str,
) -> None:
    file = str(small / "annotations" / "pool" / "train.json")
    monkeypatch.chdir(tmp_path)
    done = here(*(word.format(file=file, configs=CONFIGS) for word in argv))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("runs/*"))
