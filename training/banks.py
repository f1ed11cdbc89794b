"""Banks of cut-outs, one after another: a bank that is kept is learned by heart, so a run takes a new one every so many steps.

Bank 0 is `<cache>/bank`, bank k `<cache>/bank-<k>`, each with a seed of its own, so that a resumed run sees the same ones. The next one is
made in the background while the model works.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from . import distributed
from .errors import TrainingError
from .sentences import Sentences
from .sprites import Bank, is_made, make_bank
from .word_crops import spoken

SEEDS = 1000  # between one bank's seed and the next one's


class Banks:
    """The bank of each step, with its captions' vectors added to `sentences` before it is given.

    each: cut-outs an object. renew: steps that a bank serves; 0: the first serves all. last: the last step's number. more: of make_bank.
    """

    def __init__(self, cache: Path, each: int, seed: int, sentences: Sentences, renew: int = 0, last: int = 0, **more):
        if not isinstance(renew, int) or renew < 0:
            raise TrainingError(f"renew_bank is {renew!r}; give the number of steps that a bank serves, or 0 for one bank")
        self.cache, self.each, self.seed, self.renew = cache, each, seed, renew
        self.sentences, self.more = sentences, more
        self.last = last // renew if renew else 0  # number of the last bank
        self._lock = threading.Lock()
        self._ready: dict[int, Future] = {}

    def at(self, step: int) -> Bank:
        """Of this step; waits where it is not made yet. Older ones are let go, the next one is begun.

        Raises what stopped this one or the next from being made: TrainingError, AssetError.
        """
        number = step // self.renew if self.renew else 0
        with self._lock:
            for one in (number, number + 1):
                if one not in self._ready and (one == number or one <= self.last):
                    self._ready[one] = Future()
                    ahead = one != number
                    threading.Thread(target=self._fill, args=(one, ahead), name=f"bank {one}", daemon=True).start()
            for old in [one for one in self._ready if one < number - 1]:
                del self._ready[old]
            found, following = self._ready[number], self._ready.get(number + 1)
        if following is not None and following.done():
            following.result()  # a next bank that cannot be made stops the run now, not when its first step comes
        return found.result()

    def _fill(self, number: int, ahead: bool) -> None:
        promise = self._ready[number]
        try:
            promise.set_result(self._made(number, ahead))
        except BaseException as error:  # is raised by the step that needs this bank
            promise.set_exception(error)

    def _made(self, number: int, ahead: bool) -> Bank:
        folder = self.cache / (f"bank-{number}" if number else "bank")
        seed = self.seed + SEEDS * number
        while not distributed.is_first() and not is_made(folder):
            time.sleep(distributed.POLL_S)
        if ahead and not is_made(folder):  # in a process that ends with this one, so that a run that is stopped does not wait for it
            maker = multiprocessing.get_context("spawn").Process(
                target=_apart, args=(folder, self.each), kwargs={"seed": seed, "processes": 1, **self.more}, daemon=True
            )
            maker.start()
            maker.join()
            if maker.exitcode:
                raise TrainingError(f"{folder} could not be made: its process ended with {maker.exitcode}, and what it said stands above")
        bank = make_bank(folder, self.each, seed=seed, **self.more)
        self.sentences.add((text for label in bank.labels for text in label["texts"]), quiet=ahead)
        self.sentences.add({*bank.names, *spoken(bank.names)}, quiet=ahead)
        return bank


def _apart(folder: Path, each: int, **more) -> None:
    """make_bank in a process of its own. Ctrl-C reaches every process of a terminal: this one leaves it to the run, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    make_bank(folder, each, **more)
