"""backend "auto": the fastest backend that works here, from a measurement at first use that is remembered.

What is measured is a frame's own work, the glance, the selector's features and one full look, on numbers: they cost what pictures cost.
"""

import contextlib
import importlib.metadata
import json
import logging
import os
import platform
from hashlib import sha256
from pathlib import Path
from time import perf_counter

import numpy as np

from ..errors import BackendError

CANDIDATES = ("onnxruntime:cuda", "openvino:cpu", "onnxruntime:cpu")
PACKAGES = ("onnxruntime", "onnxruntime-gpu", "openvino")  # whose versions a measurement is tied to
RUNS = 3  # after one to warm up; the fastest counts, since other work on the machine only ever adds
CACHE_FILE = "backends.json"
log = logging.getLogger("ps3_ros")


def open_fastest(bundle, threads=0, cache=None):
    """An open backend: the remembered one where it still opens, else the fastest of CANDIDATES that open. Raises BackendError.

    cache: file of measurements; None = the user's cache folder. The choice and its reason are logged, and kept as `backend.reason`.
    """
    from . import open_backend

    cache = cache_folder() / CACHE_FILE if cache is None else Path(cache)
    key = machine_key(bundle, threads)
    known = read_cache(cache).get(key, {})
    if known:
        try:
            return explained(open_backend(bundle, min(known, key=known.get), threads), known, f"as measured before ({cache})")
        except BackendError:
            pass  # it was removed or broke since: measure what is left
    measured, opened, failures = {}, {}, []
    for name in CANDIDATES:
        try:
            opened[name] = open_backend(bundle, name, threads)
            measured[name] = frame_ms(opened[name], bundle.settings, bundle.manifest.precision)
        except BackendError as error:
            opened.pop(name, None)
            failures.append(str(error))
    if not opened:
        raise BackendError(f"no backend runs this bundle here: {failures[-1]}")
    remember(cache, key, measured)
    return explained(opened[min(measured, key=measured.get)], measured, "measured now")


def explained(backend, measured, when):
    """Sets and logs `backend.reason`."""
    times = ", ".join(f"{name} {ms:.0f} ms" for name, ms in sorted(measured.items(), key=lambda entry: entry[1]))
    backend.reason = f"{backend.name} is the fastest of {times} for a frame and one look, {when}"
    log.info("backend auto: %s", backend.reason)
    return backend


def frame_ms(backend, settings, precision="fp32"):
    """Milliseconds of a glance, the selector's features and a full look on `backend`: the least of RUNS. Raises BackendError."""
    s, count, best = settings, settings.max_patches, np.inf
    random = np.random.default_rng(0)
    pixels = random.standard_normal((1, 3, s.scales[0], s.scales[0]), np.float32)
    aux = random.standard_normal((1, 3, s.aux_size, s.aux_size), np.float32) if s.aux_size else None
    patches = random.standard_normal((1, count, 3 * s.patch**2), np.float32)
    position = np.arange(count, dtype=np.int64) % sum((scale // s.patch) ** 2 for scale in s.high_scales)
    for _ in range(RUNS + 1):
        start = perf_counter()
        kv = backend.run("glance", {"pixels": pixels})["kv"]
        if aux is not None:
            backend.run("select", {"pixels": aux})
        backend.run("look", {"patches": patches, "position": position, "kv": kv})
        best = min(best, (perf_counter() - start) * 1e3)
    return best


def machine_key(bundle, threads):
    """What a measurement is good for: this model, this processor, these runtimes, this number of threads."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    graphs = {name: graph.sha256 for name, graph in bundle.manifest.graphs.items()}
    facts = {"graphs": graphs, "versions": versions, "machine": platform.machine(), "processor": processor(), "threads": threads}
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def processor():
    """The processor's name where the system tells it, and how many CPUs this process may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        name = ""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name or platform.processor()} x{count}"


def cache_folder():
    """This project's folder in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ps3_ros"


def read_cache(path):
    """{key: {backend: ms}}; empty where the file is missing or is not what `remember` wrote: it only saves a measurement."""
    from . import NAMES

    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        return {
            key: {name: float(ms) for name, ms in times.items() if name in NAMES and float(ms) > 0}
            for key, times in data.items()
            if isinstance(times, dict)
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def remember(path, key, measured):
    """Adds a measurement to the file, beside it first. A cache that cannot be written is no error: the next start measures again."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(read_cache(path) | {key: {n: round(ms, 3) for n, ms in measured.items()}}, indent=1), encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        log.info("backend auto: the measurement is not remembered (%s)", error)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
