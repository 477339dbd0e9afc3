"""Threads and precision."""

from pathlib import Path

import keras
import pytest

from src import fitting
from src.fitting import devices

INTEL = "processor\t: 0\nmodel name\t: some\nflags\t\t: fpu vme avx512f {} sha_ni\npower management:\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {} i8mm\nCPU part\t: 0xd4f\n"


@pytest.mark.parametrize(
    ("text", "has"),
    [
        (INTEL.format("avx512_bf16"), True),
        (INTEL.format("amx_bf16 avx_vnni"), True),
        (ARM.format("bf16"), True),
        (INTEL.format("avx2"), False),
        (INTEL.format("bf16_emulated"), False),
        (ARM.format("bti"), False),
        ("model name\t: a processor named bf16\n", False),
        (None, False),
    ],
)
def test_bfloat16_is_used_if_the_processor_has_instructions_for_it(
    text: str | None, has: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "PROCESSOR", tmp_path / "cpuinfo")
    if text is not None:
        devices.PROCESSOR.write_text(text)
    assert devices.has_bfloat16() == has
    policy = "mixed_bfloat16" if has else "float32"
    assert devices.resolved_precision("auto") == policy
    with fitting.precision("auto"):
        assert keras.config.dtype_policy().name == policy
    instructions = "bfloat16 instructions" if has else "no bfloat16 instructions"
    assert fitting.describe_precision("auto") == f"{policy} (auto: this processor has {instructions})"


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_named_precision_is_used_on_any_processor(policy: str) -> None:
    assert devices.resolved_precision(policy) == policy
    assert fitting.describe_precision(policy) == policy
