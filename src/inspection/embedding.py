"""A map of images on which those that a network finds similar are close to each other."""

import keras
import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from src.inspection.calls import LayerCall, observed_calls
from src.inspection.scores import batches

MIN_IMAGES = 5  # fewer are not a map
PERPLEXITY = 30  # about the number of neighbors that an image should have
STEPS = 500  # of t-SNE; with the default of 1,000 it takes twice as long, and the map hardly differs
COMPONENTS = 50  # that are left of many features; t-SNE compares every pair of images in all of them


def last_features(model: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the input of the classifier, which is the last layer with weights.

    Args:
        model: any network.
        images: uint8, (n, height, width, channels), 0-255.

    Returns:
        float32, (n, features).
    """
    found: list[npt.NDArray[np.float32]] = []
    features = None

    def keep(call: LayerCall) -> None:
        nonlocal features
        if call.layer.weights:
            features = call.inputs

    parts = batches(model, len(images))  # before `observed_calls`, because `batches` observes calls too
    with observed_calls(model, keep):
        for part in parts:
            batch = images[part]
            model(batch, training=False)
            found.append(keras.ops.convert_to_numpy(features).astype(np.float32).reshape(len(batch), -1))
    return np.concatenate(found)


def embed(features: npt.NDArray[np.float32], seed: int) -> npt.NDArray[np.float32] | None:
    """Return a place on the map for each image: float32, (n, 2); None for fewer than five images.

    Args:
        features: float32, (n, features).
        seed: of the random numbers.

    Reference:
        van der Maaten and Hinton 2008, "Visualizing Data using t-SNE"; up to 50 principal components are compared.
    """
    count, width = features.shape
    if count < MIN_IMAGES:
        return None
    if width > COMPONENTS and count > COMPONENTS:
        features = PCA(COMPONENTS, random_state=seed).fit_transform(features)
    has_plane = np.linalg.matrix_rank(features - features.mean(axis=0)) >= 2
    perplexity = min(PERPLEXITY, (count - 1) / 3)
    init = "pca" if has_plane else "random"
    tsne = TSNE(perplexity=perplexity, init=init, max_iter=STEPS, random_state=seed)
    with threadpool_limits(1):  # threads that wait for each other a thousand times take minutes on a busy machine
        return np.asarray(tsne.fit_transform(features), np.float32)
