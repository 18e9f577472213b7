//! The initial weights of the book's `train_ch6`.

use tch::nn::VarStore;
use tch_extra::init::xavier_uniform_;
use tch_extra::state_dict::named_parameters;

/// The book's `net.apply(init_weights)`: draws the weight of every convolution and dense layer anew with [`xavier_uniform_`], in the
/// order of construction. Biases and batch norms stay.
pub fn xavier_weights(vs: &VarStore) {
    for (name, mut parameter) in named_parameters(vs) {
        // Not batch norms: a native one's `weight` has one dimension, and a scratch one's is named `gamma`.
        if name.ends_with("weight") && parameter.dim() > 1 {
            xavier_uniform_(&mut parameter);
        }
    }
}
