"""Exact forms of numbers and tensors, for comparisons without tolerance, and the signature of a run."""

import ctypes
import hashlib
import math
import os
import struct
from pathlib import Path

import torch
from torch import Tensor


def f64_bits(value: float) -> str:
    """The 16 hexadecimal digits of a float64."""
    return struct.pack(">d", value).hex()


def json_float(value: float | None) -> float | None:
    """The value, or None if JSON cannot express it. Python prints a float with all digits that are needed to read it back."""
    return value if value is not None and math.isfinite(value) else None


def tensor_bytes(tensor: Tensor) -> bytes:
    """The bytes of all elements in row-major order."""
    tensor = tensor.detach().cpu().contiguous()
    return ctypes.string_at(tensor.data_ptr(), tensor.nbytes)


def sha256(tensor: Tensor) -> str:
    """The SHA-256 of `tensor_bytes`, in hexadecimal."""
    return hashlib.sha256(tensor_bytes(tensor)).hexdigest()


# Environment variables that change bits, where no library reports their effect; `crates/tch-extra/src/signature.rs` has the reasons.
SETTINGS = [
    *(
        prefix + name
        for name in ("MAX_CPU_ISA", "CPU_ISA_HINTS", "DEFAULT_FPMATH_MODE")
        for prefix in ("ONEDNN_", "DNNL_", "MKLDNN_")
    ),
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_VML_DEBUG_CPU_TYPE",
    "MKL_DOMAIN_NUM_THREADS",
    "MKL_NUM_STRIPES",
    "MKL_DYNAMIC",
    "OMP_DYNAMIC",
    "OMP_THREAD_LIMIT",
    "GLIBC_TUNABLES",
    "TORCH_MKLDNN_MATMUL_MIN_DIM",
    "TORCH_MKLDNN_MATMUL_MIN_SIZE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
]
# Environment variables that change bits on CUDA only.
CUDA_SETTINGS = ["NVIDIA_TF32_OVERRIDE", "TORCH_BLAS_PREFER_CUBLASLT", "CUBLAS_WORKSPACE_CONFIG"]


def signature(device: str) -> dict[str, str | int | dict[str, str]]:
    """What decides the bits besides seed and code: the fields of Rust's `Signature`, from the same sources."""
    capabilities = torch.cpu.get_capabilities()
    settings = SETTINGS + (CUDA_SETTINGS if torch.device(device).type == "cuda" else [])
    return {
        "torch": torch.__version__.partition("+")[0],
        "device": device_name(torch.device(device)),
        "cuda": cuda(torch.device(device)),
        "processor": processor(),
        "instructions": " ".join(sorted(name for name, value in capabilities.items() if value is True)),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "mkl_cbwr": mkl_cbwr(),
        "environment": {name: os.environ[name] for name in sorted(settings) if name in os.environ},
        "threads": torch.get_num_threads(),
    }


def device_name(device: torch.device) -> str:
    """`cpu`, or `cuda:N`."""
    return f"cuda:{device.index or 0}" if device.type == "cuda" else device.type


def cuda(device: torch.device) -> dict[str, str]:
    """The names and versions of a CUDA device and its libraries; empty for a CPU."""
    if device.type != "cuda":
        return {}
    gpu = torch.cuda.get_device_properties(device)
    driver = torch._C._cuda_getDriverVersion()
    return {
        "CUDA of the driver": f"{driver // 1000}.{driver % 1000 // 10}",
        "cuDNN": str(torch.backends.cudnn.version()),
        device_name(device): f"{gpu.name}, compute capability {gpu.major}.{gpu.minor}, "
        f"{gpu.multi_processor_count} multiprocessors",
    }


def processor() -> str:
    """Vendor, family, model and stepping of the first processor, or Arm's equivalents, as Linux reports them."""
    keys = "vendor_id|cpu family|model|stepping|CPU implementer|CPU architecture|CPU variant|CPU part|CPU revision"
    cpuinfo = Path("/proc/cpuinfo")
    first = cpuinfo.read_text().partition("\n\n")[0] if cpuinfo.exists() else ""
    facts = [[part.strip() for part in line.split(":", 1)] for line in first.splitlines()]
    return ", ".join(" ".join(fact) for fact in facts if fact[0] in keys.split("|"))


def mkl_cbwr() -> int:
    """The result of mkl_cbwr_get(MKL_CBWR_ALL); libtorch exports it under MKL's internal name."""
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
    return library.mkl_serv_cbwr_get(-1) if hasattr(library, "mkl_serv_cbwr_get") else 0
