"""A name that no picture was seen of is understood from the names around it: python -m ps3_training.smoothing CHECKPOINT BANK OUT

Training makes each name of the bank an island: its text embedding is right, and what lies between two names is hardly anything. So the
embedding of every phrase is drawn towards the mean of the known names' embeddings, weighed by how near their sentences are:

    smoothed(s) = unit(t(s)) + SHARE * unit(sum over names n of softmax(cos(s, s_n) / WIDTH) * (unit(t(s_n)) - mean))

where s is a sentence vector and t the text projection. A known name is its own nearest, so it moves little. No picture is needed: the
projection (and the prompt behind it) is fitted to this over the bank's captions and phrases of many words, in a minute on a CPU.
Written words and letters stay as they are: "exit" is not nearly "exhibit". Of the words none is a held-out name.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ps3_ros.errors import CheckpointError
from ps3_ros.exits import exit_code
from ps3_ros.reading import LETTERS
from ps3_training.data import catalogue
from ps3_training.model import PS3
from ps3_training.model.thresholds import THRESHOLDS_FILE

from .files import write_whole
from .sentences import Sentences, own_tokenizer
from .sprites import Bank, check_made, read_bank
from .word_crops import spoken

WIDTH = 0.1  # of the softmax over cosines of sentence vectors
SHARE = 1.0  # of the neighbours' mean beside a phrase's own embedding
PAIRS = 8000  # phrases "word name" beside the single words
PASS = 4096  # phrases at once
BATCH = 1024
NAME_WEIGHT, LETTER_WEIGHT = 4.0, 20.0  # how much more often a name or a letter is drawn than another phrase
SIZE_WEIGHT = 0.05  # of an embedding's length in the loss


@dataclass(frozen=True)
class Phrases:
    """What the projection is fitted to."""

    names: tuple[str, ...]  # the known ones, which all others are drawn towards
    moved: tuple[str, ...]  # names, captions of things, words and pairs
    kept: tuple[str, ...]  # captions of written words, and of letters

    @classmethod
    def of(cls, bank: Bank, words: list[str]) -> Phrases:
        """Of a bank's captions and single words, none of which may be a held-out name."""
        texts = [label for label in bank.labels if "least" in label]
        written = {*LETTERS, *spoken(bank.names), *(t for label in texts for t in (*label["means"], *label["asks"], *label["texts"]))}
        things = {t for label in bank.labels if "least" not in label for t in (*label["texts"], *label["asks"])} - written
        names = sorted({ask for label in bank.labels if "least" not in label for ask in label["asks"]} - written)
        if not names:
            raise CheckpointError("This bank of cut-outs has no names of things; name one that `ps3 train` made.")
        rng = np.random.default_rng(0)
        words = sorted(word for word in set(words) if not catalogue.is_held_out(word))
        picked = zip(rng.integers(len(words), size=PAIRS), rng.integers(len(names), size=PAIRS), strict=True)
        pairs = {f"{words[w]} {names[n]}" for w, n in picked}
        new = {p for p in pairs if not catalogue.is_held_out(p)} | set(words)
        return cls(tuple(names), tuple(sorted(things | new)), tuple(sorted(written)))


def words_of(tokenizer: Path) -> list[str]:
    """The whole words of a WordPiece tokenizer.json, of three letters or more. Raises CheckpointError where there are none."""
    try:
        vocabulary = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
        words = [word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 2]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"The words of {str(tokenizer)!r} cannot be read ({error!r}); a WordPiece tokenizer.json is needed."
        ) from error
    if not words:
        raise CheckpointError(f"{str(tokenizer)!r} has no whole word of three letters or more; a WordPiece tokenizer.json is needed.")
    return words


def smooth(model: PS3, sentences: Sentences, phrases: Phrases, share: float = SHARE, width: float = WIDTH, steps: int = 2000) -> dict:
    """Fits the model's text projection and prompt in place. sentences: holds all phrases. Returns mean cosines to what was asked for:
    `moved` and `kept` of the embeddings, `prompts` of the prompts."""
    from tqdm import trange

    tower = model.text_model
    if not hasattr(tower, "text_projection") or not hasattr(tower, "encoder"):
        raise CheckpointError("This checkpoint's text tower has no sentence encoder behind a projection; only such a one can be smoothed.")
    every, count = (*phrases.moved, *phrases.kept), len(phrases.moved)
    vectors, known = sentences.of(every), sentences.of(phrases.names)
    around = F.normalize(_projected(tower, known)[0], dim=-1)
    around = around - around.mean(0)
    embedding, prompt = _projected(tower, vectors)
    for start in range(0, count, PASS):
        part = slice(start, min(start + PASS, count))
        embedding[part] = drawn(embedding[part], vectors[part], known, around, share, width)
    names, letters = set(phrases.names), set(LETTERS)
    weight = torch.tensor([NAME_WEIGHT if p in names else LETTER_WEIGHT if p in letters else 1.0 for p in every])
    fitted = copy.deepcopy(tower).train()
    for name, parameter in fitted.named_parameters():
        parameter.requires_grad_(name.startswith(("text_projection.", "prompt_proj.")))
    trained = [p for p in fitted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    generator = torch.Generator().manual_seed(0)
    for _ in trange(steps, unit="step", mininterval=2):
        i = torch.multinomial(weight, BATCH, replacement=True, generator=generator)
        made = fitted.project(vectors[i])
        loss = _apart(made.text, embedding[i]) + _apart(made.prompt, prompt[i])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.text_model = fitted.eval().requires_grad_(False)
    text, prompted = _projected(fitted, vectors)
    alike = F.cosine_similarity(text, embedding)
    return {
        "moved": float(alike[:count].mean()),
        "kept": float(alike[count:].mean()),
        "prompts": float(F.cosine_similarity(prompted, prompt).mean()),
    }


@torch.no_grad()
def _projected(tower: torch.nn.Module, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings and prompts of any number of sentence vectors."""
    made = [tower.project(part) for part in vectors.split(PASS)]
    return torch.cat([m.text for m in made]), torch.cat([m.prompt for m in made])


def drawn(text: torch.Tensor, vectors: torch.Tensor, known: torch.Tensor, around: torch.Tensor, share: float, width: float) -> torch.Tensor:
    """Embeddings [Q, E] as long as before, drawn towards what the nearest of N known names are.

    text [Q, E]: of the phrases; vectors [Q, W], known [N, W]: sentence vectors, of unit length; around [N, E]: the names' embeddings.
    """
    near = torch.softmax(vectors @ known.T / width, dim=-1) @ around
    moved = F.normalize(text, dim=-1) + share * F.normalize(near, dim=-1)
    return text.norm(dim=-1, keepdim=True) * F.normalize(moved, dim=-1)


def _apart(made: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    size = made.norm(dim=-1) / asked.norm(dim=-1) - 1
    return (1 - F.cosine_similarity(made, asked)).mean() + SIZE_WEIGHT * size.square().mean()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ps3_training.smoothing", description="Draws phrases towards known names around them.")
    parser.add_argument("checkpoint", type=Path, help="folder with config.json, model.safetensors and tokenizer.json")
    parser.add_argument("bank", type=Path, help="folder of a bank of cut-outs that it was trained on: CACHE/bank")
    parser.add_argument("out", type=Path, help="folder for the smoothed checkpoint")
    parser.add_argument("--share", type=float, default=SHARE, help=f"of the neighbours' mean (default {SHARE})")
    parser.add_argument("--steps", type=int, default=2000, help="of the fit (default 2000)")
    options = parser.parse_args(argv)

    def run() -> None:
        check_made(options.bank)
        if options.share <= 0 or options.steps < 1:
            raise CheckpointError(f"share and steps are {options.share} and {options.steps}; give more than 0, and 1 or more.")
        if options.out.resolve() == options.checkpoint.resolve():
            raise CheckpointError(f"OUT is the checkpoint {str(options.out)!r} itself; name another folder, so that both can be compared.")
        if options.out.exists() and not options.out.is_dir():
            raise CheckpointError(f"OUT is {str(options.out)!r}, which is no folder; name a folder.")
        tokenizer = own_tokenizer(options.checkpoint)
        model = PS3.from_pretrained(options.checkpoint)
        phrases = Phrases.of(read_bank(options.bank), words_of(tokenizer))
        sentences = Sentences(None, model.text_model, tokenizer)
        sentences.add((*phrases.moved, *phrases.kept))  # the names are among those moved
        print({name: round(value, 4) for name, value in smooth(model, sentences, phrases, options.share, steps=options.steps).items()})
        for name in ("tokenizer.json", THRESHOLDS_FILE):
            if (options.checkpoint / name).is_file():
                write_whole(options.out / name, (options.checkpoint / name).read_bytes())
        model.save_pretrained(options.out)

    return exit_code("error", run)


if __name__ == "__main__":
    sys.exit(main())
