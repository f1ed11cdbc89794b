"""PS3 whole: both towers, the contrastive head, folders on disk, and the reference's own call."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ps3_ros.errors import QueryError

from .checkpoint import read_json, read_tensors, write_checkpoint
from .config import PS3Config
from .frames import Frames, smooth
from .layers import initialise
from .text import text_model
from .vision import VisionModel

# The published folders may lack the contrastive head (ps3.md): SigLIP's start.
LOGIT_SCALE, LOGIT_BIAS = math.log(10.0), -10.0
MAX_SCALE = 100.0


@dataclass(frozen=True)
class PS3Output:
    """What PS3.forward answers; absent parts are None. Lists have one entry a high-res scale, [B, rows, cols]."""

    last_hidden_state: Tensor | None  # [B, n0 + N, D] low-res tokens, then the selected ones, coarse to fine, row-major, looks merged
    selection_probs: list[Tensor]
    selection_maps: list[Tensor] | None = None  # uint8: 1 = looked at
    pooled_output: Tensor | None = None  # [B, E]
    bottomup_selection_probs: list[Tensor] | None = None
    topdown_selection_probs: list[Tensor] | None = None
    hidden_states: tuple[Tensor, ...] | None = None  # every layer's, each as last_hidden_state


class PS3(nn.Module):
    """vision_model, text_model, and the scale and bias of the sigmoid contrastive loss.

    logit_defaulted: True where the folder lacked logit_scale and logit_bias, so that ln(10) and -10 stand in for them.
    """

    def __init__(self, config: PS3Config):
        super().__init__()
        self.config = config
        self.vision_model = VisionModel(config.vision)
        self.text_model = text_model(config.text)
        self.logit_scale = nn.Parameter(torch.tensor(LOGIT_SCALE))
        self.logit_bias = nn.Parameter(torch.tensor(LOGIT_BIAS))
        self.logit_defaulted = False
        if not self.logit_scale.is_meta:
            initialise(self)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> PS3:
        """A published Hugging Face folder or one of ours, in float32 and in eval mode. CheckpointError where anything does not fit."""
        folder = Path(folder)
        config = PS3Config.from_dict(read_json(folder / "config.json"))
        with torch.device("meta"):
            model = cls(config)
        shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
        head = {"logit_scale": LOGIT_SCALE, "logit_bias": LOGIT_BIAS}
        tensors = read_tensors(folder, shapes, frozenset(head))
        model.logit_defaulted = any(name not in tensors for name in head)
        if model.logit_defaulted:
            # One without the other means nothing: both are the default then.
            tensors.update((name, torch.tensor(value)) for name, value in head.items())
        model.load_state_dict(tensors, assign=True)
        return model.eval()

    def save_pretrained(self, folder: str | Path):
        """Writes config.json and model.safetensors; a contrastive head that is only a stand-in stays out."""
        tensors = self.state_dict()
        if self.logit_defaulted:
            del tensors["logit_scale"], tensors["logit_bias"]
        write_checkpoint(Path(folder), self.config.to_dict(), tensors)

    def prompt_aux(self, prompt: Tensor) -> Tensor:
        """[Q, D] -> [Q, d], see VisionModel.prompt_aux"""
        return self.vision_model.prompt_aux(prompt)

    def scale(self) -> Tensor:
        """exp(logit_scale), at most 100."""
        return self.logit_scale.exp().clamp(max=MAX_SCALE)

    def match_logits(self, embeddings: Tensor, texts: Tensor) -> Tensor:
        """embeddings [R, E], texts [Q, E] -> [R, Q]: scale * cosine + bias; a score is its sigmoid."""
        return self.scale() * F.normalize(embeddings, dim=-1) @ F.normalize(texts, dim=-1).T + self.logit_bias

    def forward(
        self,
        pixel_values: Tensor,
        prompt: Tensor | None = None,
        num_look_close: int | str | None = None,
        num_token_look_close: int | str | None = None,
        gt_selection_maps: Tensor | None = None,
        is_global_text: Tensor | None = None,
        pool_gt_token_only: bool = False,
        smooth_selection_prob: bool = False,
        only_select_first_n_scale: int | list[int] | None = None,
        selection_maps: list | None = None,
        output_hidden_states: bool = True,
        every_layer: bool = False,
    ) -> PS3Output:
        """The reference's call: all three stages on whole images, resized to every scale; a robot cuts only the patches it needs.

        pixel_values [B, 3, H, W], normalised, at the top scale. prompt [B, D], or None for bottom-up selection.
        num_look_close: looks (0 = low-res only, "all"), or num_token_look_close: patches over all looks; one look where both are None.
        gt_selection_maps [B, H', W']: where positive it is selected first. smooth_selection_prob: selection by the means over 6 x 6 areas.
        only_select_first_n_scale: one number, or one an image. selection_maps: take these patches instead (a list [B, rows, cols] a scale,
        or a list of such lists, one a look). output_hidden_states False is pre-training's call: one look, and pooled_output [B, E] of its
        tokens (pool_gt_token_only: of those inside gt_selection_maps), or of the low-res ones where is_global_text [B, 1] says so.
        every_layer: give hidden_states too.
        """
        v = self.vision_model
        frames = Frames(pixel_values, v)
        batch = frames.batch
        if num_look_close is None and num_token_look_close is None:
            num_look_close = 1
        _check_count("num_look_close", num_look_close)
        _check_count("num_token_look_close", num_token_look_close)
        _check_shape("prompt", prompt, (batch, v.dim))
        _check_shape("gt_selection_maps", gt_selection_maps, (batch, None, None))
        _check_shape("is_global_text", is_global_text, (batch, 1))
        if not output_hidden_states and 0 in (num_look_close, num_token_look_close):
            raise QueryError("output_hidden_states=False pools the tokens of a look, and 0 looks or tokens leave none; ask for a look.")

        glance, low_layers = v.glance_layers(frames.low_res(), range(v.layers) if every_layer else ())
        aux = v.aux_features(frames.aux()) if v.highres_selection_feature_module is not None else None
        bottom_up = frames.spread_map(v.saliency(glance, aux))
        top_down = None if prompt is None else frames.spread_map(v.relevance(glance, aux, prompt))
        probs = bottom_up if top_down is None else top_down
        if gt_selection_maps is not None:
            probs = frames.prefer(gt_selection_maps, probs)
        if smooth_selection_prob:
            probs = [smooth(p) for p in probs]
        if 0 in (num_look_close, num_token_look_close):
            layers = tuple(low_layers[i] for i in range(v.layers)) if every_layer else None
            return PS3Output(glance.tokens, probs, hidden_states=layers)

        if selection_maps is not None:
            looks = frames.forced(selection_maps)
        else:
            first = only_select_first_n_scale
            first = [first] * batch if first is None or isinstance(first, int) else list(first)
            if not output_hidden_states:
                num_look_close, num_token_look_close = 1, None
            looks = frames.choose(probs, num_look_close, num_token_look_close, first)

        table = v.positions()
        done = []
        for chosen in looks:
            patches, position = frames.patches(chosen)
            tokens, layers = v.look_layers(patches, position, glance.kv, None, table, range(v.layers) if every_layer else ())
            done.append((chosen, tokens, layers))
        chosen = torch.cat([c for c, _, _ in done], dim=1)
        maps = frames.maps(chosen)

        if not output_hidden_states:
            mask = torch.ones_like(chosen, dtype=torch.bool)
            if pool_gt_token_only:
                mask = torch.gather(frames.inside(gt_selection_maps), 1, chosen)
            pooled = v.pool(torch.cat([t for _, t, _ in done], dim=1), mask.unsqueeze(1)).squeeze(1)
            if is_global_text is not None:
                everything = torch.ones(batch, 1, glance.tokens.shape[1], dtype=torch.bool, device=pooled.device)
                pooled = torch.where(is_global_text.bool(), v.pool(glance.tokens, everything).squeeze(1), pooled)
            return PS3Output(None, probs, maps, pooled, bottom_up, top_down)

        order = chosen.argsort(dim=1).unsqueeze(-1).expand(-1, -1, v.dim)

        def merged(low: Tensor, high: list[Tensor]) -> Tensor:
            return torch.cat([low, torch.gather(torch.cat(high, dim=1), 1, order)], dim=1)

        every = tuple(merged(low_layers[i], [kept[i] for _, _, kept in done]) for i in range(v.layers)) if every_layer else None
        return PS3Output(merged(glance.tokens, [t for _, t, _ in done]), probs, maps, hidden_states=every)


def _check_count(name: str, value):
    if value is not None and value != "all" and (type(value) is not int or value < 0):
        raise QueryError(f'{name} is {value!r}; give a whole number from 0, "all", or None.')


def _check_shape(name: str, value: Tensor | None, shape: tuple[int | None, ...]):
    """None in `shape` is any size."""
    if value is None:
        return
    if value.ndim != len(shape) or any(want is not None and size != want for size, want in zip(value.shape, shape, strict=True)):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise QueryError(f"{name} is {list(value.shape)}; these images and this model need [{wanted}].")
