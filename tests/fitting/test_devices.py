"""Threads and precision."""

import platform
from pathlib import Path

import keras
import pytest

from src import fitting
from src.fitting import devices
from src.process.gpus import gpu_memories
from tests.support.gpus import MEMORY, MODEL, install_nvidia_smi, listing

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


@pytest.mark.parametrize(
    ("capability", "policy"),
    [
        ((9, 0), "mixed_bfloat16"),
        ((8, 0), "mixed_bfloat16"),
        ((7, 5), "mixed_float16"),
        ((7, 0), "mixed_float16"),
        ((6, 1), "float32"),
        ((10, 0), "mixed_bfloat16"),
        (None, "float32"),
    ],
)
def test_the_precision_of_a_gpu_is_one_that_its_tensor_cores_compute(
    capability: tuple[int, int] | None, policy: str
) -> None:
    assert devices.gpu_precision(capability) == policy


@pytest.mark.parametrize(
    ("details", "lowest"),
    [
        ([{"compute_capability": (8, 0)}, {"compute_capability": (7, 5)}], (7, 5)),
        ([{"compute_capability": (8, 0)}, {}], None),
    ],
)
def test_several_gpus_compute_in_a_precision_that_all_of_them_support(
    details: list[dict[str, tuple[int, int]]], lowest: tuple[int, int] | None
) -> None:
    assert devices.lowest_capability(details) == lowest


@pytest.mark.parametrize(
    ("device", "text"),
    [
        (devices.Device("GPU", "3", "NVIDIA A100", 40_960), "GPU 3: NVIDIA A100, 40.0 GB"),
        (devices.Device("GPU", "MIG-c6d4", "NVIDIA A100 MIG 1g.5gb", None), "GPU MIG-c6d4: NVIDIA A100 MIG 1g.5gb"),
        (devices.Device("CPU", None, "x86_64", 8_000), "CPU: x86_64, 7.8 GB"),
    ],
)
def test_a_device_is_described_with_what_is_known(device: devices.Device, text: str) -> None:
    assert str(device) == text


def test_a_training_without_a_gpu_uses_the_processor() -> None:
    [device] = devices.used_devices(1)
    assert (device.kind, device.number) == ("CPU", None)
    assert device.model
    assert device.memory


@pytest.mark.parametrize(("text", "model"), [(INTEL.format("avx2"), "some"), (ARM.format("bti"), platform.machine())])
def test_a_processor_has_the_name_that_the_system_gives_it(
    text: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "PROCESSOR", tmp_path / "cpuinfo")
    devices.PROCESSOR.write_text(text)
    assert devices.processor_model() == model


def test_a_gpu_that_tensorflow_cannot_use_is_named_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_nvidia_smi(tmp_path, listing(2), monkeypatch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    [sentence] = fitting.unused_gpus()
    assert MODEL in sentence
    assert "make setup GPU=1" in sentence


@pytest.mark.parametrize(("count", "visible"), [(0, "0"), (2, "-1"), (2, "")])
def test_nothing_is_said_without_a_gpu_to_use(
    count: int, visible: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_nvidia_smi(tmp_path, listing(count), monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert fitting.unused_gpus() == []


def test_the_memory_of_a_gpu_comes_from_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_nvidia_smi(tmp_path, listing(2), monkeypatch)
    assert gpu_memories() == {MODEL: MEMORY}
