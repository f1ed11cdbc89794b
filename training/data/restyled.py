"""The catalogue's things as others drew them, and things that it lacks: python -m ps3_training.data.restyled [OUT]

A thing whose only picture is one rendering is learned as that picture. Seven sets of emoji, each drawn by other hands, show most of the
catalogue's household and street things again, OpenMoji draws some things more, and so does openclipart (clipart.py). Only training reads
them (`catalogue.load(restyled=True)`), so test frames show the pictures that they always did.

OUT/<set>/<code point or name>.webp are RGBA pictures of 256 px; OUT/DONE is written last. A stopped run goes on where it was.
"""

import argparse
import io
import json
import sys
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from ps3_ros.errors import Ps3Error
from ps3_ros.exits import exit_code
from ps3_training.files import write_whole

from .clipart import CLIPART
from .fetch_assets import NPM, folder_name
from .stamps import plain_svg, resembles

SIDE = 256  # px, of a picture
SHARE = 0.35  # of a thing's looks that are in another style or a 3D model's, where it has one
CODED = ("noto", "twemoji", "fluent-emoji-flat", "openmoji")  # sets that name code points; the first one's words find the others' pictures
WORDED = ("noto-v1", "emojione", "streamline-emojis")  # sets that have words only
CLIPPED = "openclipart"

# Things that only these drawings show, "place group metres: name, name ...". OpenMoji's words are the name's, or follow it: name=words.
MORE = """
room tool 0.3: clamp, eraser, forceps, trowel, dagger, geiger counter, clinical thermometer, stretcher, crutches, lighter, bandage scissors
room tool 0.3: first aid kit, medical gloves, gardening gloves, sanitizer spray, nail polish, prayer beads, menorah, paint roller
room tool 0.3: ironing board, sword, scalpel, thumbtack
room device 0.3: 3d printer, calculator, drone, tablet, smartwatch, virtual reality headset=vr-headset, desk lamp, robot, loudspeaker
room device 0.3: megaphone, telephone receiver, ventilator, electric motor=motor, solar cell, barcode, qr code, potentiometer
room device 0.3: modem, webcam, lcd monitor, crt monitor, transistor, camcorder, microchip
room household 0.4: coffee grinder, espresso machine, drip coffee maker, moka pot, milk jug, pepper mill, salt mill, hot water bottle
room household 0.4: plastic bottle, glass bottle, beer bottle, reusable bag, washing machine, armchair, treasure chest, coffin, bed linen
room clothes 0.4: crocs, sneaker, bicycle helmet, motorbike helmet, guy fawkes mask, tennis shoe, toque
room food 0.12: pretzel, pomegranate, boule bread, brown champignon=champignon-brown, pickle, pea pod, shortcake, kiwi fruit, pepper
room food 0.12: roasted coffee bean, latte macchiato, root vegetable, ginger root, apple juice, beer, cocktail, fried egg, hash browns
room food 0.12: ice water, lasagna, lemonade, marshmallow, milk, muffin, orange juice, pancake, soft drink, soup, cayenne pepper, flan
room food 0.12: corn dog, wine, coffee, honey
any animal 0.6: beluga, doe, goldfish, macaw, narwhal, pigeon, porpoise, goose, jellyfish, moose, donkey, dove, armadillo, cormorant, crow
any animal 0.6: damselfly, puffin, crawfish, dall sheep, beagle, seagull, antelope, caterpillar
any plant 0.6: poppy, hyacinth, lotus, acorn, bamboo, daisy, fern, geranium, magnolia, leaf, reed
any sport 0.4: baseball glove, football helmet, beachball, surfboard, scuba tank
room music 0.5: flute, harp, trombone, maracas, piano, oboe, french horn, gramophone, mountain dulcimer
street vehicle 5: autonomous car, cargo bike, diesel locomotive, articulated lorry, submarine, space shuttle, lawn mower
street road thing 1: wheelbarrow, spade, signpost, charging station, postbox, pirate flag, wind turbine=wind-energy, axe, wagon
street building 6: eiffel tower, nuclear power plant, castle, house, volcano, grain elevator
room toy 0.3: firecracker, water pistol, rubber duck in water, feather, paper plane, pumpkin
"""


def rows(taken, names, held, folder):
    """(name, place, group, metres, kind, pictures) of the things of MORE that are drawn there and that nothing in the catalogue is.

    taken: names and pictures of the hand-written table. names: of the wide part so far. held: names that training must not see.
    """
    found = []
    for name, slug, place, group, metres in more():
        pictures = of_name(name, folder, slug)
        if pictures and name not in taken and name not in names and not resembles(name, held):
            found.append((name, place, group, metres, "street" if place == "street" else "room", pictures))
    return found


def more():
    """(name, OpenMoji's word, place, group, metres) of each thing of MORE."""
    for line in MORE.strip().splitlines():
        head, _, listed = line.partition(":")
        place, *group, metres = head.split()
        for name, _, slug in (entry.strip().partition("=") for entry in listed.split(",")):
            yield name, slug or name.replace(" ", "-"), place, " ".join(group), float(metres)


def of_emoji(path, folder):
    """Pictures in other styles, as ("style", path), of the emoji whose own picture is `path`: .../1f3a7.webp."""
    return _emoji(folder, Path(path).stem.removesuffix("-fe0f"))


def of_name(name, folder, slug=""):
    """Pictures, as ("style", path), that openclipart has under this name, and those that the sets of emoji have under the word `slug`."""
    clips = (Path(folder) / CLIPPED / f"{path.replace('/', '-')}.webp" for path in _clips().get(name, ()))
    return (_emoji(folder, slug) if slug else ()) + tuple(("style", str(p)) for p in clips if p.is_file())


def _emoji(folder, stem):
    return tuple(("style", str(p)) for name in (*CODED, *WORDED) if (p := Path(folder) / name / f"{stem}.webp").is_file())


@cache
def _clips():
    found = {}
    for line in CLIPART.strip().splitlines():
        name, _, paths = line.partition(":")
        found.setdefault(name, []).extend(paths.split())
    return found


def read_set(package):
    """({code point or word: svg}, {code point: word}) of an unpacked Iconify package. Raises Ps3Error for a broken one."""
    try:
        icons = json.loads((package / "icons.json").read_text(encoding="utf-8"))
        chars = package / "chars.json"
        words = json.loads(chars.read_text(encoding="utf-8")) if chars.is_file() else {}
        sides = icons.get("width", 16), icons.get("height", 16)
        found = {}
        for word, icon in icons["icons"].items():
            box = icon.get("left", 0), icon.get("top", 0), icon.get("width", sides[0]), icon.get("height", sides[1])
            head = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
            found[word] = f'<svg {head} viewBox="{" ".join(map(str, box))}">{icon["body"]}</svg>'
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Ps3Error(f"The icon set in {str(package)!r} cannot be read ({error!r}); delete it and run `ps3 data fetch` again.") from error
    return found, words


def draw(assets, clips, out, codes, progress=True):
    """Draws what the catalogue may use: the emoji with these code points, the things of MORE, and CLIPART. Returns the number of pictures.

    assets: the folder that fetch_assets filled. clips: that of openclipart-svg. Raises Ps3Error where a set is missing or broken.
    """
    import cairosvg
    from PIL import Image
    from tqdm import tqdm

    slugs = [slug for _, slug, *_ in more()]
    word_of, jobs = {}, []
    for name in (*CODED, *WORDED):
        package = Path(assets) / folder_name(f"@iconify-json/{name}", NPM[f"@iconify-json/{name}"]) / "package"
        icons, words = read_set(package)
        word_of = word_of or words
        for code in codes:
            if svg := icons.get(words.get(code, word_of.get(code))):
                jobs.append((name, code, svg))
        if name in CODED:
            jobs += [(name, slug, icons[slug]) for slug in slugs if slug in icons]
    for path in sorted({path for paths in _clips().values() for path in paths}):
        if (file := Path(clips) / f"{path}.svg").is_file() and plain_svg(file):
            jobs.append((CLIPPED, path.replace("/", "-"), file.read_text(encoding="utf-8", errors="replace")))
    for name, stem, svg in tqdm(jobs, unit="picture", disable=not progress):
        path = Path(out) / name / f"{stem}.webp"
        if path.is_file():
            continue
        try:
            png = cairosvg.svg2png(bytestring=svg.encode(), output_width=SIDE, output_height=SIDE)
        except Exception as error:  # whatever cairosvg meets in somebody's drawing
            tqdm.write(f"left out: {stem} of {name} cannot be drawn ({error!r})", file=sys.stderr)
            continue
        rgba = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
        if rgba is not None and rgba.ndim == 3 and rgba.shape[2] == 4 and (rgba[..., 3] > 128).mean() > 0.02:
            path.parent.mkdir(parents=True, exist_ok=True)
            data = io.BytesIO()
            Image.fromarray(cv2.cvtColor(rgba, cv2.COLOR_BGRA2RGBA)).save(data, "WEBP", lossless=True)
            write_whole(path, data.getvalue())
    count = sum((Path(out) / name / f"{stem}.webp").is_file() for name, stem, _ in jobs)  # without those left out
    write_whole(Path(out) / "DONE", f"{count} pictures\n")
    return count


def main(argv=None):
    from . import catalogue

    parser = argparse.ArgumentParser(prog="python -m ps3_training.data.restyled", description="Draws the emoji of other sets.")
    parser.add_argument("out", nargs="?", type=Path, help="folder for the pictures (default: emoji_styles in the folder of pictures)")
    arguments = parser.parse_args(argv)
    out = arguments.out or catalogue.assets_folder() / "emoji_styles"

    def run():
        places = catalogue.roots()
        codes = sorted({Path(p).stem.removesuffix("-fe0f") for o in catalogue.load(require=True) for r, p in o.pictures if r == "emoji"})
        print(f"{draw(catalogue.assets_folder(), places['clip'], out, codes)} pictures in {out}")

    return exit_code("error", run)


if __name__ == "__main__":
    sys.exit(main())
