"""A trained model as files, and back."""

from src.saving.files import FORMATS as FORMATS
from src.saving.files import TOLERANCE as TOLERANCE
from src.saving.files import check_formats as check_formats
from src.saving.files import check_manifest as check_manifest
from src.saving.files import file_size as file_size
from src.saving.files import formats_for as formats_for
from src.saving.files import formats_in as formats_in
from src.saving.files import keras_file as keras_file
from src.saving.files import load_model as load_model
from src.saving.files import predict_with as predict_with
from src.saving.files import save_model as save_model
from src.saving.files import save_weights as save_weights
from src.saving.files import uncompiled as uncompiled
