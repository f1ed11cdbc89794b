"""A torch checkpoint -> a bundle: ONNX graphs, shared weights, tokenizer, prior, and a manifest that says how near to torch it is."""

import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch
from torch import nn

from ps3_ros import __version__
from ps3_ros.bundle import Bundle, FileSpec, GraphSpec, Manifest, Settings, contract, file_sha256, load_bundle, write_manifest
from ps3_ros.errors import CheckpointError
from ps3_training.model import PS3, settings_of
from ps3_training.model.thresholds import read_thresholds

from . import folder as folders
from .gate import LIMITS, Limits, compare_outcomes, judge, misses, rounded_figures, summary
from .graphs import MODULES
from .half import to_half
from .int8 import choose_scheme, save_float
from .memory import give_back
from .options import PRECISIONS, QUESTIONS, STORAGE_OF, TARGETS, VIEWS
from .parity import compare
from .parts import let_go, read_module
from .reference import Case, Cases, TorchBackend, ask_views, random_cases, run_cases
from .report import write_report
from .smooth import Ranges, watch
from .source import check_tokenizer, find_tokenizer, fits, fitting, license_entry
from .storage import Rounded, parse_storage
from .targets import ask_bundle, finish_target
from .torch_to_onnx import check_graph, finish, to_onnx
from .views import QUERIES, View, make_views
from .weights import WeightFiles, move_weights, part_bytes

Progress = Callable[[str, int, int], None]  # what starts now, steps done, steps in all


def export_checkpoint(
    checkpoint: Path,
    out: Path,
    *,
    tokenizer: Path | None = None,
    max_patches: int | None = None,
    precision: str = "fp32",
    storage: str | Mapping[str, str] | None = None,
    target: str = "onnx",
    model_name: str | None = None,
    license: Mapping[str, str] | str | None = None,
    frames: Sequence[Path] = (),
    frame_size: tuple[int, int] | None = None,
    views: int = VIEWS,
    questions: int = QUESTIONS,
    limits: Limits | None = None,
    accept_drift: bool = False,
    check: bool = False,
    thresholds: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Exports the checkpoint folder to the bundle folder `out` and returns `out`; all or nothing.

    tokenizer: a `tokenizers` JSON; None = the checkpoint's tokenizer.json. max_patches: a look's patches; None = the checkpoint's.
    precision: of the matrix products (options.py). storage: of the weights, by name or {"text" | "vision": "fp32" | "fp16" | "int8"}
    (storage.py); None = the precision's. target: what will run it (targets.py). license: {"weights", "notice"} or the licence alone.
    frames: pictures, folders or shards for parity and calibration; none = the samples of the source tree. frame_size: (width, height)
    px of every frame; None = the pictures' own. views: frames of the gate; questions: on each of them, the picture's own captions first.
    limits: of the gate; None = the precision's.
    accept_drift: a missed limit is recorded in the manifest rather than an error. check: also build every graph with TensorRT for RTX.
    thresholds: any of thresholds.json's values; None = that file beside the checkpoint, which calibration writes. What is not said is the
    model's own scale and bias, and thresholds of 0.5.

    Raises:
        CheckpointError: a checkpoint, tokenizer or option that cannot be used, or a bundle that misses a limit.
        BundleError, BackendError: `out` would not load, or not run.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    _check_options(precision, target, max_patches, views, questions)
    towers = parse_storage(STORAGE_OF[precision] if storage is None else storage)
    if precision == "fp16" and towers["vision"] == "fp32":
        raise CheckpointError("precision fp16 computes with halves, so storage fp32 would only be larger: leave --storage out")
    folders.check_target(out)
    tokenizer = Path(tokenizer) if tokenizer else find_tokenizer(checkpoint)
    steps = _Steps(progress, total=6 + 2 * len(MODULES) + (precision == "int8") + check + (target not in ("onnx", "openvino")))
    steps("load the checkpoint")
    model = PS3.from_pretrained(checkpoint)
    check_tokenizer(tokenizer, model.config.text.vocab_size)
    head = {"logit_scale": model.scale().item(), "logit_bias": model.logit_bias.item()}
    settings = settings_of(model.config, max_patches, **{**head, **(read_thresholds(checkpoint) if thresholds is None else thresholds)})
    queries = fitting(tokenizer, QUERIES, settings)
    exact = precision == "fp32" and set(towers.values()) != {"fp32"}
    limits = limits or LIMITS["stored" if exact else precision]
    with folders.beside(out) as (folder, work):
        draft = _draft(folder, model, settings, tokenizer, precision, model_name or checkpoint.resolve().name, license)
        taken = fits(tokenizer, settings)
        judged = make_views(frames, views, frame_size, queries, questions=questions, fits=taken)
        calibration = make_views(frames, views, frame_size, queries, part=1, fits=taken) if precision == "int8" else []
        reference = _run_torch(draft, model, judged, calibration, work, steps)
        files = WeightFiles(folder, part_bytes(_bytes(model)))
        del model  # from here on each graph reads its own part, and none of it is there while the graph runs
        give_back()

        job = _Job(checkpoint, folder, work, settings, precision, towers, exact, files, reference)
        graphs, parity, quantization = {}, {}, {}
        for name in contract(settings):
            steps(f"export {name}")
            graphs[name], quantization[name], stored = _export_graph(job, name)
            give_back()
            steps(f"compare {name} with torch")
            parity[name] = compare(folder / graphs[name].file, graphs[name], job.cases(name), stored)
            judge(misses({name: parity[name]}, (), limits), precision, accept_drift)  # early: the other graphs cost minutes
            give_back()

        steps("write the weights' hashes")
        manifest = replace(
            draft.manifest,
            graphs=graphs,
            weights=tuple(_file(folder, file) for file in files.names),
            parity=rounded_figures(parity),
            quantization=quantization if precision == "int8" else {},
        )
        write_manifest(folder, manifest)
        manifest = finish_target(folder, manifest, target, check, steps)
        steps("ask the bundle what torch was asked")
        bundle = load_bundle(folder)
        found = ask_bundle(bundle, target, judged, work)
        figures = compare_outcomes(reference.outcomes, found, limits)
        drift = judge(misses(parity, figures, limits), precision, accept_drift)
        manifest = replace(manifest, gate=summary(figures) | {"backend": found[0].answer.backend}, drift=drift)
        steps("write the manifest and the report")
        write_report(folder, manifest, limits, figures, reference.outcomes, found)
        write_manifest(folder, manifest)
        load_bundle(folder)
        folders.replace(folder, out)
    steps("done")
    return out


class _Steps:
    def __init__(self, progress: Progress | None, total: int):
        self.progress, self.total, self.done = progress, total, -1

    def __call__(self, text: str):
        self.done += 1
        if self.progress:
            self.progress(text, min(self.done, self.total), self.total)


@dataclass(frozen=True, eq=False)
class _Reference:
    """What torch said: whole answers, and every graph's cases; `calibration` and what its layers took in (`ranges`) only for int8."""

    outcomes: list
    cases: Cases
    calibration: Cases | None
    ranges: Ranges | None


@dataclass(frozen=True, eq=False)
class _Job:
    checkpoint: Path
    folder: Path  # the bundle's
    work: Path  # removed at the end
    settings: Settings
    precision: str
    towers: Mapping[str, str]  # storage by tower
    exact: bool  # whether a graph must also be torch's with the weights as they are stored
    files: WeightFiles
    reference: _Reference

    def cases(self, name: str) -> list[Case]:
        """What a graph is compared on. Ranges of int8 are those of real frames: random numbers lie outside them."""
        return [case for case in self.reference.cases.of(name) if self.precision != "int8" or case.kind == "real"]


def _check_options(precision: str, target: str, max_patches: int | None, views: int, questions: int) -> None:
    for name, value, choices in (("precision", precision, PRECISIONS), ("target", target, TARGETS)):
        if value not in choices:
            raise CheckpointError(f"{name} {value!r} is not known: choose one of {', '.join(choices)}")
    if max_patches is not None and max_patches < 1:
        raise CheckpointError(f"max_patches is {max_patches}: a look needs at least 1 patch")
    if views < 1:
        raise CheckpointError(f"views is {views}: parity needs at least 1 frame to look at")
    if questions < 1:
        raise CheckpointError(f"questions is {questions}: parity needs at least 1 on each frame")


def _draft(folder: Path, model: PS3, settings: Settings, tokenizer: Path, precision: str, name: str, license) -> Bundle:
    """A bundle without graphs in `folder`: enough for torch to answer in their place."""
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    prior = _prior(model, settings)
    np.save(folder / "prior.npy", prior, allow_pickle=False)
    manifest = Manifest(
        model_name=name,
        settings=settings,
        graphs={},
        weights=(),
        tokenizer=_file(folder, "tokenizer.json"),
        prior=_file(folder, "prior.npy"),
        license=license_entry(license),
        made_with=_versions(),
        precision=precision,
    )
    return Bundle(folder, manifest, prior)


def _run_torch(draft: Bundle, model: PS3, judged: list[View], calibration: list[View], work: Path, steps: _Steps) -> _Reference:
    """The checkpoint's own answers and cases."""
    settings, found = draft.settings, {}
    modules = {name: MODULES[name](model).eval() for name in contract(settings)}
    for name, views in (("cases", judged), ("calibration", calibration)):
        if name == "calibration" and not views:
            continue
        steps("run torch on frames" + (" to calibrate" if name == "calibration" else ""))
        (work / name).mkdir()
        found[name] = Cases(work / name)
        if name == "cases":
            positions = sum(side * side for side in model.config.vision.sides)
            random_cases(modules, settings, model.config.text.vocab_size, positions, found[name])
        with watch(model.vision_model) if name == "calibration" else nullcontext() as ranges:
            outcomes = ask_views(draft, TorchBackend(modules, settings, found[name]), views)
        found |= {"ranges": ranges} | ({} if "outcomes" in found else {"outcomes": outcomes})
    return _Reference(found["outcomes"], found["cases"], found.get("calibration"), found["ranges"])


def _export_graph(job: _Job, name: str) -> tuple[GraphSpec, str, list[Case] | None]:
    """-> the graph's entry in the manifest, what of it is int8 (as choose_scheme says it), and for an exact export what torch
    says to its cases with the weights as they are stored."""
    settings, rounded = job.settings, Rounded()
    inputs, outputs = _contract(settings, "fp32", name)
    limits = {"N": settings.max_patches} | ({} if settings.fixed_length else {"T": settings.context_length})
    module = read_module(job.checkpoint, name, job.towers, rounded, job.reference.ranges)
    stored = run_cases(module, job.cases(name), job.work / f"stored-{name}") if job.exact else None
    model, scheme = to_onnx(module, inputs, outputs, limits), "none"
    finish(model, inputs, outputs)
    if job.precision == "fp16":
        to_half(model, frozenset({"kv"}))
    if job.precision == "int8" and name == "text":  # runs once a query, and its weights are stored as bytes anyway
        scheme = "weights" if rounded.rows else "none"
    elif job.precision == "int8":
        source = job.work / f"{name}.onnx"
        save_float(model, source)
        let_go(module)
        give_back()
        spec = GraphSpec(source.name, "", inputs, outputs)
        model, scheme = choose_scheme(source, spec, job.reference.calibration.of(name), job.work)
    move_weights(model, job.files, rounded)
    path = job.folder / f"{name}.onnx"
    ir.save(model, path)
    let_go(module)
    found, wanted = check_graph(path, name), _contract(settings, job.precision, name)
    if found != wanted:
        raise CheckpointError(f"graph {name!r} came out as {found}, not as its contract {wanted}; report this fault of the exporter")
    return GraphSpec(path.name, file_sha256(path), *found), scheme, stored


def _contract(settings: Settings, precision: str, name: str):
    inputs, outputs = contract(settings, precision)[name]
    if name == "text" and settings.fixed_length:
        inputs = (type(inputs[0])("ids", ("Q", settings.context_length), "int64"),)
    return inputs, outputs


def _prior(model: PS3, settings: Settings) -> np.ndarray:
    """float32 [D + d]: the bottom-up prompt, and its projection for the auxiliary branch."""
    with torch.inference_mode():
        prompt = model.vision_model.prior_prompt.detach().reshape(1, -1)
        parts = [prompt[0]] + ([model.prompt_aux(prompt)[0]] if settings.aux_size else [])
    return torch.cat(parts).numpy().astype(np.float32)


def _bytes(model: nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in model.parameters())


def _file(folder: Path, name: str) -> FileSpec:
    return FileSpec(name, file_sha256(folder / name))


def _versions() -> dict[str, str]:
    packages = ("torch", "onnx", "onnxscript", "onnx-ir", "onnxruntime", "tokenizers", "numpy")
    return {"ps3_ros": __version__, "python": platform.python_version()} | {name: version(name) for name in packages}
