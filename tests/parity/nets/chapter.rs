//! The chapter's large networks, with each batch norm and with none: initial weights, logits, every gradient, three steps of SGD.
//!
//! `fixtures.chapter` stores the numbers of this Python; `experiments/compare.rs` has whole runs:
//!
//! ```python
//! torch.manual_seed(2024)
//! images, labels = torch.randint(0, 256, (4, 1, 28, 28), dtype=torch.uint8), torch.randint(0, 10, (4,))
//! X = resized(images, recipe.resize).to(torch.float32).div(255)
//! torch.manual_seed(0)
//! net = recipe.build(variant)
//! net.apply(init_weights)  # Xavier, as in init.rs
//! optimizer = torch.optim.SGD(net.parameters(), lr=recipe.lr)
//! for _ in range(3):
//!     optimizer.zero_grad()
//!     nn.functional.cross_entropy(net(X), labels).backward()
//!     optimizer.step()
//! ```

use d2l_ch7::experiments::recipes::{RECIPES, Recipe};
use d2l_ch7::nets::vgg::vgg;
use d2l_ch7::norm::Variant;
use tch::nn::ModuleT;
use tch::{Reduction, Tensor};
use tch_extra::state_dict::named_parameters;

use crate::support::{ROUNDING, Stored, libtorch, skipped};
use crate::train::first_step::{synthetic_batch, whole_batch};

/// The tolerance for logits. Observed between AVX2 and AVX-512: 2.9e-5 at most.
const NETWORK_ROUNDING: f64 = 1e-4;

/// The tolerance for gradients on four images: where the input of a ReLU is nearly zero, its sign, and so the gradient, depends on
/// the kernel. Observed between AVX2 and AVX-512: 2.2e-2 at most, in GoogLeNet.
const FLIPPED: f64 = 6e-2;

fn check(recipe: &Recipe, variant: Variant) {
    let stored = Stored::open(&format!("chapter_{}", recipe.name));
    let (images, labels) = synthetic_batch(4);
    stored.assert_digest("images", &images, ROUNDING);
    stored.assert_equal("labels", &labels);
    let x = whole_batch(&images, &labels, recipe);
    let part = |part: &str| format!("{variant}.{part}");

    // The net of seed 0 comes last: it is trained.
    let [_, net] = [7, 0].map(|seed| {
        tch_extra::manual_seed(seed);
        let net = recipe.initial_net(&variant.into());
        stored.assert_rows(&part(&format!("initial.{seed}")), &net.state(), ROUNDING);
        net
    });
    let mut optimizer = recipe.optimizer.over(net.vs.trainable_variables(), recipe.lr);
    let mut losses = Vec::new();
    for step in 0..3 {
        optimizer.zero_grad();
        let logits = net.forward_t(&x, true);
        let loss = logits.cross_entropy_loss(&labels, None::<Tensor>, Reduction::Mean, -100, 0.0);
        loss.backward();
        losses.push(loss.detach());
        if step == 0 {
            stored.assert_near(&part("logits"), &logits.detach(), NETWORK_ROUNDING);
            let gradients = named_parameters(&net.vs).into_iter().map(|(key, p)| (key, p.grad()));
            stored.assert_rows(&part("grad"), &gradients.collect::<Vec<_>>(), FLIPPED);
        }
        optimizer.step();
    }
    if !stored.same_signature() {
        return skipped(
            "three steps against stored references",
            "training amplifies rounding; see compare.rs",
        );
    }
    stored.assert_floats(&part("losses"), &Tensor::stack(&losses, 0));
    stored.assert_rows(&part("after"), &net.state(), 0.0);
}

#[test]
fn the_chapters_networks_are_pytorchs() {
    let _turn = libtorch();
    // All channels of VGG-11, which the book shows and does not train.
    let vgg11 =
        Recipe { name: "vgg11", net: |p, norm| vgg(p, norm, 1), ..Recipe::named("vgg").unwrap().clone() };
    for recipe in RECIPES.iter().filter(|recipe| !recipe.is_lenet()).chain([&vgg11]) {
        Variant::IN_PYTHON.into_iter().for_each(|variant| check(recipe, variant));
    }
}
