"""Phi-4-multimodal's original (remote-code) layout: to the native one and back."""
