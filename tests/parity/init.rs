//! Initial weights of every layer of every recipe with a LeNet; `nets/chapter.rs` has the others.
//!
//! `fixtures.init` and `fixtures.init_digests` store the numbers of this Python, here for the recipe `book`; `adamw` keeps
//! PyTorch's default weights:
//!
//! ```python
//! def init_weights(m):
//!     if type(m) in (nn.Linear, nn.Conv2d):
//!         nn.init.xavier_uniform_(m.weight)
//! torch.manual_seed(seed)
//! net = lenet_sigmoid(native_norm)  # nn.Sequential(nn.Conv2d(1, 6, kernel_size=5), nn.BatchNorm2d(6), ...)
//! default = copy.deepcopy(net.state_dict())
//! net.apply(init_weights)
//! xavier = net.state_dict()
//! ```

use d2l_ch7::experiments::recipes::RECIPES;
use d2l_ch7::init::xavier_weights;
use d2l_ch7::nets::Net;
use d2l_ch7::norm::{Norm, Variant};

use crate::support::{ROUNDING, Stored, libtorch};

/// Every float of two recipes: a failure names the tensor and the difference.
#[test]
fn default_and_xavier_weights_are_pytorchs() {
    let _turn = libtorch();
    for recipe in RECIPES.iter().filter(|recipe| ["book", "dropout"].contains(&recipe.name)) {
        let stored = Stored::open(&format!("init_{}", recipe.name));
        tch_extra::manual_seed(0);
        let net = Net::new(|p| (recipe.net)(p, &Norm::Native));
        for (key, tensor) in net.state() {
            stored.assert_floats(&format!("default.{key}"), &tensor.copy());
        }
        xavier_weights(&net.vs);
        let xavier = net.state();
        assert_eq!(xavier.len(), stored.below("xavier.").len(), "as many tensors as PyTorch's state_dict");
        for (key, tensor) in xavier {
            stored.assert_floats(&format!("xavier.{key}"), &tensor);
        }
    }
}

/// All of these recipes and variants with three seeds, by the SHA-256 of each tensor.
#[test]
fn every_recipe_begins_as_in_pytorch() {
    let _turn = libtorch();
    let stored = Stored::open("init_digests");
    for recipe in RECIPES.iter().filter(|recipe| recipe.is_lenet()) {
        for variant in Variant::IN_PYTHON {
            for seed in [0, 1, 7] {
                tch_extra::manual_seed(seed);
                let stage = if recipe.xavier { "xavier" } else { "default" };
                let prefix = format!("{}.{variant}.{seed}.{stage}.", recipe.name);
                let net = recipe.initial_net(&variant.into()).state();
                assert_eq!(net.len(), stored.below(&prefix).len(), "{prefix}: tensors");
                for (key, tensor) in net {
                    stored.assert_digest(&format!("{prefix}{key}"), &tensor, ROUNDING);
                }
            }
        }
    }
}
