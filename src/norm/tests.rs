//! The layer by hand against its formula: kernels of our own must have the bits of the formula's operations, with each set of
//! instructions that libtorch has kernels for.

use std::process::Command;

use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor};

use super::EPS;
use super::scratch::{BatchNorm, MOMENTUM, batch_norm};

const SPECIAL: [f32; 12] = [
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    -0.0,
    0.0,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    1e-45, // the least denormal
    -1e-45,
    3e-39,
    1.0,
];

/// From `first` to `last`.
fn between(first: i64, last: i64) -> i64 {
    Tensor::randint_low(first, last + 1, [1], (Kind::Int64, Device::Cpu)).int64_value(&[0])
}

/// Values of any offset and scale; or with special ones here and there, or among equal ones.
fn values(shape: &[i64]) -> Tensor {
    let float = (Kind::Float, Device::Cpu);
    let x = Tensor::randn(shape, float);
    let of = |some: &[f32]| Tensor::from_slice(&[some[between(0, some.len() as i64 - 1) as usize]]);
    let special = || {
        let which = Tensor::randint(SPECIAL.len() as i64, shape, (Kind::Int64, Device::Cpu));
        Tensor::from_slice(&SPECIAL).index(&[Some(which)])
    };
    match between(0, 9) {
        0 => special(),
        1 => special().where_self(&Tensor::rand(shape, float).lt(0.02), &x),
        2 => special().where_self(&Tensor::rand(shape, float).lt(1e-3), &x),
        3 => Tensor::zeros(shape, float) * -1.0,
        4 => x.round(),
        _ => x * of(&[1e-42, 1e-20, 1e-3, 1.0, 300.0, 1e19]) + of(&[0.0, 0.0, 5.0, -100.0]),
    }
}

/// (N, C) or (N, C, H, W): LeNet's, or of any size, those among them that libtorch adds up in other ways.
fn shape() -> Vec<i64> {
    match between(0, 11) {
        0 => vec![between(1, 64), 6, 24, 24],
        1 => vec![between(1, 64), 16, between(8, 10), 8],
        2 => vec![between(1, 3), between(1, 4), between(60, 150), between(60, 150)],
        3 => vec![between(1, 2), 2, 400, 400],
        4..6 => vec![between(1, 9), between(1, 20), between(1, 20), between(1, 20)],
        6 => vec![256, 120],
        7 => vec![256, 84],
        8 => vec![between(1, 40), between(1, 12)],
        9 => vec![between(250, 700), between(40, 130)],
        _ => vec![between(1, 300), between(1, 100)],
    }
}

/// A way to look at a tensor: another layout, or none.
type View = fn(&Tensor) -> Tensor;

struct Case {
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    moving_mean: Tensor,
    moving_var: Tensor,
    grad: Tensor,
}

impl Case {
    fn of(x: Tensor) -> Self {
        let size = x.size();
        let channels: Vec<i64> = (0..size.len()).map(|d| if d == 1 { size[1] } else { 1 }).collect();
        let [gamma, beta, moving_mean, moving_var] = [(); 4].map(|()| values(&channels).to_kind(x.kind()));
        Self { x, gamma, beta, moving_mean, moving_var, grad: values(&size) }
    }

    /// The layer, and inputs of its own.
    fn layer(&self) -> (BatchNorm, Tensor) {
        let layer = BatchNorm {
            gamma: self.gamma.copy().set_requires_grad(true),
            beta: self.beta.copy().set_requires_grad(true),
            moving_mean: self.moving_mean.copy(),
            moving_var: self.moving_var.copy(),
        };
        (layer, self.x.detach().set_requires_grad(true))
    }

    /// Output and moving statistics after a batch.
    fn forward(layer: &BatchNorm, x: &Tensor, by_formula: bool) -> Tensor {
        if !by_formula {
            return layer.forward_t(x, true);
        }
        let BatchNorm { gamma, beta, moving_mean, moving_var } = layer;
        let (y, mean, var) = batch_norm(x, gamma, beta, moving_mean, moving_var, EPS, MOMENTUM, true);
        layer.keep(&mean, &var);
        y
    }

    /// Output, gradients and moving statistics, where the output's gradient is `self.grad` as `view` shows it.
    fn results(&self, by_formula: bool, view: View) -> Vec<Tensor> {
        let (layer, x) = self.layer();
        // Other operations, before and after, whose gradients of x are added to the layer's in an order that decides bits.
        let before = &x * &self.grad;
        let y = Self::forward(&layer, &x, by_formula);
        let after = &x * 0.3;
        (view(&y) * view(&self.grad) + view(&before) + view(&after)).sum(Kind::Float).backward();
        let BatchNorm { gamma, beta, moving_mean, moving_var } = layer;
        vec![y, x.grad(), gamma.grad(), beta.grad(), moving_mean, moving_var]
    }

    fn check(&self, view: View, what: &str) {
        let what = format!("{what}, {:?} {:?}", self.x.size(), self.x.kind());
        assert_same(&self.results(false, view), &self.results(true, view), &what);
    }
}

/// Fails unless layouts and bits are equal. Which NaN it is does not count: compilers choose it.
fn assert_same(ours: &[Tensor], formulas: &[Tensor], what: &str) {
    let bits = |x: &Tensor| {
        let x = x.detach().contiguous();
        let one_nan = x.where_scalarother(&x.isnan().logical_not(), f64::NAN).reshape([-1]);
        Vec::<u8>::try_from(one_nan.view_dtype(Kind::Uint8)).unwrap()
    };
    for (i, (ours, formulas)) in ours.iter().zip(formulas).enumerate() {
        let layout = |x: &Tensor| (x.size(), x.stride(), x.kind());
        assert_eq!(layout(ours), layout(formulas), "{what}: tensor {i}");
        assert!(bits(ours) == bits(formulas), "{what}: tensor {i} has other bits");
    }
}

/// The tests below, in processes of their own: they set the number of threads, and libtorch chooses its kernels once in a process.
#[test]
fn the_layer_by_hand_has_the_formulas_bits() {
    let mut settings = vec![None, Some("default")];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        settings.push(Some("avx2"));
    }
    for setting in settings {
        let mut tests = Command::new(std::env::current_exe().unwrap());
        tests.args(["--ignored", "--test-threads=1", "norm::tests::"]).env_remove("ATEN_CPU_CAPABILITY");
        let output = tests.envs(setting.map(|value| ("ATEN_CPU_CAPABILITY", value))).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed.contains("3 passed"), "{setting:?}: {printed}");
    }
}

#[test]
#[ignore = "the test above runs it"]
fn random_batches() {
    tch::manual_seed(1);
    for round in 0..400 {
        tch::set_num_threads(1 + round % 3);
        Case::of(values(&shape())).check(|y| y.shallow_clone(), &format!("round {round}"));
    }
}

/// Kinds, layouts and gradients that have no kernel of our own.
#[test]
#[ignore = "the test above runs it"]
fn other_batches() {
    tch::manual_seed(2);
    tch::set_num_threads(2);
    let x = values(&[6, 12, 20, 24]);
    let views: [View; 6] = [
        |x| x.to_kind(Kind::Double),
        |x| x.to_kind(Kind::BFloat16),
        |x| x.transpose(1, 2),
        tch_extra::channels_last,
        |x| x.slice(3, 0, None, 2),
        |x| x.get(0).get(0).tr(),
    ];
    for view in views {
        Case::of(view(&x)).check(|y| y.shallow_clone(), "layout of x");
    }
    let grads: [View; 3] =
        [|y| y.transpose(0, -1).contiguous(), |y| y.slice(0, 0, 3, 1), |y| y.sum(Kind::Float)];
    for shape in [&[64, 6, 24, 24][..], &[64, 40]] {
        for grad in grads {
            Case::of(Tensor::randn(shape, (Kind::Float, Device::Cpu))).check(grad, "layout of the gradient");
        }
    }
}

/// A gradient that shall have a gradient has the formula's bits. The gradient's gradient differs from the formula's by rounding: it is computed
/// from operations of their own, apart from those of the forward pass, and added up in another order.
#[test]
#[ignore = "the test above runs it"]
fn gradients_of_gradients() {
    tch::manual_seed(3);
    for shape in [&[9, 6, 24, 24][..], &[64, 40]] {
        let case = Case::of(Tensor::randn(shape, (Kind::Float, Device::Cpu)));
        let [gamma, beta, grad] = [&case.gamma, &case.beta, &case.grad].map(Tensor::randn_like);
        let case = Case { gamma, beta, grad, ..case };
        let [ours, formulas] = [false, true].map(|by_formula| {
            let (layer, x) = case.layer();
            let y = Case::forward(&layer, &x.sigmoid(), by_formula);
            let sum = (&y * &y * &case.grad).sum(Kind::Float);
            let grads = Tensor::run_backward(&[&sum], &[&x, &layer.gamma, &layer.beta], true, true);
            grads.iter().map(|grad| grad.square().sum(Kind::Float)).sum::<Tensor>().backward();
            [grads, vec![x.grad(), layer.gamma.grad(), layer.beta.grad()]]
        });
        assert_same(&ours[0], &formulas[0], &format!("{shape:?}"));
        for (ours, formulas) in ours[1].iter().zip(&formulas[1]) {
            let [error, size] =
                [ours - formulas, formulas.shallow_clone()].map(|x| x.norm().double_value(&[]));
            assert!(error <= 1e-5 * size, "{shape:?}: {error} of {size}");
        }
    }
}
