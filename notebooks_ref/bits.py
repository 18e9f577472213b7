"""Exact forms of numbers and tensors, for comparing without tolerances."""

import ctypes
import hashlib
import math
import struct
from pathlib import Path

import torch
from torch import Tensor


def f64_bits(value: float) -> str:
    """The 16 hexadecimal digits of a float64."""
    return struct.pack(">d", value).hex()


def json_float(value: float | None) -> float | None:
    """The value, or None where JSON has no such number; Python prints floats so that they read back equal."""
    return value if value is not None and math.isfinite(value) else None


def tensor_bytes(tensor: Tensor) -> bytes:
    """The elements in row-major order, as they lie in memory."""
    tensor = tensor.detach().cpu().contiguous()
    return ctypes.string_at(tensor.data_ptr(), tensor.nbytes)


def sha256(tensor: Tensor) -> str:
    """The SHA-256 of `tensor_bytes`, in hexadecimal."""
    return hashlib.sha256(tensor_bytes(tensor)).hexdigest()


def signature(device: str) -> dict[str, str | int]:
    """What decides the bits beside the seed and the code."""
    cuda = torch.device(device).type == "cuda"
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
        "cpu": cpu_model(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }


def cpu_model() -> str:
    """The model name that Linux gives the first processor: MKL and oneDNN choose kernels by it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")
