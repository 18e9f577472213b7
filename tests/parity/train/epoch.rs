//! One epoch on 4,096 real images, for every variant of the recipes that do not resize: figures and final weights.
//!
//! `fixtures.epoch4096` stores the numbers of this Python (`loops.train_one_epoch`); the test's figures are those of
//! `loops.evaluate`:
//!
//! ```python
//! train_iter, test_iter = memory_loaders(data_dir, recipe.batch_size, 4096, 1000)
//! torch.manual_seed(0)
//! net = recipe.build(variant)
//! recipe.initialize(net)
//! optimizer, metric = recipe.optimizer(net.parameters(), recipe.lr), d2l.Accumulator(3)
//! for X, y in train_iter:
//!     y_hat = net(X)
//!     l = nn.functional.cross_entropy(y_hat, y)
//!     optimizer.zero_grad(), l.backward(), optimizer.step()
//!     metric.add(l * len(X), d2l.accuracy(y_hat, y), len(X))
//! train_loss, train_acc = metric[0] / metric[2], metric[1] / metric[2]
//! ```

use std::ops::ControlFlow;

use d2l_ch7::data::{Batches, DataLoader, FashionMnist, ImageSet, Images};
use d2l_ch7::experiments::recipes::{RECIPES, Recipe};
use d2l_ch7::norm::Variant;
use d2l_ch7::train::{Graphed, Loss, Metric, Totals, ch6, evaluate};
use tch::{Device, Tensor};
use tch_extra::Determinism;
use tch_extra::optim::Optimizer;

use crate::support::{DefaultKernels, ROUNDING, Stored, bytes, has_cuda, libtorch, missing, skipped};

fn check(
    stored: &Stored,
    recipe: &Recipe,
    variant: Variant,
    train_images: &ImageSet,
    test_images: &ImageSet,
) {
    let train_iter = DataLoader::new(train_images, recipe.batch_size, true, Device::Cpu);
    let test_iter = DataLoader::new(test_images, recipe.batch_size, false, Device::Cpu);
    tch_extra::manual_seed(0);
    let net = recipe.initial_net(&variant.into());
    let mut optimizer = recipe.optimizer.over(net.vs.trainable_variables(), recipe.lr);
    let mut metric = Metric::new(Device::Cpu, Totals::default());
    let go_on = &mut |_: usize, _: &Metric, _: &dyn Optimizer| Ok(ControlFlow::Continue(()));
    let outcome = ch6::train_epoch(&net, train_iter.iter(), optimizer.as_mut(), &mut metric, go_on);
    assert!(outcome.unwrap().is_continue());
    let trained = metric.totals();
    let tested = evaluate(&net, &test_iter, Metric::new(Device::Cpu, Totals::default()));

    let name = |part: &str| format!("{}.{variant}.{part}", recipe.name);
    let figures = [trained.loss(), trained.accuracy(), tested.loss(), tested.accuracy()];
    for (part, figure) in ["train_loss", "train_acc", "test_loss", "test_acc"].iter().zip(figures) {
        stored.assert_floats(&name(part), &Tensor::from(figure));
    }
    for (key, tensor) in net.state() {
        stored.assert_digest(&name(&format!("weights.{key}")), &tensor, ROUNDING);
    }
}

#[test]
fn epochs_on_real_images_are_pytorchs() {
    let _turn = libtorch();
    let stored = Stored::open("epoch4096");
    if !stored.same_signature() {
        return skipped("one epoch against stored references", "training amplifies rounding; see live");
    }
    let data = match FashionMnist::load(None, false) {
        Ok(data) => data,
        Err(error) => return missing("one epoch against stored references", &error.to_string()),
    };
    let images = |set: Images, n| ImageSet::new(&set.first(Some(n)));
    let (train_images, test_images) = (images(data.train, 4096), images(data.test, 1000));
    for recipe in RECIPES.iter().filter(|recipe| recipe.resize.is_none()) {
        for variant in Variant::IN_PYTHON {
            check(&stored, recipe, variant, &train_images, &test_images);
        }
    }
}

/// Trains three epochs of four whole batches and a smaller one. Gives the sums and a gradient after every batch, and figures
/// and weights after every epoch.
fn run(recipe: &Recipe, variant: Variant, device: Device, way: Way) -> Vec<Vec<u8>> {
    const N: usize = 70;
    let pixels: Vec<u8> = (0..N * 28 * 28).map(|i| (i * i / 97 + i / 7) as u8).collect();
    let labels: Vec<u8> = (0..N).map(|i| (i * 7 % 10) as u8).collect();
    let images = ImageSet::new(&Images { pixels, labels, rows: 28, cols: 28, channels: 1 });
    let loader = |shuffle| {
        let loader = DataLoader::new(&images, 16, shuffle, device);
        if way == Way::Eager { loader } else { loader.resident() }
    };
    let (train_iter, test_iter) = (loader(true), loader(false));
    tch_extra::manual_seed(5);
    let mut net = recipe.initial_net(&variant.into());
    net.vs.set_device(device);
    let mut optimizer = recipe.optimizer.over(net.vs.trainable_variables(), recipe.lr);
    let first = net.vs.trainable_variables().swap_remove(0);
    let mut graphed = Graphed::new(device);
    let metric = || match way {
        Way::Eager => Metric::Host(Totals::default()),
        _ => Metric::on_device(device, Totals::default()),
    };
    let mut seen = Vec::new();
    for _ in 0..3 {
        let after_batch = &mut |images: usize, metric: &Metric, _: &dyn Optimizer| {
            seen.push(format!("{images} {:?}", metric.totals().to_bits()).into_bytes());
            seen.push(bytes(&first.grad().to_device(Device::Cpu)));
            Ok(ControlFlow::Continue(()))
        };
        let (epoch, optimizer) = (train_iter.iter(), optimizer.as_mut());
        let (trained, tested) = if way == Way::Recorded {
            let done = Totals::default();
            let trained = graphed.train_epoch(&net, epoch, Loss::Mean, optimizer, done, after_batch);
            let trained = trained.expect("what these recipes do can be recorded").expect("nobody interrupts");
            (trained, graphed.evaluate(&net, &test_iter).expect("so can evaluation"))
        } else {
            let mut metric_of_training = metric();
            let outcome = ch6::train_epoch(&net, epoch, optimizer, &mut metric_of_training, after_batch);
            assert!(outcome.unwrap().is_continue());
            (metric_of_training.totals(), evaluate(&net, &test_iter, metric()))
        };
        seen.push(format!("{:?} {:?}", trained.to_bits(), tested.to_bits()).into_bytes());
        seen.extend(net.state().iter().map(|(_, tensor)| bytes(&tensor.to_device(Device::Cpu))));
    }
    seen
}

/// How the program takes its steps.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// As the notebook does.
    Eager,
    /// Images, order and sums stay on the device.
    OnDevice,
    /// As `OnDevice`; the fourth whole batch is recorded, and the whole batches after it are replays.
    Recorded,
}

fn check_ways(device: Device) {
    for recipe in RECIPES.iter().filter(|recipe| recipe.resize.is_none()) {
        for variant in Variant::IN_PYTHON {
            let eager = run(recipe, variant, device, Way::Eager);
            for way in [Way::OnDevice, Way::Recorded] {
                assert!(run(recipe, variant, device, way) == eager, "{} {variant} {way:?}", recipe.name);
            }
        }
    }
}

/// On a CPU. Mistakes such as a tensor that is replaced between two replays show here too, not only on CUDA.
#[test]
fn the_way_of_doing_steps_changes_no_bit() {
    let _turn = libtorch();
    check_ways(Device::Cpu);
}

/// On a GPU, with deterministic kernels.
#[test]
fn the_way_of_doing_steps_changes_no_bit_on_cuda() {
    let _turn = libtorch();
    if !has_cuda("ways of doing steps on CUDA") {
        return;
    }
    let _restored = DefaultKernels;
    Determinism::reproducible().set().unwrap();
    check_ways(Device::Cuda(0));
}
