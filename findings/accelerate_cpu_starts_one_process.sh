#!/usr/bin/env bash
# accelerate 1.15.0: `accelerate launch --cpu --num_processes 2` starts one process.
#
# With `--cpu` the processes are left to mpirun; without it the script runs once, with exit code 0 and no warning
# that the number was not kept. Seeds, batch sizes and learning rates chosen for two processes then belong to
# one. `--multi_gpu --num_processes 2` starts two, on the CPU as well.
#
# Seen 2026-11-30 on Python 3.11, Linux, two cores, no MPI.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install accelerate==1.15.0 torch==2.14.1
cat >count.py <<'PY'
import os

from accelerate import PartialState

state = PartialState(cpu=True)
print(f"process {state.process_index} of {state.num_processes}, WORLD_SIZE {os.environ.get('WORLD_SIZE')}")
PY
export OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES=
started() {
    echo "accelerate launch $* --num_processes 2"
    venv/bin/python -m accelerate.commands.launch "$@" --num_processes 2 count.py >out.log 2>err.log
    cat out.log
}
started --cpu
[ "$(grep -c 'of 1' out.log)" -eq 1 ] && [ "$(wc -l <out.log)" -eq 1 ]
if grep -q num_processes err.log; then exit 1; fi # a warning would be news
started --multi_gpu
[ "$(grep -c 'of 2' out.log)" -eq 2 ]
# seen:
# accelerate launch --cpu --num_processes 2
# process 0 of 1, WORLD_SIZE None
# accelerate launch --multi_gpu --num_processes 2
# process 0 of 2, WORLD_SIZE 2
# process 1 of 2, WORLD_SIZE 2
