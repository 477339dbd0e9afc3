"""Pairs of images that are equal or nearly equal, such as a photograph and its JPEG copy.

Candidates have similar perceptual hashes. Those of simple drawings are often similar: two images of a handwritten 1
with the same slant are alike in the low frequencies, which the hash describes. So candidates are compared pixel by
pixel, and are a pair only if they differ much less than each of them differs from the images next most similar to it.
The numbers were chosen on 2,000 to 20,000 images of MNIST and Fashion-MNIST and on crops of photographs, with planted
copies.
"""

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from src.process.machine import cores

Images = npt.NDArray[np.uint8]
SIDE = 32  # pixels; images are compared at most this large, so that fine details, such as noise, matter little
FREQUENCIES = 8  # in each direction; 64 bits make a hash
MAX_DISTANCE = 14  # bits that differ between the hashes of candidates; 32 differ between unrelated images on average
MAX_CANDIDATES = 12  # of each image, the nearest ones
MAX_DIFFERENCE = 0.08  # of a pair: 1 minus the correlation of their pixels
MAX_SHARE = 0.2  # of the difference that an image has from the images next most similar to it
CERTAIN = 0.005  # a difference that makes a pair, even if many other images are as similar
LOOKALIKES = 5  # the rank, by similarity, of the image whose difference a pair is compared with
MAX_SHADE = 64.0  # gray levels by which the mean of a color may differ: an evening sky is not a copy of a morning sky
MIN_CONTRAST = 3.0  # gray levels, the standard deviation of a color: images of one color look all alike
SHIFTS = [(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)]  # rows, columns
HASHED_SHIFTS = SHIFTS[:5]
BLOCK = 2048  # pairs that are compared at once
CACHED = 2**17  # distances that are computed at once: they fit into the cache of a core


class Pair(NamedTuple):
    """Two images that are equal or nearly equal.

    Attributes:
        first, second: their indices, the smaller one first.
        similarity: the correlation of their pixels, 0-1; 1.0 if all pixels are equal.
        is_equal: True if all pixels are equal.
    """

    first: int
    second: int
    similarity: float
    is_equal: bool


def find_pairs(parts: Sequence[Images]) -> list[Pair]:
    """Return the pairs of images that are equal or nearly equal, the most similar ones first.

    Of several equal images, each is a pair with the first one, and only the first one is compared with other images.

    Args:
        parts: uint8, (n, height, width, channels), 0-255, of the same size; indices count through all parts.
    """
    copies = find_copies(parts)
    small = np.concatenate([reduce(part) for part in parts])
    unique = np.setdiff1d(np.arange(len(small)), np.array([copy for _, copy in copies], np.int64))
    similar = find_similar(small[unique])
    pairs = [Pair(first, second, 1.0, True) for first, second in copies]
    pairs += [Pair(int(unique[one]), int(unique[other]), similarity, False) for one, other, similarity in similar]
    return sorted(pairs, key=lambda pair: (-pair.is_equal, -pair.similarity, pair.first, pair.second))


def find_copies(parts: Iterable[Images]) -> list[tuple[int, int]]:
    """Return the indices of the first image and of the copy for each image that has the pixels of an earlier one."""
    first: dict[bytes, int] = {}
    copies = []
    for index, image in enumerate(image for part in parts for image in part):
        digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        if first.setdefault(digest, index) != index:
            copies.append((first[digest], index))
    return copies


def reduce(images: Images) -> Images:
    """Return the images with at most 32 rows and columns: uint8, (n, rows, columns, channels).

    Larger images become blurred, so that a shift by less than a pixel of the result changes little.
    """
    height, width = images.shape[1:3]
    if max(height, width) <= SIDE:
        return np.asarray(images)
    down, across = _weights(height), _weights(width)
    reduced = [
        np.einsum("yh,nhwc,xw->nyxc", down, images[start : start + BLOCK].astype(np.float32), across, optimize=True)
        for start in range(0, len(images), BLOCK)
    ]
    return np.rint(np.concatenate(reduced)).astype(np.uint8)


def _weights(size: int) -> npt.NDArray[np.float32]:
    """Return the weights, (rows, size), with which rows of pixels are added up to at most 32 rows.

    A row of the result is half the mean of an area, and a quarter of each of those next to it.
    """
    if size <= SIDE:
        return np.eye(size, dtype=np.float32)
    edges = np.linspace(0, size, SIDE + 1)
    starts, ends = edges[:-1, None], edges[1:, None]
    overlap = np.minimum(ends, np.arange(1, size + 1)) - np.maximum(starts, np.arange(size))
    means = np.pad(np.clip(overlap, 0, None) * SIDE / size, ((1, 1), (0, 0)), mode="edge")
    return ((means[:-2] + 2 * means[1:-1] + means[2:]) / 4).astype(np.float32)


def hashes(images: Images) -> npt.NDArray[np.uint64]:
    """Return the perceptual hash (pHash) of each image, (n,): one bit for each of 64 low frequencies of its brightness.

    A bit is 1 if the frequency is stronger than the median of all. So a hash does not depend on brightness or contrast.

    References:
        Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash Functions, section 3.2.1.
    """
    gray = images.mean(axis=3, dtype=np.float32)
    low = fft.dctn(gray, axes=(1, 2), norm="ortho")[:, :FREQUENCIES, :FREQUENCIES].reshape(len(images), -1)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def find_similar(images: Images) -> list[tuple[int, int, float]]:
    """Return both indices and the similarity of each pair of nearly equal images.

    Images with fewer than eight rows or columns are too small to be compared.

    Args:
        images: as `reduce` returns them, of originals of which no two are equal.
    """
    contrast = images.std(axis=(1, 2), dtype=np.float32).max(axis=1)
    structured = np.flatnonzero(contrast >= MIN_CONTRAST)
    if len(structured) < 2 or min(images.shape[1:3]) < FREQUENCIES:
        return []
    candidates = structured[_candidates(images[structured])]
    similarity = compare(images, candidates)
    difference = 1 - similarity
    usual = _lookalikes(candidates, difference, len(images))[candidates].min(axis=1)
    is_pair = (difference <= CERTAIN) | ((difference <= MAX_DIFFERENCE) & (difference <= MAX_SHARE * usual))
    colors = images.mean(axis=(1, 2), dtype=np.float32)[candidates]
    is_pair &= np.abs(colors[:, 0] - colors[:, 1]).max(axis=1) <= MAX_SHADE
    return [
        (int(one), int(other), float(value))
        for (one, other), value in zip(candidates[is_pair], similarity[is_pair], strict=True)
    ]


def compare(images: Images, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the correlation of the pixels of each pair, (n,): the highest one if one image is moved by up to a pixel.

    Args:
        images: as `reduce` returns them.
        pairs: (n, 2), indices.
    """
    with ThreadPoolExecutor(cores()) as threads:
        blocks = [pairs[start : start + BLOCK] for start in range(0, len(pairs), BLOCK)]
        found = list(threads.map(lambda block: _compare(images, block), blocks))
    return np.concatenate([np.empty(0, np.float32), *found])


def _compare(images: Images, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    one, other = (_centered(images[pairs[:, side]]) for side in (0, 1))
    best = np.full(len(pairs), -1, np.float32)
    for down, across in SHIFTS:
        first = one[:, _overlap(down), _overlap(across * images.shape[3])]
        second = other[:, _overlap(-down), _overlap(-across * images.shape[3])]
        norms = np.einsum("nhw,nhw->n", first, first) * np.einsum("nhw,nhw->n", second, second)
        np.maximum(best, np.einsum("nhw,nhw->n", first, second) / np.sqrt(np.maximum(norms, 1)), out=best)
    return np.minimum(best, 1)


def _centered(images: Images) -> npt.NDArray[np.float32]:
    """Return the images around their mean, (n, height, width x channels)."""
    values = images.reshape(*images.shape[:2], -1).astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    return values


def _overlap(shift: int) -> slice:
    """Return the part of a side that an image moved by this many pixels has in common with one that is not moved."""
    return slice(max(shift, 0), min(shift, 0) or None)


def _candidates(images: Images) -> npt.NDArray[np.int64]:
    """Return the pairs of images with similar hashes, (n, 2), each once, the smaller index first."""
    moved = [hashes(_move(images, *shift)) for shift in HASHED_SHIFTS]
    step = max(1, CACHED // len(images))

    def nearest(start: int) -> npt.NDArray[np.int64]:
        block = moved[0][start : start + step, None]
        distances = np.bitwise_count(block ^ moved[0])
        for other in moved[1:]:
            np.minimum(distances, np.bitwise_count(block ^ other), out=distances)
        rows, columns = np.nonzero(distances <= MAX_DISTANCE)
        is_other = columns != rows + start
        rows, columns = rows[is_other], columns[is_other]
        order = np.lexsort((distances[rows, columns], rows))
        rows, columns = rows[order], columns[order]
        is_near = _ranks(rows) < MAX_CANDIDATES
        return np.sort(np.stack([rows[is_near] + start, columns[is_near]], axis=1), axis=1)

    with ThreadPoolExecutor(cores()) as threads:
        found = list(threads.map(nearest, range(0, len(images), step)))
    return np.unique(np.concatenate(found), axis=0)


def _move(images: Images, down: int, across: int) -> Images:
    """Return the images moved by up to a pixel; the edge is repeated."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    height, width = images.shape[1:3]
    return padded[:, 1 - down : 1 - down + height, 1 - across : 1 - across + width]


def _ranks(groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the place of each member in its group, from 0; the groups are sorted."""
    return np.arange(len(groups)) - np.searchsorted(groups, groups)


def _lookalikes(
    pairs: npt.NDArray[np.int64], difference: npt.NDArray[np.float32], count: int
) -> npt.NDArray[np.float32]:
    """Return the difference of each image from its most similar image of rank `LOOKALIKES`, (count,).

    It is infinite for an image with fewer candidates.
    """
    images, differences = pairs.T.reshape(-1), np.tile(difference, 2)
    order = np.lexsort((differences, images))
    images, differences = images[order], differences[order]
    is_place = _ranks(images) == LOOKALIKES - 1
    found = np.full(count, np.inf, np.float32)
    found[images[is_place]] = differences[is_place]
    return found
