//! The fused batch norm's kernels: on a CPU as the C++ that they are, in an emulated block (`fused/emulate.cpp`); on CUDA, where there
//! is a GPU, against that.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tch::{Device, Kind, Tensor};
use tch_extra::fused::{Activation, batch_norm_act, prepare};
use tch_extra::{CudaGraph, manual_seed};

const MOMENTUM: f64 = 0.9;
const EPS: f64 = 1e-5;

/// The names of a case's results, in their order.
const RESULTS: [&str; 6] = ["y", "moving_mean", "moving_var", "grad of x", "grad of gamma", "grad of beta"];

/// Lets one test at a time draw random numbers.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A batch, the gradient of its output, and a layer's state.
struct Case {
    what: &'static str,
    activation: Activation,
    x: Tensor,
    grad: Tensor,
    /// gamma, beta, moving mean and moving variance, of shape (C,).
    state: [Tensor; 4],
}

impl Case {
    fn of(what: &'static str, activation: Activation, x: Tensor) -> Self {
        let channels = || Tensor::randn([x.size()[1]], (Kind::Float, Device::Cpu));
        let state = [channels() + 1.0, channels() * 0.5, channels(), channels().exp()];
        let grad = Tensor::randn_like(&x);
        Self { what, activation, x, grad, state }
    }

    /// What `norm` of x, gamma, beta and the moving statistics gives, and the gradients by autograd.
    fn results(
        &self,
        kind: Kind,
        device: Device,
        norm: impl Fn(&Tensor, [&Tensor; 4]) -> Tensor,
    ) -> Vec<Tensor> {
        let own = |t: &Tensor| t.to_device(device).to_kind(kind).copy();
        let [x, gamma, beta] =
            [&self.x, &self.state[0], &self.state[1]].map(|t| own(t).set_requires_grad(true));
        let [mean, var] = [&self.state[2], &self.state[3]].map(own);
        let y = norm(&x, [&gamma, &beta, &mean, &var]);
        let grads =
            Tensor::run_backward(&[(&y * own(&self.grad)).sum(kind)], &[x, gamma, beta], false, false);
        let results = [y.detach(), mean, var].into_iter().chain(grads);
        results.map(|t| t.to_device(Device::Cpu)).collect()
    }

    fn activated(&self, z: &Tensor) -> Tensor {
        match self.activation {
            Activation::None => z.shallow_clone(),
            Activation::Relu => z.relu(),
            Activation::Sigmoid => z.sigmoid(),
        }
    }

    /// The book's formula in f64.
    fn by_formula(&self) -> Vec<Tensor> {
        self.results(Kind::Double, Device::Cpu, |x, [gamma, beta, moving_mean, moving_var]| {
            let all_but_channels: Vec<i64> = (0..x.dim() as i64).filter(|&dim| dim != 1).collect();
            let mean_of = |t: &Tensor| t.mean_dim(&all_but_channels[..], true, None);
            let mean = mean_of(x);
            let var = mean_of(&(x - &mean).square());
            tch::no_grad(|| {
                for (moving, new) in [(moving_mean, &mean), (moving_var, &var)] {
                    let moved = MOMENTUM * moving + (1.0 - MOMENTUM) * new.reshape([-1]);
                    moving.shallow_clone().copy_(&moved);
                }
            });
            let [gamma, beta] = [gamma, beta].map(|t| t.reshape(mean.size()));
            self.activated(&(gamma * ((x - &mean) / (&var + EPS).sqrt()) + beta))
        })
    }

    /// libtorch's batch norm, then the activation. Its moving variance is unbiased, another number.
    fn by_libtorch(&self) -> Vec<Tensor> {
        self.results(Kind::Float, Device::Cpu, |x, [gamma, beta, mean, var]| {
            let z = x.batch_norm(
                Some(gamma),
                Some(beta),
                Some(mean),
                Some(var),
                true,
                1.0 - MOMENTUM,
                EPS,
                false,
            );
            self.activated(&z)
        })
    }

    fn on_cuda(&self) -> Vec<Tensor> {
        self.results(Kind::Float, Device::Cuda(0), |x, [gamma, beta, mean, var]| {
            batch_norm_act(x, gamma, beta, mean, var, MOMENTUM, EPS, self.activation).unwrap()
        })
    }

    /// Checks the errors of results against float64. Gives them as shares of libtorch's.
    fn check_errors(&self, results: &[Tensor]) -> [f64; 6] {
        let (right, libtorchs) = (self.by_formula(), self.by_libtorch());
        std::array::from_fn(|i| {
            let [own, libtorchs] = [&results[i], &libtorchs[i]].map(|t| error(t, &right[i]));
            let rounding = 2.0 * f64::from(f32::EPSILON);
            let what = format!("{}, {:?}, {}", self.what, self.activation, RESULTS[i]);
            assert!(own <= libtorchs + rounding && own <= 1e-6, "{what}: {own:e}, libtorch's {libtorchs:e}");
            // Errors far below a rounding are equal.
            let least = 1e-9;
            own.max(least) / libtorchs.max(least)
        })
    }

    /// As `emulate.cpp` reads it.
    fn bytes(&self) -> Vec<u8> {
        let [samples, channels] = [self.x.size()[0], self.x.size()[1]];
        let pixels = self.x.numel() as i64 / (samples * channels);
        let mut bytes = Vec::new();
        for number in [samples, channels, pixels, self.activation as i64] {
            bytes.extend((number as u32).to_ne_bytes());
        }
        bytes.extend([MOMENTUM, EPS].map(f64::to_ne_bytes).concat());
        for tensor in [&self.x, &self.grad].into_iter().chain(&self.state) {
            bytes.extend(floats(tensor).into_iter().flat_map(f32::to_ne_bytes));
        }
        bytes
    }
}

fn floats(t: &Tensor) -> Vec<f32> {
    Vec::try_from(t.reshape([-1])).unwrap()
}

/// Shapes and values that the kernels walk through in different ways.
fn cases() -> Vec<Case> {
    let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
    let mut cases = Vec::new();
    for activation in [Activation::None, Activation::Relu, Activation::Sigmoid] {
        let mut add = |what, x| cases.push(Case::of(what, activation, x));
        add("a dense layer", random(&[64, 9]));
        add("three samples", random(&[3, 20]));
        add("more samples than threads", random(&[2500, 2]));
        add("images", random(&[32, 3, 24, 24]));
        add("an odd size", random(&[7, 3, 5, 11]));
        add("more pixels than threads", random(&[3, 2, 37, 41]));
        add("as many pixels as threads", random(&[5, 2, 32, 32]));
        add("a large mean", random(&[40, 2, 9, 9]) + 3000.0);
        add("small values", random(&[40, 2, 9, 9]) * 1e-20);
        add("large values", random(&[40, 3, 4, 4]) * 1e15);
    }
    cases
}

/// The kernels on a CPU, with the threads of a block in their order or reversed.
fn emulated(cases: &[Case], reversed: bool) -> Vec<Vec<Tensor>> {
    let program = emulator();
    let path = |what| program.with_extension(format!("{what}.{reversed}.{:?}", std::thread::current().id()));
    let (input, output) = (path("in"), path("out"));
    fs::write(&input, cases.iter().flat_map(Case::bytes).collect::<Vec<u8>>()).unwrap();
    let mut run = Command::new(&program);
    run.arg(if reversed { "1" } else { "0" });
    run.stdin(File::open(&input).unwrap()).stdout(File::create(&output).unwrap());
    assert!(run.status().unwrap().success());
    let values: Vec<f32> = fs::read(output)
        .unwrap()
        .chunks_exact(4)
        .map(|b| f32::from_ne_bytes(b.try_into().unwrap()))
        .collect();
    let mut rest = &values[..];
    let results = cases.iter().map(|case| {
        let [x, of_channels] = [case.x.size(), case.state[0].size()];
        let shapes = [&x, &of_channels, &of_channels, &x, &of_channels, &of_channels];
        let take = |shape: &Vec<i64>| {
            let (taken, left) = rest.split_at(shape.iter().product::<i64>() as usize);
            rest = left;
            Tensor::from_slice(taken).reshape(shape)
        };
        shapes.map(take).into()
    });
    let results = results.collect();
    assert!(rest.is_empty());
    results
}

/// `fused/emulate.cpp`, compiled. No operation may be contracted, as `--fmad=false` says to NVRTC.
fn emulator() -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulate");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fused/emulate.cpp");
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let mut compile = Command::new(compiler);
    compile.args(["-O2", "-std=c++17", "-ffp-contract=off"]).arg(source).arg("-o").arg(&program);
    assert!(compile.status().unwrap().success());
    program
}

/// The error's norm, relative to the norm of what is right.
fn error(result: &Tensor, right: &Tensor) -> f64 {
    let norm = |t: &Tensor| t.to_kind(Kind::Double).norm().double_value(&[]);
    norm(&(result.to_kind(Kind::Double) - right)) / norm(right).max(f64::MIN_POSITIVE)
}

fn bits(results: &[Tensor]) -> Vec<Vec<u32>> {
    let one_nan = |value: f32| if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() };
    results.iter().map(|t| floats(t).into_iter().map(one_nan).collect()).collect()
}

/// Within a rounding of libtorch's in each case, and smaller on the whole.
#[test]
fn errors_are_no_larger_than_libtorchs() {
    let _turn = alone();
    manual_seed(1);
    let cases = cases();
    let of_cases = cases.iter().zip(emulated(&cases, false));
    let ratios: Vec<[f64; 6]> = of_cases.map(|(case, results)| case.check_errors(&results)).collect();
    for (i, what) in RESULTS.iter().enumerate() {
        let mean_of_logs = ratios.iter().map(|ratios| ratios[i].ln()).sum::<f64>() / ratios.len() as f64;
        assert!(mean_of_logs <= 0.0, "{what}: {} times libtorch's errors", mean_of_logs.exp());
    }
}

/// A missing barrier would show: the threads of a block run one after the other, up to each barrier.
#[test]
fn the_order_of_threads_decides_nothing() {
    let _turn = alone();
    manual_seed(2);
    let cases: Vec<_> = cases().into_iter().filter(|case| case.activation == Activation::Relu).collect();
    for ((case, forwards), reversed) in cases.iter().zip(emulated(&cases, false)).zip(emulated(&cases, true))
    {
        assert!(bits(&forwards) == bits(&reversed), "{}, {:?}", case.what, case.activation);
    }
}

#[test]
fn special_values() {
    let _turn = alone();
    manual_seed(3);
    let random = || Tensor::randn([16, 2, 3, 3], (Kind::Float, Device::Cpu));
    let relu = |x| Case::of("special", Activation::Relu, x);
    let cases = [
        relu(Tensor::full([16, 2, 3, 3], 3.7, (Kind::Float, Device::Cpu))),
        relu(Tensor::randn([1, 2], (Kind::Float, Device::Cpu))),
        relu(random()),
        relu(random()),
        Case::of("huge", Activation::None, random().clamp(-3.0, 3.0) * 1e38),
        Case::of("saturated", Activation::Sigmoid, random()),
    ];
    for (case, value) in cases[2..4].iter().zip([f64::NAN, f64::INFINITY]) {
        let _ = case.x.get(3).get(1).get(2).fill_(value);
    }
    cases[5].state[1].shallow_clone().copy_(&Tensor::from_slice(&[200.0f32, -200.0]));
    let results = emulated(&cases, false);
    let all = |t: &Tensor, is: fn(f32) -> bool| floats(t).into_iter().all(is);

    let [y, _, _, of_x, of_gamma, _] = &results[0][..] else { unreachable!() };
    assert!(*y == cases[0].state[1].relu().reshape([1, 2, 1, 1]).expand_as(y), "without variance");
    assert!(all(of_gamma, |grad| grad == 0.0) && all(of_x, f32::is_finite));
    let [y, _, _, of_x, ..] = &results[1][..] else { unreachable!() };
    assert!(*y == cases[1].state[1].relu().reshape([1, 2]), "one value for each channel");
    assert!(all(of_x, |grad| grad == 0.0));
    for results in &results[2..4] {
        let of_channel =
            |t: &Tensor, channel| if t.dim() == 1 { t.get(channel) } else { t.select(1, channel) };
        // The gradient of beta is of the channel's y alone, which is NaN here.
        for result in &results[..5] {
            assert!(all(&of_channel(result, 0), f32::is_finite), "NaN and infinity stay in their channel");
            assert!(!all(&of_channel(result, 1), f32::is_finite));
        }
        assert!(all(&of_channel(&results[0], 1), f32::is_nan));
    }
    let right = cases[4].by_formula();
    for i in [0, 1, 3, 4, 5] {
        assert!(error(&results[4][i], &right[i]) < 1e-6, "{} of huge values", RESULTS[i]);
    }
    assert!(all(&results[4][2], |var| var == f32::INFINITY));
    let [y, _, _, of_x, ..] = &results[5][..] else { unreachable!() };
    let near = |t: Tensor, value: f32| all(&(t - f64::from(value)), |t| t.abs() < 1e-30);
    assert!(near(y.select(1, 0), 1.0) && near(y.select(1, 1), 0.0), "a sigmoid far from 0");
    assert!(all(of_x, |grad| grad.abs() < 1e-30));
}

/// Whether there is a GPU; if not, says what is not tested.
fn has_cuda(what: &str) -> bool {
    let has_cuda = tch::Cuda::is_available();
    if !has_cuda {
        eprintln!("SKIPPED {what}: libtorch finds no CUDA device");
    }
    has_cuda
}

/// CUDA's exp differs from that of a CPU; all else is exact.
#[test]
fn cuda_has_the_emulations_bits_in_every_run() {
    let _turn = alone();
    if !has_cuda("the fused batch norm on CUDA") {
        return;
    }
    manual_seed(1);
    let cases = cases();
    for (case, emulated) in cases.iter().zip(emulated(&cases, false)) {
        let [results, again] = [(); 2].map(|()| case.on_cuda());
        assert!(bits(&results) == bits(&again), "{}, {:?}: two runs differ", case.what, case.activation);
        if case.activation == Activation::Sigmoid {
            case.check_errors(&results);
        } else {
            let same = bits(&results) == bits(&emulated);
            assert!(same, "{}, {:?}: other bits than emulated", case.what, case.activation);
        }
    }
}

#[test]
fn cuda_graphs_capture_it() {
    let _turn = alone();
    if !has_cuda("the fused batch norm in a CUDA graph") {
        return;
    }
    let cuda = Device::Cuda(0);
    prepare(cuda).unwrap();
    let case =
        Case::of("images", Activation::Relu, Tensor::randn([32, 6, 24, 24], (Kind::Float, Device::Cpu)));
    let [x, gamma, beta] =
        [&case.x, &case.state[0], &case.state[1]].map(|t| t.to_device(cuda).set_requires_grad(true));
    let grad = case.grad.to_device(cuda);
    let [mut mean, mut var] = [&case.state[2], &case.state[3]].map(|t| t.to_device(cuda));
    let step = |mean: &Tensor, var: &Tensor| {
        let y = batch_norm_act(&x, &gamma, &beta, mean, var, MOMENTUM, EPS, case.activation).unwrap();
        let grads =
            Tensor::run_backward(&[(&y * &grad).sum(Kind::Float)], &[&x, &gamma, &beta], false, false);
        let forward = [&y.detach(), mean, var].map(Tensor::shallow_clone);
        forward.into_iter().chain(grads).collect::<Vec<_>>()
    };
    let bits =
        |results: &[Tensor]| bits(&results.iter().map(|t| t.to_device(Device::Cpu)).collect::<Vec<_>>());
    let eager = bits(&step(&mean, &var));
    let (graph, results) = CudaGraph::capture(cuda, || step(&mean, &var)).unwrap();
    for _ in 0..2 {
        mean.copy_(&case.state[2]);
        var.copy_(&case.state[3]);
        graph.replay().unwrap();
        assert!(bits(&results) == eager);
    }
}
