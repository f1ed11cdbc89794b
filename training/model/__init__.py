"""PS3 in torch: a glance at the whole frame, a selection by the question, a look at only the chosen patches (docs/architecture.md)."""

from .config import BACKBONES, PS3Config, TextConfig, VisionConfig
from .ps3 import PS3, PS3Output
from .sentence import load_sentence_encoder, sentence_config
from .settings import settings_of
from .text import TextOutput
from .vision import GlanceOutput, VisionModel

__all__ = [
    "BACKBONES",
    "PS3",
    "GlanceOutput",
    "PS3Config",
    "PS3Output",
    "TextConfig",
    "TextOutput",
    "VisionConfig",
    "VisionModel",
    "load_sentence_encoder",
    "sentence_config",
    "settings_of",
]
