//! Kernels of our own against libtorch's: results, gradients and the generator's state to the last bit, with each set of
//! instructions that libtorch has kernels for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tch::{Device, Kind, Tensor};
use tch_extra::{GeneratorState, Recording, autocast_bfloat16, channels_last, kernels, manual_seed};

/// Lets one test at a time use what belongs to the whole process: the switch, the generator, the number of threads.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The other tests, in processes whose libtorch takes other kernels. It chooses once in a process.
#[test]
fn libtorch_with_each_set_of_instructions_has_these_bits() {
    let mut settings = vec![None, Some("default")];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        settings.push(Some("avx2"));
    }
    for setting in settings {
        let mut tests = Command::new(std::env::current_exe().unwrap());
        tests.args(["--skip", "libtorch_with_each_set"]).env_remove("ATEN_CPU_CAPABILITY");
        let output = tests.envs(setting.map(|value| ("ATEN_CPU_CAPABILITY", value))).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && !printed.contains(" 0 passed"), "{setting:?}: {printed}");
    }
}

/// Numbers of a test's own: what is drawn from libtorch is compared.
struct Random(u64);

impl Random {
    /// From 0 to `end` - 1.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % end
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn between(&mut self, first: usize, last: usize) -> i64 {
        (first + self.below(last - first + 1)) as i64
    }

    /// Between -1 and 1.
    fn unit(&mut self) -> f32 {
        self.below(1 << 24) as f32 / (1 << 23) as f32 - 1.0
    }

    /// Values of one of several mixtures: plain ones, special ones, many equal ones, denormals on either side of zero.
    fn tensor(&mut self, shape: &[i64]) -> Tensor {
        let mixture = self.below(5);
        let scale = self.pick(&[f32::from_bits(1), f32::from_bits(3), 1.0]);
        let mut value = || match mixture {
            0 => self.unit(),
            1 => self.pick(&SPECIAL),
            2 if self.below(5) == 0 => self.pick(&SPECIAL),
            2 => self.unit(),
            3 => (self.below(5) as f32 - 2.0) * scale,
            _ if self.below(10) < 7 => -0.0,
            _ => -self.unit().abs() * f32::from_bits(40),
        };
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| value()).collect();
        Tensor::from_slice(&values).reshape(shape)
    }

    /// (N, C, H, W) or (C, H, W): small, of odd sizes, or large enough for several threads.
    fn images(&mut self) -> Tensor {
        let shape = match self.below(12) {
            0 => vec![self.between(1, 40), 6, 24, 24],
            1 => vec![self.between(1, 40), 16, 8, 8],
            2 => vec![self.between(20, 60), self.between(1, 6), self.between(8, 40), self.between(8, 40)],
            3 => vec![self.between(1, 6), self.between(5, 40), self.between(5, 70)],
            _ => vec![self.between(1, 6), self.between(1, 5), self.between(5, 36), self.between(5, 72)],
        };
        self.tensor(&shape)
    }
}

const SPECIAL: [f32; 14] = [
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    -0.0,
    0.0,
    1.0,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    -f32::MIN_POSITIVE,
    1e-45,  // the least denormal
    -1e-45, // a quarter of it is -0.0
    3e-39,
    -3e-39,
];

/// Fails unless shapes, kinds and bits are equal. Which NaN it is does not count: compilers choose it.
fn assert_same(own: &[Tensor], libtorchs: &[Tensor], what: &str) {
    assert_eq!(own.len(), libtorchs.len());
    for (i, (own, libtorchs)) in own.iter().zip(libtorchs).enumerate() {
        let shape = |x: &Tensor| (x.size(), x.stride(), x.kind(), x.requires_grad());
        assert_eq!(shape(own), shape(libtorchs), "{what}: tensor {i}");
        let (own, libtorchs) = (bits(own), bits(libtorchs));
        let bytes = own.iter().zip(&libtorchs);
        let differ = bytes.enumerate().filter(|(_, (own, libtorchs))| own != libtorchs).map(|(at, _)| at);
        let differ: Vec<usize> = differ.collect();
        assert!(differ.is_empty(), "{what}: tensor {i} has other bytes: {} from {}", differ.len(), differ[0]);
    }
}

fn bits(x: &Tensor) -> Vec<u8> {
    let x = x.detach().contiguous();
    let one_nan =
        if x.is_floating_point() { x.where_scalarother(&x.isnan().logical_not(), f64::NAN) } else { x };
    Vec::try_from(one_nan.reshape([-1]).view_dtype(Kind::Uint8)).unwrap()
}

type Pool = fn(&Tensor) -> Tensor;

const POOLS: [(&str, Pool, Pool); 7] = [
    ("average of 2", |x| kernels::avg_pool2d(x, 2), |x| x.avg_pool2d(2, 2, 0, false, true, None::<i64>)),
    ("average of 5", |x| kernels::avg_pool2d(x, 5), |x| x.avg_pool2d(5, 5, 0, false, true, None::<i64>)),
    ("maximum of 2", |x| kernels::max_pool2d(x, 2, 2, 0), |x| x.max_pool2d(2, 2, 0, 1, false)),
    ("maximum of 2, stride 1", |x| kernels::max_pool2d(x, 2, 1, 0), |x| x.max_pool2d(2, 1, 0, 1, false)),
    ("maximum of 2, padding 1", |x| kernels::max_pool2d(x, 2, 2, 1), |x| x.max_pool2d(2, 2, 1, 1, false)),
    (
        "maximum of 2 after ReLU",
        |x| kernels::relu_max_pool2d(x, 2, 2, 0),
        |x| x.relu().max_pool2d(2, 2, 0, 1, false),
    ),
    (
        "maximum of 3 after ReLU",
        |x| kernels::relu_max_pool2d(x, 3, 2, 1),
        |x| x.relu().max_pool2d(3, 2, 1, 1, false),
    ),
];

/// The output, and the gradient of `x` where the output's is `grad`.
fn with_gradient(f: impl Fn(&Tensor) -> Tensor, x: &Tensor, grad: &Tensor) -> Vec<Tensor> {
    let x = x.detach().set_requires_grad(true);
    let y = f(&x);
    (&y * grad).sum(Kind::Float).backward();
    vec![y, x.grad()]
}

#[test]
fn pooling_is_libtorchs() {
    let _turn = alone();
    let mut random = Random(1);
    for round in 0..600 {
        tch::set_num_threads(1 + round % 3);
        let x = random.images();
        for (name, own, libtorchs) in POOLS {
            let grad = random.tensor(&libtorchs(&x).size());
            let what = format!("{name}, round {round}, {:?}", x.size());
            assert_same(&with_gradient(own, &x, &grad), &with_gradient(libtorchs, &x, &grad), &what);
        }
    }
}

/// Shapes with less than a group of windows, kinds, and layouts that have no kernel of our own; gradients that are not contiguous.
#[test]
fn pooling_of_whatever_libtorch_takes_is_libtorchs() {
    let _turn = alone();
    let mut random = Random(2);
    let mut inputs: Vec<Tensor> =
        [[2, 3, 5, 5], [1, 1, 5, 7], [1, 2, 7, 8], [1, 1, 9, 9], [0, 3, 8, 8], [2, 1, 40, 12]]
            .iter()
            .map(|shape| random.tensor(shape))
            .collect();
    let x = random.tensor(&[3, 4, 20, 24]);
    inputs.extend([
        x.transpose(2, 3),
        x.slice(3, 1, 24, 2),
        channels_last(&x),
        channels_last(&random.tensor(&[3, 1, 20, 24])),
        x.to_kind(Kind::Double),
        x.to_kind(Kind::BFloat16),
        x.get(0).get(0).expand([2, 3, 20, 24], false),
    ]);
    for x in inputs {
        for (name, own, libtorchs) in POOLS {
            let what = format!("{name} of {:?}, {:?}", x.size(), x.kind());
            let size = libtorchs(&x).size();
            let grad = random.tensor(&[size[0], size[1], size[3], size[2]]).transpose(2, 3);
            assert_same(&with_gradient(own, &x, &grad), &with_gradient(libtorchs, &x, &grad), &what);
            let ones = Tensor::ones([1], (Kind::Float, Device::Cpu));
            assert_same(&with_gradient(own, &x, &ones), &with_gradient(libtorchs, &x, &ones), &what);
        }
    }
}

#[test]
fn gradients_have_gradients() {
    let _turn = alone();
    let mut random = Random(3);
    for (name, own, libtorchs) in POOLS {
        let values = random.tensor(&[2, 3, 11, 16]);
        let [own, libtorchs] = [own, libtorchs].map(|pool| {
            let x = values.detach().set_requires_grad(true);
            let y = pool(&x).square().sum(Kind::Float);
            let grad = Tensor::run_backward(&[&y], &[&x], true, true).remove(0);
            grad.square().sum(Kind::Float).backward();
            [grad, x.grad()]
        });
        assert_same(&own, &libtorchs, name);
    }
}

/// Without gradients, and under autocast, which must pass bfloat16 on as libtorch's pooling does.
#[test]
fn the_threads_settings_hold() {
    let _turn = alone();
    let x = Random(4).tensor(&[2, 3, 16, 16]).set_requires_grad(true);
    let weight = Random(5).tensor(&[4, 3, 3, 3]);
    for (name, own, libtorchs) in POOLS {
        let [without, expected] = [own, libtorchs].map(|pool| [tch::no_grad(|| pool(&x))]);
        assert_same(&without, &expected, name);
        assert!(!without[0].requires_grad());
        let [own, libtorchs] = [own, libtorchs].map(|pool| {
            autocast_bfloat16(Device::Cpu, || {
                [pool(&x), pool(&x.conv2d(&weight, None::<Tensor>, 1, 1, 1, 1))]
            })
        });
        assert_same(&own, &libtorchs, name);
    }
}

/// Output and gradients of a convolution.
fn convolution(own: bool, [x, weight, bias]: [&Tensor; 3], padding: i64) -> Vec<Tensor> {
    let [x, weight, bias] = [x, weight, bias].map(|x| x.detach().set_requires_grad(true));
    let y = if own {
        kernels::conv2d(&x, &weight, &bias, padding)
    } else {
        x.conv2d(&weight, Some(&bias), 1, padding, 1, 1)
    };
    y.square().sum(Kind::Float).backward();
    vec![y, x.grad(), weight.grad(), bias.grad()]
}

#[test]
fn convolution_is_libtorchs() {
    let _turn = alone();
    let mut random = Random(12);
    for round in 0..60 {
        tch::set_num_threads(1 + round % 3);
        let channels = random.pick(&[1, 1, 1, 1, 1, 3]);
        let taps = random.pick(&[5, 5, 5, 5, 5, 3, 7]);
        let outputs = if round % 2 == 0 { 6 } else { random.between(1, 20) };
        let images = if round % 30 == 0 { 256 } else { random.between(1, 20) };
        let (height, width) = (random.between(7, 40), random.between(7, 50));
        let shapes = [[images, channels, height, width], [outputs, channels, taps, taps]];
        let [x, weight] = shapes.map(|shape| {
            let plain: Vec<f32> = (0..shape.iter().product()).map(|_| random.unit()).collect();
            if round % 3 == 0 { random.tensor(&shape) } else { Tensor::from_slice(&plain).reshape(shape) }
        });
        let bias = random.tensor(&[outputs]);
        for padding in [0, 1, 2, 3] {
            let [own, libtorchs] = [true, false].map(|own| convolution(own, [&x, &weight, &bias], padding));
            assert_same(
                &own,
                &libtorchs,
                &format!("round {round}, {:?}, {:?}, {padding}", x.size(), weight.size()),
            );
        }
    }
}

/// (N, C, H, W) as batch norm meets them: any offset and scale, or special values here and there.
fn features(random: &mut Random) -> Tensor {
    let shape = match random.below(8) {
        0 => [random.between(20, 60), 6, 24, 24],
        1 => [random.between(20, 60), 16, 8, 8],
        _ => [random.between(1, 12), random.between(1, 20), random.between(1, 20), random.between(1, 20)],
    };
    if random.below(4) == 0 {
        return random.tensor(&shape);
    }
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.unit()).collect();
    let scale = random.pick(&[1e-42, 1e-3, 1.0, 300.0]);
    Tensor::from_slice(&values).reshape(shape) * scale + random.pick(&[0.0, 5.0, -100.0])
}

/// Output, gradients and running statistics of a batch norm of `x` with fresh weights.
fn batch_norm(own: bool, x: &Tensor, seed: u64, [momentum, eps]: [f64; 2]) -> Vec<Tensor> {
    let mut random = Random(seed);
    let channels = [x.size()[1]];
    let [weight, bias, mean, var] = [(); 4].map(|()| {
        let values: Vec<f32> = (0..channels[0]).map(|_| random.unit()).collect();
        Tensor::from_slice(&values).to_kind(if x.kind() == Kind::Double { Kind::Double } else { Kind::Float })
    });
    let var = var.abs();
    let [x, weight, bias] = [x, &weight, &bias].map(|x| x.detach().set_requires_grad(true));
    let y = if own {
        kernels::batch_norm_training(&x, &weight, &bias, &mean, &var, momentum, eps)
    } else {
        Tensor::batch_norm(&x, Some(&weight), Some(&bias), Some(&mean), Some(&var), true, momentum, eps, true)
    };
    (&y * random.tensor(&x.size())).sum(Kind::Float).backward();
    vec![y, x.grad(), weight.grad(), bias.grad(), mean, var]
}

#[test]
fn batch_norm_is_libtorchs() {
    let _turn = alone();
    let mut random = Random(9);
    for round in 0..400 {
        tch::set_num_threads(1 + round % 3);
        let x = features(&mut random);
        let any = f64::from(random.unit().abs());
        let momentum = random.pick(&[0.1, 0.01, 0.5, 0.3, any]);
        let numbers = [momentum, random.pick(&[1e-5, 1e-3, 1e-12, 0.0])];
        let [own, libtorchs] = [true, false].map(|own| batch_norm(own, &x, round as u64, numbers));
        assert_same(&own, &libtorchs, &format!("{numbers:?}, round {round}, {:?}", x.size()));
    }
}

#[test]
fn batch_norm_of_whatever_libtorch_takes_is_libtorchs() {
    let _turn = alone();
    let x = Random(10).tensor(&[3, 4, 6, 5]);
    let others = [Kind::Double, Kind::BFloat16].map(|kind| x.to_kind(kind));
    let layouts = [x.transpose(1, 2), channels_last(&x), x.slice(3, 0, 5, 2), x.get(0), x.get(0).get(0)];
    for x in others.into_iter().chain(layouts) {
        let [own, libtorchs] = [true, false].map(|own| batch_norm(own, &x, 1, [0.1, 1e-5]));
        assert_same(&own, &libtorchs, &format!("{:?}, {:?}", x.size(), x.kind()));
    }
}

/// The gradient of a gradient of batch norm, whose backward pass is libtorch's.
#[test]
fn gradients_of_batch_norm_have_gradients() {
    let _turn = alone();
    let values = features(&mut Random(11));
    let channels = (values.size()[1], (Kind::Float, Device::Cpu));
    let [own, libtorchs] = [true, false].map(|own| {
        let x = values.detach().set_requires_grad(true);
        let [one, zero] = [Tensor::ones([channels.0], channels.1), Tensor::zeros([channels.0], channels.1)];
        let [weight, bias] = [&one, &zero].map(|x| x.copy().set_requires_grad(true));
        let y = if own {
            kernels::batch_norm_training(&x, &weight, &bias, &zero, &one, 0.1, 1e-5)
        } else {
            Tensor::batch_norm(&x, Some(&weight), Some(&bias), Some(&zero), Some(&one), true, 0.1, 1e-5, true)
        };
        let y = (&y * &y * &x).sum(Kind::Float);
        let grad = Tensor::run_backward(&[&y], &[&x], true, true).remove(0);
        grad.square().sum(Kind::Float).backward();
        [grad, x.grad(), weight.grad(), zero, one]
    });
    assert_same(&own, &libtorchs, "batch norm");
}

/// What `f` gives when the generator is `begun`, and the generator's state after it.
fn draws(begun: &GeneratorState, f: impl FnOnce() -> Vec<Tensor>) -> Vec<Tensor> {
    begun.restore().unwrap();
    let mut results = f();
    let state = GeneratorState::capture(Device::Cpu).unwrap();
    results.extend(state.tensors().iter().map(|(_, tensor)| tensor.copy()));
    results
}

#[test]
fn dropout_is_libtorchs() {
    let _turn = alone();
    let mut random = Random(6);
    manual_seed(5);
    for round in 0..600 {
        tch::set_num_threads(1 + round % 3);
        let size = match round {
            0..80 => i64::from(round),
            599 => 256 * 120,
            _ => random.between(1, 3000),
        };
        let x = random.tensor(&[size]);
        // The generator stands anywhere between two of its states.
        let _ = Tensor::rand([random.between(0, 700)], (Kind::Float, Device::Cpu));
        let begun = GeneratorState::capture(Device::Cpu).unwrap();
        for p in [0.0, 0.5, 0.3, 1.0, f64::from(random.unit().abs())] {
            let grad = random.tensor(&[size]);
            let own = draws(&begun, || with_gradient(|x| kernels::dropout(x, p, true), &x, &grad));
            let libtorchs = draws(&begun, || with_gradient(|x| x.dropout(p, true), &x, &grad));
            assert_same(&own, &libtorchs, &format!("{size} elements, p = {p}, round {round}"));
        }
        assert_same(&[kernels::dropout(&x, 0.5, false)], &[x], "evaluation");
    }
}

#[test]
fn dropout_of_whatever_libtorch_takes_is_libtorchs() {
    let _turn = alone();
    let x = Random(7).tensor(&[3, 4, 6, 5]);
    let begun = GeneratorState::capture(Device::Cpu).unwrap();
    let others = [Kind::Double, Kind::BFloat16, Kind::Half].map(|kind| x.to_kind(kind));
    let layouts = [x.transpose(1, 2), channels_last(&x), x.slice(3, 0, 5, 2), x.get(0).get(0).get(0).get(0)];
    for x in others.into_iter().chain(layouts) {
        let own = draws(&begun, || vec![kernels::dropout(&x, 0.4, true)]);
        let libtorchs = draws(&begun, || vec![x.dropout(0.4, true)]);
        assert_same(&own, &libtorchs, &format!("{:?}", x.kind()));
    }
}

/// Of three steps on changing images: the loss and the gradient.
fn steps(own: bool, record: bool) -> Vec<Tensor> {
    kernels::set_enabled(own);
    manual_seed(1);
    let mut random = Random(8);
    let mut x = random.tensor(&[4, 3, 20, 20]).set_requires_grad(true);
    let step = |x: &mut Tensor| {
        tch_extra::clear_grad(x);
        let pooled = kernels::max_pool2d(&kernels::avg_pool2d(x, 2), 2, 2, 0);
        let loss = kernels::dropout(&pooled.sigmoid(), 0.5, true).square().sum(Kind::Float);
        loss.backward();
        loss.detach()
    };
    let mut recorded: Option<(Recording, Tensor)> = None;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let values = random.tensor(&x.size());
        tch::no_grad(|| x.copy_(&values));
        let loss = match &recorded {
            Some((tape, loss)) => {
                tape.replay().unwrap();
                loss.copy()
            }
            None if record => recorded.insert(Recording::of(Device::Cpu, || step(&mut x)).unwrap()).1.copy(),
            None => step(&mut x),
        };
        seen.extend([loss, x.grad().copy()]);
    }
    kernels::set_enabled(true);
    seen
}

#[test]
fn a_recorded_step_repeats_them() {
    let _turn = alone();
    let libtorchs = steps(false, false);
    assert_same(&steps(true, false), &libtorchs, "as it is");
    assert_same(&steps(true, true), &libtorchs, "recorded");
}

/// A kernel of our own that is never taken would pass all other tests.
#[cfg(target_arch = "x86_64")]
#[test]
fn they_are_taken() {
    let _turn = alone();
    tch::set_num_threads(1);
    let x = Random(13).tensor(&[4, 1, 20, 24]).sign().set_requires_grad(true);
    let [weight, ones, zeros] =
        [&[6, 1, 5, 5][..], &[1], &[1]].map(|shape| Tensor::ones(shape, (Kind::Float, Device::Cpu)));
    let [bias, mean, var] = [zeros.repeat([6]), zeros.copy(), ones.copy()];
    // Forward and backward, of which a convolution has the first.
    let calls = |f: &dyn Fn() -> Tensor| {
        let _ = f(); // compares once
        let before = kernels::calls();
        f().sum(Kind::Float).backward();
        kernels::calls() - before
    };
    let grad_of = |y: Tensor| &y * &y;
    assert_eq!(calls(&|| grad_of(kernels::avg_pool2d(&x, 2))), 2);
    assert_eq!(calls(&|| grad_of(kernels::max_pool2d(&x, 2, 2, 0))), 2);
    assert_eq!(calls(&|| grad_of(kernels::relu_max_pool2d(&x, 2, 2, 0))), 2);
    assert_eq!(
        calls(&|| grad_of(kernels::batch_norm_training(&x, &ones, &zeros, &mean, &var, 0.1, 1e-5))),
        2
    );
    if is_x86_feature_detected!("avx2") {
        let wide = x.repeat([1, 6, 1, 1]);
        let [gamma, beta] = [&ones, &zeros].map(|of_channel| of_channel.repeat([1, 6]).reshape([1, 6, 1, 1]));
        let [moving_mean, moving_var] = [beta.copy(), gamma.copy()];
        let by_hand =
            || kernels::batch_norm_formula(&wide, &gamma, &beta, &moving_mean, &moving_var, 0.9, 1e-5);
        assert_eq!(calls(&|| grad_of(by_hand().unwrap())), 2);
    }
    // On Intel's processors libtorch draws with MKL, and may take other convolutions.
    let intel = tch_extra::processor_name().contains("Intel");
    if is_x86_feature_detected!("avx512f") && !intel {
        assert_eq!(calls(&|| kernels::conv2d(&x, &weight, &bias, 2)), 1);
    }
    assert_eq!(calls(&|| kernels::dropout(&x, 0.5, true)), if intel { 0 } else { 1 });
    kernels::set_enabled(false);
    assert_eq!(calls(&|| kernels::avg_pool2d(&x, 2)), 0);
    kernels::set_enabled(true);
}

#[test]
fn what_libtorch_refuses_is_refused() {
    let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
    let refuses = |f: &dyn Fn() -> Tensor| assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
    refuses(&|| kernels::avg_pool2d(&zeros(&[9]), 2));
    refuses(&|| kernels::max_pool2d(&zeros(&[1, 1, 1, 9]), 2, 2, 0));
    refuses(&|| kernels::dropout(&zeros(&[9]), 1.5, true));
    let of_three = zeros(&[3]);
    refuses(&|| {
        let x = zeros(&[2, 4, 3, 3]);
        kernels::batch_norm_training(&x, &of_three, &of_three, &of_three, &of_three, 0.1, 1e-5)
    });
}
