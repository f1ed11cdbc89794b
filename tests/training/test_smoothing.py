"""Phrases without pictures are drawn towards the names around them; names and written words stay what they were."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from ps3_ros.errors import CheckpointError
from ps3_ros.reading import LETTERS
from ps3_training import smoothing, sprites
from ps3_training.model import PS3

from . import tiny_run

NAMES = ("red square", "green square", "blue square", "white square")


class Near:
    """A sentence vector a phrase, orthogonal to all others, but that "NAME thing" lies next to NAME."""

    def of(self, texts):
        return torch.stack(
            [F.normalize(self.one(t.removesuffix(" thing")) + 0.7 * t.endswith(" thing") * self.one(t), dim=-1) for t in texts]
        )

    def one(self, text):
        return F.normalize(torch.from_numpy(np.random.default_rng(sum(map(ord, text))).normal(size=32)).float(), dim=-1)


def bank(folder):
    """A bank of four plain squares and a text sign."""
    labels = [{"means": [n], "texts": [f"a {n}"], "asks": [n], "group": "square", "core": True} for n in NAMES]
    labels.append(
        {"means": ["sign that says open"], "texts": ["OPEN"], "asks": ["sign that says open"], "group": "sign", "core": False, "least": 9}
    )
    arrays = {
        "pixels": np.zeros((5, 4), np.uint8),
        "shape": np.ones((5, 2), np.int32),
        "start": np.arange(5),
        "backgrounds": np.zeros((1, 1, 1, 3), np.uint8),
    }
    folder.mkdir()
    save_file(arrays, folder / "bank.safetensors")
    (folder / "bank.json").write_text(json.dumps(labels))
    return folder


def test_what_is_moved_and_what_is_kept(tmp_path):
    made = smoothing.Phrases.of(sprites.read_bank(bank(tmp_path / "bank")), ["lamp", "pineapple", "square"])
    assert made.names == tuple(sorted(NAMES))
    assert {"a red square", "red square", "lamp", "square"} < set(made.moved) and any(p.startswith("lamp ") for p in made.moved)
    assert "pineapple" not in made.moved  # held out: no training says it
    assert {"OPEN", "sign that says open", *LETTERS} <= set(made.kept) and not set(made.kept) & set(made.moved)


def test_a_phrase_is_drawn_to_what_lies_nearest():
    known, around = torch.eye(4)[:3], torch.eye(6)[:3]
    text, vectors = 2.0 * torch.eye(6)[3:5], F.normalize(torch.tensor([[1.0, 0.2, 0.0, 0.5], [0.0, 1.0, 1.0, 0.0]]), dim=-1)
    made = smoothing.drawn(text, vectors, known, around, share=0.5, width=0.1)
    assert torch.allclose(made.norm(dim=-1), torch.tensor([2.0, 2.0]))  # as long as before
    unit = made / 2
    assert torch.allclose(unit[:, 3:5].diagonal(), torch.tensor([0.8, 0.8]).sqrt(), atol=1e-3)  # 1 of its own to 1/2 of the others'
    assert unit[0, 0] > 0.44 and torch.allclose(unit[1, 1], unit[1, 2])  # one neighbour; two as near
    assert torch.equal(smoothing.drawn(text, vectors, known, around, 0.0, 0.1), text)


def test_the_tower_is_fitted_and_words_and_encoder_stay(tiny_model):
    sentences = Near()
    phrases = smoothing.Phrases(NAMES, (*NAMES, *(f"{name} thing" for name in NAMES)), ("exit", *LETTERS))
    of = {t: tiny_model.text_model.project(sentences.of((t,))) for t in (*NAMES, "exit")}
    encoder = {k: v.clone() for k, v in tiny_model.text_model.encoder.state_dict().items()}
    figures = smoothing.smooth(tiny_model, sentences, phrases, steps=250)
    assert min(figures.values()) > 0.95 and set(figures) == {"moved", "kept", "prompts"}
    after = {t: tiny_model.text_model.project(sentences.of((t,))) for t in of}
    alike = {t: F.cosine_similarity(after[t].text, of[t].text).item() for t in of}
    assert alike["exit"] > 0.98 and np.mean([alike[n] for n in NAMES]) < alike["exit"]
    assert all(torch.equal(v, encoder[k]) for k, v in tiny_model.text_model.encoder.state_dict().items())
    assert not any(p.requires_grad for p in tiny_model.text_model.parameters())


def test_the_command_writes_a_checkpoint_and_says_what_is_missing(tmp_path, capsys, monkeypatch):
    tiny_run.write(tmp_path)
    start, out = tmp_path / "start", tmp_path / "out"
    assert smoothing.main([str(start), str(tmp_path / "none"), str(out)]) != 0 and "no bank of cut-outs" in capsys.readouterr().err
    cut_outs = bank(tmp_path / "bank")
    assert smoothing.main([str(start), str(cut_outs), str(out), "--steps", "0"]) != 0 and "1 or more" in capsys.readouterr().err
    assert smoothing.main([str(start), str(cut_outs), str(start)]) != 0 and "name another folder" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert smoothing.main([str(start), str(cut_outs), str(tmp_path / "file")]) != 0 and "no folder" in capsys.readouterr().err
    (tmp_path / "signs").mkdir()
    nothing = {
        "pixels": np.zeros((0, 4), np.uint8),
        "shape": np.zeros((0, 2), np.int32),
        "start": np.zeros(0),
        "backgrounds": np.zeros((0, 1, 1, 3)),
    }
    save_file(nothing, tmp_path / "signs" / "bank.safetensors")
    (tmp_path / "signs" / "bank.json").write_text("[]")
    monkeypatch.setattr(smoothing, "words_of", lambda tokenizer: ["square", "grey"])
    assert smoothing.main([str(start), str(tmp_path / "signs"), str(out)]) != 0 and "no names of things" in capsys.readouterr().err
    assert not out.exists()
    assert smoothing.main([str(start), str(cut_outs), str(out), "--steps", "3"]) == 0
    first, second = PS3.from_pretrained(start).state_dict(), PS3.from_pretrained(out).state_dict()
    moved = {k.split(".")[1] for k in first if not torch.equal(first[k], second[k])}
    assert moved == {"text_projection", "prompt_proj"} and (out / "tokenizer.json").is_file()


def test_whole_words_of_a_tokenizer(tmp_path):
    (tmp_path / "tokenizer.json").write_text(
        '{"model": {"vocab": {"[PAD]": 0, "##ing": 1, "mug": 2, "it": 3, "\\u00e9t\\u00e9": 4, "123": 5}}}'
    )
    assert smoothing.words_of(tmp_path / "tokenizer.json") == ["mug"]
    for number, text in enumerate(('{"model": {"vocab": [["mug", 1]]}}', "{", '{"model": {"vocab": {"[PAD]": 0}}}')):
        (tmp_path / f"{number}.json").write_text(text)
        with pytest.raises(CheckpointError, match="WordPiece"):
            smoothing.words_of(tmp_path / f"{number}.json")
