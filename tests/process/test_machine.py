"""The machine that a process runs on."""

import os
from pathlib import Path

import pytest

from src.process import machine


@pytest.mark.parametrize(("quota", "count"), [("max 100000", 8), ("150000 100000", 2), ("6400000 100000", 8)])
def test_a_container_has_as_many_cores_as_its_share(
    quota: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    monkeypatch.setattr(machine, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    assert machine.cores() == count
