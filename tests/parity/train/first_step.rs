//! The first training step of every variant of the recipes with a LeNet (`nets/chapter.rs` has the others): logits, loss, every gradient, and every tensor after the step.
//!
//! `fixtures.first_step` stores the numbers of this Python:
//!
//! ```python
//! torch.manual_seed(2024)
//! images = torch.randint(0, 256, (recipe.batch_size, 1, 28, 28), dtype=torch.uint8)
//! labels = torch.randint(0, 10, (recipe.batch_size,))
//! torch.manual_seed(0)
//! net = recipe.build(variant)
//! recipe.initialize(net)
//! optimizer = recipe.optimizer(net.parameters(), recipe.lr)
//! logits = net(images.to(torch.float32).div(255))
//! loss = nn.functional.cross_entropy(logits, labels)
//! loss.backward()
//! gradients = {name: parameter.grad for name, parameter in net.named_parameters()}
//! optimizer.step()
//! ```

use d2l_ch7::data::{Batches, DataLoader, ImageSet, Images};
use d2l_ch7::experiments::recipes::{Algorithm, RECIPES, Recipe};
use d2l_ch7::norm::Variant;
use tch::nn::ModuleT;
use tch::{Device, Kind, Reduction, Tensor};
use tch_extra::state_dict::named_parameters;

use crate::support::{ADAM_EITHER_WAY, ROUNDING, Stored, bytes, libtorch};

/// The tolerance for gradients, and for parameters after a step of SGD. Observed between SSE4.1 and AVX-512: 1.9e-5 at most,
/// in the bias of a layer before a batch norm, which subtracts it again.
const GRADIENT_ROUNDING: f64 = 5e-5;

/// The batch size of a recipe that resizes: its own batch size would take gigabytes.
const LARGE: i64 = 8;

/// The references' synthetic images (n, 1, 28, 28) and labels (n,).
pub fn synthetic_batch(n: i64) -> (Tensor, Tensor) {
    tch_extra::manual_seed(2024);
    let images = Tensor::randint(256, [n, 1, 28, 28], (Kind::Uint8, Device::Cpu));
    (images, Tensor::randint(10, [n], (Kind::Int64, Device::Cpu)))
}

/// All images as one batch of the recipe's loader, resized where the recipe resizes.
pub fn whole_batch(images: &Tensor, labels: &Tensor, recipe: &Recipe) -> Tensor {
    let labels: Vec<u8> = Vec::try_from(labels.to_kind(Kind::Uint8)).unwrap();
    let images = Images { pixels: bytes(images), labels, rows: 28, cols: 28, channels: 1 };
    let set = ImageSet::new(&images);
    let loader = DataLoader::new(&set, images.len(), false, Device::Cpu).resize(recipe.resize());
    loader.iter().next().unwrap().x
}

fn check(recipe: &Recipe, variant: Variant) {
    let stored = Stored::open(&format!("first_step_{}", recipe.name));
    let large = recipe.resize.is_some();
    let (images, labels) = synthetic_batch(if large { LARGE } else { recipe.batch_size as i64 });
    stored.assert_digest("images", &images, ROUNDING);
    stored.assert_equal("labels", &labels);
    let images = whole_batch(&images, &labels, recipe);
    let name = |part: &str| format!("{variant}.{part}");

    tch_extra::manual_seed(0);
    let net = recipe.initial_net(&variant.into());
    let mut optimizer = recipe.optimizer.over(net.vs.trainable_variables(), recipe.lr);
    let logits = net.forward_t(&images, true);
    stored.assert_floats(&name("logits"), &logits.detach());
    let loss = logits.cross_entropy_loss(&labels, None::<Tensor>, Reduction::Mean, -100, 0.0);
    stored.assert_floats(&name("loss"), &loss.detach());
    loss.backward();
    for (key, parameter) in named_parameters(&net.vs) {
        let grad = name(&format!("grad.{key}"));
        if recipe.name == "book" {
            stored.assert_floats(&grad, &parameter.grad());
        } else {
            stored.assert_digest(&grad, &parameter.grad(), GRADIENT_ROUNDING);
        }
    }
    optimizer.step();
    let after = if recipe.optimizer == Algorithm::Sgd { GRADIENT_ROUNDING } else { ADAM_EITHER_WAY };
    for (key, tensor) in net.state() {
        stored.assert_digest(&name(&format!("after.{key}")), &tensor, after);
    }
}

#[test]
fn first_steps_are_pytorchs() {
    let _turn = libtorch();
    for recipe in RECIPES.iter().filter(|recipe| recipe.is_lenet()) {
        Variant::IN_PYTHON.into_iter().for_each(|variant| check(recipe, variant));
    }
}
