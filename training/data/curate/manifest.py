"""The manifest of a curation: one JSON line a picture, appended as each is done, so that a run can stop anywhere and go on.

Lines: {"settings": ...} first; {"key", "image", "status": "done" | "empty" | "error", "seconds", ...} a picture; {"shard", "keys"} a shard.
"""

import json
import os
import threading
from pathlib import Path

from ps3_ros.errors import Ps3Error


class Manifest:
    """Reads what is there and appends. `pictures`: {key: line}, the latest of each; `shards`: {number: keys}.

    Raises Ps3Error if the file was begun with other settings, or holds a line (other than a cut-off last one) that is no JSON.
    """

    def __init__(self, path, settings):
        self.path, self._lock = Path(path), threading.Lock()
        self.pictures, self.shards = {}, {}
        begun = None
        for line in self._lines():
            if "settings" in line:
                begun = line["settings"]
            elif "shard" in line:
                self.shards[line["shard"]] = line["keys"]
            else:
                self.pictures[line["key"]] = line
        if begun is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.append({"settings": settings})
        elif begun != json.loads(json.dumps(settings)):
            changed = sorted(k for k in begun.keys() | settings.keys() if begun.get(k) != json.loads(json.dumps(settings.get(k))))
            raise Ps3Error(
                f"The manifest {str(self.path)!r} was begun with other settings ({', '.join(changed)}); use them again or another --out."
            )

    def _lines(self):
        if not self.path.is_file():
            return []
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):  # the run was killed while it wrote the last line
            with open(self.path, "r+b") as file:
                file.truncate(len(whole))
        try:
            return [json.loads(line) for line in whole.splitlines()]
        except ValueError as error:
            raise Ps3Error(f"The manifest {str(self.path)!r} has a line that is no JSON ({error}); mend or delete it.") from error

    def append(self, line):
        """Adds a line and remembers it."""
        data = (json.dumps(line) + "\n").encode()
        with self._lock:
            with open(self.path, "ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if "key" in line:
                self.pictures[line["key"]] = line
            elif "shard" in line:
                self.shards[line["shard"]] = line["keys"]

    def unpacked(self):
        """Keys of done pictures that no shard holds yet, in the order they were done."""
        packed = {key for keys in self.shards.values() for key in keys}
        return [key for key, line in self.pictures.items() if line["status"] == "done" and key not in packed]

    def next_shard(self):
        """The number of the shard to write next."""
        return max(self.shards, default=-1) + 1
