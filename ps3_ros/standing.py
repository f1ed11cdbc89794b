"""Standing queries: which are due on a frame, in which order, and what share of the frame's patches and time each has."""

import time
from dataclasses import dataclass

from .errors import QueryError

MAX_STANDING = 64
EARLY = 0.9  # of a query's period: frames do not come to the millisecond, and one that is a little early must not halve its rate


@dataclass
class _Entry:
    request: object
    watched: bool  # by topic; else by parameter
    asked: float = float("-inf")  # monotonic seconds
    debt: float = 0.0  # turns it has had while not all could be asked, each 1 / priority


class Watchlist:
    """The standing queries of now, each with its turn. Not locked: its owner's lock guards it.

    Of a frame, all that are due are asked, those with the higher priority first. Where a newer frame cuts that short, turns are shared by
    priority over the frames: the one with the smallest debt comes first, so that none starves.
    """

    def __init__(self, clock=time.monotonic):
        self._clock, self._entries, self._complete = clock, {}, True

    def listed(self):
        """The standing queries: a tuple of query.Request, in the order they came."""
        return tuple(entry.request for entry in self._entries.values())

    def watch(self, request):
        """Adds one, or replaces that of the same key. Raises QueryError where there are too many."""
        if request.key not in self._entries and len(self._entries) >= MAX_STANDING:
            raise QueryError(f"{MAX_STANDING} standing queries are asked already; unwatch one before watching another")
        self._entries[request.key] = _Entry(request, watched=True)

    def unwatch(self, key):
        """Ends one. Raises QueryError where nothing of that key was watched by topic."""
        entry = self._entries.get(key)
        if entry is None or not entry.watched:
            names = ", ".join(repr(k) for k, e in self._entries.items() if e.watched) or "none"
            raise QueryError(f"no standing query {key[:80]!r} is watched (watched are {names[:200]}); parameters end by standing_queries")
        del self._entries[key]

    def forget(self):
        """Ends all that came by topic."""
        self._entries = {key: entry for key, entry in self._entries.items() if not entry.watched}

    def set_base(self, requests):
        """Those that the parameters name, from now on. One of the same key by topic goes before it."""
        kept = {key: entry for key, entry in self._entries.items() if entry.watched}
        base = {r.key: self._entries.get(r.key) for r in requests if r.key not in kept}
        room = MAX_STANDING - len(kept)
        for request in [r for r in requests if r.key in base][:room]:
            known = base[request.key]
            kept[request.key] = known if known is not None and known.request == request else _Entry(request, watched=False)
        order = [r.key for r in requests if r.key in kept]
        self._entries = {key: kept[key] for key in (*order, *(k for k in kept if k not in order))}

    def due(self, default_rate_hz=None):
        """The requests that may be asked now. default_rate_hz: of those that name no rate; None: every frame."""
        now = self._clock()
        return [entry.request for entry in self._entries.values() if self._due(entry, now, default_rate_hz)]

    def begin_round(self, default_rate_hz=None):
        """Requests to ask about a new frame, in their order. default_rate_hz: of those that name no rate; None: every frame."""
        if self._complete:
            for entry in self._entries.values():
                entry.debt = 0.0
        elif self._entries:
            least = min(entry.debt for entry in self._entries.values())
            for entry in self._entries.values():
                entry.debt -= least
        now = self._clock()
        due = [entry for entry in self._entries.values() if self._due(entry, now, default_rate_hz)]
        self._complete = not due
        return [entry.request for entry in sorted(due, key=lambda entry: (entry.debt, -entry.request.priority))]

    def asked(self, request):
        """After one of a round was asked."""
        entry = self._entries.get(request.key)
        if entry is not None:
            entry.asked = self._clock()
            entry.debt += 1 / request.priority

    def end_round(self):
        """After all of a round were asked: nobody lost a turn."""
        self._complete = True

    def _due(self, entry, now, default_rate_hz):
        rate = entry.request.max_rate_hz or default_rate_hz
        return rate is None or now - entry.asked >= EARLY / rate


def share(total, request, requests):
    """What one of several requests gets of a total (patches, milliseconds), by priority."""
    return total * request.priority / sum(r.priority for r in requests)
