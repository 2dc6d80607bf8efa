"""Does a reasoning entail its own answer, contradict it, or say nothing of it?"""
