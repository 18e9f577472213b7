//! One epoch on 4,096 real images, of every variant of the recipes that do not resize: figures and final weights.

use std::ops::ControlFlow;

use d2l_ch7::data::{Batches, DataLoader, FashionMnist, ImageSet};
use d2l_ch7::experiments::recipes::{RECIPES, Recipe};
use d2l_ch7::layers::state;
use d2l_ch7::norm::Variant;
use d2l_ch7::train::{Loss, Progress, Tally, Training};
use d2l_ch7::{torch, train};
use tch::{Device, Tensor};

use crate::support::{Stored, bytes, libtorch, skipped};

fn check(
    stored: &Stored,
    recipe: &Recipe,
    variant: Variant,
    train_images: &ImageSet,
    test_images: &ImageSet,
) {
    let train_iter = DataLoader::new(train_images, recipe.batch_size, true, Device::Cpu);
    let test_iter = DataLoader::new(test_images, recipe.batch_size, false, Device::Cpu);
    torch::manual_seed(0);
    let mut net = recipe.initial_net(variant);
    let mut optimizer = recipe.optimizer(&mut net, recipe.lr);
    let trained = train::train_epoch(
        &mut net,
        train_iter.iter(),
        optimizer.as_mut(),
        Training::alone(Loss::Mean),
        Progress::default(),
        |_, _, _| ControlFlow::Continue(()),
    )
    .expect("there is no other rank")
    .expect("nobody interrupts");
    let tested = train::evaluate(&mut net, &test_iter, Tally::Host);

    let name = |part: &str| format!("{}.{variant}.{part}", recipe.name);
    let figures = [trained.loss(), trained.accuracy(), tested.loss(), tested.accuracy()];
    for (part, figure) in ["train_loss", "train_acc", "test_loss", "test_acc"].iter().zip(figures) {
        stored.assert_floats(&name(part), &Tensor::from(figure));
    }
    for (key, tensor) in state(&mut net) {
        stored.assert_digest(&name(&format!("weights.{key}")), &tensor);
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
        Err(error) => return skipped("one epoch against stored references", &error.to_string()),
    };
    let images =
        |set: &d2l_ch7::data::Images, n| ImageSet::new(&set.pixels, &set.labels, set.rows, set.cols, Some(n));
    let (train_images, test_images) = (images(&data.train, 4096), images(&data.test, 1000));
    for recipe in RECIPES.iter().filter(|recipe| recipe.resize.is_none()) {
        for variant in Variant::NOTEBOOKS {
            check(&stored, recipe, variant, &train_images, &test_images);
        }
    }
}

/// Images, order and sums that stay on the device, which here is the CPU: no bit of figures and weights differs.
#[test]
fn what_stays_on_the_device_changes_no_bit() {
    let _turn = libtorch();
    const N: usize = 70;
    let pixels: Vec<u8> = (0..N * 28 * 28).map(|i| (i * i / 97 + i / 7) as u8).collect();
    let labels: Vec<u8> = (0..N).map(|i| (i * 7 % 10) as u8).collect();
    let images = ImageSet::new(&pixels, &labels, 28, 28, None);
    let loader = |shuffle| DataLoader::new(&images, 16, shuffle, Device::Cpu);
    for recipe in RECIPES.iter().filter(|recipe| recipe.resize.is_none()) {
        let run = |tally, train_iter: DataLoader, test_iter: DataLoader| {
            torch::manual_seed(5);
            let mut net = recipe.initial_net(Variant::Scratch);
            let mut optimizer = recipe.optimizer(&mut net, recipe.lr);
            let (mut seen, done) = (Vec::new(), Progress::default());
            let training = Training { tally, ..Training::alone(Loss::Mean) };
            let trained = train::train_epoch(
                &mut net,
                train_iter.iter(),
                optimizer.as_mut(),
                training,
                done,
                |after, _, _| {
                    seen.push((after.batches, after.batch_size, after.progress().metric.to_bits()));
                    ControlFlow::Continue(())
                },
            )
            .expect("there is no other rank");
            let tested = train::evaluate(&mut net, &test_iter, tally);
            let weights: Vec<_> = state(&mut net).iter().map(|(_, tensor)| bytes(tensor)).collect();
            (trained.expect("nobody interrupts").to_bits(), tested.to_bits(), seen, weights)
        };
        let eager = run(Tally::Host, loader(true), loader(false));
        assert_eq!(eager.2.len(), 5);
        assert_eq!(
            eager.2.last().map(|(batches, size, sums)| (*batches, *size, *sums)),
            Some((5, 6, eager.0))
        );
        assert!(
            eager == run(Tally::Device, loader(true).resident(), loader(false).resident()),
            "{}",
            recipe.name
        );
    }
}
