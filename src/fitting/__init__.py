"""Training and scoring with Keras."""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.fitting.augmentation import augmented, has_generators
    from src.fitting.batches import scoring_batch
    from src.fitting.devices import describe_precision, precision, threads, unused_gpus, used_devices
    from src.fitting.epochs import Fit
    from src.fitting.learning_rates import range_test
    from src.fitting.memory import explain_out_of_memory, free_memory
    from src.fitting.metrics import metric_functions, metrics_of
    from src.fitting.optimizers import compile_model
    from src.fitting.parts import describe_device, parts_for
    from src.fitting.replicas import replicas_of, replicating
    from src.fitting.starting import check_devices, start_tensorflow
    from src.fitting.training import Scores, copy_weights, fit, latency, probabilities, score, seed_everything
    from src.fitting.views import averaged_probabilities
    from src.fitting.watch import Observer, Weights
else:
    __getattr__ = lazy_package(__name__)
