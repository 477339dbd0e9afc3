"""Extensions for the tests: the example of the documents, and small ones."""

import contextlib
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from src import extensions
from src.cli.reusing import forget_configs
from src.cli.strings import forget_types
from src.foreign import is_library
from src.schema import METRICS, REGISTRY
from tests.support.workplace import ROOT

PAGE = ROOT / "docs/extensions.md"
_FILE = re.compile(r"^`(my_networks/[\w./]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)

OPTIMIZER = """
from dataclasses import dataclass

from src.schema import OptimizerConfig


@dataclass(kw_only=True)
class LionConfig(OptimizerConfig, kind="{kind}", builds="keras.optimizers:Lion"):
    note: str = "none"
"""
LOUD = {  # a network whose builder prints, or ends the process
    "loud.py": """
import os
import signal
import sys
from dataclasses import dataclass

from src.schema import ModelConfig


@dataclass(kw_only=True)
class LoudConfig(ModelConfig, kind="loud", builds="loud:build_loud"):
    leaves: bool = False
    dies: bool = False


def build_loud(config, input_shape, num_classes):
    import keras

    from src.models.layers import classifier, pixels

    if config.leaves:
        sys.exit(0)
    if config.dies:  # as if the machine had too little memory
        os.kill(os.getpid(), signal.SIGKILL)
    print("building", flush=True)
    inputs, images = pixels(input_shape, config.input_size)
    return keras.Model(inputs, classifier(images, num_classes, 0), name=config.name)
""",
    "conf/model/loud.yaml": "defaults:\n  - /schema/model/loud@_here_\n  - _self_\nname: loud\n",
}
METRIC = """
from src.schema import METRICS, Metric

METRICS["{name}"] = Metric(direction="minimize", label="error", in_epoch="math:fabs", in_test=None)
"""


def write_example(folder: Path) -> Path:
    """Write the package that docs/extensions.md shows, and return the folder that contains it."""
    write_files(folder, dict(_FILE.findall(PAGE.read_text())))
    return folder


@contextlib.contextmanager
def extensions_of_its_own() -> Iterator[None]:
    """Forget afterwards which extensions were loaded inside, and all that they declared."""
    kinds = {name: dict(group.kinds) for name, group in REGISTRY.items()}
    metrics, modules = dict(METRICS), set(sys.modules)
    try:
        yield
    finally:
        extensions._loaded.clear()
        METRICS.clear()
        METRICS.update(metrics)
        for name, before in kinds.items():
            REGISTRY[name].kinds.clear()
            REGISTRY[name].kinds.update(before)
        for name in sys.modules.keys() - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if hasattr(sys.modules[name], "__path__") if file is None else not is_library(Path(file)):
                del sys.modules[name]
        forget_types()
        forget_configs()


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write files by their paths below the folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
