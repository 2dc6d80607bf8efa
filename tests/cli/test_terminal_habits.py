"""On a terminal: a hint for the next command, and a question before work is replaced; in scripts neither."""

from __future__ import annotations

import json
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from synthetic_predictions import predictions, write
from test_documented_commands import check_chexphi

from chexphi.cli import confirm, hints
from chexphi.schema import InputError

CTRL_C, CTRL_D = "\x03", "\x04"


def on_terminal(*words: object, answer: str = "", variables: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code and what a terminal shows of `chexphi WORDS`.

    The answer is typed at a question; `CTRL_C` is a signal there.
    """
    screen, terminal = pty.openpty()
    command = [sys.executable, "-m", "chexphi", *map(str, words)]
    process = subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, env=os.environ | (variables or {}),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    os.close(terminal)
    shown, begin, next_signal = "", time.monotonic(), 0.0
    while time.monotonic() < begin + 120:
        ended = process.poll() is not None  # asked first: what it wrote can then be read
        if select.select([screen], [], [], 0.2)[0]:
            try:
                shown += os.read(screen, 4096).decode()
            except OSError:  # the other end is closed
                break
        elif ended:
            break
        if answer and "[y/N]" in shown:
            if answer != CTRL_C:
                os.write(screen, f"{answer}\n".encode())
                answer = ""
            elif time.monotonic() > next_signal:  # Python may miss one that comes before it waits for a key
                process.send_signal(signal.SIGINT)
                next_signal = time.monotonic() + 2
    os.close(screen)
    return process.wait(), shown.replace("\r\n", "\n")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the configs of a checkout, and run folders that know their settings."""
    (tmp_path / "configs").symlink_to(Path(__file__).parents[2] / "configs")
    monkeypatch.chdir(tmp_path)
    for name in ("my sft", "mine", "graphs", "test"):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
        (folder / "config.yaml").write_text("model: runs/my sft/model\ndata: data/pool/train.json\n")
    with (tmp_path / "runs" / "graphs" / "config.yaml").open("a") as file:
        file.write("measure: clinical\nontology: own.toml\n")
    return Path("runs")


def test_every_hint_can_be_typed(runs: Path) -> None:
    all_hints = [
        (hints.after_phantom(Path("d")), "--data d/annotations/sft/train.json"),
        (hints.after_demo(Path("runs/demo")), "compare runs/demo/eval_grpo_acc runs/demo/eval_grpo_kg"),
        (hints.after_import({"files": {"d/train.json": 3, "d/test.json": 2}}), "data check d/train.json"),
        (hints.after_checkpoint_import(Path("phi4")), "--config configs/sft.yaml --model phi4"),
        (hints.after_sft(runs / "my sft"), "--model 'runs/my sft/model' --data POOL.json --out runs/mine_2"),
        (hints.after_mine_score(runs / "mine"), "runs/mine data/pool/train.json --out data/pool/train_hard"),
        (
            hints.after_mine_score(runs / "mine", wrong_reasons=True),
            "train.json --selection hard_reasoning --out",
        ),
        (hints.after_mine_select(runs / "mine", Path("h.json")), "--model 'runs/my sft/model' --data h.json"),
        (hints.after_mine_select(runs / "mine" / "scored.jsonl", Path("h.json")), "'runs/my sft/model'"),
        (hints.after_mine_select(Path("-"), Path("h.json")), "--model MODEL"),
        (hints.after_mine_select(runs / "mine", Path("h.json"), "/films"), "--image_root /films"),
        (hints.after_mine_select(runs / "graphs", Path("h.json")), "--measure clinical --ontology own.toml"),
        (hints.after_grpo(runs / "my sft"), "--data TEST.json --out 'runs/my sft_test'"),
        (hints.after_evaluate(runs / "test"), "report runs/test 'runs/my sft' --out runs/test.html"),
        (hints.after_evaluate(runs / "gone"), "report runs/gone --out runs/gone.html"),
    ]
    for words, expected in all_hints:
        assert expected in shlex.join(words)
        check_chexphi(words, whole=True)
    called = {name for name in hints.__dict__ if name.startswith("after_")}
    assert len(called) == 9  # a new one belongs into the table above


@pytest.mark.parametrize("out", ["", "out: runs/mine\n", "out: /elsewhere/runs/mine\n"])
def test_a_model_is_found_from_another_folder(
    out: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (runs / "my sft" / "model").mkdir()
    with (runs / "mine" / "config.yaml").open("a") as file:
        file.write(out)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    model = "runs/my sft/model" if out.startswith("out: /") else f"{tmp_path}/runs/my sft/model"
    words = hints.after_mine_select(Path("../runs/mine"), Path("h.json"))
    assert words[words.index("--model") + 1] == model


def test_a_hint_is_for_a_terminal_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    size = ("--train", 2, "--pool", 2, "--valid", 4, "--test", 10)
    code, shown = on_terminal("data", "phantom", "--out", tmp_path / "a", *size)
    assert code == 0
    assert "next: chexphi sft " in shown
    assert f"--data {tmp_path}/a/annotations/sft/train.json --out runs/sft" in shown.replace("\n", "")
    again = ("data", "phantom", "--out", tmp_path / "a", *size, "--overwrite")
    for words, variables in ((("--json",), {}), ((), {"CHEXPHI_HINTS": "0"})):
        assert "next:" not in on_terminal(*again, *words, variables=variables)[1]
    done = subprocess.run(
        [sys.executable, "-m", "chexphi", *map(str, again)], capture_output=True, text=True, check=True
    )
    assert "next:" not in done.stdout + done.stderr


def test_a_page_is_not_replaced_in_silence(tmp_path: Path) -> None:
    write(tmp_path / "predictions.jsonl", predictions(20))
    page = tmp_path / "page.html"
    words = ("report", tmp_path, "--out", page)
    page.write_text("mine")
    code, shown = on_terminal(*words, answer="n")
    assert (code, page.read_text()) == (2, "mine")
    assert f"{page} is there already. Replace it? [y/N]" in shown.replace("\n", "")
    assert "is left as it is: choose another --out" in shown
    for keys, code, said in ((CTRL_C, 130, "Ctrl-C: ended"), (CTRL_D, 1, "no answer: nothing was done")):
        found, shown = on_terminal(*words, answer=keys)
        assert (found, page.read_text()) == (code, "mine")
        assert said in shown
    assert on_terminal(*words, answer="y")[0] == 0
    assert page.read_text() != "mine"
    code, shown = on_terminal(*words, "-y")
    assert code == 0
    assert "[y/N]" not in shown
    assert "was there already and is replaced" in shown
    done = subprocess.run(
        [sys.executable, "-m", "chexphi", *map(str, words)], capture_output=True, text=True, check=True
    )
    assert f"{page} was there already and is replaced\n" in done.stderr


def test_a_run_that_took_work_is_not_replaced_without_a_question(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    (out / "checkpoint-10").mkdir(parents=True)
    (out / "manifest.json").write_text("{}")
    code, shown = on_terminal("demo", "--quick", "true", "--out", out, "--overwrite", "true", answer="n")
    assert code == 2
    assert "holds 1 checkpoint. Replace it?" in shown.replace("\n", "")
    assert (out / "checkpoint-10").is_dir()


def test_what_counts_as_work(tmp_path: Path) -> None:
    assert confirm.work_in(tmp_path / "nowhere") is None
    assert confirm.work_in(tmp_path) is None
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"started": "2026-01-01T10:00:00+00:00"}))
    metrics = tmp_path / "metrics.jsonl"
    metrics.touch()
    for minutes, expected in ((9, None), (25, "25 minutes of work")):
        for path in (manifest, metrics):
            os.utime(path, (1767261600 + 60 * minutes,) * 2)
        assert confirm.work_in(tmp_path) == expected
    (tmp_path / "checkpoint-1").mkdir()
    (tmp_path / "checkpoint-2").mkdir()
    assert confirm.work_in(tmp_path) == "2 checkpoints"
    (tmp_path / "model").mkdir()
    assert confirm.work_in(tmp_path) == "a trained model"


def test_scripts_are_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115
    confirm.replace_run(tmp_path, overwrite=True, yes=False)
    confirm.replace_run(tmp_path, overwrite=False, yes=False)
    confirm.replace_run(None, overwrite=True, yes=False)
    assert capfd.readouterr() == ("", "")


def test_an_answer_of_no_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    screen, terminal = pty.openpty()
    with open(terminal) as answers, open(os.dup(terminal), "w") as shown:
        monkeypatch.setattr(sys, "stdin", answers)
        monkeypatch.setattr(sys, "stderr", shown)
        os.write(screen, b"n\n")
        with pytest.raises(InputError) as refused:
            confirm.replace_run(tmp_path, overwrite=True, yes=False)
        os.write(screen, b"n\n")
        confirm.replace_run(tmp_path, overwrite=True, yes=True)  # nobody reads that no
    os.close(screen)
    assert str(refused.value) == f"{tmp_path} is left as it is: choose another --out"
