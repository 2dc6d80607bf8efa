"""Words that the relation rules look for. Standard library only."""

from __future__ import annotations

from chexphi.graph.words import words

SIDE = words(
    """left right bilateral both upper lower mid middle lateral anterior posterior superior inferior
    left-sided right-sided internal central medial ipsilateral contralateral main major minor distal proximal
    first second third fourth fifth sixth seventh eighth ninth tenth sided
    1st 2nd 3rd 4th 5th 6th 7th 8th 9th 10th 11th 12th"""
)
"""Side, level and position. Before a noun they belong to the anatomy of its phrase."""
ATTRIBUTE = words(
    """size position volume volumes width silhouette appearance positioning distribution extent aeration
    ratio"""
)
"""Attributes that link two words: `normal` qualifies `size`, and `size` qualifies `heart`."""
SPATIAL = words("above below behind")
EXAMS = words(
    """radiograph radiographs film films study studies exam examination examinations ct view views x-ray
    xray mri pa"""
)
TIPS = frozenset({"tip", "tips", "side port", "side ports"})
PREPOSITIONS = words(
    """in at over within on along of to throughout into near overlying overlies overlie projects through
    around across inside under beneath via toward towards from by obscures obscuring silhouettes involving
    involve involves
    fills reaches parallel"""
)
"""Prepositions of place, and verbs of what a finding touches."""
SHOWS = words("show shows contain contains demonstrate demonstrates reveal reveals where")
"""Between an anatomical place and the finding that lies there."""
BE = words("""is are was were appears appear looks look remains remain seems has have been be becomes""")
INFERENCE = words(
    """suggest suggests suggesting consistent compatible likely represent represents representing keeping
    indicates indicate indicating reflect reflects reflecting concerning suspicious worrisome so
    therefore hence thus means due typical characteristic favors may might could stands points point
    makes"""
)
"""Between evidence and the disorder inferred from it."""
SUSPICIOUS = words("suspicious concerning worrisome")
"""Before `for` or `of` they lead from the evidence to what it may be."""
MOVES_OF_DEVICES = words("removed placed pulled inserted retracted advanced")
"""Procedures that are done to a device: `the tube has been removed`."""
HEDGES = words("possible probable likely")
"""After a comma they start what the finding may be: `opacity, possible aspiration`."""
REASONS = words("because given since")
NOT_EVIDENCE = SIDE | words(
    """normal clear unremarkable intact sharp symmetric stable unchanged well-aerated well-expanded patent
    midline new"""
)
"""Qualifiers that do not point to a disorder."""
JOIN = words("and or nor , / a an the no also & neither any versus its")
BREAK = words("but while whereas although though however ; :")
SPARED = words("spares sparing excludes")
SHARING = frozenset({("and",), ("or",), ("than",), ("and", "a"), ("and", "an"), ("and", "the")})
"""Between two sides that share a noun: `left and right lung`, `a small right and a large left effusion`."""
