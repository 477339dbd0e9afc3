"""Training and scoring with Keras."""

from src.fitting.augmentation import augmented as augmented
from src.fitting.devices import precision as precision
from src.fitting.devices import prepare_devices as prepare_devices
from src.fitting.devices import resolved_precision as resolved_precision
from src.fitting.devices import threads as threads
from src.fitting.epochs import Fit as Fit
from src.fitting.memory import advice_when_full as advice_when_full
from src.fitting.optimizers import compile_model as compile_model
from src.fitting.parts import parts_for as parts_for
from src.fitting.training import Scores as Scores
from src.fitting.training import copy_weights as copy_weights
from src.fitting.training import fit as fit
from src.fitting.training import latency as latency
from src.fitting.training import probabilities as probabilities
from src.fitting.training import score as score
from src.fitting.training import seed_everything as seed_everything
from src.fitting.watch import Observer as Observer
from src.fitting.watch import Weights as Weights
