"""A torch checkpoint -> a bundle: five ONNX graphs, shared weights, tokenizer, prior and a manifest with the parity figures."""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import onnx_ir as ir
import torch
from tokenizers import Tokenizer

from ps3_ros import __version__
from ps3_ros.bundle import MANIFEST_FILE, FileSpec, GraphSpec, Manifest, Settings, contract, file_sha256, load_bundle, write_manifest
from ps3_ros.errors import CheckpointError, Ps3Error
from ps3_ros.frame import Frame
from ps3_training.model import PS3, settings_of
from ps3_training.model.checkpoint import read_json

from .graphs import MODULES
from .parity import compare, make_cases
from .storage import Rounded, parse_storage, round_module
from .torch_to_onnx import check_graph, finish, to_onnx
from .weights import LARGE_MODEL, WeightFiles, move_weights, part_bytes

THRESHOLDS_FILE, THRESHOLDS = "thresholds.json", {"found_threshold", "relevance_threshold"}
TOLERANCE = 1e-4  # relative to the output's largest value
NOTICE = (
    "The exporter was not told these weights' licence: it is the checkpoint's own. "
    "PS3 checkpoints published by NVIDIA are for non-commercial research only."
)
Progress = Callable[[str, int, int], None]  # what starts now, steps done, steps in all


def export_checkpoint(
    checkpoint: Path,
    out: Path,
    *,
    tokenizer: Path | None = None,
    max_patches: int | None = None,
    storage: str | Mapping[str, str] = "fp32",
    model_name: str | None = None,
    license: Mapping[str, str] | str | None = None,
    tolerance: float = TOLERANCE,
    frames: Sequence[Path] = (),
    thresholds: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Exports the checkpoint folder to the bundle folder `out` and returns `out`; all or nothing.

    tokenizer: a `tokenizers` JSON; None = the checkpoint's tokenizer.json. max_patches: a look's patches; None = the checkpoint's.
    storage: "fp32", "compact" or {"text" | "vision": "fp32" | "fp16" | "int8"} (storage.py). license: {"weights", "notice"} or the
    weights' licence alone. frames: image files for the parity on real input; none = the samples of the source tree, else a made frame.
    thresholds: {"found_threshold", "relevance_threshold"}; None = the checkpoint's thresholds.json, which calibration writes, else 0.5.

    Raises:
        CheckpointError: a checkpoint, tokenizer or option that cannot be used, or a graph that misses `tolerance`.
        BundleError: `out` would not load.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    towers = parse_storage(storage)
    if max_patches is not None and max_patches < 1:
        raise CheckpointError(f"max_patches is {max_patches}: a look needs at least 1 patch")
    if not 0 < tolerance < 1:
        raise CheckpointError(f"tolerance is {tolerance}: give a relative error between 0 and 1, such as {TOLERANCE:g}")
    check_target(out)
    tokenizer = Path(tokenizer) if tokenizer else find_tokenizer(checkpoint)
    steps = _Steps(progress, total=3 + 2 * len(MODULES))
    steps("load the checkpoint")
    model = PS3.from_pretrained(checkpoint)
    check_tokenizer(tokenizer, model)
    settings = settings_of(
        model.config,
        max_patches,
        logit_scale=model.scale().item(),
        logit_bias=model.logit_bias.item(),
        **(read_thresholds(checkpoint) if thresholds is None else thresholds),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        folder.chmod(0o755)
        steps("run torch on random and real input")
        modules = {name: MODULES[name](model).eval() for name in contract(settings)}
        size = sum(p.numel() * p.element_size() for p in model.parameters())
        cases = make_cases(model, modules, settings, tokenizer, read_frames(frames, samples=3 if size < LARGE_MODEL else 1))
        rounded = Rounded()
        round_module(model.vision_model, towers["vision"], rounded)
        round_module(model.text_model, towers["text"], rounded)
        stored = {}
        if set(towers.values()) != {"fp32"}:
            modules = stored = {name: MODULES[name](model).eval() for name in modules}
            round_module(stored["look"].tables, towers["vision"], rounded)
        files = WeightFiles(folder, part_bytes(size))
        graphs, parity = {}, {}
        for name, module in modules.items():
            steps(f"export {name}")
            graphs[name] = _export_graph(folder, name, module, settings, files, rounded)
            steps(f"compare {name} with torch")
            mine = [case for case in cases if case.graph == name]
            parity[name] = compare(folder / graphs[name].file, name, graphs[name].outputs, mine, stored.get(name), tolerance)
        steps("write the manifest")
        _write_prior(folder, model, settings)
        shutil.copyfile(tokenizer, folder / "tokenizer.json")
        write_manifest(
            folder,
            Manifest(
                model_name=model_name or checkpoint.resolve().name,
                settings=settings,
                graphs=graphs,
                weights=tuple(_file(folder, file) for file in files.names),
                tokenizer=_file(folder, "tokenizer.json"),
                prior=_file(folder, "prior.npy"),
                license=_license(license),
                parity=parity,
                made_with=_versions(),
            ),
        )
        load_bundle(folder)
        _replace(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    steps("done")
    return out


class _Steps:
    def __init__(self, progress: Progress | None, total: int):
        self.progress, self.total, self.done = progress, total, -1

    def __call__(self, text: str):
        self.done += 1
        if self.progress:
            self.progress(text, min(self.done, self.total), self.total)


def check_target(out: Path) -> None:
    """A bundle may be replaced, an empty folder filled; anything else that is there stays as it is (CheckpointError)."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise CheckpointError(f"{str(out)!r} is a file or a link, not a bundle folder: choose another --out")
    if out.is_dir() and not (out / MANIFEST_FILE).is_file() and any(out.iterdir()):
        raise CheckpointError(f"{str(out)!r} is there and is not a bundle (no {MANIFEST_FILE}): choose another --out, or remove it first")


def read_thresholds(checkpoint: Path) -> dict[str, float]:
    """What calibration wrote beside the weights; {} where it did not. Raises CheckpointError."""
    path = checkpoint / THRESHOLDS_FILE
    if not path.exists():
        return {}
    values = read_json(path)
    wrong = {
        k: v for k, v in values.items() if k not in THRESHOLDS or isinstance(v, bool) or not isinstance(v, (int, float)) or not 0 <= v <= 1
    }
    if wrong:
        raise CheckpointError(f"{str(path)!r} has {wrong} where {sorted(THRESHOLDS)} from 0 to 1 are known; correct or remove the file")
    return values


def find_tokenizer(checkpoint: Path) -> Path:
    path = checkpoint / "tokenizer.json"
    if not path.is_file():
        raise CheckpointError(f"checkpoint {str(checkpoint)!r} has no tokenizer.json: name the tokenizer's file with --tokenizer")
    return path


def check_tokenizer(path: Path, model: PS3) -> None:
    """The file must be a `tokenizers` JSON whose ids the text tower has rows for."""
    if not path.is_file():
        raise CheckpointError(f"tokenizer {str(path)!r} is not a file: --tokenizer takes a tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception for every kind of bad file
        raise CheckpointError(f"tokenizer {str(path)!r} is not a `tokenizers` JSON ({error}): save it as tokenizer.json") from error
    largest, rows = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1), model.config.text.vocab_size
    if not 0 <= largest < rows:
        raise CheckpointError(f"tokenizer {str(path)!r} has ids up to {largest}, but the text tower has {rows} rows: it is another model's")


def read_frames(paths: Sequence[Path], samples: int = 3) -> list[Frame]:
    """The given image files, else the first `samples` of the source tree's, else one made frame of 3840 x 2160."""
    paths = [Path(p) for p in paths]
    if not paths:
        paths = sorted((Path(__file__).resolve().parent.parent / "samples").glob("*.jpg"))[:samples]
    frames = []
    for path in paths:
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.is_file() and path.stat().st_size else None
        if pixels is None:
            raise CheckpointError(f"frame {str(path)!r} is not an image that OpenCV reads: give JPEG or PNG files")
        frames.append(Frame(pixels, 0, path.stem))
    return frames or [Frame(textured_frame(), 0, "made")]


def textured_frame(height: int = 2160, width: int = 3840, seed: int = 0) -> np.ndarray:
    """uint8 [height, width, 3]: noise at five sizes of grain and some shapes with edges, the same every time."""
    random = np.random.default_rng(seed)
    image = np.zeros((height, width, 3), np.float32)
    for cells in (4, 16, 64, 256, 1024):
        noise = random.standard_normal((max(1, height * cells // width), cells, 3), dtype=np.float32)
        image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) * 30
    image = np.clip(image + 128, 0, 255).astype(np.uint8)
    for _ in range(60):
        x, y = int(random.integers(width)), int(random.integers(height))
        radius, colour = int(random.integers(8, max(9, height // 12))), tuple(int(c) for c in random.integers(0, 256, 3))
        cv2.circle(image, (x, y), radius, colour, -1)
        cv2.putText(image, "PS3", (x, y), cv2.FONT_HERSHEY_SIMPLEX, radius / 30, (255, 255, 255), 2)
    return image


def _export_graph(folder: Path, name: str, module, settings: Settings, files: WeightFiles, rounded: Rounded) -> GraphSpec:
    inputs, outputs = contract(settings)[name]
    if name == "text" and settings.fixed_length:
        inputs = (type(inputs[0])("ids", ("Q", settings.context_length), "int64"),)
    limits = {"N": settings.max_patches} | ({} if settings.fixed_length else {"T": settings.context_length})
    model = to_onnx(module, inputs, outputs, limits)
    finish(model, inputs, outputs)
    move_weights(model, files, rounded)
    path = folder / f"{name}.onnx"
    ir.save(model, path)
    found_inputs, found_outputs = check_graph(path, name)
    if (found_inputs, found_outputs) != (inputs, outputs):
        raise CheckpointError(f"graph {name!r} came out as {found_inputs} -> {found_outputs}, not as its contract {inputs} -> {outputs}")
    return GraphSpec(path.name, file_sha256(path), found_inputs, found_outputs)


def _write_prior(folder: Path, model: PS3, settings: Settings) -> None:
    """float32 [D + d]: the bottom-up prompt, and its projection for the auxiliary branch."""
    with torch.inference_mode():
        prompt = model.vision_model.prior_prompt.detach().reshape(1, -1)
        parts = [prompt[0]] + ([model.prompt_aux(prompt)[0]] if settings.aux_size else [])
    np.save(folder / "prior.npy", torch.cat(parts).numpy().astype(np.float32), allow_pickle=False)


def _file(folder: Path, name: str) -> FileSpec:
    return FileSpec(name, file_sha256(folder / name))


def _license(license: Mapping[str, str] | str | None) -> dict[str, str]:
    if isinstance(license, Mapping):
        return {"weights": license["weights"], "notice": license.get("notice") or f"Weights: {license['weights']}."}
    return {"weights": license, "notice": f"Weights: {license}."} if license else {"weights": "not stated", "notice": NOTICE}


def _versions() -> dict[str, str]:
    packages = ("torch", "onnx", "onnxscript", "onnx-ir", "onnxruntime", "tokenizers", "numpy")
    return {"ps3_ros": __version__, "python": platform.python_version()} | {name: version(name) for name in packages}


def _replace(folder: Path, out: Path) -> None:
    """Renames `folder` to `out`; a bundle that was there is moved aside first and comes back if the rename fails."""
    aside = None
    if out.is_dir():
        check_target(out)
        aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.parent))
        os.replace(out, aside / "bundle")
    try:
        os.replace(folder, out)
    except OSError as error:
        if aside:
            os.replace(aside / "bundle", out)
        raise Ps3Error(f"the bundle could not be moved to {str(out)!r} ({error.strerror}): check the folder's rights") from error
    finally:
        if aside:
            shutil.rmtree(aside, ignore_errors=True)
