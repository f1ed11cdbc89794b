"""What the robot's core must know of a model: the manifest's settings, from a checkpoint's config."""

from __future__ import annotations

from ps3_ros.errors import CheckpointError
from ps3_ros.manifest import Settings

from .config import PS3Config

FOUND_THRESHOLD = RELEVANCE_THRESHOLD = 0.5  # of probabilities; a checkpoint whose scores were calibrated says otherwise


def settings_of(
    config: PS3Config,
    max_patches: int | None = None,
    logit_scale: float = 1.0,
    logit_bias: float = 0.0,
    found_threshold: float = FOUND_THRESHOLD,
    relevance_threshold: float = RELEVANCE_THRESHOLD,
    close_ups: int = 0,
    zoom_outs: int = 0,
    fine_selection: bool = False,
    plain_words: bool = False,
    reads: bool = False,
    background: tuple = (),
) -> Settings:
    """Settings of a config. max_patches: a look's patches; None = the checkpoint's max_select_num. The contrastive head (logit_scale,
    exponentiated, and logit_bias) is a weight, not a setting: whoever scores regions passes the model's; frame cutting does not read it.
    Raises CheckpointError for a background of another model, and for zoom_outs without close_ups."""
    vision, text = config.vision, config.text
    if background and len(background) != vision.embed_dim:
        raise CheckpointError(
            f"background has {len(background)} numbers where this model's embeddings have {vision.embed_dim}; calibrate this checkpoint"
        )
    if zoom_outs and not close_ups:
        raise CheckpointError(f"zoom_outs is {zoom_outs} where close_ups is 0; set close_ups in thresholds.json, or zoom_outs to 0")
    kernel = vision.highres_selection_module_kernel_size
    aux = vision.highres_selection_feature
    return Settings(
        scales=tuple(vision.ps3_scales),
        patch=vision.patch,
        grid=vision.grid,
        dim=vision.backbone.dim,
        embed_dim=vision.embed_dim,
        layers=vision.backbone.depth,
        heads=vision.backbone.heads,
        # A convolution with stride = kernel drops what does not fill a cell, so the selector's image keeps the checkpoint's size.
        aux_size=vision.aux_size if aux else 0,
        aux_grid=vision.aux_size // kernel if aux else 0,
        aux_dim=vision.highres_selection_module_out_dim if aux else 0,
        max_patches=max_patches or (sum(vision.max_select_num_each_scale) if vision.max_select_num_each_scale else vision.max_select_num),
        mean=tuple(vision.mean),
        std=tuple(vision.std),
        geometry=vision.geometry,
        resampling=vision.resampling,
        logit_scale=logit_scale,
        logit_bias=logit_bias,
        found_threshold=found_threshold,
        relevance_threshold=relevance_threshold,
        context_length=text.context_length,
        pad_id=text.pad_id,
        fixed_length=text.kind != "sentence",
        close_ups=close_ups,
        zoom_outs=zoom_outs,
        fine_selection=fine_selection,
        plain_words=plain_words,
        reads=reads,
        background=background,
    )
