"""Pictures that are made with a trained network: DeepDream and neural style transfer.

A picture is a `Work` that is made in steps. `make_picture` makes it in a run of its own, and can be interrupted and
resumed after any step.
"""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.art.dream import Dream
    from src.art.making import make_picture
    from src.art.style import StyleTransfer
else:
    __getattr__ = lazy_package(__name__)
