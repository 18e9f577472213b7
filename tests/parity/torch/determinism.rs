//! The switches that decide bits on CUDA: this program sets and reads them as Python does.
//!
//! `determinism.py` sets one after the other, and prints all six after each:
//!
//! ```python
//! def read():
//!     return [
//!         torch.are_deterministic_algorithms_enabled(),
//!         torch.is_deterministic_algorithms_warn_only_enabled(),
//!         torch.backends.cudnn.deterministic,
//!         torch.backends.cudnn.benchmark,
//!         torch.backends.cuda.matmul.allow_tf32,
//!         torch.backends.cudnn.allow_tf32,
//!     ]
//! print(*map(int, read()))
//! torch.use_deterministic_algorithms(True, warn_only=True)
//! print(*map(int, read()))
//! ```

use std::process::Command;

use tch::{Kind, Tensor};
use tch_extra::Determinism;

use crate::live::python_side;
use crate::support::{DefaultKernels, libtorch, notebooks_ref};

#[test]
fn switches_read_as_pythons_do() {
    let _turn = libtorch();
    let Some(python) = python_side("switches_read_as_pythons_do") else { return };
    let _restored = DefaultKernels;
    let output = Command::new(python).arg(notebooks_ref().join("determinism.py")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let python = String::from_utf8(output.stdout).unwrap();

    let default = Determinism::default();
    let settings = [
        None, // libtorch's defaults
        Some(Determinism { algorithms: true, ..default }),
        Some(Determinism { algorithms: true, warn_only: true, ..default }),
        Some(Determinism { cudnn_deterministic: true, ..default }),
        Some(Determinism { cudnn_benchmark: true, ..default }),
        Some(Determinism { matmul_tf32: true, ..default }),
        Some(Determinism { cudnn_tf32: false, ..default }),
    ];
    assert_eq!(python.lines().count(), settings.len());
    for (line, setting) in python.lines().zip(settings) {
        setting.map_or(Ok(()), Determinism::set).unwrap();
        let now = Determinism::now().unwrap();
        assert_eq!(now, setting.unwrap_or_default());
        let Determinism {
            algorithms,
            warn_only,
            cudnn_deterministic,
            cudnn_benchmark,
            matmul_tf32,
            cudnn_tf32,
        } = now;
        let read = [algorithms, warn_only, cudnn_deterministic, cudnn_benchmark, matmul_tf32, cudnn_tf32]
            .map(|switch| u8::from(switch).to_string());
        assert_eq!(read.join(" "), line, "{setting:?}");
    }
}

/// `put_` has no deterministic kernel, on a CPU either.
#[test]
fn an_operation_without_a_deterministic_kernel_is_refused_by_name() {
    let _turn = libtorch();
    let _restored = DefaultKernels;
    let put = || {
        let mut tensor = Tensor::zeros([3], (Kind::Float, tch::Device::Cpu));
        tensor.f_put_(&Tensor::from_slice(&[0i64]), &Tensor::from_slice(&[1f32]), false).map(drop)
    };
    put().unwrap();
    Determinism::reproducible().set().unwrap();
    let error = put().unwrap_err().to_string();
    assert!(error.contains("put_") && error.contains("deterministic"), "{error}");
    Determinism { warn_only: true, ..Determinism::reproducible() }.set().unwrap();
    put().unwrap();
    let workspace = std::env::var("CUBLAS_WORKSPACE_CONFIG").unwrap();
    assert!(!workspace.is_empty(), "matrix products on CUDA need it");
}
