"""DeepDream: a picture is changed until the layers of a network are strongly active."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from src.art import pictures
from src.art.features import Extractor, chosen_weights, convolutions, spread
from src.art.work import Work
from src.errors import TrainingDiverged
from src.schema import DreamConfig

SMALLEST = 1e-8  # added to the deviation of a gradient, which may be 0
MAX_LAYERS = 4  # that are chosen by default


class Dream(Work):
    """Gradient ascent on the mean square of the maps of some layers, in several sizes of the picture.

    Each octave begins with the picture of the one before, enlarged, plus the details of the original that the smaller
    size had lost. A step shifts the picture at random, adds the gradient divided by its standard deviation and times
    `step_size`, and shifts it back. The shift depends on the seed and the number of the step only.

    Args:
        model: a network with convolutions.
        config: of the dream.

    Raises:
        UserError: no convolutions, a layer that does not exist, a picture that cannot be read, is too small, or needs
            more memory than there is.

    References:
        Mordvintsev, Olah and Tyka 2015, "Inceptionism: Going Deeper into Neural Networks", and its notebook.
        Chollet 2021, Deep Learning with Python, second edition, section 12.2.

    Departures:
        Chollet adds the lost details after the steps of an octave, this adds them before. So the network sees them, and
        the last step yields the picture.
    """

    def __init__(self, model: keras.Model, config: DreamConfig) -> None:
        found = convolutions(model)
        default = spread(found[-max(1, len(found) // 3) :], MAX_LAYERS)
        self.weights = chosen_weights(config.layers, default)
        self.config = config
        self.extractor = Extractor(model, list(self.weights))
        channels, size, image = self.extractor.channels, config.size, config.image
        height, width = (size, size) if image is None else pictures.picture_size(image, size)
        self.shapes = self._sizes(height, width)
        remedy = "use a smaller size=, or smaller tiles such as tile=128"
        self.extractor.check_memory(height, width, remedy, config.tile)
        if image is None:
            self.original = pictures.noise(height, width, channels, config.seed)
        else:
            self.original = pictures.read_picture(image, size, channels)
        self.inputs = {} if image is None else {"image": pictures.digest(self.original)}
        self.total = config.steps * len(self.shapes)
        if skipped := config.octaves - len(self.shapes):
            self.notes = [f"octaves={config.octaves}: the smallest {skipped} would be too small for {model.name}"]
        self.picture = resize(self.original, *self.shapes[0])
        spec = tf.TensorSpec((None, None, channels), tf.float32)
        self._gradient = tf.function(self._compute_gradient, input_signature=[spec], jit_compile=False)

    def _sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Return the size of each octave, the smallest first, without those that are too small for the network."""
        self.extractor.check_size(*(smallest_tile(side, self.config.tile) for side in (height, width)))
        sizes: list[tuple[int, int]] = []
        for octave in range(self.config.octaves):
            scale = self.config.octave_scale**octave
            size = round(height / scale), round(width / scale)
            if not self.extractor.fits(*(smallest_tile(side, self.config.tile) for side in size)):
                break
            sizes.insert(0, size)
        return sizes

    def step(self) -> dict[str, float]:
        """Make the next step, and return its metrics."""
        octave, index = divmod(self.done, self.config.steps)
        if octave and not index:
            before, size = self.shapes[octave - 1], self.shapes[octave]
            lost = resize(self.original, *size)
            lost -= resize(resize(self.original, *before), *size)
            self.picture = np.clip(resize(self.picture, *size) + lost, 0, 1)
        random = np.random.default_rng((self.config.seed, self.done))
        shift = tuple(int(pixels) for pixels in random.integers(-self.config.jitter, self.config.jitter + 1, 2))
        shifted = np.roll(self.picture, shift, axis=(0, 1))
        loss, gradient = self._tiled_gradient(shifted)
        if not np.isfinite(loss):
            raise TrainingDiverged(f"the loss of step {self.done + 1} is {loss}; use a smaller step_size")
        shifted += self.config.step_size * gradient / (gradient.std() + SMALLEST)
        self.picture = np.roll(np.clip(shifted, 0, 1), (-shift[0], -shift[1]), axis=(0, 1))
        self.done += 1
        return {"loss": loss}

    def _tiled_gradient(self, picture: pictures.Floats) -> tuple[float, pictures.Floats]:
        """Return the mean loss of the tiles, and its gradient, (height, width, channels)."""
        total, gradient = 0.0, np.empty_like(picture)
        for rows in tiles(picture.shape[0], self.config.tile):
            for columns in tiles(picture.shape[1], self.config.tile):
                tile = picture[rows, columns]
                loss, part = self._gradient(tile)
                share = tile.size / picture.size
                total += share * float(loss)
                gradient[rows, columns] = share * part.numpy()
        return total, gradient

    def _compute_gradient(self, picture: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(picture)
            maps = self.extractor(picture[None])
            weighted = zip(self.weights.values(), maps, strict=True)
            loss = tf.add_n([weight * tf.reduce_mean(tf.square(one)) for weight, one in weighted])
        return loss, tape.gradient(loss, picture)

    def settings(self) -> dict[str, Any]:
        """Return what was chosen for this network and this picture."""
        return {"layers": self.weights, "octaves": [list(size) for size in self.shapes]}

    @property
    def is_shown(self) -> bool:
        """True at the end of an octave."""
        return self.done % self.config.steps == 0


def resize(picture: pictures.Floats, height: int, width: int) -> pictures.Floats:
    """Return the picture in this size; a smaller one uses every pixel."""
    if picture.shape[:2] == (height, width):
        return picture.copy()
    return np.array(tf.image.resize(picture, (height, width), antialias=True))


def tiles(side: int, tile: int | None) -> Iterator[slice]:
    """Yield the parts of a side, all of nearly the same length and none longer than a tile."""
    count = -(-side // tile) if tile else 1
    for index in range(count):
        yield slice(index * side // count, (index + 1) * side // count)


def smallest_tile(side: int, tile: int | None) -> int:
    """Return the length of the shortest part of a side."""
    return min(part.stop - part.start for part in tiles(side, tile))
