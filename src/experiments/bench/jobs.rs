//! What is measured here, ready to be run again and again.

use std::ops::ControlFlow;
use std::sync::Arc;

use tch::nn::{ModuleT, VarStore};
use tch::{Device, Kind, Tensor};

use super::subject::{CIFAR, MIXED, Subject};
use crate::data::transforms::Compose;
use crate::data::{Batches, DataLoader, ImageLoader, ImageSet, Images};
use crate::experiments::cifar::{self, Augmentation};
use crate::experiments::recipes::Recipe;
use crate::nets::Net;
use crate::nets::resnet18::resnet18_cifar;
use crate::norm::{Dims, Norm, Variant};
use crate::optim::{Adam, Optimizer};
use crate::train::{Graphed, Loss, Metric, Numerics, Totals, WARM_UP, ch6, ch13, evaluate};
use crate::{Result, init, panics, torch};

/// Does it once. The device may still be computing then.
pub type Job<'a> = Box<dyn FnMut() + 'a>;

/// The data sets that are at hand, training and test images.
pub(super) struct DataSets {
    pub fashion_mnist: Option<[Images; 2]>,
    pub cifar10: Option<[Images; 2]>,
}

/// The images of one subject, training and test.
pub(super) enum SubjectImages {
    /// It has none.
    None,
    /// Of the recipes on Fashion-MNIST.
    Gray([ImageSet; 2]),
    /// Of CIFAR-10.
    Coloured([Arc<Images>; 2]),
}

impl DataSets {
    /// The images of `subject`, whose data set is at hand.
    pub fn of(&self, subject: &Subject) -> SubjectImages {
        let (Subject::Epoch { recipe, size, .. } | Subject::Data { recipe, size, .. }) = subject else {
            return SubjectImages::None;
        };
        let first = |[train, test]: &[Images; 2]| {
            [train.clone().first(Some(size.train_examples)), test.clone().first(Some(size.test_examples))]
        };
        if *recipe == CIFAR {
            let sets = self.cifar10.as_ref().expect("subjects of data that is not here are left out");
            return SubjectImages::Coloured(first(sets).map(Arc::new));
        }
        let sets = self.fashion_mnist.as_ref().expect("subjects of data that is not here are left out");
        let set =
            |images: Images| ImageSet::new(&images.pixels, &images.labels, images.rows, images.cols, None);
        SubjectImages::Gray(first(sets).map(set))
    }
}

/// A network and how it is trained.
struct Trained {
    net: Net,
    optimizer: Box<dyn Optimizer>,
    loss: Loss,
}

/// The job of `subject`, which has these `images`.
pub(super) fn job<'a>(subject: &Subject, images: &'a SubjectImages, device: Device) -> Job<'a> {
    torch::manual_seed(0);
    match subject {
        Subject::BatchNorm { variant, shape, backward } => batch_norm(variant, shape, *backward, device),
        Subject::Step { recipe, variant, batch_size } => step(recipe, variant, *batch_size, device),
        Subject::Epoch { recipe, variant, size } => {
            let loaders = loaders(recipe, variant, size.batch_size, images, device, device.is_cuda());
            epoch(Trained::new(recipe, variant, device), loaders, device)
        }
        Subject::Data { recipe, variant, size } => {
            let [train_iter, _] = loaders(recipe, variant, size.batch_size, images, device, device.is_cuda());
            Box::new(move || train_iter.iter().for_each(drop))
        }
    }
}

/// The job of `subject` with steps that are recorded, which an epoch of enough batches has.
pub(super) fn recorded_job<'a>(
    subject: &Subject,
    images: &'a SubjectImages,
    device: Device,
) -> Option<Job<'a>> {
    let Subject::Epoch { recipe, variant, size } = subject else { return None };
    if size.train_examples / size.batch_size <= WARM_UP {
        return None;
    }
    torch::manual_seed(0);
    let loaders = loaders(recipe, variant, size.batch_size, images, device, true);
    Some(graphed_epoch(Trained::new(recipe, variant, device), loaders, device))
}

fn batch_norm<'a>(variant: &str, shape: &[i64], backward: bool, device: Device) -> Job<'a> {
    let dims = if shape.len() == 2 { Dims::Two } else { Dims::Four };
    let vs = VarStore::new(device);
    let layer = Norm::from(of_name(variant)).batch_norm(&vs.root(), shape[1], dims);
    let mut x = Tensor::rand(shape, (Kind::Float, device)).set_requires_grad(true);
    Box::new(move || {
        let y = layer.forward_t(&x, true);
        if backward {
            torch::clear_grad(&mut x);
            vs.trainable_variables().iter_mut().for_each(torch::clear_grad);
            y.sum(Kind::Float).backward();
        }
    })
}

fn step<'a>(recipe: &str, variant: &str, batch_size: usize, device: Device) -> Job<'a> {
    let mut trained = Trained::new(recipe, variant, device);
    let [channels, edge] =
        if recipe == CIFAR { [3, 32] } else { [1, named(recipe).resize.unwrap_or(28) as i64] };
    let n = batch_size as i64;
    let x = Tensor::rand([n, channels, edge, edge], (Kind::Float, device));
    let y = Tensor::randint(10, [n], (Kind::Int64, device));
    Box::new(move || {
        let Trained { net, optimizer, loss } = &mut trained;
        optimizer.zero_grad();
        loss.of(&net.forward_t(&x, true), &y).backward();
        optimizer.step();
    })
}

/// Training and evaluation.
fn epoch<'a>(
    mut trained: Trained,
    [train_iter, test_iter]: [Box<dyn Batches + 'a>; 2],
    device: Device,
) -> Job<'a> {
    Box::new(move || {
        let Trained { net, optimizer, loss } = &mut trained;
        let train_epoch = match loss {
            Loss::Mean => ch6::train_epoch,
            Loss::Sum => ch13::train_epoch,
        };
        let mut metric = Metric::new(device, Totals::default());
        let went_on = train_epoch(net, train_iter.iter(), optimizer.as_mut(), &mut metric, &mut go_on);
        let _ = went_on.expect("going on is no error");
        metric.totals();
        evaluate(net, test_iter.as_ref(), Metric::new(device, Totals::default()));
    })
}

/// The same by recorded steps.
fn graphed_epoch<'a>(
    mut trained: Trained,
    [train_iter, test_iter]: [Box<dyn Batches + 'a>; 2],
    device: Device,
) -> Job<'a> {
    let mut graphed = Graphed::new(device);
    Box::new(move || {
        let Trained { net, optimizer, loss } = &mut trained;
        let (epoch, done) = (train_iter.iter(), Totals::default());
        let trained = graphed.train_epoch(net, epoch, *loss, optimizer.as_mut(), done, &mut go_on);
        if let Err(error) = trained.and_then(|_| graphed.evaluate(net, test_iter.as_ref())) {
            panics::raise(error);
        }
    })
}

fn go_on(_: usize, _: &Metric, _: &dyn Optimizer) -> Result<ControlFlow<()>> {
    Ok(ControlFlow::Continue(()))
}

impl Trained {
    fn new(recipe: &str, variant: &str, device: Device) -> Self {
        if recipe == CIFAR {
            let mut net = Net::new(|p| resnet18_cifar(p, &Norm::Native, 10, 3));
            init::xavier_weights(&net.vs);
            net.vs.set_device(device);
            let mixed = variant == MIXED;
            let net = Numerics { amp: mixed, channels_last: mixed }.of(net);
            let optimizer = Box::new(Adam::new(net.vs.trainable_variables(), cifar::LR));
            return Self { net, optimizer, loss: Loss::Sum };
        }
        let recipe = named(recipe);
        let mut net = recipe.initial_net(&of_name(variant).into());
        net.vs.set_device(device);
        let optimizer = recipe.optimizer.over(net.vs.trainable_variables(), recipe.lr);
        Self { net, optimizer, loss: Loss::Mean }
    }
}

/// The batches of training and of evaluation, as `compare` or `cifar` has them.
fn loaders<'a>(
    recipe: &str,
    variant: &str,
    batch_size: usize,
    images: &'a SubjectImages,
    device: Device,
    resident: bool,
) -> [Box<dyn Batches + 'a>; 2] {
    match images {
        SubjectImages::None => unreachable!("only subjects with images have loaders"),
        SubjectImages::Gray(sets) => [true, false].map(|is_train| -> Box<dyn Batches + 'a> {
            let loader = DataLoader::new(&sets[usize::from(!is_train)], batch_size, is_train, device);
            let loader = loader.resize(named(recipe).resize());
            Box::new(if resident { loader.resident() } else { loader })
        }),
        SubjectImages::Coloured(sets) => [true, false].map(|is_train| -> Box<dyn Batches + 'a> {
            let flip = is_train && variant == "augmented";
            let augs = if flip { Augmentation::Flip.transforms() } else { Compose::new() };
            let images = Arc::clone(&sets[usize::from(!is_train)]);
            Box::new(ImageLoader::new(images, augs, batch_size, is_train, cifar::WORKERS, device))
        }),
    }
}

fn named(recipe: &str) -> &'static Recipe {
    Recipe::named(recipe).expect("subjects name recipes that there are")
}

fn of_name(variant: &str) -> Variant {
    Variant::NOTEBOOKS
        .into_iter()
        .find(|known| known.name() == variant)
        .expect("subjects name variants that there are")
}
