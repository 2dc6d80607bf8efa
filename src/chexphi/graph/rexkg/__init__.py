"""The neural extractor in the PURE design, as ReXKG uses it. Needs torch and transformers.

Nothing of the light core imports this package: `from chexphi.graph.rexkg.extractor import RexkgExtractor`.
"""
