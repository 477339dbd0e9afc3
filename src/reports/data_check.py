"""The report about a data set before training: classes, files, copies, images with two labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from src import datasets, figures, inspection
from src.reports.data_page import DataReport, Section
from src.results import printable

PAGE = "check.html"
SAMPLES, PAIRS = "samples.png", "pairs.png"
CLASSES_TABLE = "classes.csv"
PAIR_COLUMNS = ("split", "image", "class", "other split", "other image", "other class", "similarity", "equal")
MODES = {"L": "grayscale", "1": "black and white", "P": "palette", "LA": "grayscale with transparency"}
MODES |= {"RGBA": "RGB with transparency"}


class DataCheck(NamedTuple):
    """The result of looking at a data set.

    Attributes:
        report: tables, figures and warnings.
        leaks: the number of pairs of equal or nearly equal images in two splits.
        conflicts: the number of such pairs with two labels.
    """

    report: DataReport
    leaks: int
    conflicts: int


def check_dataset_contents(dataset: datasets.Dataset, headers: Sequence[datasets.Header]) -> DataCheck:
    """Return the report about a data set: images by class and split, files, copies within a split and in two splits.

    Args:
        dataset: the data as a training would get it.
        headers: of its image files, if it has any.
    """
    pairs = inspection.pairs_of(dataset)
    warnings = [*dataset.warnings, *inspection.warnings_of(dataset, headers, pairs)]
    samples = figures.samples_data(dataset.train.labels, dataset.class_names)
    drawings = {SAMPLES: figures.plot_samples(samples, dataset.train.images, dataset.name)}
    tables: dict[str, tuple[Sequence[str], Sequence[Sequence[object]]]] = {
        CLASSES_TABLE: (("class", "train", "validation", "test"), dataset.class_counts())
    }
    if dataset.bad_files:
        tables[datasets.BAD_TABLE] = (("file", "reason", "result"), dataset.bad_files)
    if pairs:
        tables[datasets.DUPLICATES_TABLE] = (PAIR_COLUMNS, [_pair_row(pair) for pair in pairs])
        drawings[PAIRS] = figures.plot_pairs(
            [(_shown(dataset, pair.first), _shown(dataset, pair.second)) for pair in pairs[: figures.MAX_PAIRS]],
            len(pairs),
        )
    total = sum(sum(counts) for _, *counts in dataset.class_counts())
    height, width, channels = dataset.input_shape
    title = (
        f"{dataset.name} ({dataset.source}): {total:,} images in {len(dataset.class_names)} classes, read as "
        f"{height}x{width}x{channels}"
    )
    sections = [_classes_section(dataset), *_file_sections(headers), *_bad_section(dataset), *_pair_sections(pairs)]
    names = [SAMPLES, PAIRS, CLASSES_TABLE, datasets.BAD_TABLE, datasets.DUPLICATES_TABLE]
    report = DataReport(PAGE, title, warnings, sections, drawings, tables, names)
    return DataCheck(
        report, leaks=sum(pair.is_leak for pair in pairs), conflicts=sum(pair.is_conflict for pair in pairs)
    )


def _classes_section(dataset: datasets.Dataset) -> Section:
    rows = [(printable(name), *(f"{count:,}" for count in counts)) for name, *counts in dataset.class_counts()]
    note = "; ".join(dataset.notes)
    return Section(
        "images by class", ("class", "train", "validation", "test"), rows, note, picture=SAMPLES, file=CLASSES_TABLE
    )


def _file_sections(headers: Sequence[datasets.Header]) -> list[Section]:
    if not headers:
        return []
    sizes = [(name, *(f"{value:,.4g}" for value in values)) for name, *values in inspection.size_table(headers)]
    kinds = [
        (what, MODES.get(kind, kind), f"{count:,}")
        for what, counts in inspection.count_kinds(headers).items()
        for kind, count in counts.most_common()
    ]
    return [
        Section("sizes of the files, in pixels", ("", "minimum", "median", "maximum"), sizes),
        Section("kinds of files", ("", "kind", "files"), kinds),
    ]


def _bad_section(dataset: datasets.Dataset) -> list[Section]:
    if not dataset.bad_files:
        return []
    counts = Counter((bad.reason, bad.result) for bad in dataset.bad_files)
    first = {(bad.reason, bad.result): bad.path for bad in reversed(dataset.bad_files)}
    rows = [
        (reason, result, f"{count:,}", printable(first[reason, result]))
        for (reason, result), count in counts.most_common()
    ]
    columns = ("reason", "result", "files", "example")
    return [Section("files that are not usable as they are", columns, rows, file=datasets.BAD_TABLE)]


def _pair_sections(pairs: Sequence[inspection.ImagePair]) -> list[Section]:
    if not pairs:
        return [Section("equal and nearly equal images", note="none was found")]
    counts = [(place, *(f"{count:,}" for count in row)) for place, *row in inspection.count_pairs(pairs)]
    rows = [
        (
            *(printable(text) for image in (pair.first, pair.second) for text in (image.name, image.class_name)),
            "equal" if pair.is_equal else f"{pair.similarity:.3f}",
        )
        for pair in pairs
    ]
    columns = ("image", "class", "other image", "class", "similarity")
    return [
        Section("equal and nearly equal images", ("pairs", "equal", "nearly equal", "with two labels"), counts),
        Section("pairs", columns, rows, picture=PAIRS, file=datasets.DUPLICATES_TABLE),
    ]


def _pair_row(pair: inspection.ImagePair) -> tuple[object, ...]:
    places = [cell for place in (pair.first, pair.second) for cell in (place.split, place.name, place.class_name)]
    return (*places, f"{pair.similarity:.4f}", pair.is_equal)


def _shown(dataset: datasets.Dataset, place: inspection.Place) -> figures.ShownImage:
    split = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}[place.split]
    assert split is not None
    return figures.ShownImage(split.images[place.number], place.class_name, place.split, place.name)
