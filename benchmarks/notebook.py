"""The code of a notebook: MNIST as float arrays, `model.fit`, `model.evaluate`; nothing is kept.

python -m benchmarks.notebook --data mnist.npz --model lenot --epochs 10
python -m benchmarks.notebook --data mnist.npz --autolog    the same with mlflow.tensorflow.autolog()
python -m benchmarks.notebook --data mnist.npz --bare       only the compiled train step, on one batch in memory

`mnist.npz` is the file that Keras downloads.

A contestant of `train_speed`. The last line that it prints has its figures as JSON.
"""

import argparse
import json
import time

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

CONVNETS = {"lenot": [(6, 5, True), (16, 5, True)], "cnn_mnist_v2": [(32, 3, True), (64, 3, True), (64, 3, False)]}
DENSE = {"lenot": [120, 84], "cnn_mnist_v2": [64]}
PADDING = {"lenot": 2, "cnn_mnist_v2": 0}
BATCH, VALIDATION = 128, 5_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=CONVNETS, default="lenot")
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--autolog", action="store_true")
    parser.add_argument("--bare", action="store_true")
    options = parser.parse_args()

    if options.autolog:
        import mlflow

        mlflow.set_tracking_uri("sqlite:///mlflow.db")
        mlflow.tensorflow.autolog()
    keras.utils.set_random_seed(options.seed)
    with np.load(options.data) as data:
        images, labels, test_images, test_labels = (data[each] for each in ("x_train", "y_train", "x_test", "y_test"))
    images, test_images = images.astype("float32")[..., None] / 255, test_images.astype("float32")[..., None] / 255
    model = convnet(options.model)
    if options.bare:
        from src.cli.compose import compose_config
        from src.fitting import parts_for

        steps = -(-(len(images) - VALIDATION) // BATCH)
        parts = parts_for(compose_config(["~local", f"model={options.model}"]))
        print(json.dumps({"epoch_seconds": steps * step_seconds(model, images[:BATCH], labels[:BATCH], parts)}))
        return

    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])

    class Clock(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            self.seconds.append(time.perf_counter() - self.began)

    clock = Clock()
    model.fit(
        images[VALIDATION:],
        labels[VALIDATION:],
        batch_size=BATCH,
        epochs=options.epochs,
        validation_data=(images[:VALIDATION], labels[:VALIDATION]),
        callbacks=[clock],
        verbose=2,
    )
    _, accuracy = model.evaluate(test_images, test_labels, verbose=0)
    print(json.dumps({"epochs": clock.seconds, "test_accuracy": accuracy}))


def convnet(name: str) -> keras.Model:
    layers: list[keras.layers.Layer] = []
    if PADDING[name]:
        layers.append(keras.layers.ZeroPadding2D(PADDING[name]))
    for filters, size, is_pooled in CONVNETS[name]:
        layers.append(keras.layers.Conv2D(filters, size, activation="relu"))
        if is_pooled:
            layers.append(keras.layers.MaxPooling2D())
    layers.append(keras.layers.Flatten())
    layers += [keras.layers.Dense(units, activation="relu") for units in DENSE[name]]
    images = features = keras.Input((28, 28, 1))
    for layer in [*layers, keras.layers.Dense(10, activation="softmax")]:
        features = layer(features)
    return keras.Model(images, features)


def step_seconds(
    model: keras.Model, images: npt.NDArray[np.generic], labels: npt.NDArray[np.generic], parts: int, calls: int = 9
) -> float:
    """Return the seconds of a compiled train step without fetching a batch and without callbacks: a lower bound.

    Args:
        model: trained with RMSprop.
        images: one batch, (count, height, width, channels).
        labels: its classes, (count,).
        parts: the number of parts into which the batch is divided.
        calls: the number of timed calls, each of about a second; the median counts.
    """
    from src.fitting.parts import in_parts

    model = in_parts(model, parts)
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    batch, classes = tf.constant(images), tf.constant(labels.astype("int32"))

    def run_steps(count: tf.Tensor) -> None:
        for _ in tf.range(count):
            with tf.GradientTape() as tape:
                loss = model.compute_loss(batch, classes, model(batch, training=True))
            gradients = tape.gradient(loss, model.trainable_weights)
            model.optimizer.apply(gradients, model.trainable_weights)

    model.optimizer.build(model.trainable_weights)
    train = tf.function(run_steps)

    def timed(steps: int) -> float:
        began = time.perf_counter()
        train(tf.constant(steps))
        return (time.perf_counter() - began) / steps

    timed(1)
    steps = max(1, int(1 / timed(2)))
    return float(np.median([timed(steps) for _ in range(calls)]))


if __name__ == "__main__":
    main()
