"""Write a trained model to files, check them, and read them back."""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.saving.files import (
        FORMATS,
        TOLERANCE,
        check_formats,
        check_manifest,
        file_size,
        formats_for,
        formats_in,
        keras_file,
        load_model,
        predict_with,
        save_model,
        save_weights,
        uncompiled,
    )
else:
    __getattr__ = lazy_package(__name__)
