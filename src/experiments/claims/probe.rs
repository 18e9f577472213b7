//! Networks that are looked into while they are trained, for the claims about what happens inside.

use std::ops::ControlFlow;

use tch::nn::{ModuleT, Path, VarStore};
use tch::{Device, Tensor};
use tch_extra::optim::Optimizer;
use tch_extra::state_dict::named_parameters;

use crate::data::{Batch, Batches, DataLoader, ImageSet};
use crate::experiments::recipes::Recipe;
use crate::layers::Sequential;
use crate::progress::EpochBar;
use crate::train::{Metric, Totals, ch6, cross_entropy, evaluate};
use crate::{Result, init, interrupt};

/// A network on the CPU whose layers can be reached.
#[derive(Debug)]
pub struct Probe {
    /// Parameters and running statistics.
    pub vs: VarStore,
    /// The layers.
    pub net: Sequential,
}

impl Probe {
    /// The network that `build` makes, as a run begins it: the generator gets the seed, and Xavier's initialization redraws the weights.
    pub fn new(seed: u64, build: impl FnOnce(&Path) -> Sequential) -> Self {
        tch_extra::manual_seed(seed);
        let vs = VarStore::new(Device::Cpu);
        let net = build(&vs.root());
        init::xavier_weights(&vs);
        Self { vs, net }
    }

    /// Trains `epochs` epochs with the recipe's optimizer, learning rate and batch size. `progress` is the title of the bars, without
    /// which none are shown; `after_batch` gets the number of batches so far, and that of an epoch.
    ///
    /// # Errors
    /// If someone interrupts the run.
    pub fn train(
        &self,
        recipe: &Recipe,
        images: &ImageSet,
        epochs: usize,
        progress: Option<&str>,
        mut after_batch: impl FnMut(usize, usize),
    ) -> Result<()> {
        let loader = DataLoader::new(images, recipe.batch_size, true, Device::Cpu);
        let mut optimizer = recipe.optimizer.over(self.vs.trainable_variables(), recipe.lr);
        let mut done = 0;
        for epoch in 1..=epochs {
            let bar = EpochBar::new(progress.unwrap_or_default(), epoch, epochs, &loader, progress.is_none());
            let look = &mut |_: usize, metric: &Metric, _: &dyn Optimizer| {
                go_on()?;
                done += 1;
                bar.show(done - (epoch - 1) * loader.batches(), metric);
                after_batch(done, loader.batches());
                Ok(ControlFlow::Continue(()))
            };
            let mut metric = Metric::Host(Totals::default());
            let _ = ch6::train_epoch(&self.net, loader.iter(), optimizer.as_mut(), &mut metric, look)?;
        }
        Ok(())
    }

    /// Loss and accuracy over `images` by the running statistics.
    pub fn evaluate(&self, images: &ImageSet) -> Totals {
        let loader = DataLoader::new(images, 256, false, Device::Cpu);
        evaluate(&self.net, &loader, Metric::Host(Totals::default()))
    }

    /// The weights of convolutions and dense layers, first to last, with their names in the network. They share its memory.
    pub fn weights(&self) -> Vec<(String, Tensor)> {
        let parameters = named_parameters(&self.vs).into_iter();
        parameters.filter(|(name, weight)| name.ends_with("weight") && weight.dim() > 1).collect()
    }

    /// The gradients of the loss on `batch` by the [`weights`](Self::weights), in training mode, which moves the running statistics.
    pub fn gradients(&self, batch: &Batch) -> Vec<(String, Tensor)> {
        self.vs.trainable_variables().iter_mut().for_each(tch_extra::clear_grad);
        cross_entropy(&self.net.forward_t(&batch.x, true), &batch.y).backward();
        self.weights().into_iter().map(|(name, weight)| (name, weight.grad())).collect()
    }

    /// What the layers of a class, such as `Sigmoid`, take in for the images `x`, in training mode.
    pub fn inputs_of(&self, class: &str, x: &Tensor) -> Vec<Tensor> {
        let _no_grad = tch::no_grad_guard();
        let (mut x, mut inputs) = (x.shallow_clone(), Vec::new());
        for (_, layer) in self.net.layers() {
            if layer.class() == class {
                inputs.push(x.shallow_clone());
            }
            x = layer.forward_t(&x, true);
        }
        inputs
    }
}

/// An error if someone asked the program to end.
pub fn go_on() -> Result<()> {
    let (what, remedy) =
        ("interrupted while a claim was measured", "the same command measures that claim again");
    if interrupt::requested() { Err(interrupt::error(what, remedy)) } else { Ok(()) }
}

/// What the reader calls the layers of a LeNet that have weights, first to last.
pub const LENET: [&str; 5] = ["conv 1", "conv 2", "dense 1", "dense 2", "dense 3"];

/// A tensor's Euclidean norm, summed in f64.
pub fn norm(tensor: &Tensor) -> f64 {
    tensor.detach().to_kind(tch::Kind::Double).norm().double_value(&[])
}

/// The first `size` images as one batch.
pub fn first_batch(images: &ImageSet, size: usize) -> Batch {
    DataLoader::new(images, size, false, Device::Cpu).iter().next().expect("a data set has an image")
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::data::Images;
    use crate::experiments::claims::{Claim, Figure};
    use crate::norm::Norm;

    /// Gray images whose pixels look random, with labels that repeat.
    pub fn images(n: usize) -> Images {
        let pixels = (0..n * 28 * 28).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        Images { pixels, labels: (0..n).map(|i| (i % 10) as u8).collect(), rows: 28, cols: 28, channels: 1 }
    }

    /// Every quantity of the claim is there, nothing else is, and every value is finite.
    pub fn check_figures(claim: &Claim, figures: &[Figure], rows: usize) {
        assert_eq!(figures.len(), rows);
        assert!(figures.iter().all(|figure| figure.value.is_finite()), "{figures:?}");
        let mut quantities: Vec<_> = figures.iter().map(|figure| figure.quantity.as_str()).collect();
        quantities.sort_unstable();
        quantities.dedup();
        let mut expected = claim.quantities.iter().map(|quantity| quantity.name).collect::<Vec<_>>();
        expected.sort_unstable();
        assert_eq!(quantities, expected);
    }

    /// A network of one dense layer, whose gradient is known: (softmax - one-hot) times the input.
    #[test]
    fn gradients_and_inputs_are_those_of_the_layers() {
        let build = |p: &Path| {
            use crate::layers::{flatten, linear, sequential, sigmoid};
            sequential(p).then(|_| flatten()).then(|_| sigmoid()).then(|p| linear(p, 4, 2)).done()
        };
        let probe = Probe::new(3, build);
        let batch =
            Batch { x: Tensor::rand([1, 1, 2, 2], tch::kind::FLOAT_CPU), y: Tensor::from_slice(&[1i64]) };
        let input = batch.x.reshape([1, 4]);
        assert_eq!(probe.inputs_of("Sigmoid", &batch.x), [input.shallow_clone()]);
        let softmax = tch::no_grad(|| probe.net.forward_t(&batch.x, true)).softmax(-1, tch::Kind::Float);
        let expected = (softmax - Tensor::from_slice(&[0.0f32, 1.0])).reshape([2, 1]) * input.sigmoid();
        // Twice: the second does not add to the first.
        for _ in 0..2 {
            let gradients = probe.gradients(&batch);
            assert_eq!(gradients.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["2.weight"]);
            assert!((&gradients[0].1 - &expected).abs().max().double_value(&[]) < 1e-6);
        }
    }

    #[test]
    fn a_probe_trains_on_every_image_once_an_epoch() {
        let book = Recipe::named("book").unwrap();
        let probe = Probe::new(5, |p| (book.net)(p, &Norm::Native));
        let before = probe.weights()[0].1.detach().copy();
        let mut calls = Vec::new();
        let images = ImageSet::new(&images(300));
        probe.train(book, &images, 2, None, |done, of_epoch| calls.push((done, of_epoch))).unwrap();
        assert!(norm(&(before - &probe.weights()[0].1)) > 0.0);
        // Two batches an epoch: 256 and 44 images.
        assert_eq!(calls, [(1, 2), (2, 2), (3, 2), (4, 2)]);
        assert_eq!(probe.vs.variables()["1.num_batches_tracked"].int64_value(&[]), 4);
    }
}
