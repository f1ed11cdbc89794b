"""Close-ups: what they cost, which pixels they show, how they change a region's score and box, and whole answers of a tiny bundle."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ps3_ros import close_up as close_up_module
from ps3_ros.ask import Asker
from ps3_ros.bundle import load_bundle, write_manifest
from ps3_ros.close_up import (
    EXPECTED,
    READING,
    SHAPES,
    SIDE,
    WRITTEN_SHAPES,
    WRITTEN_WEIGHT,
    Closer,
    close_look,
    close_up,
    drawn_box,
    normalise,
    shape_of,
    split_budget,
)
from ps3_ros.errors import BundleError
from ps3_ros.frame import Frame, FramePlan, cut_patches
from ps3_ros.regions import Canvas
from ps3_ros.selection import Selection

COUNT = SIDE * SIDE


@pytest.mark.parametrize(
    "close_ups, patches, left, count",
    [
        (0, 1024, 1024, 0),  # a bundle without them
        (8, 1024, 824, 8),
        (4, 1024, 924, 4),
        (8, 624, 524, 4),  # at most a fifth of the patches
        (8, 125, 100, 1),
        (8, 124, 124, 0),  # too few for any
        (8, 1, 1, 0),
    ],
)
def test_close_ups_are_paid_from_the_look(make_settings, close_ups, patches, left, count):
    assert split_budget(patches, make_settings(close_ups=close_ups)) == (left, count)


def test_words_that_are_read_have_twice_as_many(make_settings):
    settings = make_settings(close_ups=4)
    reads = replace(settings, reads=True)
    assert split_budget(1024, reads, (None, "exit")) == (824, 8)
    assert split_budget(1024, reads, (None,)) == split_budget(1024, settings, ("exit",)) == (924, 4)
    assert split_budget(600, reads, ("exit",)) == (500, 4)  # still a fifth


def test_steps_out_are_paid_from_the_look_where_no_words_are_asked_for(make_settings):
    settings = make_settings(close_ups=4, zoom_outs=3)
    assert split_budget(1024, settings) == split_budget(1024, settings, (None,)) == (849, 7)
    assert split_budget(1024, settings, ("exit",)) == (924, 4) and split_budget(1024, replace(settings, reads=True), ("exit",)) == (824, 8)
    assert split_budget(625, settings) == (500, 5)  # still a fifth: the candidates' own come first


@pytest.fixture(scope="module")
def frame(sample_frame_4k):
    return Frame(sample_frame_4k)


@pytest.fixture(scope="module")
def plan(frame, make_settings):
    return FramePlan.of(frame.height, frame.width, make_settings())


def test_one_that_falls_on_patches_is_these_patches(frame, plan):
    row, col = 40, 100  # the upper left of 5 x 5 finest patches of 16 px
    centre, half = np.array([col * 16 + 40, row * 16 + 40]), 80 / 1.5 / 2
    patches, position, places, _ = close_up(frame, plan, np.concatenate([centre - half, centre + half]))
    y, x = np.divmod(np.arange(COUNT), SIDE)
    own = (row + y) * plan.grids[2].cols + col + x
    nothing = np.empty(0, np.int64)
    expected = cut_patches(frame, plan, plan.settings, Selection((nothing, nothing, own)))
    assert np.allclose(normalise(patches, plan.settings), expected, atol=1e-6)
    assert (position == plan.positions(2, own)).all() and np.allclose(places, plan.boxes(2, own))


@pytest.mark.parametrize(
    "box, scale, shape, shown",
    [
        ((1000, 1000, 1016, 1012), 2, (4, 6), (27, 18)),  # small: enlarged, as if it were no less than 12 px high
        ((1000, 900, 1300, 1000), 1, (3, 8), (450, 169)),  # shrunk; its patches are nearest to the middle scale's in size
        ((1000, 900, 1080, 1500), 0, (12, 2), (150, 900)),  # tall
        ((0, 0, 3840, 2160), 0, (4, 6), (5760, 3840)),  # the whole frame
        ((0, 0, 10, 10), 2, (5, 5), (18, 18)),  # over the frame's edge
        ((3800, 2100, 3840, 2160), 2, (6, 4), (60, 90)),
    ],
)
def test_any_box(frame, plan, box, scale, shape, shown):
    patches, position, places, got = close_up(frame, plan, np.array(box, np.float32))
    assert got == shape and patches.shape == (shape[0] * shape[1], 3, 16, 16) and patches.dtype == np.uint8
    grid = plan.grids[scale]
    assert (position >= grid.offset).all() and (position < grid.offset + grid.side**2).all()
    assert np.allclose(places[-1, 2:] - places[0, :2], shown, atol=1)
    centre = (places[0, :2] + places[-1, 2:]) / 2
    assert np.allclose(centre, [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], atol=1)


def test_the_shape_shows_a_box_the_largest():
    assert shape_of(100, 100) == (SIDE, SIDE) and shape_of(100, 40) == (3, 8) and shape_of(40, 100) == (8, 3)
    for width in np.geomspace(0.05, 20, 50):
        largest = min(max(width / cols, 1 / rows) for rows, cols in SHAPES)
        rows, cols = shape_of(width, 1.0)
        assert max(width / cols, 1.0 / rows) == largest and rows * cols <= COUNT


def test_pixels_lie_where_their_patches_say(make_settings):
    """A frame whose colour tells the place: blue the column, red the row."""
    pixels = np.zeros((1080, 1920, 3), np.uint8)
    pixels[..., 0], pixels[..., 2] = np.arange(1920) * 255 // 1919, (np.arange(1080) * 255 // 1079)[:, None]
    plan = FramePlan.of(1080, 1920, make_settings())
    for box in ((500, 300, 540, 340), (900, 200, 1400, 800), (500, 300, 900, 380), (700, 200, 760, 700)):
        patches, _, places, _ = close_up(Frame(pixels), plan, np.array(box, np.float32))
        x, y = (places[:, 0] + places[:, 2]) / 2, (places[:, 1] + places[:, 3]) / 2
        assert np.allclose(patches[:, 2].mean((1, 2)), x * 255 / 1919, atol=1.5)
        assert np.allclose(patches[:, 0].mean((1, 2)), y * 255 / 1079, atol=1.5)


PLACES = np.stack([[x * 10, y * 10, x * 10 + 10, y * 10 + 10] for y in range(SIDE) for x in range(SIDE)]).astype(np.float32)
BOX = np.array([8, 8, 42, 42], np.float32)


def test_a_box_is_drawn_round_what_matches():
    match = np.zeros((SIDE, SIDE), np.float32)
    match[1:4, 2] = 1  # a pole within the box
    match[0, 0] = 2  # something else, at the rim
    assert np.allclose(drawn_box(match, PLACES, BOX), [20, 10, 30, 40], atol=3)


def test_a_box_is_drawn_on_a_long_close_up_too():
    places = np.stack([[x * 10, y * 10, x * 10 + 10, y * 10 + 10] for y in range(3) for x in range(8)]).astype(np.float32)
    match = np.zeros((3, 8), np.float32)
    match[1, 2:6] = 1
    assert np.allclose(drawn_box(match, places, np.array([15, 8, 65, 22], np.float32)), [20, 10, 60, 20], atol=3)


@pytest.mark.parametrize("match, box", [(np.ones((SIDE, SIDE)), BOX), (np.eye(SIDE), np.array([22, 23, 22.1, 23.1]))])
def test_the_box_stays_where_nothing_stands_out_or_it_holds_no_point(match, box):
    assert (drawn_box(match, PLACES, box) == box).all()


@pytest.fixture(scope="module")
def bundle(tiny_bundle, tmp_path_factory):
    """The tiny bundle with two close-ups a look of 256 patches."""
    folder = shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("bundles") / "close")
    manifest = load_bundle(folder).manifest
    write_manifest(folder, replace(manifest, settings=replace(manifest.settings, close_ups=8)))
    return folder


def test_close_ups_are_encoded_as_patches_are(bundle, frame):
    """All that is new is where pixels come from: patches that fall on the grid give the tokens of a look at them."""
    asker = Asker(bundle, threads=1)
    asker.set_frame(Frame(np.ascontiguousarray(frame.pixels[:640, :640])))  # whose finest patches are square, of whole pixels
    encoder, glance = asker.encoder, asker.glance
    fine = len(glance.plan.grids) - 1
    grid = glance.plan.grids[fine]
    size = glance.plan.width / grid.cols
    row, col = grid.rows // 2, grid.cols // 2
    centre, half = np.array([(col + 0.5) * size, (row + 0.5) * glance.plan.height / grid.rows]), SIDE * size / 1.5 / 2
    look, shapes = close_look(encoder, glance, np.concatenate([centre - half, centre + half])[None].astype(np.float32))
    y, x = np.divmod(np.arange(COUNT), SIDE)
    own = (row - 2 + y) * grid.cols + col - 2 + x
    expected = encoder.look(glance, Selection((*(np.empty(0, np.int64) for _ in range(fine)), own)))
    assert look.tokens.shape == expected.tokens.shape and shapes == [(SIDE, SIDE)]
    assert np.abs(look.tokens - expected.tokens).max() < 1e-4


def test_answers_have_them_within_their_budget(bundle, tiny_bundle, frame):
    without, asker = (Asker(folder, threads=1, clock=lambda: 0) for folder in (tiny_bundle, bundle))
    for one in (without, asker):
        one.set_frame(frame)
    answer = asker.ask("a mug")
    assert answer.patches_allowed == 256 and 250 <= answer.patches_used <= 256
    assert 2 * COUNT - 2 <= answer.patches_used - asker.detail.selection.count <= 2 * COUNT  # long ones have one patch less
    assert answer.regions != without.ask("a mug", tokens=206).regions
    assert answer.regions == asker.ask("a mug").regions, "the same every time"
    small, plain = asker.ask("a mug", tokens=100), without.ask("a mug", tokens=100)
    assert (small.regions, small.patches_used) == (plain.regions, plain.patches_used), "too few patches for any"
    two = list(asker.answers("a mug", looks=2))
    assert [a.final for a in two] == [False, False, True] and two[1].patches_used > 250
    assert asker.detail.selection.count + 2 * COUNT - 2 <= two[2].patches_used <= two[2].patches_allowed == 512
    assert len(asker.ask("red | green mug").choices) == 2


def test_steps_out_stay_within_the_budget_and_written_words_have_none(bundle, frame, tmp_path):
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    manifest = load_bundle(folder).manifest
    write_manifest(folder, replace(manifest, settings=replace(manifest.settings, close_ups=1, zoom_outs=1, plain_words=True)))
    asker = Asker(folder, threads=1, clock=lambda: 0)
    asker.set_frame(frame)
    answer = asker.ask("a mug")
    assert 2 * COUNT - 2 <= answer.patches_used - asker.detail.selection.count <= 2 * COUNT and answer.patches_used <= 256
    assert asker.ask("a mug").regions == answer.regions
    first = [Closer(asker.encoder, asker.glance, np.ones((1, 64), np.float32), count, words=words) for count, words in ((2, ()), (1, ()))]
    assert [(closer.count, closer.steps) for closer in first] == [(1, 1), (1, 0)]
    asker.ask('the sign that says "exit"')
    assert asker.detail.selection.count > 256 - 2 * COUNT


def test_written_words_have_fewer_and_larger_ones_within_the_same_budget(bundle, frame, tmp_path):
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    manifest = load_bundle(folder).manifest
    write_manifest(folder, replace(manifest, settings=replace(manifest.settings, plain_words=True)))
    asker, deaf = (Asker(one, threads=1, clock=lambda: 0, share_looks=True) for one in (folder, bundle))
    for one in (asker, deaf):
        one.set_frame(frame)
        one.ask("a mug")
    sizes = {rows * cols for rows, cols in WRITTEN_SHAPES}
    thing = asker.ask("sign")
    assert 2 * COUNT - 2 <= thing.patches_used - asker.detail.selection.count <= 2 * COUNT
    words = asker.ask('a sign with "exit" on it')
    assert words.patches_used - asker.detail.selection.count in sizes  # one in place of two
    assert words.patches_used <= words.patches_allowed == 256
    places = [(region.box, region.score) for region in words.regions]
    assert places == [(region.box, region.score) for region in asker.ask("the text exit").regions], "asked for in other words"
    deaf.ask('a sign with "exit" on it')
    assert deaf.detail.selection.count + 2 * COUNT - 2 <= deaf.ask("the text exit").patches_used  # a bundle that reads every word
    assert asker.ask("exit | entrance sign").patches_used <= 256


def test_where_letters_are_known_written_words_are_read(bundle, frame, tmp_path):
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    manifest = load_bundle(folder).manifest
    settings = replace(manifest.settings, plain_words=True)
    answers = {}
    for reads in (False, True):
        write_manifest(folder, replace(manifest, settings=replace(settings, reads=reads)))
        asker = Asker(folder, threads=1, clock=lambda: 0)
        asker.set_frame(frame)
        answers[reads] = [asker.ask(query) for query in ("a mug", 'a sign with "exit" on it', "exit | mug")]
        assert ("letters" in vars(asker.encoder)) == reads  # encoded for the first words, and kept
    for deaf, reading in zip(*answers.values(), strict=True):
        moved = [abs(b.score - a.score) for a, b in zip(deaf.regions, reading.regions, strict=False)]
        assert (max(moved) > 0) == ("exit" in deaf.query and "|" not in deaf.query), deaf.query
        assert deaf.patches_used == reading.patches_used


def test_a_candidates_sign_is_read_as_well_as_its_box(bundle, frame, monkeypatch):
    """Two candidates, a small box on a large sign each: four close-ups, and the better reading of each candidate's two counts."""
    asker = Asker(bundle, threads=1)
    asker.set_frame(frame)
    encoder, glance = asker.encoder, asker.glance
    monkeypatch.setattr(encoder, "settings", replace(encoder.settings, reads=True, plain_words=True))
    boxes = np.array([[400, 300, 432, 332], [1600, 900, 1648, 932]], np.float32)
    match, read = np.zeros((135, 240), np.float32), []
    match[15:25, 20:40] = 0.5  # 320 x 160 px round the first box, in patches of 16 px
    canvas = Canvas(match, np.ones(match.shape, bool), np.zeros(match.shape, np.int64), (16.0, 16.0))

    def spelled(_likely, _places, box, words):
        read.append((tuple(box), words))
        return 4.0 if box[2] - box[0] > 300 else -9.0

    monkeypatch.setattr(close_up_module, "spelled", spelled)
    vectors = encoder.text(["exit sign", "mug"]).text
    closer, deaf = Closer(encoder, glance, vectors, 8, words=("exit", None)), Closer(encoder, glance, vectors, 8, words=(None, None))
    assert (closer.count, closer.views, deaf.count, deaf.views) == (2, 2, 8, 1) and not deaf.unread.any()
    assert closer.unread == pytest.approx([-EXPECTED * READING * WRITTEN_WEIGHT, 0])
    other = Closer(encoder, glance, vectors, 8, words=("出口", "a"))  # nothing that could be spelled, so nothing is held against it
    assert (other.count, other.views, other.reads) == (4, 1, False) and not other.unread.any()
    monkeypatch.setattr(close_up_module, "READING", 0.0)
    plain, _ = closer(boxes, lambda _: canvas)
    monkeypatch.undo()
    monkeypatch.setattr(encoder, "settings", replace(encoder.settings, reads=True, plain_words=True))
    monkeypatch.setattr(close_up_module, "spelled", spelled)
    asked, finer = closer(boxes, lambda _: canvas)
    assert asked - plain == pytest.approx(READING * np.array([[4 - EXPECTED, 0], [-5 - EXPECTED, 0]]), abs=1e-6)
    assert ((320, 240, 640, 400), "exit") in read and {words for _, words in read} == {"exit"}
    assert finer[0, 2] - finer[0, 0] > 100  # of the sign, on which it was read


def test_a_place_has_both_kinds(bundle, frame):
    asker = Asker(bundle, threads=1, share_looks=True)
    asker.set_frame(frame)
    asker.ask("a mug")
    seen, box = asker._seen, np.array([[400, 300, 520, 340]], np.float32)
    for written, shapes in ((False, SHAPES), (True, WRITTEN_SHAPES), (False, SHAPES)):
        look, own = close_look(asker.encoder, asker.glance, box, seen.encode_close_ups, written)
        fresh, _ = close_look(asker.encoder, asker.glance, box, None, written)
        assert own[0] in shapes and np.allclose(look.tokens, fresh.tokens, atol=1e-5)


def test_the_manifest_says_so(bundle, tiny_bundle):
    said = json.loads((bundle / "manifest.json").read_text())["settings"]
    assert said["close_ups"] == 8 and "close_ups" not in json.loads((tiny_bundle / "manifest.json").read_text())["settings"]
    assert load_bundle(tiny_bundle).settings.close_ups == 0 and "zoom_outs" not in said


def test_steps_out_without_close_ups_are_refused(tiny_bundle, tmp_path):
    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["settings"]["zoom_outs"] = 2
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="settings.zoom_outs is 2"):
        load_bundle(folder)
    manifest["settings"]["close_ups"] = 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert load_bundle(folder).settings.zoom_outs == 2
