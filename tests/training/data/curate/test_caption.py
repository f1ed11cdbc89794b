"""Words of text regions, and which answers of a model are captions."""

import pytest

from ps3_training.data.curate.caption import Caption, caption_text, clean_caption, global_from_local, in_turn, text_caption
from ps3_training.data.curate.ocr import clean_text
from ps3_training.data.curate.regions import Region


@pytest.mark.parametrize(
    "answer, caption",
    [
        ("red mug with a blue handle", "red mug with a blue handle"),
        ('"Red mug."', "Red mug"),
        ("The image shows a red mug.\nIt stands on a table.", "a red mug"),
        ("**a red mug**", "a red mug"),
        ("", None),
        ("unclear", None),
        ("Unclear.", None),
        ("I'm sorry, I cannot help with that", None),
        ("as an AI model I see a mug", None),
        ("a " * 17 + "mug", None),  # too long
        ("<think>hmm", None),
        ("see https://example.com", None),
        ("12 34 56 / 7", None),
    ],
)
def test_only_captions_are_kept(answer, caption):
    assert clean_caption(answer) == caption


@pytest.mark.parametrize("plate, asks", [(True, "sign that says exit 27"), (False, "text exit 27")])
def test_text_is_asked_for_as_written_and_meant_in_small_letters(plate, asks):
    said = text_caption(Region((0, 0, 50, 20), "text", 0.9, "EXIT 27", plate))
    assert "EXIT 27" in said.text and said.asks == asks and asks in said.means
    assert said == text_caption(Region((0, 0, 50, 20), "text", 0.9, "EXIT 27", plate))


def test_captioners_are_asked_in_turn_for_what_is_left():
    asked = []

    def second(image, regions):
        asked.extend(regions)
        return [Caption("a mug", "a mug", ("a mug",), "second")] * len(regions)

    regions = [Region((0, 0, 9, 9), "text", 1.0, "EXIT"), Region((0, 0, 9, 9), "small", 1.0)]
    captions = in_turn(caption_text, second)(None, regions)
    assert [c.by for c in captions] == ["ocr", "second"] and asked == regions[1:]


def test_a_global_caption_from_local_ones():
    said = [Caption(t, t, (t,), "ocr") for t in ("a mug", "text EXIT", "a mug")]
    assert global_from_local(said) == "a picture with a mug and text EXIT" and global_from_local(said[:1]) == "a picture with a mug"


@pytest.mark.parametrize("raw, text", [(" EXIT  27 ", "EXIT 27"), ("|", ""), ("--/--", ""), ("x" * 61, ""), ("ÜBER", "ÜBER")])
def test_only_lines_with_letters_count_as_text(raw, text):
    assert clean_text(raw) == text
