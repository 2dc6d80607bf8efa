"""How answers say yes, no and perhaps: the tables that `clinical` uses for yes and no."""

from __future__ import annotations

OBSERVED = (
    "seen|present|visible|evident|identified|detected|noted|found|observed|demonstrated|visuali[sz]ed|appreciated|"
    "apparent"
)
_SUBJECT = "(?:there|it|this|that|they|these|he|she|one)"
_VERB = "(?:is|are|was|were|does|do|did|has|have)"
YES = (
    "yes|yeah|yep|yup|y|true|correct|positive|affirmative|indeed|definitely|certainly|absolutely|"
    f"{_SUBJECT} {_VERB}(?: (?:one|any|some|so))?(?: (?:{OBSERVED}|correct|true))?|"
    f"(?:is |are )?(?:{OBSERVED})"
)
NO = (
    "no|none|nope|nil|n|nothing|zero|0|false|incorrect|negative|absent|absence|"
    f"(?:none|nothing|not)(?: (?:was|were|is|are))? (?:{OBSERVED})|no evidence(?: of (?:it|one|this|that))?|"
    f"{_SUBJECT} {_VERB} (?:not(?: (?:have )?(?:any|one))?|none|nothing|no|absent)"
    f"(?: (?:{OBSERVED}|correct|true))?|"
    f"(?:is|are|was|were) (?:not(?: (?:{OBSERVED}))?|absent)"
)
"""Whole answers that say yes or no, as regular expressions for normalised texts."""

NEGATIONS = frozenset((
    "no", "not", "none", "nothing", "never", "neither", "nor", "without", "absent", "negative", "cannot",
    "nope", "false",
))  # fmt: skip
"""Words that turn a statement into its opposite."""

HEDGES = frozenset((
    "maybe", "perhaps", "possible", "possibly", "probable", "probably", "likely", "unlikely", "might",
    "may", "could", "exclude", "excluded", "ruled", "determine", "determined", "assess", "assessed",
    "tell", "know", "would", "should", "uncertain", "unsure", "sure", "unclear", "suspect", "suspected",
    "suspicious", "suspicion", "suggest", "suggests", "suggestive", "equivocal", "doubt", "doubtful",
    "indeterminate", "questionable", "cannot", "or", "either", "vs", "versus", "if", "unless", "but",
    "however", "although", "though", "except", "yet", "appears", "seems", "think", "believe", "incorrect",
    "wrong", "unknown", "also", "actually", "rather", "instead",
))  # fmt: skip
"""Words that retract or weaken a statement: a text with one of them is never read as a shorter one."""

VERBS = frozenset((
    "is", "are", "was", "were", "has", "have", "shows", "show", "demonstrates", "demonstrate", "reveals",
    "contains", "does", "do", "see", "seen", "present", "visible", "noted", "evident",
))  # fmt: skip
"""Words that make the text after a yes or no a sentence."""

FINE = frozenset((
    "normal", "clear", "unremarkable", "intact", "absent", "free", "negative",
))  # fmt: skip
"""Words that deny without a negation, as in `No, the heart is normal`."""
