"""What happens to a cut-out before it is pasted, and to a frame before it is written: tilt, weather, light, blur, noise, shadow."""

import cv2
import numpy as np

from .drawing import trim


def tilted(rgba, rng, yaw=40.0, roll=6.0):
    """The cut-out seen from the side: turned up to `yaw` degrees about the vertical and `roll` in the plane. RGBA in and out."""
    height, width = rgba.shape[:2]
    turn, lean = np.radians(rng.uniform(-yaw, yaw)), np.radians(rng.normal(0, roll / 2))
    half_w, half_h = width / 2, height / 2
    corners = np.array([[-half_w, -half_h], [half_w, -half_h], [half_w, half_h], [-half_w, half_h]])
    distance = 3.0 * max(width, height)  # a camera three sizes away: mild perspective
    depth = distance + corners[:, 0] * np.sin(turn)
    seen = np.stack([corners[:, 0] * np.cos(turn), corners[:, 1]], 1) * (distance / depth)[:, None]
    rotation = np.array([[np.cos(lean), -np.sin(lean)], [np.sin(lean), np.cos(lean)]])
    seen = seen @ rotation.T
    seen -= seen.min(0)
    size = np.maximum(np.ceil(seen.max(0)), 2).astype(int)
    source = (corners + [half_w, half_h]).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(source, seen.astype(np.float32))
    alpha = rgba[..., 3:].astype(np.float32) / 255
    warped = cv2.warpPerspective(
        np.concatenate([rgba[..., :3] * alpha, alpha], 2), matrix, (int(size[0]), int(size[1])), flags=cv2.INTER_LINEAR
    )
    alpha = np.clip(warped[..., 3:], 0, 1)
    rgb = warped[..., :3] / np.maximum(alpha, 1e-3)
    result = np.clip(np.concatenate([rgb, alpha * 255], 2) + 0.5, 0, 255).astype(np.uint8)
    return trim(result) if (result[..., 3] > 8).any() else rgba


def lit(rgba, rng, strength=1.0):
    """Brightness, contrast, colour cast, and a soft light falling across it. strength 0 changes nothing; signal lights take about 0.3."""
    height, width = rgba.shape[:2]
    rgb = rgba[..., :3].astype(np.float32)
    gain = np.exp(rng.normal(0, 0.22 * strength)) * np.exp(rng.normal(0, 0.05 * strength, 3))
    middle = 128 + rng.normal(0, 12 * strength)
    rgb = (rgb - middle) * np.exp(rng.normal(-0.05, 0.15 * strength)) + middle
    across = np.linspace(-1, 1, width, dtype=np.float32)[None] * rng.normal(0, 0.12 * strength)
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * rng.normal(0, 0.12 * strength)
    rgb = rgb * gain.astype(np.float32) * (1 + across + down)[..., None]
    result = rgba.copy()
    result[..., :3] = np.clip(rgb, 0, 255).astype(np.uint8)
    return result


def weathered(rgba, rng, amount):
    """Dirt, fading and scratches on a sign: blotches of low frequency, amount 0 to 1."""
    height, width = rgba.shape[:2]
    coarse = rng.normal(0, 1, (6, 6)).astype(np.float32)
    blotch = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    rgb = rgba[..., :3].astype(np.float32)
    grey = rgb.mean(2, keepdims=True)
    fade = amount * 0.45 * float(rng.random())
    rgb = (rgb * (1 - fade) + grey * fade) * (1 + 0.14 * amount * blotch)
    result = rgba.copy()
    result[..., :3] = np.clip(rgb, 0, 255).astype(np.uint8)
    if rng.random() < amount * 0.4:
        for _ in range(int(rng.integers(1, 4))):
            a, b = (tuple(int(v) for v in rng.integers(0, (width, height))) for _ in range(2))
            shade = int(rng.integers(60, 230))
            layer = result[..., :3].copy()
            cv2.line(layer, a, b, (shade, shade, shade), max(1, max(height, width) // 120), cv2.LINE_AA)
            result[..., :3] = layer
    return result


def dressed(rgba, rng, kind="room", tilt=True, lying=False):
    """Mirror, tilt, weather and light as a scene would do them: what the warm start uses for crops. RGBA in and out.

    kind: of the NamedObject. lying: True turns it about any angle, as things lie or birds climb.
    """
    if kind not in ("sign", "light") and rng.random() < 0.5:  # nothing to read on it: either side may face left
        rgba = np.ascontiguousarray(rgba[:, ::-1])
    if tilt and max(rgba.shape[:2]) >= 12:
        roll = 120 if lying else 8 if kind in ("sign", "light") else 14
        rgba = tilted(rgba, rng, yaw=45 if kind == "sign" else 25, roll=roll)
    if kind == "sign" and rng.random() < 0.6:
        rgba = weathered(rgba, rng, float(rng.random()))
    rgba = lit(rgba, rng, 0.35 if kind == "light" else 1.0)
    softness = float(rng.random())
    if softness < 0.45 and max(rgba.shape[:2]) >= 20:
        sigma = (0.3 + 2.2 * softness) * max(rgba.shape[:2]) ** 0.5 / 12
        rgba = blurred(rgba, sigma)
    return rgba


def blurred(rgba, sigma):
    """Gaussian blur with colours that do not bleed from transparent pixels; sigma in px. Keeps the size."""
    if sigma < 0.25:
        return rgba
    alpha = rgba[..., 3:].astype(np.float32) / 255
    soft = cv2.GaussianBlur(np.concatenate([rgba[..., :3] * alpha, alpha], 2), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    rgb = soft[..., :3] / np.maximum(soft[..., 3:], 1e-3)
    return np.clip(np.concatenate([rgb, soft[..., 3:] * 255], 2) + 0.5, 0, 255).astype(np.uint8)


def camera(frame, rng):
    """Exposure, colour cast, a little blur and sensor noise over the whole frame: BGR uint8 [H, W, 3] in and out."""
    table = np.arange(256, dtype=np.float32)
    gamma, gain = np.exp(rng.normal(0, 0.12)), np.exp(rng.normal(0, 0.1))
    cast = np.exp(rng.normal(0, 0.03, 3))
    curves = np.stack([np.clip(255 * (table / 255) ** gamma * gain * c, 0, 255) for c in cast], -1).astype(np.uint8)
    frame = cv2.LUT(frame, curves[None])
    if rng.random() < 0.35:
        frame = cv2.GaussianBlur(frame, (0, 0), float(rng.uniform(0.4, 1.1)))
    noise = float(rng.uniform(0, 7))
    if noise > 1:
        height, width = frame.shape[:2]
        side = min(768, height, width)  # one tile repeats: cheap at 4K
        tile = np.round(rng.standard_normal((side, side, 1), np.float32) * noise).astype(np.int16)
        tile = np.tile(tile, (-(-height // side), -(-width // side), 3))[:height, :width]
        frame = cv2.add(frame, tile, dtype=cv2.CV_8U)
    return frame


def photographed(pixels, rng, qualities=(65, 90)):
    """What a frame's cut-outs have been through when a look meets them: `camera`, and JPEG of a quality between these. uint8 [H, W, 3], red
    first, in and out."""
    taken = camera(np.ascontiguousarray(pixels[..., ::-1]), rng)
    written = cv2.imencode(".jpg", taken, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(qualities[0], qualities[1] + 1))])[1]
    return np.ascontiguousarray(cv2.imdecode(written, cv2.IMREAD_COLOR)[..., ::-1])


def weather(frame, rng, horizon):
    """Haze, rain or dusk over a street, about one in four; the haze is thickest at the horizon (px). BGR uint8 in and out."""
    kind = rng.random()
    height, width = frame.shape[:2]
    if kind < 0.12:
        rows = np.abs(np.arange(height, dtype=np.float32) - horizon) / height
        thick = np.clip(float(rng.uniform(0.25, 0.6)) * (1 - 1.8 * rows), 0, 1)
        grey = float(rng.uniform(150, 225))
        for start in range(0, height, 20):  # a band at a time: no second frame in float
            part = float(thick[start : start + 20].mean())
            band = frame[start : start + 20]
            if part > 0.01:
                cv2.convertScaleAbs(band, dst=band, alpha=1 - part, beta=grey * part)
    elif kind < 0.2:
        side = 720
        fall = np.zeros((side, side), np.uint8)
        length, lean = int(rng.uniform(12, 60)), rng.uniform(-0.25, 0.25)
        for x, y in rng.integers(0, side, (int(rng.integers(60, 400)), 2)):
            end = (int(x + lean * length), int(y + length))
            cv2.line(fall, (int(x), int(y)), end, int(rng.integers(25, 80)), 1, cv2.LINE_AA)
        fall = np.tile(fall, (-(-height // side), -(-width // side)))[:height, :width]
        frame = cv2.add(frame, cv2.merge([fall] * 3))
    elif kind < 0.27:
        frame = cv2.convertScaleAbs(frame, alpha=float(rng.uniform(0.35, 0.65)), beta=float(rng.uniform(0, 12)))
    return frame


def roll_of(rng):
    """The camera's roll in degrees: none in two of three frames, else about 2 either way, at most 5."""
    return float(np.clip(rng.normal(0, 2.2), -5, 5)) if rng.random() < 0.35 else 0.0


def rolled(frame, ids, degrees):
    """(frame, ids, matrix [2, 3] float64, zoom) turned about the middle and enlarged by `zoom` so that no corner is empty."""
    height, width = frame.shape[:2]
    turn = abs(np.radians(degrees))
    zoom = float(np.cos(turn) + max(width, height) / min(width, height) * np.sin(turn))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, zoom)
    frame = cv2.warpAffine(frame, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    ids = cv2.warpAffine(ids, matrix, (width, height), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    return frame, ids, matrix, zoom


def fractal(rng, height, width, cells=4, octaves=5, falloff=0.55):
    """Smooth random field, float32 [height, width], about zero mean and unit spread; `cells` across at the coarsest octave."""
    field = np.zeros((height, width), np.float32)
    weight = 1.0
    for octave in range(octaves):
        n = cells * 2**octave
        shape = (max(2, round(n * height / max(width, 1))) + 1, n + 1)
        field += weight * cv2.resize(rng.normal(0, 1, shape).astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        weight *= falloff
    return field / max(float(field.std()), 1e-6)
