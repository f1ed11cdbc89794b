"""Pictures of a run: where the model points for a few fixed captions, drawn over the glance image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from ps3_ros.manifest import Settings
from ps3_training.model import PS3

from .cache import CachedFrame, normalized
from .files import write_whole
from .metrics import Metrics
from .pretrain import map_logits
from .sentences import Sentences

FRAMES, CAPTIONS = 4, 3
SIDE = 224  # px of one panel
TEXT_HEIGHT = 18


def relevance_pictures(
    model: PS3, frames: list[CachedFrame], sentences: Sentences, settings: Settings, folder: Path, device: torch.device
) -> Callable[[int, Metrics], None]:
    """draw(step, metrics) for loop.fit: folder/pictures/<step>.png and TensorBoard's `relevance`. `sentences` must know the captions."""
    asked = [(frame, [texts[0] for texts in frame.texts[:CAPTIONS]]) for frame in frames[:FRAMES] if frame.texts]

    def draw(step: int, metrics: Metrics) -> None:
        grid = np.concatenate([_row(model, frame, texts, sentences, settings, device) for frame, texts in asked]) if asked else None
        if grid is None:
            return
        target = folder / "pictures" / f"{step:08d}.png"
        write_whole(target, cv2.imencode(".png", grid[..., ::-1])[1].tobytes())
        metrics.picture("relevance", grid, step)

    return draw


@torch.no_grad()
def maps_of(model: PS3, frame: CachedFrame, texts: list[str], sentences: Sentences, settings: Settings, device: torch.device) -> np.ndarray:
    """Relevance of each caption, then saliency: float32 [texts + 1, g, g], probabilities."""
    v = model.vision_model
    training = model.training
    model.eval()
    image, selector = (torch.from_numpy(normalized(getattr(frame, name), settings, 0))[None].to(device) for name in ("glance", "aux"))
    features = v.glance(image).select_features[:, 0]
    aux = v.aux_features(selector) if settings.aux_size else None
    prompts = torch.cat([model.text_model.project(sentences.of(texts)).prompt, v.prior_prompt[None]])
    maps = map_logits(v, features, aux, prompts)["mean"][:, 0].sigmoid()
    model.train(training)
    return maps.unflatten(-1, (v.grid, v.grid)).float().cpu().numpy()


def _row(model, frame: CachedFrame, texts: list[str], sentences: Sentences, settings: Settings, device: torch.device) -> np.ndarray:
    """One frame: the glance, a panel a caption with its own box, and saliency: uint8 [SIDE + TEXT_HEIGHT, panels * SIDE, 3] RGB."""
    maps = maps_of(model, frame, texts, sentences, settings, device)
    plain = cv2.resize(np.ascontiguousarray(frame.glance.transpose(1, 2, 0)), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    panels = [_panel(plain, None, None, frame.key)]
    scale = np.array([SIDE / frame.width, SIDE / frame.height] * 2)
    for number, text in enumerate([*texts, "saliency"]):
        box = frame.boxes[number] * scale if number < len(texts) else None
        panels.append(_panel(plain, maps[number], box, text))
    blank = np.zeros_like(panels[0])
    return np.concatenate(panels + [blank] * (CAPTIONS + 2 - len(panels)), axis=1)


def _panel(plain: np.ndarray, relevance: np.ndarray | None, box: np.ndarray | None, text: str) -> np.ndarray:
    picture = plain.copy()
    if relevance is not None:
        spread = cv2.resize(relevance, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)[..., None]
        picture = (plain * (1 - 0.7 * spread) + np.array([255, 40, 40]) * 0.7 * spread).astype(np.uint8)
        text = f"{relevance.max():.2f} {text}"
    if box is not None:
        x1, y1, x2, y2 = (int(round(v)) for v in box)
        cv2.rectangle(picture, (x1 - 2, y1 - 2), (x2 + 2, y2 + 2), (255, 255, 0), 1)
    label = np.zeros((TEXT_HEIGHT, SIDE, 3), np.uint8)
    cv2.putText(label, text[:36], (3, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (255, 255, 255), 1, cv2.LINE_AA)
    return np.concatenate([label, picture])
