"""How answers say yes, no and perhaps: the tables behind the yes and no of `clinical`."""

from __future__ import annotations

SEEN = (
    "seen|present|visible|evident|identified|detected|noted|found|observed|demonstrated|visuali[sz]ed|appreciated|"
    "apparent"
)
_IT = "(?:there|it|this|that|they|these|he|she|one)"
_DOES = "(?:is|are|was|were|does|do|did|has|have)"
YES = (
    "yes|yeah|yep|yup|y|true|correct|positive|affirmative|indeed|definitely|certainly|absolutely|"
    f"{_IT} {_DOES}(?: (?:one|any|some|so))?(?: (?:{SEEN}|correct|true))?|(?:is |are )?(?:{SEEN})"
)
NO = (
    "no|none|nope|nil|n|nothing|zero|0|false|incorrect|negative|absent|absence|"
    f"(?:none|nothing|not)(?: (?:was|were|is|are))? (?:{SEEN})|no evidence(?: of (?:it|one|this|that))?|"
    f"{_IT} {_DOES} (?:not(?: (?:have )?(?:any|one))?|none|nothing|no|absent)(?: (?:{SEEN}|correct|true))?|"
    f"(?:is|are|was|were) (?:not(?: (?:{SEEN}))?|absent)"
)
"""Whole answers that say yes or no, as regular expressions over normalised texts."""

NEGATIONS = frozenset((
    "no", "not", "none", "nothing", "never", "neither", "nor", "without", "absent", "negative", "cannot",
    "nope", "false",
))  # fmt: skip
"""What turns a statement round."""

HEDGES = frozenset((
    "maybe", "perhaps", "possible", "possibly", "probable", "probably", "likely", "unlikely", "might",
    "may", "could", "exclude", "excluded", "ruled", "determine", "determined", "assess", "assessed",
    "tell", "know", "would", "should", "uncertain", "unsure", "sure", "unclear", "suspect", "suspected",
    "suspicious", "suspicion", "suggest", "suggests", "suggestive", "equivocal", "doubt", "doubtful",
    "indeterminate", "questionable", "cannot", "or", "either", "vs", "versus", "if", "unless", "but",
    "however", "although", "though", "except", "yet", "appears", "seems", "think", "believe", "incorrect",
    "wrong", "unknown", "also", "actually", "rather", "instead",
))  # fmt: skip
"""Words that take back or weaken what stands beside them: no shorter form is read out of such a text."""

VERBS = frozenset((
    "is", "are", "was", "were", "has", "have", "shows", "show", "demonstrates", "demonstrate", "reveals",
    "contains", "does", "do", "see", "seen", "present", "visible", "noted", "evident",
))  # fmt: skip
"""What makes a sentence of the words behind a yes or no."""

FINE = frozenset((
    "normal", "clear", "unremarkable", "intact", "absent", "free", "negative",
))  # fmt: skip
"""Words that deny without a negation: `No, the heart is normal`."""
