"""The neural extractor in the PURE design, as ReXKG uses it. Needs torch and transformers.

The core without torch does not import this package: `from chexphi.graph.rexkg.extractor import
RexkgExtractor`.
"""
