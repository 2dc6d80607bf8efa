"""The extractor by rules: a lexicon, its cues, and the relations of a sentence."""
