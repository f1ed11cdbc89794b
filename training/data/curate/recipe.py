"""Which steps a run uses, as plain values: what the command line gives, and what travels to other machines."""

import importlib
import os
import sys
from dataclasses import dataclass

from ps3_ros.errors import Ps3Error

from . import segment
from .caption import caption_text, in_turn
from .pipeline import Steps
from .vision_server import KEY, VisionServer

CLASSICAL = "classical (OpenCV MSER and colour areas; no learned segmenter)"


@dataclass(frozen=True)
class Recipe:
    """`segmenter`: "" for the shipped one, or "module:name" of a callable, or of a class made once a worker. `ocr`: read text with
    rapidocr, on `threads` threads (0: as many as it likes). `server` (its URL, "" for none), `model` and the rest: see VisionServer."""

    segmenter: str = ""
    ocr: bool = True
    threads: int = 0
    server: str = ""
    model: str = ""
    key_variable: str = KEY
    timeout: float = 60.0
    parallel: int = 4

    def make(self, server=None):
        """The Steps. server: a VisionServer to share between workers. Raises Ps3Error for what is missing or fits nothing."""
        if not self.ocr and not self.server:
            raise Ps3Error("Nothing would give captions: leave out --no-ocr, or name a vision server with --server and --model.")
        if self.server and not self.model:
            raise Ps3Error(f"The server {self.server!r} needs the name of its model; give it with --model.")
        reader = None
        if self.ocr:
            from .ocr import TextReader

            reader = TextReader(self.threads)
        server = server or (self.make_server() if self.server else None)
        captioners = ([caption_text] if reader else []) + ([server.caption] if server else [])
        names = {
            "segmenter": self.segmenter or CLASSICAL,
            "text": reader.name if reader else None,
            "captions": self.model if server else None,
        }
        describe = server.describe if server else None
        return Steps(load_segmenter(self.segmenter), in_turn(*captioners), reader, describe, names)

    def make_server(self):
        """The VisionServer of this recipe."""
        return VisionServer(self.server, self.model, self.key_variable, self.timeout, parallel=self.parallel)


def load_segmenter(name):
    """The callable that "module:name" means, looked for in the working folder too; the shipped one for "". Raises Ps3Error."""
    if not name:
        return segment.segment
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise Ps3Error(f"The segmenter {name!r} is not written module:name; for example my_sam:Segmenter.")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise Ps3Error(f"The segmenter {name!r} cannot be loaded ({error}); run in the folder of {module}.py or install it.") from error
    found = found() if isinstance(found, type) else found
    if not callable(found):
        raise Ps3Error(f"The segmenter {name!r} is a {type(found).__name__}; it must be callable with an image.")
    return found
