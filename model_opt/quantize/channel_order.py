"""Reorder input channels so that partial sums stay small in fp16.

The fp16 kernels add the products of a sum in the order of the input channels and round after each one to the spacing
of numbers as large as the sum so far. What this costs depends on the way the sum takes: products that cancel each other
should follow one another, and the large ones that the result consists of should come last. Channels may stand in any
order (``channels.py``), so this way is free, and nothing is added to the program.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from model_opt.emulator.winograd import F43, output_matrix_4
from model_opt.program import Model
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import CONVS, TRANSPOSED, Conv, Float64Array, conv_at
from model_opt.quantize.channels import ChannelGroups, Order, channel_groups, with_orders
from model_opt.quantize.patches import Seen


@dataclass(frozen=True, eq=False)
class Way:
    """How the sums of a layer grow: the mean square of what some channels add up to, over all windows and outputs.

    ``products`` (channels, channels): the mean of the product of what two channels add, summed over outputs. ``start``
    (channels): the same for a channel and the number that the sum starts at, whose own mean square is ``base``.
    """

    products: Float64Array
    start: Float64Array
    base: float = 0.0

    def squares(self, order: Order) -> Float64Array:
        """Return the mean square of the sum after each channel (channels)."""
        inner = self.products[np.ix_(order, order)]
        steps = np.tril(inner).sum(axis=1) * 2 - np.diagonal(inner) + 2 * self.start[order]
        squares: Float64Array = self.base + np.cumsum(steps)
        return squares

    def part(self, first: int, count: int) -> Way:
        """Return the way through some channels, those before them being in the sum."""
        place = slice(first, first + count)
        start = self.start[place] + self.products[:first, place].sum(axis=0)
        return Way(self.products[place, place], start, self.base)


def order_channels(
    model: Model,
    seen: Mapping[str, Seen],
    tiles: Mapping[str, Float64Array],
    late: float,
    parts: Mapping[str, int] | None = None,
) -> tuple[Model, dict[str, float]]:
    """Return the model with its channels in the order that keeps sums small, and by how much errors should fall.

    ``seen`` holds what layers see, by the name of their weights, ``tiles`` what Winograd's layers make of it
    (``tile_grams``); ``late`` says how many times smaller an error must become for a bias to be added behind the sum.
    ``parts`` names layers that will be sums of so many, each over as many channels.
    The figure is the root mean square of all partial sums of a layer, before divided by after.
    """
    groups = channel_groups(model)
    ways = _ways(model, seen, tiles, groups, late)
    members: dict[str, list[Way]] = {}
    shares: dict[str, int] = {}
    for name in sorted(ways):
        for group, first, count in groups.source[name]:
            members.setdefault(group, []).append(ways[name].part(first, count))
            shares[group] = max(shares.get(group, 1), (parts or {}).get(name, 1))
    orders = {group: best_order_of_parts(_joined(members[group]), shares[group]) for group in sorted(members)}
    gains = {}
    for name, way in ways.items():
        order = np.arange(len(way.start))
        for group, first, count in groups.source[name]:
            order[first : first + count] = first + orders[group]
        gains[name] = _length(way) / _length(way, order)
    return with_orders(model, groups, orders), gains


def best_order(way: Way) -> Order:
    """Return an order of the channels that keeps sums small: last the channel without which the rest is smallest, and
    so on towards the first. Ties go to the lower number.
    """
    count = len(way.start)
    left, order = np.ones(count, dtype=bool), np.empty(count, dtype=np.intp)
    reach = way.products.sum(axis=1) + way.start
    own = np.diagonal(way.products)
    for place in range(count - 1, -1, -1):
        rest = np.where(left, own - 2 * reach, np.inf)
        taken = int(rest.argmin())
        order[place], left[taken] = taken, False
        reach = reach - way.products[taken]
    return order


def best_order_of_parts(way: Way, parts: int) -> Order:
    """Return an order of the channels for a sum in ``parts`` of equally many, each beginning at zero.

    Either the parts follow one another in the order for one sum, or it is dealt out to them; then each has its own best
    order. The one whose partial sums are smaller stays.
    """
    order = best_order(way)
    if parts < 2 or len(order) % parts:
        return order
    tries = []
    for shares in (np.split(order, parts), [order[part::parts] for part in range(parts)]):
        inner = [Way(way.products[np.ix_(share, share)], np.zeros(len(share))) for share in shares]
        orders = [best_order(one) for one in inner]
        length = sum(_length(one, turn) ** 2 for one, turn in zip(inner, orders, strict=True))
        tries.append((length, np.concatenate([share[turn] for share, turn in zip(shares, orders, strict=True)])))
    best: Order = min(tries, key=lambda one: one[0])[1]
    return best


def _ways(
    model: Model,
    seen: Mapping[str, Seen],
    tiles: Mapping[str, Float64Array],
    groups: ChannelGroups,
    late: float,
) -> dict[str, Way]:
    editor, ways = GraphEditor(model, "order_channels"), dict[str, Way]()
    for op in editor.each(*CONVS, *TRANSPOSED):
        conv = conv_at(editor, op)
        name = op.input("Filter")
        if conv is None or name not in groups.source:
            continue
        if name in tiles:
            ways[name] = winograd_way(conv, tiles[name])
        elif name in seen and seen[name].area > 1:
            early, behind = ways_of(conv, seen[name])
            shorter = _length(early, best_order(early)) > late * _length(behind, best_order(behind))
            ways[name] = behind if shorter and conv.pointwise else early
    return ways


def winograd_way(conv: Conv, tiles: Float64Array) -> Way:
    """Return how the sums of F(4,3) grow: 36 sums a tile and output, each as heavy as what the output makes of it."""
    factors = np.array(F43.weights)
    filters = np.einsum("xk,yj,oijk->xyoi", factors, factors, conv.weight.astype(np.float64))
    weight = (output_matrix_4() ** 2).sum(axis=0)
    products = np.einsum("x,y,xyij,xyoi,xyoj->ij", weight, weight, tiles, filters, filters, optimize=True)
    return Way(products, np.zeros(len(products)))


def ways_of(conv: Conv, seen: Seen) -> tuple[Way, Way]:
    """Return how a convolution's sums grow when they start at the bias, and when they start at zero."""
    weights = conv.weight.astype(np.float64)
    weights = (
        weights.transpose(1, 2, 3, 0).reshape(-1, len(weights))
        if conv.transposed
        else weights.reshape(len(weights), -1)
    )
    bias = np.zeros(len(weights)) if conv.bias is None or conv.transposed else conv.bias.astype(np.float64)
    gram = seen.gram[0]
    channels = conv.weight.shape[0 if conv.transposed else 1]
    products = gram[1:, 1:] * (weights.T @ weights)
    products = products.reshape(channels, -1, channels, products.shape[0] // channels).sum(axis=(1, 3))
    start = (gram[0, 1:] * (bias @ weights)).reshape(channels, -1).sum(axis=1)
    return Way(products, start, float(bias @ bias)), Way(products, np.zeros(channels))


def _length(way: Way, order: Order | None = None) -> float:
    squares = way.squares(np.arange(len(way.start)) if order is None else order)
    return math.sqrt(max(float(squares.sum()), 1e-30))


def _joined(ways: list[Way]) -> Way:
    """Return one way for layers that read the same channels: each counts by how long its own is."""
    shares = [1 / _length(way) ** 2 for way in ways]
    products = sum((share * way.products for share, way in zip(shares, ways, strict=True)), np.zeros(()))
    start = sum((share * way.start for share, way in zip(shares, ways, strict=True)), np.zeros(()))
    return Way(products, start)
