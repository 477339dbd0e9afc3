"""Neural style transfer: a picture with the content of one picture and the style of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy import optimize

from src.art import pictures
from src.art.features import COPIES, Extractor, chosen_weights, convolutions, spread
from src.art.work import Array, Work
from src.errors import TrainingDiverged
from src.process.interrupt import release
from src.schema import StyleConfig

STYLE_LAYERS = 5  # that are chosen by default
CONTENT_DEPTH = 2 / 3  # of the convolution that is chosen by default; conv4_2 of VGG-19 is its tenth of 16
EVALUATIONS = 20  # of a step of L-BFGS
CORRECTIONS = 10  # pairs of vectors that SciPy's L-BFGS keeps
# Copies of the picture that SciPy's L-BFGS keeps: two for each correction and five more, of 64 bits instead of 32.
LBFGS_COPIES = 2 * (2 * CORRECTIONS + 5)
SMALLEST = 1e-12  # added to sums of squares, which may be 0
TERMS = ("loss", "content_loss", "style_loss", "total_variation")


class StyleTransfer(Work):
    """Gradient descent of a picture on a loss of three parts.

    - content: the squares of the differences from the maps of the content picture in one layer, summed up, as a share
      of the squares of those maps;
    - style: for each style layer the same of its Gram matrix, which has the mean product of each pair of maps, and the
      weighted mean of the layers;
    - total variation: the mean square of the differences between neighboring pixels, 0-1.

    A step of L-BFGS computes up to 20 gradients, and begins without those of the step before. So the picture is all
    that the next step needs.

    Args:
        model: a network with convolutions.
        config: of the style transfer.

    Raises:
        UserError: no convolutions, a layer that does not exist, a picture that cannot be read, is too small, or needs
            more memory than there is.

    Reference:
        Gatys, Ecker and Bethge 2016, "Image Style Transfer Using Convolutional Neural Networks", equations 1 to 7.

    Departures:
        The losses are shares, where Gatys et al. divide by numbers of maps and positions. So the same weights suit
        networks with activations of different scales, and pictures of different sizes. The total variation was added by
        later implementations.
    """

    def __init__(self, model: keras.Model, config: StyleConfig) -> None:
        found = convolutions(model)
        content_layer = config.content_layer or found[min(len(found) - 1, int(CONTENT_DEPTH * len(found)))]
        self.content_layer = content_layer
        self.weights = chosen_weights(config.style_layers, spread(found, STYLE_LAYERS))
        self.config, self.total = config, config.num_steps
        self.extractor = Extractor(model, [content_layer, *self.weights])
        more = LBFGS_COPIES if config.method == "lbfgs" else 0
        for name, copies in ((str(config.content), COPIES + more), (str(config.style), COPIES)):
            height, width = pictures.picture_size(name, config.size)
            self.extractor.check_size(height, width)
            self.extractor.check_memory(height, width, "use a smaller size=", copies=copies)
        channels = self.extractor.channels
        content = pictures.read_picture(str(config.content), config.size, channels)
        style = pictures.read_picture(str(config.style), config.size, channels)
        self.inputs = {"content": pictures.digest(content), "style": pictures.digest(style)}
        self._targets(content, style)
        height, width = content.shape[:2]
        is_noise = config.init == "noise"
        self.picture = pictures.noise(height, width, channels, config.seed) if is_noise else content.copy()
        self._variable = keras.Variable(self.picture)
        self._adam: keras.optimizers.Optimizer | None = None
        if config.method == "adam":
            self._adam = keras.optimizers.Adam(config.learning_rate)
            self._adam.build([self._variable])
        self._gradient = tf.function(self._compute_gradient, jit_compile=False)

    def _targets(self, content: pictures.Floats, style: pictures.Floats) -> None:
        self._content = self.extractor(tf.constant(content[None]))[0]
        self._grams = [gram(maps) for maps in self.extractor(tf.constant(style[None]))[1:]]

    def step(self) -> dict[str, float]:
        """Make the next step, and return its metrics."""
        losses = self._descend_lbfgs() if self._adam is None else self._descend_adam()
        if not np.isfinite(losses["loss"]):
            remedy = (
                "a smaller content_weight and style_weight, or method=adam"
                if self._adam is None
                else "a smaller learning_rate"
            )
            raise TrainingDiverged(f"the loss of step {self.done + 1} is {losses['loss']}; use {remedy}")
        self.done += 1
        return losses

    def _descend_adam(self) -> dict[str, float]:
        assert self._adam is not None
        losses, gradient = self._gradient(tf.constant(self.picture))
        self._variable.assign(self.picture)
        self._adam.apply([gradient], [self._variable])
        self.picture = np.clip(np.asarray(self._variable.value), 0, 1)
        return named(losses)

    def _descend_lbfgs(self) -> dict[str, float]:
        evaluated: dict[float, dict[str, float]] = {}  # by their loss: the last one need not be the best

        def loss_and_gradient(values: Array) -> tuple[float, Array]:
            release()  # a signal need not wait for the other gradients of the step
            picture = tf.constant(values.reshape(self.picture.shape), tf.float32)
            losses, gradient = self._gradient(picture)
            terms = named(losses)
            evaluated[terms["loss"]] = terms
            return terms["loss"], gradient.numpy().astype(np.float64).ravel()

        found = optimize.minimize(
            loss_and_gradient,
            self.picture.astype(np.float64).ravel(),
            jac=True,
            method="L-BFGS-B",
            bounds=optimize.Bounds(0, 1),
            options={"maxfun": EVALUATIONS, "maxiter": EVALUATIONS, "maxcor": CORRECTIONS, "ftol": 0, "gtol": 0},
        )
        self.picture = found.x.reshape(self.picture.shape).astype(np.float32)
        return evaluated.get(found.fun, {"loss": float(found.fun)})  # nothing is equal to NaN

    def _compute_gradient(self, picture: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
        config = self.config
        with tf.GradientTape() as tape:
            tape.watch(picture)
            content, *styles = self.extractor(picture[None])
            content_loss = share(content, self._content)
            total_weight = sum(self.weights.values())
            layers = zip(self.weights.values(), styles, self._grams, strict=True)
            style_loss = tf.add_n([weight / total_weight * share(gram(maps), goal) for weight, maps, goal in layers])
            variation = total_variation(picture)
            terms = (
                (content_loss, config.content_weight),
                (style_loss, config.style_weight),
                (variation, config.tv_weight),
            )
            loss = tf.add_n([weight * term for term, weight in terms])
        return [loss, content_loss, style_loss, variation], tape.gradient(loss, picture)

    def arrays(self) -> list[Array]:
        """Return copies of the picture and of Adam's variables."""
        variables = [] if self._adam is None else [np.array(variable) for variable in self._adam.variables]
        return [self.picture.copy(), *variables]

    def restore(self, done: int, arrays: Sequence[Array]) -> None:
        """Continue from the arrays after `done` steps."""
        super().restore(done, arrays)
        if self._adam is not None:
            for variable, value in zip(self._adam.variables, arrays[1:], strict=True):
                variable.assign(value)

    def settings(self) -> dict[str, Any]:
        """Return what was chosen for this network and these pictures."""
        return {"content_layer": self.content_layer, "style_layers": self.weights, "steps": self.total}

    @property
    def is_shown(self) -> bool:
        """True after every `picture_steps` steps, and after the last one."""
        return self.done % self.config.picture_steps == 0 or self.done == self.total


def gram(maps: tf.Tensor) -> tf.Tensor:
    """Return the mean product of each pair of maps over all positions, (maps, maps).

    Args:
        maps: float32, (1, rows, columns, maps).
    """
    flat = tf.reshape(maps, (-1, maps.shape[-1]))
    return tf.matmul(flat, flat, transpose_a=True) / tf.cast(tf.shape(flat)[0], tf.float32)


def share(values: tf.Tensor, goal: tf.Tensor) -> tf.Tensor:
    """Return the sum of the squared differences from the goal, as a share of the sum of its squares."""
    return tf.reduce_sum(tf.square(values - goal)) / (tf.reduce_sum(tf.square(goal)) + SMALLEST)


def total_variation(picture: tf.Tensor) -> tf.Tensor:
    """Return the mean square of the differences between neighboring pixels of a picture, (height, width, channels)."""
    down, across = picture[1:] - picture[:-1], picture[:, 1:] - picture[:, :-1]
    return tf.reduce_mean(tf.square(down)) + tf.reduce_mean(tf.square(across))


def named(losses: Sequence[tf.Tensor]) -> dict[str, float]:
    """Return the losses by their names."""
    return {name: float(loss) for name, loss in zip(TERMS, losses, strict=True)}
