#!/bin/sh
# Ray 2.60.0: ray.cancel of a running task, seen on Python 3.11, Linux.
# Guess: it ends a task that is between two lines of Python, wherever the program was started.
# Seen: so it is in a terminal. Where SIGINT is ignored when Ray starts, as for every background job (`&`) of a
# shell script, ray.cancel returns as always and the task goes on: Ray interrupts the worker by what SIGINT
# does there, and its workers have inherited that it does nothing. A task that sets Python's own handler at its
# beginning is ended in both.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ray==2.60.0
cat > "$folder/cancel.py" <<'PY'
import logging
import signal
import sys
import time

import ray


def wait_long(handler):
    if handler:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for _ in range(3000):
        time.sleep(0.01)


ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
task = ray.remote(max_retries=0)(wait_long)
seen = []
for handler in (False, True):
    job = task.remote(handler)
    time.sleep(4)
    ray.cancel(job)
    seen.append(bool(ray.wait([job], timeout=8)[0]))
print(sys.argv[1], "ended without and with a handler of its own:", seen)
assert seen == [sys.argv[1] == "foreground", True], seen
PY
export RAY_USAGE_STATS_ENABLED=0
PYTHON="$folder/venv/bin/python"
"$PYTHON" -c 'import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import os, sys; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])' "$folder/cancel.py" foreground
(trap '' INT; "$PYTHON" "$folder/cancel.py" background)
