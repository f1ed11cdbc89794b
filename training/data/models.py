"""The 3D models of Debian's sweethome3d-furniture: what they are called, how large they are, and their triangles.

    entries = models.entries()          # tuple[Entry, ...] of the models that a person would ask for; () where the package is missing
    model = models.load(entries[0])     # Model: parts with vertices in metres, y up, standing on y = 0, centred on x and z

Sizes are the catalogue's (cm there, metres here). The front of a model looks along +z.
"""

import os
import re
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ps3_ros.errors import Ps3Error

from . import model_names

FOLDER = "PS3_MODELS"  # environment variable: the folder of *.sh3f files; default: where Debian puts them
DEBIAN = "/usr/share/sweethome3d/furniture"
CREASE = np.cos(np.radians(50))  # a corner is shaded smoothly where its faces meet at less than this
TEXTURE = 1024  # px, longer side at which textures are kept

LICENCES = {
    "BlendSwap-CC-0": "CC0-1.0",
    "BlendSwap-CC-BY": "CC-BY-3.0",
    "KatorLegaz": "CC-BY-3.0-US",
    "Reallusion": "CC-BY-3.0-US",
    "Scopia": "CC-BY-3.0",
}


class ModelError(Ps3Error):
    """A 3D model cannot be read."""


@dataclass(frozen=True)
class Entry:
    """One model of the catalogue. `size`: width (x), height (y), depth (z) in metres. `top`: where things stand on it, 0 = nowhere."""

    id: str  # Scopia/bed1
    name: str  # as a person says it
    place: str  # street, room or any
    group: str  # look-alikes share it
    category: str  # the catalogue's
    size: tuple
    top: float
    elevation: float  # metres above the floor at which it hangs, 0 = it stands
    rotation: tuple  # 9 numbers, row by row; applied before the size is fitted
    archive: str
    path: str
    library: str
    author: str

    @property
    def licence(self):
        return LICENCES[self.library]

    @property
    def metres(self):
        """The longer side of the real thing."""
        return max(self.size)


@dataclass(frozen=True)
class Part:
    """Triangles of one material. vertices: float32 [3 n, 8]: x y z (m), normal, u v. texture: uint8 [h, w, 4] red first, or None."""

    vertices: np.ndarray
    colour: tuple  # red, green, blue in 0 to 1 (sRGB); white where there is a texture
    opacity: float
    shine: float  # 0 (dull) to 1
    texture: np.ndarray | None = None
    glow: float = 0.0  # light of its own, as a part of its colour


@dataclass(frozen=True)
class Model:
    """What is drawn: its parts and its bounds, float [2, 3] in metres."""

    parts: tuple
    bounds: np.ndarray


def folder():
    """The folder that the libraries are read from."""
    return Path(os.environ.get(FOLDER, DEBIAN))


def _properties(data):
    """A Java properties file as a dict."""
    text = re.sub(r"\\\r?\n\s*", "", data.decode("latin-1"))
    pairs = (line.partition("=") for line in text.splitlines() if line.strip() and line.strip()[0] not in "#!")
    return {key.strip(): re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), value.strip()) for key, _, value in pairs}


@lru_cache(maxsize=2)
def _entries(where):
    found = []
    for archive in sorted(Path(where).glob("*.sh3f")):
        if archive.stem not in LICENCES:
            continue
        try:
            with zipfile.ZipFile(archive) as opened:
                table = _properties(opened.read("PluginFurnitureCatalog.properties"))
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise ModelError(
                f"The model library {str(archive)!r} cannot be read ({error}); install sweethome3d-furniture again."
            ) from error
        numbers = sorted(int(key.split("#")[1]) for key in table if key.startswith("model#"))
        for i in numbers:
            path = table[f"model#{i}"].lstrip("/")
            said = model_names.spoken(table[f"name#{i}"], table[f"category#{i}"], Path(path).stem)
            if said is None:
                continue
            size = tuple(float(table[f"{side}#{i}"]) / 100 for side in ("width", "height", "depth"))
            drop = float(table.get(f"dropOnTopElevation#{i}") or 100 * size[1])  # unsaid: its highest point
            rotation = tuple(float(v) for v in table.get(f"modelRotation#{i}", "1 0 0 0 1 0 0 0 1").split())
            top = max(drop, 0.0) / 100
            hung = float(table.get(f"elevation#{i}") or 0) / 100
            author = table.get(f"creator#{i}", archive.stem)
            key = f"{archive.stem}/{Path(path).stem}"
            category = table[f"category#{i}"]
            found.append(Entry(key, *said, category, size, top, hung, rotation, str(archive), path, archive.stem, author))
    return tuple(found)


def entries():
    """Every model with a name that a person would ask for, in the catalogue's order; empty where the package is not installed.

    Raises ModelError for a library that cannot be read.
    """
    return _entries(str(folder()))


def _corner_normals(points, normals):
    """Normals [n, 3, 3] of faces' corners where the file has none: smooth inside a surface, sharp at an edge."""
    flat = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    area = np.linalg.norm(flat, axis=1, keepdims=True)
    unit = flat / np.maximum(area, 1e-20)
    if normals is not None:
        length = np.linalg.norm(normals, axis=2, keepdims=True)
        return np.where(length > 0.5, normals / np.maximum(length, 1e-9), unit[:, None])
    span = max(float(np.ptp(points)), 1e-9)
    grid = np.round((points.reshape(-1, 3) - points.min((0, 1))) / span * 1e5).astype(np.int64)  # 17 bits a side: one number a place
    _, where = np.unique(grid[:, 0] << 34 | grid[:, 1] << 17 | grid[:, 2], return_inverse=True)
    ahead, back = np.roll(points, -1, 1) - points, np.roll(points, 1, 1) - points
    lengths = np.linalg.norm(ahead, axis=2) * np.linalg.norm(back, axis=2)
    angle = np.arccos(np.clip((ahead * back).sum(2) / np.maximum(lengths, 1e-20), -1, 1))  # a face counts by its angle at the corner
    weighted = (unit[:, None] * angle[..., None]).reshape(-1, 3)
    total = np.stack([np.bincount(where, weighted[:, k]) for k in range(3)], 1)
    smooth = total[where].reshape(points.shape)
    smooth /= np.maximum(np.linalg.norm(smooth, axis=2, keepdims=True), 1e-20)
    return np.where((smooth * unit[:, None]).sum(2, keepdims=True) > CREASE, smooth, unit[:, None])


def _number(values, default):
    try:
        return float(values[0] if isinstance(values, (list, tuple)) else values)
    except (TypeError, ValueError, IndexError):
        return default


def _part(mesh):
    """A trimesh mesh as (points [n, 3, 3], normals, uv, material)."""
    faces = np.asarray(mesh.faces)
    points = np.asarray(mesh.vertices, np.float64)[faces]
    given = np.asarray(mesh.vertex_normals)[faces] if "vertex_normals" in mesh._cache else None
    uv = getattr(mesh.visual, "uv", None)
    uv = np.zeros((*faces.shape, 2)) if uv is None else np.nan_to_num(np.asarray(uv)[faces])
    material = getattr(mesh.visual, "material", None)
    kwargs = getattr(material, "kwargs", {}) or {}
    colour = np.asarray(kwargs.get("kd", (0.7, 0.7, 0.7)), float)[:3]
    opacity = float(np.clip(_number(kwargs.get("d"), 1.0 - _number(kwargs.get("tr"), 0.0)), 0, 1))
    shine = float(np.clip(np.mean(kwargs.get("ks", (0.0,))) * min(1.0, _number(kwargs.get("ns"), 0.0) / 90), 0, 1))
    image = getattr(material, "image", None)
    texture = None
    if image is not None:
        image = image.convert("RGBA")
        image.thumbnail((TEXTURE, TEXTURE))
        texture, colour = np.asarray(image), np.ones(3)
    return points, given, uv, tuple(np.clip(colour, 0, 1).tolist()), opacity, shine, texture


def _resolver(archive, path):
    """Gives trimesh the files beside a model in its archive: materials and textures, whatever the case of their names."""
    from trimesh.resolvers import ZipResolver

    base = str(Path(path).parent) + "/"
    files = {name[len(base) :]: archive.read(name) for name in archive.namelist() if name.startswith(base) and not name.endswith("/")}
    files |= {change(name): data for name, data in list(files.items()) for change in (str.lower, str.upper) if change(name) not in files}
    return ZipResolver(files)


def load(entry):
    """The model's triangles in metres, standing on y = 0, its middle at x = z = 0.

    Raises ModelError for a model that cannot be read or has no triangles.
    """
    import trimesh

    try:
        with zipfile.ZipFile(entry.archive) as archive:
            resolver = _resolver(archive, entry.path)
            scene = trimesh.load_scene(
                trimesh.util.wrap_as_stream(archive.read(entry.path)), file_type="obj", resolver=resolver, process=False
            )
            parts = [_part(mesh) for mesh in scene.geometry.values() if len(getattr(mesh, "faces", ()))]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"The 3D model {entry.id!r} cannot be read ({error}); install sweethome3d-furniture again.") from error
    if not parts:
        raise ModelError(f"The 3D model {entry.id!r} has no triangles; leave it out.")
    turn = np.array(entry.rotation).reshape(3, 3)
    corners = np.concatenate([p[0].reshape(-1, 3) for p in parts]) @ turn.T
    low, high = corners.min(0), corners.max(0)
    scale = np.array(entry.size) / np.maximum(high - low, 1e-9)
    middle = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    made = []
    for points, given, uv, colour, opacity, shine, texture in parts:
        placed = (points @ turn.T - middle) * scale
        normals = _corner_normals(placed, None if given is None else (given @ turn.T) / scale)
        vertices = np.concatenate([placed, normals, uv], 2).reshape(-1, 8).astype(np.float32)
        made.append(Part(vertices, colour, opacity, shine, texture))
    half = np.array(entry.size)
    return Model(tuple(made), np.array([[-half[0] / 2, 0, -half[2] / 2], [half[0] / 2, half[1], half[2] / 2]]))
