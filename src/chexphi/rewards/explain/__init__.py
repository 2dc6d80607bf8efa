"""Why a completion earned what it did: computed when it is asked for, from what a score holds."""
