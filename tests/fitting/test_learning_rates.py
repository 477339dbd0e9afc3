"""The range test: the rate and the loss of each batch, and where it ends."""

import numpy as np
import pytest

from src.errors import TrainingDiverged
from src.fitting import range_test
from tests.support.training import BATCHES, ready

RATES = [10 ** (step / 10 - 4) for step in range(60)]  # from 1e-4 to almost 100
SGD = ("optimizer=sgd", "optimizer.momentum=0", "optimizer.nesterov=false")


def advance(count: int) -> None:
    assert count == 1


def test_each_batch_has_a_loss_of_its_own() -> None:
    model, dataset, config = ready(*SGD)
    found = range_test(model, dataset, config, [1e-20] * (BATCHES + 2), advance)
    expected = model.evaluate(dataset.train.images, dataset.train.labels, verbose=0, return_dict=True)["loss"]
    assert np.mean(found.losses[:BATCHES]) == pytest.approx(expected, rel=1e-5)
    assert len(found.losses) == BATCHES + 2


def test_a_batch_is_trained_with_its_rate() -> None:
    model, dataset, config = ready(*SGD)
    before = model.get_weights()
    range_test(model, dataset, config, [1e-20, 1e-20, 0.5], advance)
    small, _, _ = ready(*SGD)
    range_test(small, dataset, config, [1e-20, 1e-20, 0.25], advance)
    whole, half = (after.get_weights()[0] - before[0] for after in (model, small))
    np.testing.assert_allclose(whole, 2 * half, atol=1e-6)
    assert np.abs(whole).max() > 1e-3


def test_the_test_ends_when_the_loss_diverges() -> None:
    rates = [10.0**power for power in range(-3, 30)]
    found = range_test(*ready(*SGD), rates, advance)
    assert 3 < len(found.rates) < len(rates)
    assert np.isfinite(found.losses).all()


def test_a_loss_that_is_not_finite_from_the_start_is_an_error() -> None:
    model, dataset, config = ready()
    model.set_weights([weight * np.nan for weight in model.get_weights()])
    with pytest.raises(TrainingDiverged, match=r"first batch is not a finite number with a learning rate of 0\.0001"):
        range_test(model, dataset, config, RATES, advance)
