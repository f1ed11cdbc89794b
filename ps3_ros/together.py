"""One look that several questions share: what part of it each has, what each chooses with it, and how many close-ups are its own."""

from dataclasses import dataclass

import numpy as np

from .close_up import SIDE, split_budget
from .selection import Selection


@dataclass(frozen=True, eq=False)
class SharedLook:
    """selection: the patches of all questions; close_ups: how many each may have beside them, in their order."""

    selection: Selection
    close_ups: tuple  # of int


def choose_together(choosers, plan, tokens, weights=None):
    """SharedLook of several questions: each in turn takes its part of what is left, beside those before it.

    choosers: a question's choice each, function of (taken Selection, tokens) -> Selection of at most so many other patches; tokens: patches
    in all, close-ups included, at most a full look's; weights: [Q] numbers above 0, a question's part of the look (None = equal). What two
    questions want is taken once, and the later one's part goes further. A part has close-ups as a look of its size has (close_up.py).
    """
    chosen, close_ups, left = Selection.none(plan), [], tokens
    weights = np.ones(len(choosers)) if weights is None else np.asarray(weights, np.float64)
    for n, choose in enumerate(choosers):
        part = int(left * weights[n] / weights[n:].sum())
        patches, count = split_budget(part, plan.settings)
        if patches:
            chosen = chosen.union(choose(chosen, patches))
        close_ups.append(count)
        left = tokens - chosen.count - sum(close_ups) * SIDE * SIDE
    return SharedLook(chosen, tuple(close_ups))
