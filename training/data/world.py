"""A world to render: what is placed in it, which of it can be asked for, and who looks at it in which light."""

from dataclasses import dataclass, field

import numpy as np

from . import choosing, named_models
from .placed import Camera, Light, Placed, placed_at


@dataclass(frozen=True)
class Item:
    """A thing that can be asked for. number: its id in the picture. context: the key of captions.CONTEXT that tells where it is.
    quiet: it is there, but gets no caption.
    """

    obj: object
    colour: str
    number: int
    context: str
    quiet: bool = False


@dataclass
class World:
    """Filled by rooms3d and streets3d. background: uint8 [h, w, 3] RED FIRST, stretched over the picture where nothing is, or None."""

    place: str
    camera: Camera = field(default_factory=Camera)
    light: Light = field(default_factory=Light)
    background: np.ndarray | None = None
    things: list = field(default_factory=list)
    items: list = field(default_factory=list)

    def add(self, model, position, turn=0.0, obj=None, colour="", context=None, shadow=True, scale=1.0, quiet=False):
        """Places a model; with `obj` it can be asked for. position: metres; turn: degrees about the vertical. Returns its number, or 0."""
        number = 0
        if obj is not None:
            number = len(self.items) + 1
            self.items.append(Item(obj, colour, number, context or self.place, quiet))
        self.things.append(Placed(model, placed_at(position, turn, scale), number, shadow=shadow))
        return number


class Picker:
    """Chooses things for one world: seen ones, or for test-new half held-out ones; in some worlds many from one group of look-alikes."""

    def __init__(self, stock, rng, split):
        self.stock, self.rng, self.split = stock, rng, split
        groups = sorted({s.entry.group for s in stock})
        self.liked = groups[rng.integers(len(groups))] if groups and rng.random() < 0.3 else None

    def allowed(self, obj):
        """Whether the split may show it."""
        return self.split == "test-new" or not obj.held_out

    def pick(self, fits):
        """A Stocked for which `fits(entry)` holds, or None: first a group, then a name, then one of its models."""
        pool = [s for s in self.stock if fits(s.entry) and self.allowed(s.obj)]
        if self.split == "test-new" and self.rng.random() < 0.5:
            pool = [s for s in pool if s.obj.held_out] or pool
        elif self.split == "test-new":
            pool = [s for s in pool if not s.obj.held_out] or pool
        if not pool:
            return None
        groups = sorted({s.entry.group for s in pool})
        group = self.liked if self.liked in groups and self.rng.random() < 0.6 else groups[self.rng.integers(len(groups))]
        pool = [s for s in pool if s.entry.group == group]
        names = sorted({s.obj.name for s in pool})
        name = names[self.rng.integers(len(names))]
        pool = [s for s in pool if s.obj.name == name]
        return pool[self.rng.integers(len(pool))]

    def picture(self, objects):
        """An object of the catalogue that has a picture (a sign), by the split; None if there is none."""
        pool = [o for o in objects if self.allowed(o)]
        if self.split == "test-new" and self.rng.random() < 0.5:
            pool = [o for o in pool if o.held_out] or pool
        return choosing.drawn(pool, self.rng) if pool else None

    def look(self, stocked):
        """(Model, colour) as named_models.look."""
        return named_models.look(stocked, self.rng)
