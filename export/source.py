"""What comes with a checkpoint besides its weights: tokenizer, licence, and the questions its tokenizer can take."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from ps3_ros.bundle import Settings
from ps3_ros.errors import CheckpointError, QueryError
from ps3_ros.text import TextEncoder, check_query

NOTICE = (
    "The exporter was not told these weights' licence: it is the checkpoint's own. "
    "PS3 checkpoints published by NVIDIA are for non-commercial research only."
)


def find_tokenizer(checkpoint: Path) -> Path:
    path = checkpoint / "tokenizer.json"
    if not path.is_file():
        raise CheckpointError(f"checkpoint {str(checkpoint)!r} has no tokenizer.json: name the tokenizer's file with --tokenizer")
    return path


def check_tokenizer(path: Path, rows: int) -> None:
    """The file must be a `tokenizers` JSON whose ids the text tower has rows for."""
    if not path.is_file():
        raise CheckpointError(f"tokenizer {str(path)!r} is not a file: --tokenizer takes a tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception for every kind of bad file
        raise CheckpointError(f"tokenizer {str(path)!r} is not a `tokenizers` JSON ({error}): save it as tokenizer.json") from error
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if not 0 <= largest < rows:
        raise CheckpointError(f"tokenizer {str(path)!r} has ids up to {largest}, but the text tower has {rows} rows: it is another model's")


def fitting(tokenizer: Path, queries: Sequence[str], settings: Settings) -> list[str]:
    """Those of the queries that the model's length allows. Raises CheckpointError where it allows none."""
    encoder, found = TextEncoder(tokenizer, settings, run=None), []
    for query in queries:
        try:
            encoder.tokens(query)
        except QueryError as error:
            refusal = error
        else:
            found.append(query)
    if not found:
        raise CheckpointError(f"tokenizer {str(tokenizer)!r} does not fit this model: {refusal}")
    return found


def fits(tokenizer: Path, settings: Settings) -> Callable[[str], bool]:
    """Whether the robot would take a query, as a function."""
    encoder = TextEncoder(tokenizer, settings, run=None)

    def would_take(query: str) -> bool:
        try:
            return bool(encoder.tokens(check_query(query)))
        except QueryError:
            return False

    return would_take


def license_entry(license: Mapping[str, str] | str | None) -> dict[str, str]:
    """{"weights", "notice"} of a manifest. license: that, or the weights' licence alone."""
    if isinstance(license, Mapping):
        return {"weights": license["weights"], "notice": license.get("notice") or f"Weights: {license['weights']}."}
    return {"weights": license, "notice": f"Weights: {license}."} if license else {"weights": "not stated", "notice": NOTICE}
