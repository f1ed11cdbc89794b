"""3D models: what they are called, how large they are, and what is said where one cannot be read."""

import zipfile

import numpy as np
import pytest
from library import THINGS, write_library

from ps3_training.data import model_names, models


@pytest.fixture
def entries(tmp_path, monkeypatch):
    monkeypatch.setenv(models.FOLDER, str(write_library(tmp_path, more="modelRotation#5=0 0 1 0 1 0 -1 0 0\ndropOnTopElevation#6=-1")))
    return {entry.name: entry for entry in models.entries()}


@pytest.mark.parametrize(
    "raw, category, file, said",
    [
        ("Coffee mug", "Kitchen", "mug", ("mug", "room", "cup")),
        ("Female", "Characters", "f1", ("woman", "any", "person")),
        ("Chevrolet", "Vehicles", "c", ("car", "street", "vehicle")),
        ("Hot dog", "Kitchen", "h", ("hot dog", "room", "food")),  # not an animal
        ("Socket", "Bedroom", "chaussette", ("sock", "room", "clothes")),  # the catalogue's slip
        ("Umbrella", "Exterior", "u", ("umbrella", "any", "thing")),  # a parasol is the table's umbrella
        ("Box", "Miscellaneous", "b", None),  # says nothing
        ("Square type G plug", "Miscellaneous", "p", None),
    ],
)
def test_names_are_what_a_person_says(raw, category, file, said):
    assert model_names.spoken(raw, category, file) == said


def test_entries_leave_out_what_nobody_asks_for(entries):
    assert len(entries) == len(THINGS) - 1
    assert entries["mug"].size == pytest.approx((0.1, 0.11, 0.09))
    assert entries["mug"].licence == "CC-BY-3.0" and entries["mug"].author == "Somebody"
    assert entries["table"].top == pytest.approx(0.75) and entries["wardrobe"].top == 0


def test_a_model_stands_on_the_ground_in_its_size(entries):
    pytest.importorskip("trimesh", reason="trimesh reads the models; pip install ps3_ros[render]")
    points = np.concatenate([part.vertices[:, :3] for part in models.load(entries["table"]).parts])
    assert points.min(0) == pytest.approx((-0.6, 0, -0.35), abs=1e-5)
    assert points.max(0) == pytest.approx((0.6, 0.75, 0.35), abs=1e-5)


def test_colours_edges_and_glass_are_read(entries):
    pytest.importorskip("trimesh", reason="trimesh reads the models; pip install ps3_ros[render]")
    (part,) = models.load(entries["mug"]).parts
    assert part.colour == pytest.approx((0.9, 0.05, 0.05)) and part.opacity == 1
    normals = part.vertices[:, 3:6]
    assert np.allclose(np.abs(normals).max(1), 1, atol=1e-5)  # a cube's edges are sharp
    assert models.load(entries["glass"]).parts[0].opacity == pytest.approx(0.3)


def test_without_the_package_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setenv(models.FOLDER, str(tmp_path / "none"))
    assert models.entries() == ()


def test_what_cannot_be_read_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(models.FOLDER, str(tmp_path))
    (tmp_path / "Scopia.sh3f").write_bytes(b"no zip")
    with pytest.raises(models.ModelError, match="Scopia.sh3f.*install"):
        models.entries()


@pytest.mark.parametrize("obj, words", [("v 0 0 0\n", "no triangles|cannot be read"), ("f 1 2 3\nv x\n", "cannot be read|no triangles")])
def test_a_broken_model_is_named(tmp_path, monkeypatch, obj, words):
    pytest.importorskip("trimesh", reason="trimesh reads the models; pip install ps3_ros[render]")
    monkeypatch.setenv(models.FOLDER, str(write_library(tmp_path, THINGS[:1], obj)))
    with pytest.raises(models.ModelError, match=words):
        models.load(models.entries()[0])


def test_textures_are_found_whatever_the_case(tmp_path, monkeypatch):
    pytest.importorskip("trimesh", reason="trimesh reads the models; pip install ps3_ros[render]")
    import cv2

    obj = "mtllib it.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 1\nvt 0 0\nvt 1 0\nvt 1 1\nusemtl body\nf 1/1 2/2 3/3\n"
    write_library(tmp_path, THINGS[:1], obj)
    green = np.zeros((4, 4, 3), np.uint8)
    green[..., 1] = 255
    with zipfile.ZipFile(tmp_path / "Scopia.sh3f", "a") as archive:
        archive.writestr("scopia/m1/wood.png", cv2.imencode(".png", green)[1].tobytes())
        archive.writestr("scopia/m1/it2.mtl", "newmtl body\nKd 0 0 0\nmap_Kd WOOD.PNG\n")
        archive.writestr("scopia/m1/it1b.obj", obj.replace("it.mtl", "it2.mtl"))
    monkeypatch.setenv(models.FOLDER, str(tmp_path))
    from dataclasses import replace

    (part,) = models.load(replace(models.entries()[0], path="scopia/m1/it1b.obj")).parts
    assert part.texture[0, 0].tolist() == [0, 255, 0, 255] and part.colour == (1.0, 1.0, 1.0)  # a black Kd does not blacken it
