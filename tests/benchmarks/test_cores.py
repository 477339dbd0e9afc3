"""Trainings on several cores: what is measured on which machine."""

import pytest

from benchmarks.cores import settings


@pytest.mark.parametrize(
    ("cores", "measured"),
    [
        (1, [(1, 1, 1)]),
        (2, [(1, 1, 1), (2, 1, 2), (2, 2, 1), (2, 4, 1), (2, 8, 1)]),
        (3, [(1, 1, 1), (2, 1, 2), (2, 2, 1), (2, 4, 1), (2, 8, 1), (3, 1, 3), (3, 3, 1), (3, 4, 1), (3, 8, 1)]),
    ],
)
def test_every_power_of_two_and_all_cores_are_measured_with_whole_batches_and_with_parts(
    cores: int, measured: list[tuple[int, int, int]]
) -> None:
    assert settings(cores) == measured


def test_a_setting_is_written_with_what_it_counts() -> None:
    assert str(settings(2)[1]) == "2 cores, 1 part, 2 threads"


def test_on_four_cores_there_are_also_two_parts_whose_operations_have_two_threads() -> None:
    assert set(settings(4)) - set(settings(2)) == {(4, 1, 4), (4, 4, 1), (4, 8, 1), (4, 2, 2)}
