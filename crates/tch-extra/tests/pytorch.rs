//! Parity with Python's PyTorch: `make_references.py` makes the numbers, and states their Python.
//!
//! libtorch's kernels for AVX2 and AVX-512 gave the same bits here. Those for processors without fused multiply-add round otherwise:
//! there, floats are compared within a tolerance.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tch::nn::{ConvConfig, Path as VarPath, VarStore};
use tch::{Device, Kind, Tensor};
use tch_extra::multi_tensor::{
    FusedAdam, FusedSgd, foreach_add_scalar_, foreach_div_, fused_adam_, fused_adamw_, fused_sgd_,
};
use tch_extra::nn::{conv2d, linear};
use tch_extra::optim::{Adam, Optimizer, Sgd};
use tch_extra::{Determinism, GeneratorState, Signature, init, manual_seed, random_i64};

/// Relative to the largest element, between kernels with and without fused multiply-add.
const ROUNDING: f64 = 2e-6;

/// Lets one test at a time use what belongs to the whole process: the default generator, the switches.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The tensors of a file that Python wrote.
struct Stored(BTreeMap<String, Tensor>);

impl Stored {
    fn open(name: &str) -> Self {
        Self::at(&tests().join("stored").join(format!("{name}.safetensors")))
    }

    fn at(path: &Path) -> Self {
        Self(Tensor::read_safetensors(path).unwrap().into_iter().collect())
    }

    fn get(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("no reference {name}"))
    }

    fn assert_floats(&self, name: &str, actual: &Tensor) {
        let (actual, expected) = (actual.detach().to_device(Device::Cpu), self.get(name));
        assert_eq!((actual.size(), actual.kind()), (expected.size(), expected.kind()), "{name}");
        if Signature::of(Device::Cpu).cpu_capability != "DEFAULT" {
            assert!(bits(&actual) == bits(expected), "{name}: other bits");
        } else {
            let largest = expected.abs().max().double_value(&[]).max(1.0);
            let difference = (&actual - expected).abs().max().double_value(&[]);
            assert!(difference <= ROUNDING * largest, "{name}: differs by {difference:e}");
        }
    }
}

fn bits(tensor: &Tensor) -> Vec<u8> {
    Vec::try_from(tensor.contiguous().reshape([-1]).view_dtype(Kind::Uint8)).unwrap()
}

#[test]
fn draws_and_states_are_pytorchs() {
    let _turn = alone();
    let stored = Stored::open("draws");
    for seed in [0, 1, 12345] {
        manual_seed(seed);
        let drawn: Vec<i64> = (0..3).map(|_| random_i64()).collect();
        assert_eq!(Tensor::from_slice(&drawn), *stored.get(&format!("{seed}.int64")));
        let state = GeneratorState::capture(Device::Cpu).unwrap();
        assert_eq!(state.tensors()[0].1, *stored.get(&format!("{seed}.state")));
        let next = stored.get(&format!("{seed}.next")).int64_value(&[]);
        assert_eq!(random_i64(), next);
        // Python's state, restored.
        let tensors = [("cpu".to_owned(), stored.get(&format!("{seed}.state")).copy())];
        GeneratorState::from_tensors(Device::Cpu, &tensors).unwrap().restore().unwrap();
        assert_eq!(random_i64(), next);
    }
}

#[test]
fn layers_begin_with_pytorchs_weights() {
    let _turn = alone();
    let stored = Stored::open("init");
    manual_seed(0);
    let vs = VarStore::new(Device::Cpu);
    let p: VarPath = vs.root();
    let _ = conv2d(&(&p / "conv"), 3, 8, 5, ConvConfig::default());
    let _ = conv2d(&(&p / "grouped"), 8, 4, 3, ConvConfig { padding: 1, groups: 2, ..Default::default() });
    let _ = linear(&(&p / "linear"), 17, 6);
    let mut xavier = Tensor::zeros([5, 9], (Kind::Float, Device::Cpu));
    init::xavier_uniform_(&mut xavier);
    stored.assert_floats("xavier", &xavier);
    let variables = vs.variables();
    assert_eq!(variables.len(), 6);
    for (name, variable) in variables {
        stored.assert_floats(&name, &variable);
    }
}

#[test]
fn switches_read_as_pythons_do() {
    let _turn = alone();
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
    let rows = Stored::open("switches").get("rows").copy();
    assert_eq!(rows.size(), [settings.len() as i64, 6]);
    for (i, setting) in settings.into_iter().enumerate() {
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
        let read = [algorithms, warn_only, cudnn_deterministic, cudnn_benchmark, matmul_tf32, cudnn_tf32];
        let row = Vec::<u8>::try_from(rows.get(i as i64)).unwrap();
        assert_eq!(read.map(u8::from)[..], row, "{setting:?}");
    }
    default.set().unwrap();
}

/// `put_` has no deterministic kernel, on a CPU either.
#[test]
fn an_operation_without_a_deterministic_kernel_is_refused_by_name() {
    let _turn = alone();
    let put = || {
        let mut tensor = Tensor::zeros([3], (Kind::Float, Device::Cpu));
        tensor.f_put_(&Tensor::from_slice(&[0i64]), &Tensor::from_slice(&[1f32]), false).map(drop)
    };
    put().unwrap();
    Determinism::reproducible().set().unwrap();
    let error = put().unwrap_err().to_string();
    assert!(error.contains("put_") && error.contains("deterministic"), "{error}");
    Determinism { warn_only: true, ..Determinism::reproducible() }.set().unwrap();
    put().unwrap();
    Determinism::default().set().unwrap();
}

/// Steps of optimizers with given gradients, on one device.
struct Steps {
    device: Device,
    given: Stored,
    python: Stored,
}

impl Steps {
    fn params(&self) -> Vec<Tensor> {
        (0..4).map(|i| self.given.get(&format!("initial.{i}")).copy().to_device(self.device)).collect()
    }

    fn grads(&self, step: usize) -> Vec<Tensor> {
        (0..4).map(|i| self.given.get(&format!("grad.{step}.{i}")).copy().to_device(self.device)).collect()
    }

    fn compare(&self, name: &str, step: usize, params: &[Tensor]) {
        if [1, 10].contains(&step) {
            for (i, param) in params.iter().enumerate() {
                self.python.assert_floats(&format!("{name}.{step}.{i}"), param);
            }
        }
    }

    /// Python's loop over parameters, and its kernels for lists, give the same bits on a CPU.
    fn optimizer<O: Optimizer>(&self, name: &str, optimizer: impl FnOnce(Vec<Tensor>) -> O) {
        let params: Vec<_> = self.params().into_iter().map(|param| param.set_requires_grad(true)).collect();
        let mut optimizer = optimizer(params.iter().map(Tensor::shallow_clone).collect());
        for step in 1..=10 {
            optimizer.zero_grad();
            for (param, grad) in params.iter().zip(self.grads(step)) {
                // The gradient of this loss is 1 times the given one, which are the same bits.
                (param * grad).sum(Kind::Float).backward();
            }
            optimizer.step();
            for kernels in ["plain", "foreach"] {
                let stored = format!("{kernels}.{name}");
                let is_ours = kernels == "foreach" || self.device == Device::Cpu;
                if is_ours && self.python.0.contains_key(&format!("{stored}.1.0")) {
                    self.compare(&stored, step, &params);
                }
            }
        }
    }

    fn fused_sgd(&self, name: &str, options: FusedSgd) {
        let mut params = self.params();
        let mut buffers = match options.momentum {
            0.0 => Vec::new(),
            _ => params.iter().map(Tensor::empty_like).collect(),
        };
        for step in 1..=10 {
            let options = FusedSgd { is_first_step: step == 1, ..options };
            fused_sgd_(&mut params, &self.grads(step), &mut buffers, options);
            self.compare(name, step, &params);
        }
    }

    fn fused_adam(&self, name: &str, decoupled: bool, options: FusedAdam) {
        let mut params = self.params();
        let [mut exp_avgs, mut exp_avg_sqs] =
            [(); 2].map(|()| params.iter().map(Tensor::zeros_like).collect::<Vec<_>>());
        let mut steps: Vec<_> =
            params.iter().map(|_| Tensor::zeros([], (Kind::Float, self.device))).collect();
        for step in 1..=10 {
            foreach_add_scalar_(&mut steps, 1.0);
            let fused = if decoupled { fused_adamw_ } else { fused_adam_ };
            fused(&mut params, &self.grads(step), &mut exp_avgs, &mut exp_avg_sqs, &steps, options);
            self.compare(name, step, &params);
        }
    }

    fn check(&self) {
        self.optimizer("sgd_1.0", |params| Sgd::new(params, 1.0));
        self.optimizer("sgd", |params| Sgd::new(params, 0.05));
        self.optimizer("adam", |params| Adam::new(params, 1e-3));
        self.optimizer("adamw", |params| Adam::decoupled(params, 1e-3, 0.01));
        let sgd = FusedSgd { lr: 0.05, ..FusedSgd::default() };
        self.fused_sgd("fused.sgd", sgd);
        self.fused_sgd(
            "fused.sgd_momentum",
            FusedSgd { momentum: 0.9, dampening: 0.1, weight_decay: 0.01, ..sgd },
        );
        self.fused_sgd("fused.sgd_nesterov", FusedSgd { momentum: 0.9, nesterov: true, ..sgd });
        let adam = FusedAdam { lr: 1e-3, betas: [0.8, 0.99], eps: 1e-6, weight_decay: 0.01 };
        self.fused_adam("fused.adam_options", false, adam);
        self.fused_adam("fused.adamw", true, FusedAdam { betas: [0.9, 0.999], eps: 1e-8, ..adam });
    }
}

#[test]
fn steps_of_optimizers_are_pythons() {
    let [given, python] = ["optim"; 2].map(Stored::open);
    Steps { device: Device::Cpu, given, python }.check();
}

/// Live: Python takes the steps on this machine's GPU.
#[test]
fn steps_on_cuda_are_pythons() {
    if !tch::Cuda::is_available() {
        return eprintln!("SKIPPED steps of optimizers on CUDA: libtorch finds no CUDA device");
    }
    let out = std::env::temp_dir().join(format!("tch-extra-{}.safetensors", std::process::id()));
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let made = Command::new(python).arg(tests().join("make_references.py")).arg("--cuda").arg(&out).status();
    assert!(made.unwrap().success());
    let python = Stored::at(&out);
    std::fs::remove_file(&out).unwrap();
    Steps { device: Device::Cuda(0), given: Stored::open("optim"), python }.check();
}

#[test]
#[should_panic(expected = "a number for each tensor")]
fn a_number_is_needed_for_each_tensor() {
    let mut tensors = [Tensor::from(1f32), Tensor::from(2f32)];
    foreach_div_(&mut tensors, &[2.0]);
}

/// The kernels would go on behind the end of the shorter tensor.
#[test]
fn fused_steps_refuse_tensors_of_another_layout() {
    let zeros = |size: &[i64]| Tensor::zeros(size, (Kind::Float, Device::Cpu));
    let sgd = FusedSgd { lr: 0.1, ..FusedSgd::default() };
    for grad in [
        zeros(&[3]),
        zeros(&[20, 4]).tr(),
        zeros(&[4, 20]).to_kind(Kind::Double),
        zeros(&[1, 20]).expand([4, 20], false),
    ] {
        let step = || fused_sgd_(&mut [zeros(&[4, 20])], &[grad.shallow_clone()], &mut [], sgd);
        let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(step)).unwrap_err();
        assert!(refused.downcast_ref::<String>().unwrap().contains("than its parameter's"));
    }
}
