"""The encoder alone, in a process of its own: what the node does with a frame and a question, without ROS and without a camera.

`python -m benchmarks.asking --kind raw --query "stop sign"`: "run SECONDS" on stdin asks for so long.
"""

from ps3_ros.memory import keep_freed_memory

if __name__ == "__main__":
    keep_freed_memory()  # as the node does, and before numpy starts threads

import argparse  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from time import perf_counter  # noqa: E402

import cv2  # noqa: E402

from ps3_ros.ask import Asker  # noqa: E402
from ps3_ros.bundle import default_bundle  # noqa: E402
from ps3_ros.frame import Frame  # noqa: E402
from ps3_ros.image_decoding import decode_compressed  # noqa: E402

from .cases import QUERY, read_frame  # noqa: E402
from .processes import answer_lines  # noqa: E402


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.asking", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--backend", default="onnxruntime:cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--kind", choices=("raw", "compressed"), default="raw")
    parser.add_argument("--quality", type=int, default=90, help="of JPEG")
    parser.add_argument("--query", default=QUERY)
    parser.add_argument("--size", type=int, nargs=2, default=(3840, 2160))
    a = parser.parse_args(argv)
    asker, pixels = Asker(a.bundle or default_bundle(), a.backend, a.threads), read_frame(tuple(a.size))
    jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, a.quality])[1] if a.kind == "compressed" else None

    def run(word, seconds):
        """Milliseconds of a frame (decoding, where it is JPEG, and the glance) and of a question, medians."""
        end, frame_ms, ask_ms = perf_counter() + float(seconds), [], []
        while not ask_ms or perf_counter() < end:
            start = perf_counter()
            asker.set_frame(Frame(pixels) if jpeg is None else decode_compressed(jpeg, "jpeg"))
            frame_ms.append((perf_counter() - start) * 1e3)
            start = perf_counter()
            asker.ask(a.query)
            ask_ms.append((perf_counter() - start) * 1e3)
        return {"answers": len(ask_ms), "frame_ms": statistics.median(frame_ms), "ask_ms": statistics.median(ask_ms)}

    run("run", 0)  # first runs allocate
    answer_lines(run, {"model": asker.encoder.bundle.manifest.model_name, "backend": asker.encoder.backend.name})
    return 0


if __name__ == "__main__":
    sys.exit(main())
