"""Ask a 4K camera a question in words; the answer comes from the pixels that matter (PS3, CVPR 2025)."""

__version__ = "0.1.0"
