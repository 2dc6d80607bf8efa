#!/usr/bin/env bash
# medspacy 1.3.1 with PyRuSH 1.0.13: splitting a report into sentences writes its words to standard error.
#
# PyRuSH logs at level DEBUG through loguru, whose default handler prints every level. So whoever loads
# medspacy as its documentation shows, and sets nothing, has each text token by token in the terminal, and in
# the log file of any job that keeps standard error: the standard library's logging levels do not reach it.
# `loguru.logger.disable("PyRuSH")` turns it off, and has to be called by the one who uses medspacy.
#
# Python 3.11 or 3.12.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
numpy=$(venv/bin/python -c 'import sys; print("numpy==1.26.4" if sys.version_info < (3, 12) else "numpy==2.4.6")')
venv/bin/pip --quiet --disable-pip-version-check install "$numpy" medspacy==1.3.1 PyRuSH==1.0.13 2>pip.log
cat >check.py <<'PY'
import logging
import sys

import medspacy

logging.disable(logging.CRITICAL)
nlp = medspacy.load(medspacy_enable=["medspacy_pyrush"])
if "off" in sys.argv:
    from loguru import logger

    logger.disable("PyRuSH")
nlp("Small effusion. Heart normal.")
PY
venv/bin/python check.py 2>plain.log
venv/bin/python check.py off 2>off.log
echo "lines with a word of the report: $(grep -c effusion plain.log) by default, $(grep -c effusion off.log || true) after logger.disable"
grep effusion plain.log | head -1 | cut -d'|' -f3-
[ "$(grep -c effusion plain.log)" -gt 0 ] && [ "$(grep -c effusion off.log)" -eq 0 ]
# seen:
# lines with a word of the report: 1 by default, 0 after logger.disable
# PyRuSH.PyRuSHSentencizer:predict:100 - [cpredict_split_gaps|call_id=0] Token/tag mapping: [(Small, True), …
