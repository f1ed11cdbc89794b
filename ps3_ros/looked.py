"""Which patches were looked at, as one small mask over the finest grid, and back: what `~/looked` carries and what viewers draw."""

import numpy as np


def looked_mask(plan, selection):
    """uint8 [rows, cols] of the finest grid. Each coarser patch covers the centre of at least one finest patch, so that nothing is lost."""
    finest = plan.grids[-1]
    mask = np.zeros((finest.rows, finest.cols), np.uint8)
    for s, (grid, patches) in enumerate(zip(plan.grids, selection.patches, strict=True)):
        looked = np.zeros((grid.rows, grid.cols), np.uint8)
        looked.ravel()[patches] = _bit(s)
        mask |= looked[np.ix_(_owners(finest.rows, grid.rows), _owners(finest.cols, grid.cols))]
    return mask


def patches_of(mask, plan):
    """The inverse of looked_mask: a sorted int64 array a scale."""
    finest, patches = plan.grids[-1], []
    for s, grid in enumerate(plan.grids):
        row, col = np.nonzero(mask & _bit(s))
        patches.append(np.unique(_owners(finest.rows, grid.rows)[row] * grid.cols + _owners(finest.cols, grid.cols)[col]))
    return tuple(patches)


def _bit(scale):
    return 1 << min(scale, 7)  # a pixel has eight; no bundle we know has more high-res scales


def _owners(fine, coarse):
    """Which of `coarse` equal parts of a side holds the centre of each of `fine` parts: int64 [fine]."""
    return (2 * np.arange(fine) + 1) * coarse // (2 * fine)
