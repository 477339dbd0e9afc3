"""Folders of images: classes, splits, and the report about files that cannot be used."""

import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from src.datasets import Dataset, class_names_of, find_below, load_dataset
from src.datasets.arrays import BadFile, Duplicate
from src.datasets.image_folder import load_image_folder
from src.datasets.splitting import deal
from src.errors import ConfigError, DataError
from tests.support.pictures import Photos, put_class, put_image


def counts(dataset: Dataset) -> dict[str, tuple[int, ...]]:
    return {name: tuple(numbers) for name, *numbers in dataset.class_counts()}


# --- classes and splits --------------------------------------------------------------------------------------------


def test_a_folder_is_a_class_and_each_split_has_its_share_of_every_class(pets: Photos) -> None:
    dataset = load_dataset(pets.config())
    assert (dataset.class_names, dataset.source, dataset.warnings) == (["cat", "dog"], "folder", [])
    assert counts(dataset) == {"cat": (28, 6, 6), "dog": (14, 3, 3)}


def test_every_image_has_its_own_label_and_is_in_one_split(pets: Photos) -> None:
    arrays = load_image_folder(pets.config())
    files = [*(arrays.train_files or []), *(arrays.test_files or [])]
    labels = [*arrays.train_labels, *arrays.test_labels]
    assert sorted(files) == sorted(path.relative_to(pets.folder).as_posix() for path in pets.folder.rglob("*.png"))
    assert [["cat", "dog"][label] for label in labels] == [file.partition("/")[0] for file in files]
    images = np.concatenate([arrays.train_images, arrays.test_images])
    assert len({image.tobytes() for image in images}) == 60


@pytest.mark.parametrize("count", [None, 4])
def test_the_files_of_the_test_images_are_in_their_order_also_with_a_limit(pets: Photos, count: int | None) -> None:
    dataset = load_dataset(pets.config()).head(count)
    assert len(dataset.test_files or []) == len(dataset.test) == (count or 9)
    for file, label in zip(dataset.test_files or [], dataset.test.labels, strict=True):
        assert file.partition("/")[0] == dataset.class_names[label]


@pytest.mark.parametrize("limit", [3, 6, 21])
def test_every_part_of_the_training_images_is_nearly_stratified(pets: Photos, limit: int) -> None:
    labels = load_dataset(pets.config(limit=limit)).train.labels
    assert abs(int((labels == 1).sum()) - limit / 3) <= 1


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_dealing_keeps_each_group_in_its_order_and_spreads_it_evenly(sizes: list[int]) -> None:
    groups = [[100 * group + member for member in range(size)] for group, size in enumerate(sizes)]
    dealt = deal(groups)
    for group, members in enumerate(groups):
        assert [member for member in dealt if member // 100 == group] == members
        for end in range(len(dealt) + 1):
            share = sum(member // 100 == group for member in dealt[:end])
            assert abs(share - len(members) * end / len(dealt)) <= len(groups)


def test_the_same_seed_gives_the_same_split_and_another_seed_another(pets: Photos) -> None:
    digests = [load_dataset(pets.config(split_seed=seed)).digest for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("changes", [{"validation_size": 0}, {"validation_size": 9}, {"limit": 5}])
def test_the_digest_does_not_depend_on_the_split(pets: Photos, changes: dict[str, int]) -> None:
    put_class(pets.folder, "emu", 11)  # classes of odd sizes are dealt in another order when fewer are left of each
    assert load_dataset(pets.config(**changes)).digest == load_dataset(pets.config()).digest


def test_a_new_file_hardly_moves_the_others(pets: Photos) -> None:
    before = load_image_folder(pets.config()).test_files
    put_image(pets.folder / "cat/new.png")
    after = load_image_folder(pets.config()).test_files
    assert before is not None
    assert after is not None
    assert len(set(before) - set(after)) <= 1


@pytest.mark.parametrize(("size", "validation"), [(None, 9), (12, 12), (0, 0)])
def test_the_validation_size_may_be_set(pets: Photos, size: int | None, validation: int) -> None:
    dataset = load_dataset(pets.config(validation_size=size))
    assert len(dataset.validation or ()) == validation
    assert len(dataset.train) == 51 - validation


def put_splits(folder: Path, **sizes: int) -> None:
    for split, size in sizes.items():
        put_class(folder / split, "cat", size)
        put_class(folder / split, "dog", size)


def test_existing_splits_are_kept(photos: Photos) -> None:
    put_splits(photos.folder, train=5, validation=2, test=3)
    dataset = load_dataset(photos.config())
    assert counts(dataset) == {"cat": (5, 2, 3), "dog": (5, 2, 3)}
    arrays = load_image_folder(photos.config())
    assert {file.partition("/")[0] for file in (arrays.train_files or [])[:4]} == {"validation"}


def test_without_a_folder_for_validation_a_share_of_the_training_images_is_used(photos: Photos) -> None:
    put_splits(photos.folder, train=10, test=3)
    assert counts(load_dataset(photos.config())) == {"cat": (8, 2, 3), "dog": (8, 2, 3)}


def test_a_validation_size_of_0_trains_on_the_folder_for_validation_too(photos: Photos) -> None:
    put_splits(photos.folder, train=5, validation=2, test=3)
    dataset = load_dataset(photos.config(validation_size=0))
    assert dataset.validation is None
    assert counts(dataset)["cat"] == (7, 0, 3)


def test_another_validation_size_besides_a_folder_for_validation_is_refused(photos: Photos) -> None:
    put_splits(photos.folder, train=5, validation=2, test=3)
    with pytest.raises(
        ConfigError, match=r"validation_size=3: .* has a validation split of its own.*remove .*, or set it to 0"
    ):
        load_dataset(photos.config(validation_size=3))


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("Train", "VAL", "Test"),
        ("training", "valid", "testing"),
        ("TRAIN", "Validation", "test"),
        ("train", "dev", "test"),
    ],
)
def test_splits_are_found_under_the_names_that_people_give_them(
    photos: Photos, train: str, validation: str, test: str
) -> None:
    put_splits(photos.folder, **{train: 5, validation: 2, test: 3})
    dataset = load_dataset(photos.config())
    assert counts(dataset) == {"cat": (5, 2, 3), "dog": (5, 2, 3)}
    (note,) = dataset.notes
    assert f"{validation} is validation" in note
    assert class_names_of(photos.config()) == ["cat", "dog"]


def test_folders_with_the_usual_names_need_no_explanation(photos: Photos) -> None:
    put_splits(photos.folder, train=5, validation=2, test=3)
    assert load_dataset(photos.config()).notes == []


def test_without_a_folder_for_testing_a_share_of_the_training_images_is_used(photos: Photos) -> None:
    put_splits(photos.folder, train=10, val=3)
    dataset = load_dataset(photos.config())
    assert counts(dataset) == {"cat": (8, 3, 2), "dog": (8, 3, 2)}
    assert dataset.notes == [
        "splits: val is validation",
        "there is no split for testing: 15% of the training images are used for it",
    ]
    assert load_dataset(photos.config(validation_size=0)).digest == dataset.digest


def test_classes_may_have_the_names_of_splits(photos: Photos) -> None:
    put_class(photos.folder, "training", 4)
    put_class(photos.folder, "testing", 4)
    assert load_dataset(photos.config()).class_names == ["testing", "training"]


@pytest.mark.parametrize(
    "name", ["__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", ".ipynb_checkpoints"]
)
def test_what_file_managers_leave_behind_is_neither_a_class_nor_read(pets: Photos, name: str) -> None:
    digest = load_dataset(pets.config()).digest
    put_image(pets.folder / name / "cat/1.png")
    put_image(pets.folder / "cat" / name / "1.png")
    (pets.folder / "cat/Thumbs.db").write_bytes(b"\0")
    (pets.folder / "desktop.ini").write_text("[.ShellClassInfo]")
    dataset = load_dataset(pets.config())
    assert (dataset.digest, dataset.class_names, dataset.bad_files) == (digest, ["cat", "dog"], [])


def test_numbers_and_dates_are_names_of_classes_as_they_are(photos: Photos) -> None:
    names = ["01", "1", "1.10", "10", "1e3", "2", "2024-01-05", "2024_01_05", "null", "true"]
    for name in names:
        put_class(photos.folder, name, 3)
    assert load_dataset(photos.config()).class_names == names


def test_folders_whose_letters_are_composed_differently_are_one_class_and_this_is_noted(photos: Photos) -> None:
    for name in ("u\N{COMBINING DIAERESIS}", "\N{LATIN SMALL LETTER U WITH DIAERESIS}", "o"):
        put_class(photos.folder, name, 3)
    dataset = load_dataset(photos.config())
    assert sum(counts(dataset)["ü"]) == 6
    assert dataset.notes == ["folders named 'ü', with letters composed differently, are one class"]


def test_classes_that_people_would_take_for_the_same_are_a_warning(pets: Photos) -> None:
    for name in ("Cat", "big dog", "Big_Dog"):
        put_class(pets.folder, name, 3)
    warnings = load_dataset(pets.config()).warnings
    assert [re.findall("'(.*?)'", warning) for warning in warnings] == [["Big_Dog", "big dog"], ["Cat", "cat"]]


def test_a_class_may_be_called_train(photos: Photos) -> None:
    put_class(photos.folder, "train", 4)
    put_class(photos.folder, "bus", 4)
    assert load_dataset(photos.config()).class_names == ["bus", "train"]


NAMES = ["a b", "große Hände", "手", "it's", "50% [of], #1"]


def test_names_with_spaces_and_letters_of_any_language_work(photos: Photos) -> None:
    for name in NAMES:
        put_class(photos.folder, name, 3)
        put_image(photos.folder / name / f"{name} {name}.png")
    dataset = load_dataset(photos.config())
    assert (dataset.class_names, dataset.warnings) == (sorted(NAMES), [])
    assert all(sum(numbers) == 4 for numbers in counts(dataset).values())


def test_a_name_is_the_same_however_its_letters_are_composed(photos: Photos) -> None:
    put_class(photos.folder, "u\N{COMBINING DIAERESIS}", 3)
    put_class(photos.folder, "o", 3)
    config = photos.config(class_names=["o", "\N{LATIN SMALL LETTER U WITH DIAERESIS}"])
    assert load_dataset(config).class_names == config.class_names


def test_images_may_be_in_subfolders_of_their_class(pets: Photos) -> None:
    put_image(pets.folder / "dog/puppies/tiny/1.png")
    assert sum(counts(load_dataset(pets.config()))["dog"]) == 21


def test_the_config_decides_the_order_of_the_classes(pets: Photos) -> None:
    assert list(counts(load_dataset(pets.config(class_names=["dog", "cat"])))) == ["dog", "cat"]


@pytest.mark.parametrize(("classes", "dtype"), [(256, np.uint8), (257, np.uint16)])
def test_labels_are_bytes_unless_the_classes_are_too_many(photos: Photos, classes: int, dtype: type) -> None:
    for number in range(classes):
        for copy in range(3):
            put_image(photos.folder / f"{number:03}" / f"{copy}.bmp")
    dataset = load_dataset(photos.config())
    assert dataset.train.labels.dtype == dtype
    assert sorted(dataset.test.labels.tolist()) == list(range(classes))


def test_the_names_of_the_classes_are_found_without_reading_an_image(photos: Photos) -> None:
    for name in ("dog", "cat"):
        (photos.folder / name).mkdir(parents=True)
    assert class_names_of(photos.config()) == ["cat", "dog"]
    assert class_names_of(photos.config(class_names=["b", "a"])) == ["b", "a"]


# --- folders that cannot be a data set -----------------------------------------------------------------------------


def nothing(folder: Path) -> None:
    """Does not make the folder."""


def a_file(folder: Path) -> None:
    put_image(folder.with_suffix(".png")).rename(folder)


def an_empty_folder(folder: Path) -> None:
    folder.mkdir()


def one_class(folder: Path) -> None:
    put_class(folder, "cat", 5)


def an_empty_class(folder: Path) -> None:
    put_class(folder, "cat", 5)
    (folder / "dog").mkdir()


def a_class_with(count: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        put_class(folder, "cat", 5)
        put_class(folder, "dog", count)

    return make


def a_class_of_bad_images(folder: Path) -> None:
    put_class(folder, "cat", 5)
    (folder / "dog").mkdir()
    (folder / "dog/1.png").write_bytes(b"")


def a_folder_next_to_the_splits(folder: Path) -> None:
    put_splits(folder, train=5, val=2, extra=2)


def a_split_twice(folder: Path) -> None:
    put_splits(folder, Train=5, test=2, Testing=2)


def a_split_twice_and_no_other(folder: Path) -> None:
    put_splits(folder, train=5, Train=5)


def classes_next_to_a_split(folder: Path) -> None:
    put_splits(folder, train=5)
    put_class(folder, "cat", 5)
    put_class(folder, "dog", 5)


def a_folder_in_a_folder(folder: Path) -> None:
    put_splits(folder, train=5)


def a_class_that_is_not_tested(folder: Path) -> None:
    put_splits(folder, train=5, test=2)
    put_class(folder / "train", "owl", 5)


def links_instead_of_classes(folder: Path) -> None:
    for name in ("cat", "dog"):
        put_class(folder.with_name("elsewhere"), name, 5)
        folder.mkdir(exist_ok=True)
        (folder / name).symlink_to(folder.with_name("elsewhere") / name)


def links_instead_of_splits(folder: Path) -> None:
    put_splits(folder.with_name("elsewhere"), train=5, test=2)
    folder.mkdir()
    for name in ("train", "test"):
        (folder / name).symlink_to(folder.with_name("elsewhere") / name)


def a_link_instead_of_a_split(folder: Path) -> None:
    put_splits(folder, train=5, validation=2)
    put_splits(folder.with_name("elsewhere"), test=2)
    (folder / "test").symlink_to(folder.with_name("elsewhere") / "test")


NOT_FOLLOWED = r"Links to folders are not followed: {}; if .* belongs to the data set, set dataset\.follow_links=true"
REFUSED: list[tuple[Callable[[Path], None], str]] = [
    (nothing, r"folder of images .*photos does not exist; put a folder for each class into it, or .*dataset\.folder="),
    (a_file, r"photos is not a folder"),
    (an_empty_folder, r"there is no folder of images in .*photos; at least two classes"),
    (one_class, r"there is only one folder, 'cat', in .*photos; at least two classes"),
    (an_empty_class, r"class 'dog' in .*photos has no usable images: add some, or remove the class"),
    (a_class_with(1), r"class 'dog' in .*photos has 1 usable image: at least 3 are needed"),
    (a_class_with(2), r"class 'dog' in .*photos has 2 usable images: at least 3 are needed"),
    (
        a_class_of_bad_images,
        r"class 'dog' .* no usable .*\(1 empty file\) and are skipped; the first is dog/1\.png: ",
    ),
    (
        a_folder_next_to_the_splits,
        r"has folders train and val, and also extra; the only splits are train, validation, test",
    ),
    (a_split_twice, r"has folders Testing and test, which are the same split; merge or rename them"),
    (a_split_twice_and_no_other, r"has folders Train and train, which are the same split; merge or rename them"),
    (
        classes_next_to_a_split,
        r"photos has the folders cat, dog, and so has its folder train; if train is a split, move the others into "
        r"another split, such as .*photos/test; if not, move or rename train$",
    ),
    (
        a_folder_in_a_folder,
        r"only one folder, 'train', .*\. It contains the folders cat, dog: if .*folder=.*photos/train$",
    ),
    (links_instead_of_classes, rf"there is no folder of images in .*photos; .*{NOT_FOLLOWED.format('cat, dog')}"),
    (links_instead_of_splits, rf"there is no folder of images in .*photos; .*{NOT_FOLLOWED.format('test, train')}"),
    (a_link_instead_of_a_split, rf"has a link in place of a split\. {NOT_FOLLOWED.format('test')}"),
    (a_class_that_is_not_tested, r"class 'owl' .*: none of them for test; every class needs at least one"),
]


@pytest.mark.parametrize(("make", "sentence"), REFUSED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_folder_that_is_not_a_data_set_is_refused_with_the_reason(
    photos: Photos, make: Callable[[Path], None], sentence: str
) -> None:
    make(photos.folder)
    with pytest.raises(DataError, match=sentence):
        load_dataset(photos.config())


def test_two_images_are_enough_for_a_class_without_a_validation_split(photos: Photos) -> None:
    a_class_with(2)(photos.folder)
    assert counts(load_dataset(photos.config(validation_size=0)))["dog"] == (1, 0, 1)


def test_folders_that_are_not_the_classes_of_the_config_are_named(pets: Photos) -> None:
    with pytest.raises(DataError, match=r"not the 3 classes of photos; missing: owl, fox; extra: dog\. Correct"):
        load_dataset(pets.config(class_names=["cat", "owl", "fox"]))


# --- files that cannot be used -------------------------------------------------------------------------------------


@pytest.fixture
def messy(pets: Photos, tmp_path: Path) -> Photos:
    """The pets, with one of everything that is left out."""
    outside = put_image(tmp_path / "elsewhere/secret.png")
    (pets.folder / "cat/empty.png").write_bytes(b"")
    (pets.folder / "cat/scan.TIF").write_bytes(b"II*\0")
    (pets.folder / "cat/link.png").symlink_to(outside)
    (pets.folder / "cat/loop.png").symlink_to(pets.folder / "cat/loop.png")
    (pets.folder / "cat/album").symlink_to(pets.folder / "dog")
    (pets.folder / "owl").symlink_to(outside.parent)
    os.mkfifo(pets.folder / "cat/pipe.png")
    put_image(pets.folder / "loose.png")
    put_image(pets.folder / "dog" / os.fsdecode(b"\xff.png"))
    (pets.folder / "dog/notes.txt").write_text("not an image, and not meant as one")
    (pets.folder / "dog/Thumbs.db").write_bytes(b"\0")
    put_image(pets.folder / "dog/.hidden.png")
    put_image(pets.folder / ".trash/1.png")
    return pets


BAD = [
    BadFile("cat/album", "link to a folder"),
    BadFile("cat/empty.png", "empty file"),
    BadFile("cat/link.png", "link out of the folder"),
    BadFile("cat/loop.png", "not a file"),
    BadFile("cat/pipe.png", "not a file"),
    BadFile("cat/scan.TIF", "format that is not read"),
    BadFile("dog/\\xff.png", "name that is not UTF-8"),
    BadFile("loose.png", "not in the folder of a class"),
    BadFile("owl", "link out of the folder"),
]


def test_bad_files_are_skipped_listed_and_counted_by_reason(messy: Photos) -> None:
    dataset = load_dataset(messy.config())
    assert dataset.bad_files == BAD
    assert counts(dataset) == {"cat": (28, 6, 6), "dog": (14, 3, 3)}
    (warning,) = dataset.warnings
    assert re.search(
        r"9 of 69 image files in .*photos cannot be used \(2 link out of the folder, 2 not a file", warning
    )
    assert "tables/bad_images.csv" in warning
    assert "Links to folders are not followed: owl; if what they lead to belongs to the data set, set" in warning


def test_bad_files_are_an_error_when_the_config_says_so(messy: Photos) -> None:
    with pytest.raises(DataError) as refused:
        load_dataset(messy.config(on_bad_image="error"))
    assert "9 of 69 image files" in str(refused.value)
    assert "cat/album: link to a folder; cat/empty.png: empty file" in str(refused.value)
    assert "dataset.on_bad_image=skip" in str(refused.value)


def test_a_folder_without_bad_files_is_loaded_when_they_would_be_an_error(pets: Photos) -> None:
    assert load_dataset(pets.config(on_bad_image="error")).bad_files == []


@pytest.mark.parametrize("make", [links_instead_of_classes, links_instead_of_splits, a_link_instead_of_a_split])
def test_links_in_place_of_classes_and_splits_are_followed_when_the_config_says_so(
    photos: Photos, make: Callable[[Path], None]
) -> None:
    make(photos.folder)
    dataset = load_dataset(photos.config(follow_links=True))
    assert all(min(numbers) > 0 for numbers in counts(dataset).values())
    assert (dataset.bad_files, dataset.class_names) == ([], ["cat", "dog"])
    assert class_names_of(photos.config(follow_links=True)) == ["cat", "dog"]


def test_followed_links_have_the_pixels_of_their_targets_and_never_run_in_circles(pets: Photos, tmp_path: Path) -> None:
    digest = load_dataset(pets.config()).digest
    pets.folder.rename(tmp_path / "store")
    for path in sorted((tmp_path / "store").rglob("*.png")):  # as DVC and git-annex do
        link = pets.folder / path.relative_to(tmp_path / "store")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    (pets.folder / "cat/again").symlink_to(pets.folder)
    dataset = load_dataset(pets.config(follow_links=True))
    assert dataset.digest == digest
    assert dataset.bad_files == [BadFile("cat/again", "link to a folder that contains it")]
    with pytest.raises(DataError, match=r"60 link out of the folder.*\. dataset\.follow_links=true follows the links"):
        load_dataset(pets.config())


def test_links_to_each_other_are_followed_once(pets: Photos) -> None:
    (pets.folder / "cat/friends").symlink_to(pets.folder / "dog")
    (pets.folder / "dog/friends").symlink_to(pets.folder / "cat")
    bad_files = load_dataset(pets.config(follow_links=True)).bad_files
    assert bad_files == [
        BadFile(f"{path}/friends/friends", "link to a folder that contains it") for path in ("cat", "dog")
    ]


def put_unusual(folder: Path) -> None:
    """Files that can be read only with a conversion, and one that cannot."""
    put_image(folder / "cat/a.png", shade=100).rename(folder / "cat/a.jpg")
    Image.fromarray(np.full((6, 6), 100 * 257, np.uint16)).save(folder / "cat/b.png")
    Image.new("CMYK", (6, 6), (0, 0, 0, 155)).save(folder / "cat/c.jpg")
    frames = [Image.new("L", (6, 6), shade) for shade in (100, 0)]
    frames[0].save(folder / "cat/d.gif", save_all=True, append_images=frames[1:])
    (folder / "cat/e.png").write_bytes(b"")


def test_files_are_converted_when_the_config_says_so(pets: Photos) -> None:
    put_unusual(pets.folder)
    skipping, converting = (load_dataset(pets.config(on_bad_image=choice)) for choice in ("skip", "convert"))
    assert sum(counts(skipping)["cat"]) == 40
    assert skipping.warnings[0].endswith(". dataset.on_bad_image=convert reads some of them")
    assert converting.bad_files == [
        BadFile("cat/a.jpg", "suffix of another format", "converted"),
        BadFile("cat/b.png", "16 bits per channel", "converted"),
        BadFile("cat/c.jpg", "CMYK", "converted"),
        BadFile("cat/d.gif", "animated", "converted"),
        BadFile("cat/e.png", "empty file"),
    ]
    arrays = load_image_folder(pets.config(on_bad_image="convert"))
    files = [*(arrays.train_files or []), *(arrays.test_files or [])]
    images = dict(zip(files, np.concatenate([arrays.train_images, arrays.test_images]), strict=True))
    for name in ("a.jpg", "b.png", "c.jpg", "d.gif"):
        np.testing.assert_allclose(images[f"cat/{name}"], 100, atol=2)
    converted, skipped = converting.warnings[:2]
    assert "4 of 65 image files in" in converted
    assert "were converted (1 suffix of another format, 1 16 bits per channel, 1 CMYK, 1 animated)" in converted
    assert "1 of 65 image files in" in skipped
    assert load_dataset(pets.config(on_bad_image="convert")).bad_files == converting.bad_files  # from the cache


def test_a_link_to_a_file_in_the_folder_is_followed(pets: Photos) -> None:
    (pets.folder / "cat/again.png").symlink_to(pets.folder / "cat/000.png")
    assert sum(counts(load_dataset(pets.config()))["cat"]) == 41


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_skipped(pets: Photos) -> None:
    (pets.folder / "cat/000.png").chmod(0)
    assert load_dataset(pets.config()).bad_files == [BadFile("cat/000.png", "cannot be read")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_named(pets: Photos) -> None:
    pets.folder.chmod(0)
    with pytest.raises(DataError, match=r"photos cannot be read \(Permission denied\)"):
        load_dataset(pets.config())


# --- the same image twice ------------------------------------------------------------------------------------------


def test_the_same_pixels_in_two_splits_are_reported_with_both_files(photos: Photos) -> None:
    put_splits(photos.folder, train=5, validation=2, test=3)
    put_image(photos.folder / "train/cat/a.png", shade=7)
    put_image(photos.folder / "validation/cat/b.bmp", shade=7)
    put_image(photos.folder / "test/dog/c.png", shade=7)
    put_image(photos.folder / "test/dog/d.png", shade=8)
    put_image(photos.folder / "test/dog/e.png", shade=8)  # twice in one split
    dataset = load_dataset(photos.config())
    assert dataset.duplicates == [
        Duplicate("validation", "validation/cat/b.bmp", "train", "train/cat/a.png"),
        Duplicate("test", "test/dog/c.png", "train", "train/cat/a.png"),
    ]
    (warning,) = dataset.warnings
    assert (
        "2 images are in two splits with the same pixels (1 in validation and in train, 1 in test and in train)"
        in warning
    )


# --- where the folder is -------------------------------------------------------------------------------------------


def test_a_moved_folder_is_found_below_the_other_folder(pets: Photos, tmp_path: Path) -> None:
    config, digest = pets.config(), load_dataset(pets.config()).digest
    (tmp_path / "new").mkdir()
    pets.folder.rename(tmp_path / "new/photos")
    moved = find_below(config, str(tmp_path / "new"))
    assert load_dataset(moved).digest == digest


def test_a_folder_is_used_where_it_was_when_the_other_folder_does_not_contain_it(pets: Photos, tmp_path: Path) -> None:
    assert load_dataset(find_below(pets.config(), str(tmp_path / "new"))).name == "photos"


def test_a_missing_folder_is_reported_below_the_other_folder(photos: Photos, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="new/photos does not exist"):
        load_dataset(find_below(photos.config(), str(tmp_path / "new")))


def test_a_tilde_is_the_home_folder(pets: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(pets.folder.parent))
    config = replace(pets.config(), folder="~/photos", cache_dir="~/cache")
    assert Counter(load_dataset(config).train.labels.tolist()) == {0: 28, 1: 14}
