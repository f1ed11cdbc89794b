"""A training run's settings: one YAML file, and single values changed on the command line."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from ps3_training.model.thresholds import KNOWN, unfit

from .errors import TrainingError

INIT_KINDS = ("ps3", "vit", "bundle")
# Of a section's fields: what fits, and what to give.
TYPES = {"int": (int, "a whole number"), "float": ((int, float), "a number"), "dict": (dict, "a mapping"), "str": (str, "a text")}


@dataclass(frozen=True)
class RunSettings:
    """A training run, as its YAML file has it; docs/training.md has the table of all settings."""

    run: str  # folder of checkpoints, metrics and curves
    data: str | list  # folder with the frames, or several
    cache: str  # folder for decoded frames, sentence vectors and the bank of cut-outs
    vision: dict = field(default_factory=dict)  # config.json's vision_config; may be left out where `init` brings one
    init: dict = field(default_factory=dict)  # {"from": PATH, "kind": ps3 | vit | bundle, "tokenizer": PATH}: where weights come from
    warm_start: dict | None = None  # {"loop": LoopSettings, "batch": WarmStartSettings, "looks_each": int}; None: no such stage
    # {"loop": LoopSettings, "batch": BatchSettings, "loss": LossSettings, "replay": WarmStartSettings, "held_out_share": float}
    pretrain: dict = field(default_factory=dict)
    thresholds: dict = field(default_factory=dict)  # {"found_threshold", "close_ups" ...} for the manifest (model/thresholds.py)
    freeze: list = field(default_factory=list)  # beginnings of parameters' names that are not trained
    threads: int = 2
    device: str = "auto"  # auto, cpu or cuda
    seed: int = 0

    def __post_init__(self) -> None:
        if self.device not in ("auto", "cpu", "cuda"):
            raise TrainingError(f"device is {self.device!r}; give auto, cpu or cuda")
        known = self.init.keys() <= {"from", "kind", "tokenizer"} and "from" in self.init and self.init.get("kind") in INIT_KINDS
        if self.init and not known:
            raise TrainingError(f"init is {self.init}; give from (a path), kind ({', '.join(INIT_KINDS)}) and perhaps tokenizer (a path)")
        if not self.vision and self.init.get("kind") not in ("ps3", "bundle"):
            raise TrainingError("there is no section vision and no init that brings one; describe the model or start from a checkpoint")
        if wrong := unfit(self.thresholds):
            raise TrainingError(f"thresholds has {wrong} where {KNOWN} are known; correct it")
        if not self.pretrain and self.warm_start is None:
            raise TrainingError("there is neither a section warm_start nor one named pretrain; give at least one stage")

    @property
    def folders(self) -> list[Path]:
        """The data folders."""
        return [Path(one) for one in ([self.data] if isinstance(self.data, str) else self.data)]


def read_settings(path: Path, changes: list[str] | tuple[str, ...] = ()) -> RunSettings:
    """The YAML file, with `key.key=value` changes, -> RunSettings. TrainingError where a key is unknown or missing."""
    return settings_of_run(change(read_yaml(path), parse_changes(changes)), str(path))


def read_yaml(path: Path) -> Any:
    """A YAML file's content; TrainingError where it cannot be read."""
    try:
        return yaml.safe_load(path.read_text())
    except OSError as error:
        raise TrainingError(f"{path} cannot be read ({error.strerror}); give the path of a YAML file") from error
    except yaml.YAMLError as error:
        raise TrainingError(f"{path} is not YAML: {' '.join(str(error).split())}; correct it") from error


def settings_of_run(raw: Any, where: str) -> RunSettings:
    """A run's mapping -> RunSettings."""
    return section(RunSettings, raw, where)


def section(kind: type, raw: Any, where: str) -> Any:
    """A mapping -> the dataclass, naming what does not fit."""
    known = {one.name: one for one in fields(kind)}
    if not isinstance(raw, dict) or not raw.keys() <= known.keys():
        unknown = sorted(set(raw) - set(known)) if isinstance(raw, dict) else raw
        raise TrainingError(f"{where} has {unknown}, which is not known there; use {', '.join(known)}")
    for name, value in raw.items():
        fits, wanted = TYPES.get(known[name].type, (object, ""))
        if not isinstance(value, fits) or isinstance(value, bool) and fits is not object:
            raise TrainingError(f"{where} has a value of the wrong type: {name} is {value!r}; give {wanted}")
    try:
        return kind(**raw)
    except TypeError as error:
        raise TrainingError(f"{where} is incomplete or has a value of the wrong type ({error}); see docs/training.md") from error


def change(raw: Any, changes: dict[str, Any]) -> Any:
    """A copy of a run's mapping with values set by dotted keys: {"pretrain.loop.lr": 1e-4}; missing sections are made."""
    if not isinstance(raw, dict):
        return raw
    copied = _copy(raw)
    for key, value in changes.items():
        at = copied
        *sections, name = key.split(".")
        for one in sections:
            if at.get(one) is None:
                at[one] = {}
            at = at[one]
            if not isinstance(at, dict):
                raise TrainingError(f"{key} cannot be set, since {one} is {at!r}; name a setting of docs/training.md")
        at[name] = value
    return copied


def parse_changes(changes: list[str] | tuple[str, ...]) -> dict[str, Any]:
    """["pretrain.loop.lr=1e-4"] -> {"pretrain.loop.lr": 0.0001}. TrainingError where one is not of that form."""
    return dict(map(_change, changes))


def _change(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise TrainingError(f"--set {text!r} is no change; write key=value, such as pretrain.loop.lr=1e-4")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise TrainingError(f"--set {text!r} has a value that is not YAML; write key=value") from error
    return key, _number(parsed)


def _number(value: Any) -> Any:
    """YAML 1.1 takes 1e-4 for text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _copy(value: Any) -> Any:
    return {key: _copy(inner) for key, inner in value.items()} if isinstance(value, dict) else value
