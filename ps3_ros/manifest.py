"""What a bundle's manifest.json says, as frozen dataclasses, and the check of every value in it.

The names, shapes and dtypes of the graphs are a contract (docs/architecture.md): `contract(settings)` spells it out.
"""

import math
from dataclasses import asdict, dataclass, field, fields

from .errors import BundleError

SCHEMA_VERSION = 1
GEOMETRIES = ("reference", "native")
RESAMPLINGS = ("bicubic", "area")
PRECISIONS = ("fp32", "fp16", "int8")  # of the matrix products; everything else is float32 in all of them
DTYPES = ("float32", "float16", "int64", "bool")
OPTIONAL = ("parity", "made_with", "quantization", "gate", "drift", "engines")
# Absent where they say nothing, as in older bundles.
LATER_SETTINGS = ("fine_selection", "close_ups", "zoom_outs", "plain_words", "reads", "background")
MAX_CLOSE_UPS = 24  # as many candidates are scored


@dataclass(frozen=True)
class Settings:
    """What the core must know of a model. Sizes in pixels unless said otherwise; hashable, so that plans can be cached by it."""

    scales: tuple  # ints, low to high; scales[0] is the low-res scale, the others are high-res
    patch: int  # side of a patch
    grid: int  # g: low-res cells a side = scales[0] / patch
    dim: int  # D: width of tokens, select_features and prompts
    embed_dim: int  # E: width of text and region embeddings
    layers: int  # L
    heads: int  # h
    aux_size: int  # A: side of the selector's own image; 0 = no auxiliary branch
    aux_grid: int  # a: cells a side of its map
    aux_dim: int  # d: its width
    max_patches: int  # a look
    mean: tuple  # 3 floats, RGB, of values in [0, 1]
    std: tuple
    geometry: str  # one of GEOMETRIES
    resampling: str  # one of RESAMPLINGS
    logit_scale: float  # already exponentiated
    logit_bias: float
    found_threshold: float  # probability
    relevance_threshold: float  # probability
    context_length: int  # tokens
    pad_id: int
    fixed_length: bool  # ids are always padded to context_length
    fine_selection: bool = False  # patches are chosen by fine_relevance_map, not by cells (selection.py)
    close_ups: int = 0  # candidates of a full look that get a close-up (close_up.py)
    zoom_outs: int = 0  # of further close-ups, of what lies round the best candidates (zoom_out.py); needs close_ups
    plain_words: bool = False  # of a question, only the words that name the thing are read (wording.py)
    reads: bool = False  # its tokens know letters: written words are spelled in close-ups (reading.py)
    background: tuple = ()  # E floats, or none: a text's product with it is taken off its matches (regions.py)

    def __post_init__(self):
        for name in ("scales", "mean", "std", "background"):  # lists come from JSON; tuples hash
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def tokens(self):
        """n0: number of low-res tokens."""
        return self.grid * self.grid

    @property
    def high_scales(self):
        """The high-res scales, coarse to fine."""
        return self.scales[1:]


@dataclass(frozen=True)
class TensorSpec:
    name: str
    shape: tuple  # ints, or names of dynamic axes: "N", "Q", "T", "R"
    dtype: str  # one of DTYPES


@dataclass(frozen=True)
class FileSpec:
    file: str  # relative to the bundle's folder, with forward slashes
    sha256: str


@dataclass(frozen=True)
class GraphSpec:
    file: str
    sha256: str
    inputs: tuple  # of TensorSpec
    outputs: tuple


@dataclass(frozen=True)
class EngineSpec:
    """A TensorRT plan of one graph: it runs only where every value of its fingerprint is this machine's."""

    graph: str
    file: str
    sha256: str
    onnx_sha256: str  # of the graph it was built from
    fingerprint: dict  # {name: text}: what a plan is tied to (backends/tensorrt_engine.py)


@dataclass(frozen=True)
class Manifest:
    model_name: str
    settings: Settings
    graphs: dict  # name -> GraphSpec: text, glance, select (only with an auxiliary branch), look, region
    weights: tuple  # of FileSpec: external data that graphs share
    tokenizer: FileSpec  # a `tokenizers` JSON
    prior: FileSpec  # npy float32 [D + d]: the bottom-up prompt and its auxiliary projection
    license: dict  # {"weights": ..., "notice": ...}
    parity: dict = field(default_factory=dict)  # graph -> output -> {figure: number} (export/parity.py)
    made_with: dict = field(default_factory=dict)  # package -> version
    precision: str = "fp32"
    schema_version: int = SCHEMA_VERSION
    quantization: dict = field(default_factory=dict)  # int8 only: graph -> what of it is int8
    gate: dict = field(default_factory=dict)  # figures of whole answers beside the checkpoint's own
    drift: tuple = ()  # limits of the gate that were missed and accepted, one sentence each
    engines: tuple = ()  # of EngineSpec

    def to_dict(self):
        """Plain JSON values; tuples become lists, and entries that say nothing are left out."""
        data = {key: value for key, value in asdict(self).items() if key not in OPTIONAL or value}
        for name in LATER_SETTINGS:
            if not getattr(self.settings, name):
                del data["settings"][name]
        return data

    @classmethod
    def from_dict(cls, data):
        """Checked manifest of parsed JSON. Raises BundleError."""
        return _manifest(data)


def contract(settings, precision="fp32"):
    """What each graph takes and gives: {graph: (inputs, outputs)}, tuples of TensorSpec (docs/architecture.md, Manifest).

    Only kv, which never leaves its backend, has the precision's own type.
    """
    s = settings
    f, i, b = "float32", "int64", "bool"
    values = 3 * s.patch * s.patch
    kv = TensorSpec("kv", (s.layers, 2, 1, s.heads, s.tokens, s.dim // s.heads), "float16" if precision == "fp16" else f)
    ids = TensorSpec("ids", ("Q", "T"), i)  # a manifest may say context_length for T where the length is fixed
    text = [TensorSpec("text", ("Q", s.embed_dim), f), TensorSpec("prompt", ("Q", s.dim), f)]
    if s.aux_size:
        text.append(TensorSpec("prompt_aux", ("Q", s.aux_dim), f))
    graphs = {
        "text": ((ids,), tuple(text)),
        "glance": (
            (TensorSpec("pixels", (1, 3, s.scales[0], s.scales[0]), f),),
            (TensorSpec("tokens", (1, s.tokens, s.dim), f), TensorSpec("select_features", (1, s.tokens, s.dim), f), kv),
        ),
        "select": (
            (TensorSpec("pixels", (1, 3, s.aux_size, s.aux_size), f),),
            (TensorSpec("aux_features", (1, s.aux_dim, s.aux_grid, s.aux_grid), f),),
        ),
        "look": (
            (TensorSpec("patches", (1, "N", values), f), TensorSpec("position", ("N",), i), kv),
            (TensorSpec("tokens", (1, "N", s.dim), f),),
        ),
        "region": (
            (TensorSpec("tokens", (1, "N", s.dim), f), TensorSpec("mask", ("R", "N"), b)),
            (TensorSpec("embedding", ("R", s.embed_dim), f),),
        ),
    }
    if not s.aux_size:
        del graphs["select"]
    return graphs


# --- checking parsed JSON: each function takes a value and says where it stands ----------------------------------------------------------


def _fail(where, value, expected):
    shown = repr(value)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    raise BundleError(f"manifest: {where} is {shown} where {expected} is expected; export the bundle again")


def _keys(data, where, required, optional=()):
    if not isinstance(data, dict):
        _fail(where, data, "an object")
    for key in required:
        if key not in data:
            raise BundleError(f"manifest: {where} lacks {key!r}; export the bundle again")
    for key in data:
        if key not in required and key not in optional:
            raise BundleError(f"manifest: {where} has an unknown entry {key!r}; this version knows {', '.join((*required, *optional))}")


def _int(value, where, low, high=1 << 20):
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        _fail(where, value, f"an integer from {low} to {high}")
    return value


def _number(value, where, low=-math.inf, high=math.inf, above=None):
    fine = not isinstance(value, bool) and isinstance(value, (int, float)) and abs(value) <= 1e30 and low <= value <= high
    if not fine or (above is not None and value <= above):
        limits = f" above {above}" if above is not None else f" from {low} to {high}" if high < math.inf else ""
        _fail(where, value, f"a finite number{limits}")
    return float(value)


def _text(value, where, choices=None):
    if not isinstance(value, str) or not value or (choices and value not in choices):
        _fail(where, value, f"one of {', '.join(choices)}" if choices else "text")
    return value


def _list(value, where, length=None):
    if not isinstance(value, (list, tuple)) or (length is not None and len(value) != length):
        _fail(where, value, "a list" if length is None else f"a list of {length}")
    return value


def _settings(data):
    names = tuple(f.name for f in fields(Settings) if f.name not in LATER_SETTINGS)
    _keys(data, "settings", names, LATER_SETTINGS)
    scales = tuple(_int(v, "settings.scales", 1, 65536) for v in _list(data["scales"], "settings.scales"))
    patch = _int(data["patch"], "settings.patch", 1, 1024)
    if len(scales) < 2 or list(scales) != sorted(set(scales)) or any(s % patch for s in scales):
        _fail("settings.scales", list(scales), f"two or more increasing multiples of the patch size {patch}")
    if data["geometry"] == "reference" and any(s % scales[0] for s in scales):
        _fail("settings.scales", list(scales), "whole multiples of the lowest scale, as the reference geometry needs,")
    ints = {k: _int(data[k], f"settings.{k}", 1) for k in ("grid", "dim", "embed_dim", "layers", "heads", "max_patches", "context_length")}
    aux = {k: _int(data[k], f"settings.{k}", 0) for k in ("aux_size", "aux_grid", "aux_dim")}
    if ints["grid"] != scales[0] // patch:
        _fail("settings.grid", ints["grid"], f"scales[0] / patch = {scales[0] // patch}")
    if ints["dim"] % ints["heads"]:
        _fail("settings.heads", ints["heads"], f"a divisor of dim {ints['dim']}")
    if len({v > 0 for v in aux.values()}) != 1:
        _fail("settings.aux_size, aux_grid, aux_dim", list(aux.values()), "all zero (no auxiliary branch) or none zero")
    for name in ("fixed_length", "fine_selection", "plain_words", "reads"):
        if not isinstance(data.get(name, False), bool):
            _fail(f"settings.{name}", data[name], "true or false")
    zoom_outs = _int(data.get("zoom_outs", 0), "settings.zoom_outs", 0, MAX_CLOSE_UPS)
    if zoom_outs and not data.get("close_ups"):
        _fail("settings.zoom_outs", zoom_outs, "0 where settings.close_ups is 0")
    background = _list(data.get("background", ()), "settings.background")
    if background and len(background) != ints["embed_dim"]:
        _fail("settings.background", f"a list of {len(background)}", f"a list of embed_dim = {ints['embed_dim']}")
    return Settings(
        scales=scales,
        patch=patch,
        **ints,
        **aux,
        mean=tuple(_number(v, "settings.mean") for v in _list(data["mean"], "settings.mean", 3)),
        std=tuple(_number(v, "settings.std", above=0) for v in _list(data["std"], "settings.std", 3)),
        geometry=_text(data["geometry"], "settings.geometry", GEOMETRIES),
        resampling=_text(data["resampling"], "settings.resampling", RESAMPLINGS),
        logit_scale=_number(data["logit_scale"], "settings.logit_scale", above=0),
        logit_bias=_number(data["logit_bias"], "settings.logit_bias"),
        found_threshold=_number(data["found_threshold"], "settings.found_threshold", 0, 1),
        relevance_threshold=_number(data["relevance_threshold"], "settings.relevance_threshold", 0, 1),
        pad_id=_int(data["pad_id"], "settings.pad_id", 0, 1 << 31),
        fixed_length=data["fixed_length"],
        fine_selection=data.get("fine_selection", False),
        close_ups=_int(data.get("close_ups", 0), "settings.close_ups", 0, MAX_CLOSE_UPS),
        zoom_outs=zoom_outs,
        plain_words=data.get("plain_words", False),
        reads=data.get("reads", False),
        background=tuple(_number(v, "settings.background") for v in background),
    )


def _file(data, where, others=()):
    """FileSpec of {file, sha256}; the name must stay inside the folder (its content is pinned by the hash, so links are fine)."""
    _keys(data, where, ("file", "sha256"), others)
    name = _text(data["file"], f"{where}.file")
    parts = name.split("/")
    if "\\" in name or ":" in name or "\0" in name or any(part in ("", ".", "..") for part in parts):
        _fail(f"{where}.file", name, "a relative path inside the bundle's folder")
    digest = data["sha256"]
    if not isinstance(digest, str) or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        _fail(f"{where}.sha256", digest, "64 lower-case hex digits")
    return FileSpec(name, digest)


def _tensors(data, where, expected, fixed=None):
    """TensorSpecs of a list, equal to the contract's in names, shapes, dtypes and order. fixed: the length that "T" may stand for."""
    found = []
    for n, entry in enumerate(_list(data, where)):
        _keys(entry, f"{where}[{n}]", ("name", "shape", "dtype"))
        shape = tuple(_list(entry["shape"], f"{where}[{n}].shape"))
        found.append(TensorSpec(_text(entry["name"], f"{where}[{n}].name"), shape, _text(entry["dtype"], f"{where}[{n}].dtype", DTYPES)))
    if [t.name for t in found] != [t.name for t in expected]:
        _fail(f"{where} names", [t.name for t in found], f"{[t.name for t in expected]}")
    for got, want in zip(found, expected, strict=True):
        shape = tuple("T" if w == "T" and g == fixed is not None else g for g, w in zip(got.shape, want.shape, strict=False))
        plain = len(got.shape) == len(want.shape) and all(type(v) in (int, str) for v in got.shape)
        if not plain or shape != want.shape or got.dtype != want.dtype:
            _fail(f"{where}.{got.name}", f"{got.dtype} {list(got.shape)}", f"{want.dtype} {list(want.shape)}, as the settings give,")
    return tuple(found)


def _graphs(data, settings, precision):
    expected = contract(settings, precision)
    _keys(data, "graphs", tuple(expected))
    graphs = {}
    for name, (inputs, outputs) in expected.items():
        where = f"graphs.{name}"
        spec = _file(data[name], where, others=("inputs", "outputs"))
        for key in ("inputs", "outputs"):
            if key not in data[name]:
                raise BundleError(f"manifest: {where} lacks {key!r}; export the bundle again")
        fixed = settings.context_length if settings.fixed_length else None
        given = _tensors(data[name]["inputs"], f"{where}.inputs", inputs, fixed)
        graphs[name] = GraphSpec(spec.file, spec.sha256, given, _tensors(data[name]["outputs"], f"{where}.outputs", outputs))
    return graphs


def read_engines(data):
    """EngineSpecs of parsed JSON, a tuple. Raises BundleError."""
    return tuple(_engine(entry, f"engines[{n}]") for n, entry in enumerate(_list(data, "engines")))


def _engine(data, where):
    _keys(data, where, ("graph", "file", "sha256", "onnx_sha256", "fingerprint"))
    spec = _file({key: data[key] for key in ("file", "sha256")}, where)
    source = _file({"file": spec.file, "sha256": data["onnx_sha256"]}, f"{where}.onnx_sha256").sha256
    if not isinstance(data["fingerprint"], dict) or not data["fingerprint"]:
        _fail(f"{where}.fingerprint", data["fingerprint"], "an object that is not empty")
    fingerprint = {key: _text(value, f"{where}.fingerprint.{key}") for key, value in data["fingerprint"].items()}
    return EngineSpec(_text(data["graph"], f"{where}.graph"), spec.file, spec.sha256, source, fingerprint)


def _manifest(data):
    if not isinstance(data, dict):
        _fail("the top level", data, "an object")
    version = data.get("schema_version")
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise BundleError(
            f"manifest: schema_version is {version!r} where this version reads {SCHEMA_VERSION}; update ps3_ros or export the bundle again"
        )
    required = ("schema_version", "model_name", "settings", "precision", "license", "graphs", "weights", "tokenizer", "prior")
    _keys(data, "the top level", required, OPTIONAL)
    settings = _settings(data["settings"])
    precision = _text(data["precision"], "precision", PRECISIONS)
    _keys(data["license"], "license", ("weights", "notice"))
    for key in ("parity", "made_with", "quantization", "gate"):
        if not isinstance(data.get(key, {}), dict):
            _fail(key, data[key], "an object")
    return Manifest(
        model_name=_text(data["model_name"], "model_name"),
        settings=settings,
        graphs=_graphs(data["graphs"], settings, precision),
        weights=tuple(_file(entry, f"weights[{n}]") for n, entry in enumerate(_list(data["weights"], "weights"))),
        tokenizer=_file(data["tokenizer"], "tokenizer"),
        prior=_file(data["prior"], "prior"),
        license={key: _text(data["license"][key], f"license.{key}") for key in ("weights", "notice")},
        parity=data.get("parity", {}),
        made_with=data.get("made_with", {}),
        precision=precision,
        quantization=data.get("quantization", {}),
        gate=data.get("gate", {}),
        drift=tuple(_text(line, f"drift[{n}]") for n, line in enumerate(_list(data.get("drift", []), "drift"))),
        engines=read_engines(data.get("engines", [])),
    )
