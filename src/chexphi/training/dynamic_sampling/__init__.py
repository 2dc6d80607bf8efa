"""Groups without reward spread give way to groups of other prompts."""
