"""The models that the benchmarks run: random checkpoints of the reference's shape, and their bundles, made once under runs/benchmarks."""

from pathlib import Path

from ps3_ros.bundle import MANIFEST_FILE

ROOT = Path(__file__).resolve().parents[1]
MADE = ROOT / "runs" / "benchmarks"  # what benchmarks make for themselves: not in the repository
FRAME = (3840, 2160)  # px
LICENSE = "Apache-2.0 (random weights)"
EXPORT_VIEWS = 2  # frames of the export's own gate: random weights have no answers to lose

# tiny16 and base16 are the configurations that the reference's own timing uses; smoke is a model that only shows that a program runs.
VISION = {
    "tiny16": {
        "model_name": "vit_tiny_patch16_224", "img_size": 256, "hidden_size": 192, "pool": "map",
        "ps3_scales": [256, 512, 1024, 3840], "select_based_on_layer": [0, 4, 8, 11], "max_select_num": 1024,
        "highres_selection_module_hidden_dim": 64, "highres_selection_module_out_dim": 64,
    },
    "base16": {
        "model_name": "vit_base_patch16_siglip_384", "hidden_size": 768, "pool": "map",
        "ps3_scales": [384, 768, 1536, 3840], "select_based_on_layer": [0, 4, 8, 11], "max_select_num": 2560,
    },
    "smoke": {
        "model_name": "test_vit", "img_size": 64, "hidden_size": 64, "pool": "map",
        "ps3_scales": [64, 128, 256, 640], "select_based_on_layer": [0, 2, 4, 5], "max_select_num": 64,
        "highres_selection_module_hidden_dim": 32, "highres_selection_module_out_dim": 32,
    },
}  # fmt: skip


# What this project adds to the reference's configuration: its own geometry and resampling, positions that do not grow with the top scale.
NATIVE = {"geometry": "native", "resampling": "area", "position": "factored"}


def config_of(name: str, top_scale: int | None = None, native: bool = False) -> dict:
    """config.json of a checkpoint. top_scale: replaces the largest scale (px); native: with NATIVE, which the reference cannot run."""
    vision = dict(VISION[name]) | (NATIVE if native else {})
    if top_scale:
        vision["ps3_scales"] = [*vision["ps3_scales"][:-1], top_scale]
    width = vision["hidden_size"]
    text = {
        "output_dim": width, "prompt_proj_dim": width, "context_length": 16, "vocab_size": 512, "width": 64, "heads": 2, "layers": 2,
        "pad_id": 0,
    }  # fmt: skip
    return {"model_type": "ps3", "vision_config": vision, "text_config": text}


def checkpoint(name: str, top_scale: int | None = None, native: bool = False) -> Path:
    """A checkpoint folder with random weights, the same every time; made where it is not there yet."""
    from ps3_export.random_checkpoint import write_random_checkpoint

    folder = _folder(name, top_scale, native) / "checkpoint"
    if not (folder / "tokenizer.json").is_file():
        write_random_checkpoint(config_of(name, top_scale, native), folder)
    return folder


def bundle(name: str, precision: str = "fp32", top_scale: int | None = None, native: bool = False, frame=FRAME) -> Path:
    """The bundle of `checkpoint(...)`, exported where it is not there yet. precision: "fp32" or "int8"; frame: (width, height) px."""
    from ps3_export.export import export_checkpoint

    folder = _folder(name, top_scale, native) / precision
    if not (folder / MANIFEST_FILE).is_file():
        source = checkpoint(name, top_scale, native)
        # Random weights round worse than trained ones; what int8 loses in answers is the evaluation's to say, not a timing's.
        how = {"views": EXPORT_VIEWS, "questions": 1, "frame_size": frame, "accept_drift": True, "license": LICENSE}
        export_checkpoint(source, folder, precision=precision, **how)
    return folder


def _folder(name: str, top_scale: int | None, native: bool) -> Path:
    return MADE / "-".join([name, *([f"top{top_scale}"] if top_scale else []), *(["native"] if native else [])])
