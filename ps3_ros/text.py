"""Questions: checked, split into choices, turned into token ids, and their vectors kept."""

from collections import OrderedDict
from dataclasses import dataclass
from unicodedata import category

import numpy as np

from .errors import BundleError, QueryError
from .wording import plain

MAX_CHARACTERS = 4000
MAX_TOKENS = 256
MAX_CHOICES = 32
CACHED_QUERIES = 256  # a robot asks the same few questions over and over; 256 vectors are a few hundred KB


@dataclass(frozen=True, eq=False)
class TextVectors:
    """Raw outputs of the text graph, a row a query: text float32 [Q, E], prompt [Q, D], prompt_aux [Q, d] or None; ms: milliseconds."""

    text: np.ndarray
    prompt: np.ndarray
    prompt_aux: np.ndarray | None
    ms: float


def check_query(query):
    """The question as text without outer white space. query: str, or bytes that must be UTF-8. Raises QueryError."""
    if isinstance(query, (bytes, bytearray)):
        try:
            query = bytes(query).decode("utf-8")
        except UnicodeDecodeError as error:
            raise QueryError(f"query is not UTF-8 (byte {error.start} is 0x{query[error.start]:02x}); send it as UTF-8 text") from error
    if not isinstance(query, str):
        raise QueryError(f"query is {type(query).__name__} where text is needed; ask in words, such as 'stop sign'")
    query = query.strip()
    if not query:
        raise QueryError("query is empty; ask in words, such as 'stop sign'")
    if len(query) > MAX_CHARACTERS:
        raise QueryError(f"query has {len(query)} characters where at most {MAX_CHARACTERS} are read; ask a shorter question")
    for character in query:
        if category(character) in ("Cc", "Cs"):  # control characters, and halves of surrogate pairs, which UTF-8 cannot hold
            raise QueryError(f"query has the character U+{ord(character):04X}, which is not text; remove it")
    return query


def split_choices(query):
    """Labels of a question that offers choices: "red | amber | green traffic light" -> ["red traffic light", "amber traffic light", ...].

    An option with fewer words than the last takes the last option's remaining words; a question without "|" is its only label; options
    that are the same once written out count once. Raises QueryError for an empty option, or too many.
    """
    options = [option.split() for option in check_query(query).split("|")]
    if not all(options):
        raise QueryError(f"query {_short(query)} has an empty choice; write a word on both sides of every '|'")
    if len(options) > MAX_CHOICES:
        raise QueryError(f"query {_short(query)} offers {len(options)} choices where at most {MAX_CHOICES} are ranked; offer fewer")
    last = options[-1]
    return list(dict.fromkeys(" ".join(option + last[len(option) :]) for option in options)) if len(options) > 1 else [check_query(query)]


class TextEncoder:
    """Queries to vectors; the ones asked last are kept.

    tokenizer: path of a `tokenizers` JSON; settings: bundle.Settings; run: ids int64 [Q, T] -> the text graph's outputs by name.
    """

    def __init__(self, tokenizer, settings, run):
        from tokenizers import Tokenizer

        try:
            self.tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the tokenizers package raises bare Exception
            raise BundleError(f"tokenizer {str(tokenizer)!r} cannot be read ({error}); export the bundle again") from error
        self.tokenizer.no_truncation()  # a question is never cut silently
        self.tokenizer.no_padding()
        self.settings, self.run = settings, run
        self.cache = OrderedDict()  # query -> {"text": [E], "prompt": [D], "prompt_aux": [d]}

    def tokens(self, query):
        """Token ids of one checked query, a list of ints. Raises QueryError where there are too many or none."""
        ids = self.tokenizer.encode(plain(query) if self.settings.plain_words else query).ids
        if not ids:
            raise QueryError(f"query {_short(query)} has no words that this model knows; ask in other words")
        limit = min(MAX_TOKENS, self.settings.context_length)
        if len(ids) > limit:
            raise QueryError(f"query {_short(query)} has {len(ids)} tokens where this model reads at most {limit}; ask a shorter question")
        return ids

    def ids(self, queries):
        """Token ids of checked queries: int64 [Q, T], padded to the longest, or to context_length where the length is fixed."""
        rows = [self.tokens(query) for query in queries]
        length = self.settings.context_length if self.settings.fixed_length else max(map(len, rows))
        out = np.full((len(rows), length), self.settings.pad_id, np.int64)
        for row, ids in zip(out, rows, strict=True):
            row[: len(ids)] = ids
        return out

    def __call__(self, queries):
        """{"text": float32 [Q, E], "prompt": [Q, D], "prompt_aux": [Q, d] where there is one} of a list of queries. Raises QueryError."""
        queries = [check_query(query) for query in queries]
        missing = [query for query in dict.fromkeys(queries) if query not in self.cache]
        fresh = {}
        if missing:
            outputs = self.run(self.ids(missing))
            fresh = {query: {name: value[n] for name, value in outputs.items()} for n, query in enumerate(missing)}
        rows = [fresh[query] if query in fresh else self.cache[query] for query in queries]
        self.cache.update(fresh)
        for query in queries:
            self.cache.move_to_end(query)
        while len(self.cache) > CACHED_QUERIES:
            self.cache.popitem(last=False)
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _short(query):
    text = query if isinstance(query, str) else bytes(query).decode("utf-8", "replace")
    return repr(text if len(text) <= 60 else text[:57] + "...")
