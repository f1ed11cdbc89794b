"""What the robot answers, under conditions: how many looks, which scales, which map chooses the patches, with or without the glance's
keys and values. The stages are the robot's own (ps3_ros); looks follow each other, so one look and eight share the first.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ps3_ros.answer import Region
from ps3_ros.ask import look_budgets
from ps3_ros.close_up import Closer, split_budget
from ps3_ros.encoder import Encoder, Glance, merge_looks
from ps3_ros.errors import BackendError
from ps3_ros.frame import FramePlan
from ps3_ros.regions import find_regions
from ps3_ros.selection import Selection, fine_relevance, normalised, relevance_map, select
from ps3_ros.text import TextVectors
from ps3_ros.wording import words_asked

MAPS = ("top-down", "bottom-up", "random", "no-aux")


@dataclass(frozen=True)
class Condition:
    """How a question is answered. name: for tables; looks, tokens: as Asker.ask takes them; map: one of MAPS;
    scales: indices into the high-res scales, None = all; cache: whether the look sees the glance's keys and values."""

    name: str
    looks: int = 1
    tokens: int | None = None
    map: str = "top-down"
    scales: tuple | None = None
    cache: bool = True
    relevance_threshold: float | None = None  # in place of the settings'

    @property
    def group(self) -> tuple:
        """Conditions of one group differ in looks and relevance_threshold only: they share their looks."""
        return self.tokens, self.map, self.scales, self.cache


@dataclass(frozen=True, eq=False)
class Reply:
    """regions: best first; by_label: float64 [C]; patches: how many were looked at; text: float32 [C, E], of length 1;
    pooled: float32 [E], the mean embedding, each of length 1, of all that was pooled to find the regions."""

    regions: list[Region]
    by_label: np.ndarray
    patches: int
    text: np.ndarray
    pooled: np.ndarray


def variants(encoder: Encoder) -> dict[str, dict]:
    """What can be left out of a model: {name: the fields of its Condition}. See docs/evaluation.md."""
    finest = len(encoder.settings.high_scales) - 1
    found = {
        "base": {},
        "no-lowres-cache": {"cache": False},
        "one-scale": {"scales": (finest,)},
        "random-selection": {"map": "random"},
        "bottom-up-selection": {"map": "bottom-up"},
        "no-aux": {"map": "no-aux"},
    }
    if not encoder.settings.aux_size:
        del found["no-aux"]
    if not hasattr(encoder.backend, "model"):  # a graph's kv has a fixed length: only torch can leave it out
        del found["no-lowres-cache"]
    return found


def restrict(plan: FramePlan, scales: tuple | None) -> FramePlan:
    """The plan with some of its high-res scales only; the budget is shared over those."""
    if scales is None:
        return plan
    return dataclasses.replace(plan, grids=tuple(plan.grids[s] for s in scales), taps=tuple(plan.taps[s] for s in scales))


def under(glance: Glance, condition: Condition) -> Glance:
    """The glance as a condition leaves it."""
    kv = glance.kv
    if not condition.cache:
        if not hasattr(kv, "ndim") or isinstance(kv, np.ndarray):
            raise BackendError("the low-res cache cannot be left out of exported graphs; evaluate the checkpoint instead of the bundle")
        kv = kv[..., :0, :]
    return dataclasses.replace(glance, kv=kv, plan=restrict(glance.plan, condition.scales))


def choose_maps(encoder: Encoder, glance: Glance, vectors: TextVectors, how: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(map that chooses cells, float32 [g, g]; map of each label for the regions' scores, [C, g, g]), by one of MAPS.

    seed: of the random one. Maps that no query made say nothing for the scores: those are 0.5 everywhere.
    """
    g, count = encoder.settings.grid, len(vectors.text)
    if how == "bottom-up":
        return encoder.saliency(glance), np.full((count, g, g), 0.5, np.float32)
    if how == "random":
        return np.random.default_rng(seed).random((g, g), np.float32), np.full((count, g, g), 0.5, np.float32)
    if how == "no-aux":
        maps = np.stack([relevance_map(glance.select_features, None, prompt, None) for prompt in vectors.prompt])
    else:
        maps = np.stack([encoder.relevance(glance, vectors, n) for n in range(count)])
    return maps.max(axis=0), maps


def wanted_map(encoder: Encoder, glance: Glance, vectors: TextVectors) -> np.ndarray:
    """What the robot's selection goes by for a question: float32 [g, g], or finer where the settings say fine_selection."""
    if encoder.settings.fine_selection:
        return fine_relevance(glance, vectors)
    return np.maximum.reduce([encoder.relevance(glance, vectors, n) for n in range(len(vectors.text))])


def replies(encoder: Encoder, glance: Glance, labels: list[str], conditions: list[Condition], seed: int = 0) -> list[Reply]:
    """One reply a condition, all of one group. labels: the question's words, or the choices it offers."""
    first = conditions[0]
    if any(condition.group != first.group for condition in conditions):
        raise ValueError(f"conditions {[c.name for c in conditions]} differ in more than looks and threshold; ask for each group by itself")
    glance, vectors = under(glance, first), encoder.text(labels)
    relevance, maps = choose_maps(encoder, glance, vectors, first.map, seed)
    fine = first.map == "top-down" and encoder.settings.fine_selection
    wanted = fine_relevance(glance, vectors) if fine else relevance
    plan, full = glance.plan, encoder.settings.max_patches
    counts = {c.name: len(look_budgets(c.looks, c.tokens, full)) for c in conditions}
    budgets = look_budgets(max(c.looks for c in conditions), first.tokens, full)
    taken, looks, found = Selection.none(plan), [], {}
    words = words_asked(labels, encoder.settings)

    def step(tokens: int | None) -> tuple[Selection, list]:
        chosen = select(wanted, plan, full, taken, tokens)
        return taken.union(chosen), looks + ([encoder.look(glance, chosen)] if chosen.count else [])

    for number, budget in enumerate(budgets, start=1):
        due = [c for c in conditions if counts[c.name] == number]
        # The last look of an answer leaves patches for close-ups; one that others follow does not, so it may be taken in both ways.
        left, close_ups = split_budget(full if budget is None else budget, encoder.settings, words)
        after = step(left) if due else None
        if due:
            look = merge_looks(after[1])
            embeddings = encoder.embed_tokens(look)
        for condition in due:
            threshold = condition.relevance_threshold
            mine = plan if threshold is None else _with_threshold(plan, threshold)
            pooled = []

            def embed(mask: np.ndarray) -> np.ndarray:
                pooled.append(encoder.embed(look, mask))  # noqa: B023
                return pooled[-1]  # noqa: B023

            closer = Closer(encoder, glance, vectors.text, close_ups, words=words)
            regions, by_label = find_regions(look, mine, relevance, vectors.text, labels, embeddings, embed, maps, closer)
            level = normalised(np.concatenate(pooled)).mean(axis=0)
            found[condition.name] = Reply(regions, by_label, look.selection.count + closer.patches, normalised(vectors.text), level)
        if number < len(budgets):
            taken, looks = after if due and not close_ups else step(budget)
    return [found[condition.name] for condition in conditions]


def _with_threshold(plan: FramePlan, threshold: float) -> FramePlan:
    return dataclasses.replace(plan, settings=dataclasses.replace(plan.settings, relevance_threshold=threshold))
