"""Write a trained model to files, check them, and read them back."""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.saving.files import (
        TOLERANCE,
        check_formats,
        check_savable,
        file_size,
        formats_for,
        load_model,
        predict_with,
        save_model,
        save_weights,
        uncompiled,
    )
    from src.saving.own_layers import unregistered
    from src.saving.stored import (
        FORMATS,
        MANIFEST,
        check_format,
        check_manifest,
        files_of,
        formats_in,
        formats_listed,
        keras_file,
    )
else:
    __getattr__ = lazy_package(__name__)
