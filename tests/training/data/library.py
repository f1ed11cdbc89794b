"""A small library of 3D models like sweethome3d-furniture's, so that these tests need no package."""

import zipfile

import pytest

CUBE = "\n".join(
    ["mtllib it.mtl", "usemtl body"]
    + [f"v {x} {y} {z}" for z in (0, 1) for y in (0, 1) for x in (0, 1)]
    + ["f 1 3 4 2", "f 5 6 8 7", "f 1 2 6 5", "f 3 7 8 4", "f 1 5 7 3", "f 2 4 8 6"]
)
THINGS = (  # name, category, width, height, depth in cm, colour
    ("Coffee mug", "Kitchen", 10, 11, 9, "0.9 0.05 0.05"),
    ("Teapot", "Kitchen", 22, 16, 14, "0.1 0.2 0.9"),
    ("Glass", "Kitchen", 8, 12, 8, "0.9 0.9 0.9"),
    ("Book", "Miscellaneous", 20, 4, 25, "0.1 0.6 0.1"),
    ("Table", "Living room", 120, 75, 70, "0.8 0.6 0.3"),
    ("Wardrobe", "Bedroom", 100, 190, 60, "0.9 0.9 0.9"),
    ("Sofa", "Living room", 180, 80, 90, "0.05 0.05 0.05"),
    ("Wall light", "Lights", 20, 30, 15, "1 1 0.8"),
    ("Chevrolet", "Vehicles", 200, 140, 440, "0.8 0.1 0.1"),
    ("Bike", "Vehicles", 50, 100, 170, "0.3 0.3 0.3"),
    ("Pine", "Exterior", 300, 700, 300, "0.1 0.4 0.1"),
    ("Fire hydrant", "Exterior", 40, 80, 40, "0.9 0.1 0.1"),
    ("Female", "Characters", 50, 170, 30, "0.5 0.4 0.4"),
    ("Box", "Miscellaneous", 30, 30, 30, "0.5 0.4 0.4"),
)


def write_library(folder, things=THINGS, obj=CUBE, more=""):
    """Writes Scopia.sh3f with a cube for each thing and returns the folder."""
    lines, files = [], {}
    for i, (name, category, width, height, depth, colour) in enumerate(things, 1):
        fields = {"id": f"Scopia#{i}", "name": name, "category": category, "model": f"/scopia/m{i}/it{i}.obj", "creator": "Somebody"}
        fields |= {"width": width, "height": height, "depth": depth}
        lines += [f"{key}#{i}={value}" for key, value in fields.items()]
        files[f"scopia/m{i}/it{i}.obj"] = obj
        files[f"scopia/m{i}/it.mtl"] = f"newmtl body\nKd {colour}\nd {0.3 if name == 'Glass' else 1.0}\n"
    with zipfile.ZipFile(folder / "Scopia.sh3f", "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", "\n".join([*lines, more]).encode("latin-1"))
        for name, text in files.items():
            archive.writestr(name, text)
    return folder


def needs_opengl():
    """A Renderer, or the test is skipped with the reason why there is none."""
    from ps3_training.data import render

    try:
        return render.shared()
    except render.RenderError as error:
        pytest.skip(str(error))
