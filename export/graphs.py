"""The five graphs of a bundle as torch modules: arguments, results and their order are `ps3_ros.bundle.contract`'s.

Batch is 1 everywhere (one frame); what may vary is named in the contract: Q queries of T tokens, N patches, R regions.
"""

import torch
from torch import Tensor, nn

from ps3_training.model import PS3


class Text(nn.Module):
    """ids [Q, T] -> text [Q, E], prompt [Q, D] and, with an auxiliary branch, prompt_aux [Q, d]."""

    def __init__(self, model: PS3):
        super().__init__()
        self.model = model
        self.aux = model.config.vision.highres_selection_feature

    def forward(self, ids: Tensor):
        out = self.model.text_model(ids)
        return (out.text, out.prompt, self.model.prompt_aux(out.prompt)) if self.aux else (out.text, out.prompt)


class Glance(nn.Module):
    """pixels [1, 3, S, S] -> tokens [1, n0, D], select_features [1, g*g, D], kv [L, 2, 1, h, n0, D/h].

    All scales use the first high-res scale's map (ps3.md, Stage 2), so only its features leave the graph.
    """

    def __init__(self, model: PS3):
        super().__init__()
        self.vision = model.vision_model

    def forward(self, pixels: Tensor):
        out = self.vision.glance(pixels)
        return out.tokens, out.select_features[:, 0], out.kv


class Select(nn.Module):
    """pixels [1, 3, A, A] -> aux_features [1, d, a, a]; one map serves all high-res scales."""

    def __init__(self, model: PS3):
        super().__init__()
        self.vision = model.vision_model

    def forward(self, pixels: Tensor):
        return self.vision.aux_features(pixels)


class Look(nn.Module):
    """patches [1, N, 3*p*p], position int64 [N], kv -> tokens [1, N, D].

    The positional tables of all high-res scales are made here, once, and are constants of the graph: one dense table [sum G_s^2, D],
    or the row and the column table [sum G_s, D] of a "factored" model.
    """

    def __init__(self, model: PS3):
        super().__init__()
        self.vision = model.vision_model
        with torch.no_grad():
            tables = self.vision.positions()
        self.factored = isinstance(tables, tuple)
        self.tables = nn.ParameterList(nn.Parameter(table, requires_grad=False) for table in (tables if self.factored else (tables,)))

    def forward(self, patches: Tensor, position: Tensor, kv: Tensor):
        table = tuple(self.tables) if self.factored else self.tables[0]
        return self.vision.look(patches, position[None], kv, table=table)


class Region(nn.Module):
    """tokens [1, N, D], mask bool [R, N] -> embedding [R, E]."""

    def __init__(self, model: PS3):
        super().__init__()
        self.vision = model.vision_model

    def forward(self, tokens: Tensor, mask: Tensor):
        return self.vision.pool(tokens, mask[None])[0]


MODULES = {"text": Text, "glance": Glance, "select": Select, "look": Look, "region": Region}
