"""How a budget of patches is shared over the high-res scales (ps3.md, Budget)."""


def share_budget(max_patches, grids, available, tokens=None):
    """Patches a look takes at each scale: a tuple of ints, one a grid.

    Each scale's share is in proportion to its pixels, rounded down. `tokens` (at most the sum of the shares) makes a smaller look: the
    shares shrink in proportion, rounded down again. available: unselected patches of each scale; what a scale cannot use passes on.
    A budget too small for any share goes to the finest scale, so that a budget above 0 always looks at something.
    """
    pixels = [grid.scale**2 for grid in grids]
    shares = [max_patches * n // sum(pixels) for n in pixels]
    if not any(shares):
        shares[-1] = max_patches
    if tokens is not None and tokens < sum(shares):
        full = sum(shares)
        shares = [share * tokens // full for share in shares]
        if not any(shares):
            shares[-1] = tokens
    taken, passed_on = [], 0
    for share, left in zip(shares, available, strict=True):
        taken.append(min(share + passed_on, left))
        passed_on += share - taken[-1]
    return tuple(taken)
