"""Follow a run from another terminal: what its folder says, as a state, and that state as a picture."""
