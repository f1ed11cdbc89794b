"""Banks of cut-outs that follow one another: which step gets which, and that a run that goes on gets the same ones."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ps3_training import sprites
from ps3_training.banks import Banks
from ps3_training.data import catalogue
from ps3_training.errors import TrainingError
from ps3_training.sentences import Sentences

ROOT = Path(__file__).parents[2]
SMALL = {"each": 1, "seed": 4, "scenes": 1, "require": False}


class Known(Sentences):
    """Remembers what it was asked to encode."""

    def __init__(self):
        self.row = {}

    def add(self, texts, quiet=False):
        self.row.update(dict.fromkeys(texts))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A catalogue of what is drawn here, as on a machine without the picture packages."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PS3_ASSETS", "PS3_OPENCLIPART", "PS3_TUXPAINT"):
            patch.setenv(name, str(tmp_path_factory.mktemp("none")))
        assert catalogue.load()
        yield


@pytest.fixture(scope="module")
def made_once(drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("banks")
    Banks(folder, sentences=Known(), **SMALL).at(0)
    return folder / "bank"


@pytest.fixture
def begun(made_once, tmp_path):
    """A cache folder in which bank 0 lies ready."""
    shutil.copytree(made_once, tmp_path / "bank")
    return tmp_path


def test_each_step_has_its_bank_and_a_second_run_the_same(drawn, tmp_path):
    sentences = Known()
    banks = Banks(tmp_path, sentences=sentences, renew=10, last=19, **SMALL)
    first, second = banks.at(0), banks.at(10)
    assert banks.at(9) is first and banks.at(19) is second
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bank", "bank-1"]  # and no third one, which no step needs
    same = min(first.pixels.size, second.pixels.size)
    assert (first.pixels.reshape(-1)[:same] != second.pixels.reshape(-1)[:same]).mean() > 0.1
    assert all(text in sentences.row for bank in (first, second) for label in bank.labels for text in (*label["texts"], *label["asks"]))
    again = Banks(tmp_path / "again", sentences=Known(), renew=10, last=19, **SMALL).at(10)  # a run that goes on at step 10
    assert np.array_equal(again.pixels, second.pixels) and again.labels == second.labels


def test_a_process_that_ends_does_not_wait_for_the_next_bank(begun, tmp_path):
    program = """
import sys
import time
from pathlib import Path
from ps3_training.banks import Banks
from tests.training.test_banks import SMALL, Known
if __name__ == "__main__":
    banks = Banks(Path(sys.argv[1]), sentences=Known(), renew=10, last=19, **{**SMALL, "scenes": 10000})
    print(len(banks.at(0).labels))
"""
    (tmp_path / "program.py").write_text(program)
    run = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), str(tmp_path)],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert run.returncode == 0 and int(run.stdout) > 0, run.stderr[-2000:]
    assert not (tmp_path / "bank-1" / "bank.json").exists()  # ten thousand backgrounds would have taken an hour


def test_ctrl_c_stops_the_run_and_not_the_next_bank(begun, tmp_path):
    program = """
import os
import signal
import sys
import time
from pathlib import Path
from ps3_training.banks import Banks
from ps3_training.stopping import StopSignals
from tests.training.test_banks import SMALL, Known
if __name__ == "__main__":
    banks = Banks(Path(sys.argv[1]), sentences=Known(), renew=10, last=19, **{**SMALL, "scenes": 10000})
    with StopSignals() as stop:
        banks.at(0)
        while not (Path(sys.argv[1]) / "bank-1").is_dir():
            time.sleep(0.1)
        os.killpg(0, signal.SIGINT)
        for _ in range(20):
            time.sleep(0.2)
            banks.at(1)  # the step under way takes its batch all the same
        print(stop.name)
"""
    (tmp_path / "program.py").write_text(program)
    run = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), str(tmp_path)],
        capture_output=True, text=True, timeout=90, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
    )  # fmt: skip
    assert run.returncode == 0 and run.stdout.split() == ["SIGINT"], run.stderr[-2000:]


def test_a_next_bank_that_cannot_be_made_stops_the_run_early(begun, tmp_path):
    (tmp_path / "bank-1").write_text("in the way")
    banks = Banks(tmp_path, sentences=Known(), renew=10, last=19, **SMALL)
    with pytest.raises(TrainingError, match="bank-1 could not be made: its process ended with 1"):
        for _ in range(600):
            banks.at(0)
            time.sleep(0.1)


def test_one_bank_serves_every_step_by_default(begun, tmp_path):
    banks = Banks(tmp_path, sentences=Known(), **SMALL)
    assert banks.at(0) is banks.at(10**6)
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]


def test_a_bank_of_fewer_things_than_the_catalogue_has_is_not_made_unseen(drawn, tmp_path):
    with pytest.raises(catalogue.AssetError, match="fetch_assets"):
        Banks(tmp_path, each=1, seed=0, sentences=Known()).at(0)
    assert not (tmp_path / "bank" / "bank.json").exists()


def test_renew_bank_is_a_number_of_steps(tmp_path):
    with pytest.raises(TrainingError, match="renew_bank is -1"):
        Banks(tmp_path, 1, 0, Known(), renew=-1)


def test_a_bank_of_other_pictures_is_named_and_one_without_a_note_used(begun, monkeypatch):
    note = begun / "bank" / sprites.MADE_OF
    assert "names" in note.read_text()
    note.write_text("3 names, 9 pictures, 00000000\n")
    assert sprites.make_bank(begun / "bank", **SMALL).names  # no collections here: a bank may be brought to such a machine
    monkeypatch.setattr(catalogue, "missing", list)
    with pytest.raises(catalogue.AssetError, match="was made of 3 names, 9 pictures"):
        sprites.make_bank(begun / "bank", **SMALL)
    note.unlink()
    assert sprites.make_bank(begun / "bank", **SMALL).names == sprites.read_bank(begun / "bank").names


@pytest.mark.parametrize("name, content", [("bank.json", b'[{"means"'), ("bank.json", b"{}"), ("bank.safetensors", b"cut off")])
def test_a_bank_that_was_cut_off_is_named(begun, name, content):
    (begun / "bank" / name).write_bytes(content)
    with pytest.raises(catalogue.AssetError, match=f"{begun.name}.*cannot be read.*delete"):
        sprites.read_bank(begun / "bank")
