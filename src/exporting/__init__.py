"""Convert a trained model to files that other programs run, check them, and run them without TensorFlow."""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.exporting.conversion import convert_model
    from src.exporting.opened import BATCH, ExportedModel, latency, open_export
    from src.exporting.packages import check_converters, check_runtime, versions
    from src.exporting.stored import MANIFEST, Manifest, check_file, read_manifest, write_export
else:
    __getattr__ = lazy_package(__name__)
