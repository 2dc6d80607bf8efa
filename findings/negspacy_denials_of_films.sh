#!/bin/sh
# negspacy 1.0.4 (NegEx for spaCy) on sentences of film reports, seen on Python 3.11 with spaCy 3.8.18.
# Guess: its clinical term sets read the denials that radiologists write.
# Seen, with all three term sets ("en", "en_clinical", "en_clinical_sensitive") alike:
#   - `was not` after a finding denies it, `is not`, `are not` and `is absent` do not;
#   - `isn't` denies with the straight apostrophe, with the typographic one it does not;
#   - a denial goes on past a comma, over what was placed in the patient, and over what holds the denied thing;
#   - `has resolved` and `Pneumothorax: none.` deny nothing.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check negspacy==1.0.4 spacy==3.8.18
"$folder/venv/bin/python" - <<'PY'
import spacy
from negspacy.negation import Negex  # noqa: F401 (registers the component)
from negspacy.termsets import termset

NAMES = "pneumothorax effusion edema tube nodule calcification consolidation".split()
EXPECTED = {
    "The effusion was not seen.": {"effusion": True},
    "The effusion is not seen.": {"effusion": False},
    "Effusion and edema are not seen.": {"effusion": False, "edema": False},
    "The effusion is absent.": {"effusion": False},
    "There isn't an effusion.": {"effusion": True},
    "There isn\u2019t an effusion.": {"effusion": False},
    "No pneumothorax, small left effusion.": {"pneumothorax": True, "effusion": True},
    "No pneumothorax after placement of a chest tube.": {"pneumothorax": True, "tube": True},
    "No calcification in the nodule.": {"calcification": True, "nodule": True},
    "The pneumothorax has resolved.": {"pneumothorax": False},
    "pneumothorax: none.": {"pneumothorax": False},
}
for name in ("en", "en_clinical", "en_clinical_sensitive"):
    reader = spacy.blank("en")
    reader.add_pipe("sentencizer")
    reader.add_pipe("entity_ruler").add_patterns([{"label": "FINDING", "pattern": [{"LOWER": word}]} for word in NAMES])
    reader.add_pipe("negex", config={"neg_termset": termset(name).get_patterns()})
    for text, expected in EXPECTED.items():
        seen = {entity.text.lower(): entity._.negex for entity in reader(text).ents}
        assert seen == expected, (name, text, seen)
    print(name, "read all", len(EXPECTED), "sentences as written here")
PY
