#!/usr/bin/env bash
# radgraph 0.1.18 (the latest release on PyPI): the strictest level of its F1 can pay more than the laxest.
#
# `complete` asks for more than `simple`: entities with their relations, not entities alone. But it compares
# the words of entities with relations in lower case, and `simple` and `partial` compare them as written. Two
# reports that differ in a capital letter earn 0.5 at `simple` and `partial`, and 1.0 at `complete`. An entity
# without relations is compared as written at `complete` too. (The repository changed this in May 2026; no
# release has it.)
#
# Only radgraph/rewards.py is run, out of the source package: it imports nothing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip --quiet --disable-pip-version-check download --no-deps radgraph==0.1.18
tar -xzf radgraph-0.1.18.tar.gz
cat >check.py <<'PY'
import sys

sys.path.insert(0, "radgraph-0.1.18/radgraph")
from rewards import compute_reward


def report(first, alone):
    entities = {
        "1": {"tokens": first, "label": "Observation::definitely present", "relations": [["located_at", "2"]]},
        "2": {"tokens": alone, "label": "Anatomy::definitely present", "relations": []},
    }
    return {"text": f"{first} {alone}", "entities": entities}


reference = report("effusion", "pleura")
for words in (("effusion", "pleura"), ("Effusion", "pleura"), ("effusion", "Pleura")):
    simple, partial, complete = compute_reward(report(*words), reference, "all")
    print(f"{' '.join(words):17} simple {simple:.2f}  partial {partial:.2f}  complete {complete:.2f}")
assert compute_reward(report("Effusion", "pleura"), reference, "all") == (0.5, 0.5, 1.0)
assert compute_reward(report("effusion", "Pleura"), reference, "all") == (0.5, 0.5, 0.5)
PY
venv/bin/python check.py
# seen:
# effusion pleura   simple 1.00  partial 1.00  complete 1.00
# Effusion pleura   simple 0.50  partial 0.50  complete 1.00
# effusion Pleura   simple 0.50  partial 0.50  complete 0.50
