"""A model folder on disk: config.json and safetensors, in one file or several. Read strictly, written atomically, never pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ps3_ros.errors import CheckpointError

NAMED = 4  # how many tensors an error names


def read_json(path: Path) -> dict:
    """A JSON object from a file; CheckpointError where there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"There is no {path.name} in {str(path.parent)!r}; give a folder with a checkpoint.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{str(path)!r} cannot be read as JSON ({error}); download or write it again.") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{str(path)!r} holds {type(value).__name__}, not an object; download or write it again.")
    return value


def tensor_files(folder: Path) -> dict[str, Path]:
    """{tensor name: the file that holds it}, from model.safetensors or from the index of a sharded checkpoint."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return {name: single for name in _names(single)}
    if not index.is_file():
        raise CheckpointError(
            f"There is neither model.safetensors nor model.safetensors.index.json in {str(folder)!r}; pickled weights are not read, "
            "so save them as safetensors."
        )
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(f, str) and f == os.path.basename(f) and f for f in weight_map.values()):
        raise CheckpointError(f"{str(index)!r} has no weight_map from tensor names to files beside it; download it again.")
    held = {file: _names(folder / file) for file in sorted(set(weight_map.values()))}
    wrong = [name for name, file in weight_map.items() if name not in held[file]]
    if wrong:
        raise CheckpointError(f"{str(index)!r} puts {_some(wrong)} into files that lack it; download the shards again.")
    return {name: folder / file for file, names in held.items() for name in names}


def read_tensors(
    folder: Path, expected: dict[str, tuple[int, ...]], optional: frozenset[str] = frozenset(), ignored: frozenset[str] = frozenset()
) -> dict[str, Tensor]:
    """Exactly the expected tensors, as float32; those in `optional` may be absent, those in `ignored` may be there and are not read.

    A missing, unknown, wrongly shaped or integer tensor is a CheckpointError that names it; shapes are checked before any data is read.
    """
    files = tensor_files(folder)
    wrong = []
    missing = [name for name in expected if name not in files and name not in optional]
    unknown = [name for name in files if name not in expected and name not in ignored]
    if missing:
        wrong.append(f"missing {_some(missing)}")
    if unknown:
        wrong.append(f"unknown {_some(unknown)}")
    tensors, shapes = {}, []
    for path in sorted(set(files.values())):
        with _open(path) as file:
            names = [name for name in expected if files.get(name) == path]
            for name in names:
                found = file.get_slice(name)
                if tuple(found.get_shape()) != tuple(expected[name]):
                    shapes.append(f"{name} is {found.get_shape()} instead of {list(expected[name])}")
                elif not found.get_dtype().startswith(("F", "BF")):
                    shapes.append(f"{name} is of type {found.get_dtype()} instead of a float")
            if not (wrong or shapes):
                tensors.update((name, file.get_tensor(name).to(torch.float32)) for name in names)
    if shapes:
        wrong.append(_some(shapes))
    if wrong:
        raise CheckpointError(f"The tensors in {str(folder)!r} do not fit its config.json: {'; '.join(wrong)}.")
    return tensors


def write_checkpoint(folder: Path, config: dict, tensors: dict[str, Tensor]):
    """config.json and model.safetensors in `folder`, made where needed. Each file is written beside its place and renamed into it."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, settings = folder / "model.safetensors", folder / "config.json"
    beside = [path.with_name(f".{path.name}.{os.getpid()}") for path in (weights, settings)]
    try:
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, str(beside[0]), metadata={"format": "pt"})
        beside[1].write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        beside[0].chmod(beside[1].stat().st_mode)  # safetensors writes for the owner alone
        os.replace(beside[0], weights)
        os.replace(beside[1], settings)
    finally:
        for path in beside:
            path.unlink(missing_ok=True)


def _open(path: Path):
    try:
        return safe_open(str(path), framework="pt")
    except FileNotFoundError:
        raise CheckpointError(f"There is no {path.name} in {str(path.parent)!r}, though its index names it; download it.") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{str(path)!r} is not a whole safetensors file ({error}); download or write it again.") from None


def _names(path: Path) -> set[str]:
    with _open(path) as file:
        return set(file.keys())


def _some(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
