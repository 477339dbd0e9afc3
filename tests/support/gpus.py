"""The program of NVIDIA's driver, as it answers on machines with GPUs."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

MODEL = "NVIDIA A100-SXM4-40GB"
MEMORY = 40_960  # MiB


def uuid(index: int) -> str:
    return f"GPU-{index}932f937-d72c-4106-c12f-20bd9faed9f6"


def listing(count: int, parts: Sequence[Sequence[str]] = ()) -> str:
    """The output of `nvidia-smi -L`. `parts` are the UUIDs of the MIG devices of the first GPUs."""
    lines = []
    for index in range(count):
        lines.append(f"GPU {index}: {MODEL} (UUID: {uuid(index)})")
        for number, part in enumerate(parts[index] if index < len(parts) else ()):
            lines.append(f"  MIG 1g.5gb      Device  {number}: (UUID: {part})")
    return "".join(f"{line}\n" for line in lines)


def install_nvidia_smi(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch, exit_code: int = 0) -> None:
    """Put a program `nvidia-smi` that prints the listing first into the PATH."""
    folder.mkdir(exist_ok=True)
    memories = "".join(f"{MODEL}, {MEMORY}\n" for line in text.splitlines() if line.startswith("GPU"))
    program = folder / "nvidia-smi"
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        f"print({text!r} if sys.argv[1:] == ['-L'] else {memories!r}, end='')\nsys.exit({exit_code})\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
