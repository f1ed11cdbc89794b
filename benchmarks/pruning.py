"""At equal tokens kept: choosing before the encoder (ours) against pruning inside it or after it, on the same backbone, in torch.

`python -m benchmarks.pruning tiny16`. The picture is the 1024 px scale (4,096 patches of 16 px), of which 50%, 25% and 20% are kept.
`visionzip` keeps after the last layer what that layer attends to; `fastv` keeps after the second layer what that layer attends to, and
encodes only that from there on; `tome` merges the most alike pairs in every layer (arXiv 2210.09461). Ours pays for the glance, and then
only for what is kept. Latency alone: with random weights there is nothing to lose in answers.
"""

import argparse
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from tqdm import tqdm

from ps3_ros.exits import exit_code
from ps3_training.model import PS3, PS3Config

from . import models
from .report import machine, print_table, save_plot, write_json

SCALE, KEPT = 1024, (0.5, 0.25, 0.2)
FASTV_LAYER = 2  # layers that see everything


def attended(block, x):
    """How much each token of x [1, N, D] is attended to in a block, the mean over heads and queries: [N]."""
    q, k, _ = block.attn.qkv(block.norm1(x)).chunk(3, dim=-1)
    q, k = (part.unflatten(-1, (block.attn.heads, -1)).transpose(1, 2)[0] for part in (q, k))
    total = torch.zeros(x.shape[1])
    for head_q, head_k in zip(q, k, strict=True):
        total += (head_q @ head_k.T * head_q.shape[-1] ** -0.5).softmax(dim=-1).mean(dim=0)
    return total / len(q)


def keep_most(x, scores, count):
    """The `count` tokens of x [1, N, D] with the largest scores, in their order."""
    return x[:, scores.topk(count).indices.sort().values]


def full(blocks, x, count):
    """Every token through every block; nothing is kept back."""
    for block in blocks:
        x = block(x)[0]
    return x


def visionzip(blocks, x, count):
    for block in blocks[:-1]:
        x = block(x)[0]
    scores = attended(blocks[-1], x)
    return keep_most(blocks[-1](x)[0], scores, count)


def fastv(blocks, x, count):
    for n, block in enumerate(blocks):
        scores = attended(block, x) if n == FASTV_LAYER - 1 else None
        x = block(x)[0]
        if scores is not None:
            x = keep_most(x, scores, count)
    return x


def tome(blocks, x, count):
    """Equal numbers of tokens are merged away in every block, weighted by how many tokens they are already."""
    sizes, start = torch.ones(x.shape[1]), x.shape[1]
    for n, block in enumerate(blocks):
        left = start - (start - count) * (n + 1) // len(blocks)
        q, k, v = (part.unflatten(-1, (block.attn.heads, -1)).transpose(1, 2) for part in block.attn.qkv(block.norm1(x)).chunk(3, dim=-1))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=sizes.log()[None, None, None])  # proportional attention
        x = x + block.attn.proj(out.transpose(1, 2).flatten(2))
        x, sizes = merge(x, sizes, k[0].mean(dim=0), x.shape[1] - left)
        x = x + block.mlp(block.norm2(x))
    return x


def merge(x, sizes, keys, count):
    """Merges `count` tokens of x [1, N, D] into others: every second token may go into the most alike of the rest, by their keys [N, d]."""
    if count == 0:
        return x, sizes
    keys = F.normalize(keys, dim=-1)
    best, target = (keys[::2] @ keys[1::2].T).max(dim=-1)
    going = best.topk(min(count, len(best))).indices
    stays = torch.ones(len(best), dtype=torch.bool)
    stays[going] = False
    sums = x[0] * sizes[:, None]
    into, weight = sums[1::2].clone(), sizes[1::2].clone()
    into.index_add_(0, target[going], sums[::2][going])
    weight.index_add_(0, target[going], sizes[::2][going])
    sums, sizes = torch.cat([sums[::2][stays], into]), torch.cat([sizes[::2][stays], weight])
    return (sums / sizes[:, None])[None], sizes


WAYS = {"full": full, "visionzip": visionzip, "fastv": fastv, "tome": tome}


def ours(vision, glance_pixels, patches, position, table, count):
    """Glance, relevance by the bottom-up prompt, and a look at the most relevant `count` patches: [1, count, D]."""
    glance = vision.glance(glance_pixels)
    relevance = vision.saliency(glance, None)[0, 0]
    side = int(patches.shape[1] ** 0.5)
    cell = torch.arange(side) * relevance.shape[0] // side
    chosen = relevance[cell[:, None], cell].flatten().topk(count).indices.sort().values
    return vision.look(patches[:, chosen], position[:, chosen], glance.kv, table=table)


def contenders(config: str):
    """{name: function of how many tokens are kept -> tokens}, on one random model and picture; and the number of patches."""
    torch.manual_seed(0)
    vision_config = models.config_of(config) | {}
    vision_config["vision_config"] |= {"highres_selection_feature": False}
    vision = PS3(PS3Config.from_dict(vision_config)).eval().vision_model
    scale = SCALE if SCALE in vision.scales else vision.scales[-2]
    s = vision.scales.index(scale) - 1
    side = vision.sides[s]
    patches, pixels = torch.randn(1, side * side, 3 * vision.patch**2), torch.randn(1, 3, vision.scales[0], vision.scales[0])
    with torch.inference_mode():
        table = vision.positions()
        position = (vision.position_offsets[s] + torch.arange(side * side))[None]

        def embedded():
            return vision.trunk.patch_embed.embed(patches) + vision.embed_position(position, table)

    found = {"ours": lambda count: ours(vision, pixels, patches, position, table, count)}
    blocks = vision.trunk.blocks
    return found | {name: lambda count, way=way: way(blocks, embedded(), count) for name, way in WAYS.items()}, side * side


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pruning", description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", choices=tuple(models.VISION), default="tiny16")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a smoke run on a tiny model, once")
    a = parser.parse_args(argv)

    def run():
        torch.set_num_threads(a.threads)
        config, runs = ("smoke", 1) if a.quick else (a.config, a.runs)
        here = machine() | {"threads": a.threads, "runs": runs}
        ways, patches = contenders(config)
        seconds, cpu = ({(name, part): [] for name in ways for part in KEPT} for _ in range(2))
        with torch.inference_mode(), tqdm(total=(runs + 1) * len(seconds), desc="runs", unit="run") as bar:
            for turn in range(runs + 1):
                for name, part in seconds:
                    start, cpu_start = time.perf_counter(), time.process_time()
                    ways[name](int(patches * part))
                    if turn:  # the first round warms up
                        seconds[name, part].append(time.perf_counter() - start)
                        cpu[name, part].append(time.process_time() - cpu_start)
                    bar.update()
        median, cpu = ({key: statistics.median(values) for key, values in times.items()} for times in (seconds, cpu))
        rows = [[name, *(times[name, part] * 1e3 for times in (median, cpu) for part in KEPT)] for name in ways]
        head = [f"{part:.0%} kept{unit}" for unit in ("", ", CPU ms") for part in KEPT]
        print_table([f"{config}, {patches} patches, ms", *head], rows)
        entries = [{"way": n, "kept": p, "seconds": median[n, p], "cpu_seconds": cpu[n, p], "all": seconds[n, p]} for n, p in seconds]

        def draw(axes):
            for name in ways:
                axes.plot(KEPT, [median[name, part] for part in KEPT], marker="o", label=name)
            axes.set_xlabel("part of the patches that is kept")
            axes.set_ylabel("seconds of the encoder")
            axes.legend()

        print(write_json(f"pruning-{config}", {"machine": here, "patches": patches, "ways": entries}))
        print(save_plot(f"pruning-{config}", draw) or "no plot: matplotlib is not installed")

    return exit_code("pruning", run)


if __name__ == "__main__":
    sys.exit(main())
