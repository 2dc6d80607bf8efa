"""The families of policies: what each has beyond its native classes in transformers."""
