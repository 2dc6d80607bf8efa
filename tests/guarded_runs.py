"""Many commands of `chexphi` in one process without a network: each attempt to reach it is written down.

`python guarded_runs.py FILE` carries out the commands in a JSON file, one behind another, so that the
libraries are loaded once. What each says goes to files of its own. Processes that it starts are watched too.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

WATCH = '''"""Loaded first in a process: what would reach another machine is refused, and written down."""
import os
import sys

HERE = ("", "None", "localhost", "0.0.0.0", "::", "::1")


def watch(event, arguments):
    if event not in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        return
    address = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
    if event in ("socket.connect", "socket.sendto") and not isinstance(address, tuple):
        return  # a file of this machine
    host = address[0] if isinstance(address, tuple) else address
    host = host.decode() if isinstance(host, bytes) else str(host)
    if host in HERE or host.startswith("127."):
        return
    with open(os.environ["ATTEMPTS"], "a") as file:
        file.write(f"{event} {host} {' '.join(sys.orig_argv[1:8])}\\n")
    raise OSError("this test has no network")


sys.addaudithook(watch)
'''
LEFT_TO_THEIR_DEFAULTS = (
    "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY",
    "DISABLE_TELEMETRY", "DO_NOT_TRACK", "RAY_USAGE_STATS_ENABLED", "VLLM_NO_USAGE_STATS", "CI",
)  # fmt: skip
"""Variables with which nothing would be sent, whatever we do."""
SECONDS = 1200  # only where one hangs


def environment(folder: Path) -> dict[str, str]:
    """A user's own, with an empty home below `folder`, in which every connection is watched."""
    (folder / "watch").mkdir(parents=True, exist_ok=True)
    (folder / "watch" / "sitecustomize.py").write_text(WATCH)
    kept = {name: value for name, value in os.environ.items() if name not in LEFT_TO_THEIR_DEFAULTS}
    for name in ("home", "temporary"):
        (folder / name).mkdir(exist_ok=True)
    here = Path(__file__).resolve().parent
    paths = [folder / "watch", folder, here, here.parent / "src"]
    return kept | {
        "HOME": str(folder / "home"),
        "HF_HOME": str(folder / "home" / "huggingface"),
        "TMPDIR": str(folder / "temporary"),
        "OMP_NUM_THREADS": "1",
        "ATTEMPTS": str(folder / "attempts.txt"),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }


def carry_out(
    folder: Path, commands: dict[str, str], *, kill: dict[str, str] | None = None
) -> dict[str, int]:
    """Run named commands in `folder`; returns their exit codes by name.

    Args:
        folder: Where they run; what they say is in `said/NAME.out` and `said/NAME.err`.
        commands: The words after `chexphi`.
        kill: Of some of them a file, at whose appearance the command is stopped by SIGKILL.
    """
    (folder / "said").mkdir(exist_ok=True)
    plan = folder / "watch" / "commands.json"
    settings = environment(folder)
    plan.write_text(
        json.dumps({"commands": {n: shlex.split(c) for n, c in commands.items()}, "kill": kill or {}})
    )
    with (folder / "said" / "all.err").open("ab") as file:
        subprocess.run(
            [sys.executable, __file__, str(plan)], cwd=folder, env=settings, stdin=subprocess.DEVNULL,
            stdout=file, stderr=file, timeout=SECONDS, check=True,
        )  # fmt: skip
    return json.loads(plan.with_name("codes.json").read_text())


def _main(plan: Path) -> None:
    wanted = json.loads(plan.read_text())
    codes = {}
    for name, argv in wanted["commands"].items():
        for descriptor, kind in ((1, "out"), (2, "err")):
            file = os.open(f"said/{name}.{kind}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, descriptor)
            os.close(file)
        codes[name] = _killed(argv, Path(wanted["kill"][name])) if name in wanted["kill"] else _run(argv)
        sys.stdout.flush()
        sys.stderr.flush()
    plan.with_name("codes.json").write_text(json.dumps(codes))


def _run(argv: list[str]) -> int:
    """The exit code of a command, which ends as it would in a process of its own."""
    from chexphi.cli import main

    sys.argv = ["chexphi", *argv]
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


def _killed(argv: list[str], moment: Path) -> int:
    process: Any = subprocess.Popen([sys.executable, "-m", "chexphi", *argv])
    while process.poll() is None and not moment.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    return process.wait()


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
