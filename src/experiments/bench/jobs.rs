//! What is measured here, ready to be run again and again.

use std::ops::ControlFlow;
use std::sync::Arc;

use tch::nn::{ModuleT, VarStore};
use tch::{Device, Kind, Tensor};
use tch_extra::optim::{Adam, Optimizer};
use torchvision_exact::transforms::Compose;

use super::subject::{CIFAR, MIXED, Subject, Training};
use crate::Result;
use crate::data::{Batches, DataLoader, DataSet, ImageLoader, ImageSet, Images};
use crate::experiments::cifar::{self, Augmentation};
use crate::experiments::recipes::Recipe;
use crate::init;
use crate::nets::Net;
use crate::nets::resnet18::resnet18_cifar;
use crate::norm::{Dims, Norm, Variant};
use crate::train::{Graphed, Loss, Metric, Numerics, Totals, ch6, ch13, evaluate};

/// Does it once. The device may still be computing then. It gives an error if a step cannot be recorded.
pub type Job<'a> = Box<dyn FnMut() -> Result<()> + 'a>;

/// The data sets that are at hand.
pub(super) struct DataSets {
    pub fashion_mnist: Option<DataSet>,
    pub cifar10: Option<DataSet>,
}

/// The images of one subject, to train on and to test on.
pub(super) enum SubjectImages {
    /// Of Fashion-MNIST.
    Gray([ImageSet; 2]),
    /// Of CIFAR-10.
    Coloured([Arc<Images>; 2]),
}

impl DataSets {
    /// The data set that `recipe` trains on.
    pub fn of(&self, recipe: &str) -> Option<&DataSet> {
        if recipe == CIFAR { self.cifar10.as_ref() } else { self.fashion_mnist.as_ref() }
    }

    /// The images of `subject`, if it reads any.
    pub fn images(&self, subject: &Subject) -> Option<SubjectImages> {
        let Training { recipe, train_examples, test_examples, .. } = *subject.reads()?;
        let DataSet { train, test, .. } = self.of(recipe)?;
        let sets = [(train, train_examples), (test, test_examples)];
        let sets = sets.map(|(images, n)| images.clone().first(Some(n)));
        Some(match recipe {
            CIFAR => SubjectImages::Coloured(sets.map(Arc::new)),
            _ => SubjectImages::Gray(sets.map(|images| ImageSet::new(&images))),
        })
    }
}

/// The job of `subject`, which has these `images` if it reads any, with steps that are `recorded` where it is an epoch.
pub(super) fn job<'a>(
    subject: &Subject,
    images: Option<&'a SubjectImages>,
    device: Device,
    recorded: bool,
) -> Job<'a> {
    tch_extra::manual_seed(0);
    let loaders = |training| loaders(training, images, device, recorded || device.is_cuda());
    match subject {
        Subject::BatchNorm { variant, shape, backward } => batch_norm(variant, shape, *backward, device),
        Subject::Step(training) => step(training, device),
        Subject::Epoch(training) => epoch(training, loaders(training), device, recorded),
        Subject::Data(training) => {
            let [train_iter, _] = loaders(training);
            Box::new(move || {
                train_iter.iter().for_each(drop);
                Ok(())
            })
        }
    }
}

fn batch_norm<'a>(variant: &str, shape: &[i64], backward: bool, device: Device) -> Job<'a> {
    let dims = if shape.len() == 2 { Dims::Two } else { Dims::Four };
    let vs = VarStore::new(device);
    let layer = norm(variant).batch_norm(&vs.root(), shape[1], dims).expect("a subject has a batch norm");
    let mut x = Tensor::rand(shape, (Kind::Float, device)).set_requires_grad(true);
    Box::new(move || {
        let y = layer.forward_t(&x, true);
        if backward {
            tch_extra::clear_grad(&mut x);
            vs.trainable_variables().iter_mut().for_each(tch_extra::clear_grad);
            y.sum(Kind::Float).backward();
        }
        Ok(())
    })
}

fn step<'a>(training: &Training, device: Device) -> Job<'a> {
    let (net, mut optimizer, loss) = trained(training, device);
    let edge = |recipe: &Recipe| recipe.resize.unwrap_or(28) as i64;
    let [channels, edge] = Recipe::named(training.recipe).map_or([3, 32], |recipe| [1, edge(recipe)]);
    let n = training.batch_size as i64;
    let x = Tensor::rand([n, channels, edge, edge], (Kind::Float, device));
    let y = Tensor::randint(10, [n], (Kind::Int64, device));
    Box::new(move || {
        optimizer.zero_grad();
        loss.of(&net.forward_t(&x, true), &y).backward();
        optimizer.step();
        Ok(())
    })
}

/// Training and evaluation.
fn epoch<'a>(
    training: &Training,
    [train_iter, test_iter]: Loaders<'a>,
    device: Device,
    recorded: bool,
) -> Job<'a> {
    let (net, mut optimizer, loss) = trained(training, device);
    let train_epoch = match loss {
        Loss::Mean => ch6::train_epoch,
        Loss::Sum => ch13::train_epoch,
    };
    let mut graphed = recorded.then(|| Graphed::new(device));
    Box::new(move || {
        let (batches, optimizer) = (train_iter.iter(), optimizer.as_mut());
        if let Some(graphed) = &mut graphed {
            graphed.train_epoch(&net, batches, loss, optimizer, Totals::default(), &mut go_on)?;
            return graphed.evaluate(&net, test_iter.as_ref()).map(drop);
        }
        let mut metric = Metric::new(device, Totals::default());
        let _ = train_epoch(&net, batches, optimizer, &mut metric, &mut go_on)?;
        metric.totals();
        evaluate(&net, test_iter.as_ref(), Metric::new(device, Totals::default()));
        Ok(())
    })
}

fn go_on(_: usize, _: &Metric, _: &dyn Optimizer) -> Result<ControlFlow<()>> {
    Ok(ControlFlow::Continue(()))
}

/// The network of a variant, its optimizer and its loss.
fn trained(&Training { recipe, variant, .. }: &Training, device: Device) -> (Net, Box<dyn Optimizer>, Loss) {
    if let Some(recipe) = Recipe::named(recipe) {
        let mut net = recipe.initial_net(&norm(variant));
        net.vs.set_device(device);
        let optimizer = recipe.optimizer.over(net.vs.trainable_variables(), recipe.lr);
        return (net, optimizer, Loss::Mean);
    }
    let mut net = Net::new(|p| resnet18_cifar(p, &Norm::Native, 10, 3));
    init::xavier_weights(&net.vs);
    net.vs.set_device(device);
    let mixed = variant == MIXED;
    let net = Numerics { amp: mixed, channels_last: mixed }.of(net);
    let optimizer = Box::new(Adam::new(net.vs.trainable_variables(), cifar::LR));
    (net, optimizer, Loss::Sum)
}

/// The batches of training and of evaluation.
type Loaders<'a> = [Box<dyn Batches + 'a>; 2];

/// The loaders that `compare` or `cifar` has; Fashion-MNIST's with the images on the device if `resident`.
fn loaders<'a>(
    training: &Training,
    images: Option<&'a SubjectImages>,
    device: Device,
    resident: bool,
) -> Loaders<'a> {
    let batch_size = training.batch_size;
    let images = images.expect("a subject is left out if its data set is not here");
    [true, false].map(|is_train| -> Box<dyn Batches + 'a> {
        let i = usize::from(!is_train);
        match images {
            SubjectImages::Gray(sets) => {
                let loader = DataLoader::new(&sets[i], batch_size, is_train, device);
                let loader = loader.resize(Recipe::named(training.recipe).and_then(Recipe::resize));
                Box::new(if resident { loader.resident() } else { loader })
            }
            SubjectImages::Coloured(sets) => {
                let flip = is_train && training.variant == "augmented";
                let augs = if flip { Augmentation::Flip.transforms() } else { Compose::new() };
                let images = Arc::clone(&sets[i]);
                Box::new(ImageLoader::new(images, augs, batch_size, is_train, cifar::WORKERS, device))
            }
        }
    })
}

fn norm(variant: &str) -> Norm {
    let known = Variant::IN_PYTHON.into_iter().find(|known| known.name() == variant);
    known.expect("a subject has a variant that Python has too").into()
}
