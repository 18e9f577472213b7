//! Layers one after the other.

use tch::{Tensor, nn};

use super::functions::{RELU, activation};
use super::{Layer, Misfit};

/// PyTorch's `nn.Sequential`: each layer takes the output of the one before. The layers of `tch`'s `SequentialT` have no names.
#[derive(Debug)]
pub struct Sequential(Vec<(String, Box<dyn Layer>)>);

/// A [`Sequential`] that is being built; its variables are below `path`.
pub struct Builder<'a> {
    path: nn::Path<'a>,
    layers: Vec<(String, Box<dyn Layer>)>,
}

/// Begins a network. Its variables are below `path`: `0.weight`, `0.bias`, `1.gamma`.
pub fn sequential<'a>(path: &nn::Path<'a>) -> Builder<'a> {
    Builder { path: path.clone(), layers: Vec::new() }
}

impl<'a> Builder<'a> {
    /// Appends the layer that `layer` makes at a path of its own, named with the next number.
    #[must_use]
    pub fn then<L: Layer + 'static>(self, layer: impl FnOnce(&nn::Path<'a>) -> L) -> Self {
        let number = self.layers.len().to_string();
        self.add_module(&number, layer)
    }

    /// As [`then`](Self::then), if `layer` makes a layer. If not, the next layer gets the number.
    #[must_use]
    pub fn then_optional<L: Layer + 'static>(self, layer: impl FnOnce(&nn::Path<'a>) -> Option<L>) -> Self {
        match layer(&(&self.path / self.layers.len())) {
            Some(layer) => self.then(|_| layer),
            None => self,
        }
    }

    /// `net.add_module(name, layer)`: appends a layer under a name.
    ///
    /// # Panics
    /// If the name has a dot or is taken.
    #[must_use]
    pub fn add_module<L: Layer + 'static>(
        mut self,
        name: &str,
        layer: impl FnOnce(&nn::Path<'a>) -> L,
    ) -> Self {
        assert!(self.layers.iter().all(|(taken, _)| taken != name), "two layers are named {name}");
        let layer = layer(&(&self.path / name));
        self.layers.push((name.to_owned(), Box::new(layer)));
        self
    }

    /// The finished network.
    pub fn done(self) -> Sequential {
        Sequential(self.layers)
    }
}

impl Sequential {
    /// The layers with their names, first to last: the notebook's `for layer in net`.
    pub fn layers(&self) -> impl Iterator<Item = (&str, &dyn Layer)> {
        self.0.iter().map(|(name, layer)| (name.as_str(), layer.as_ref()))
    }
}

impl nn::ModuleT for Sequential {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        let mut layers = self.0.iter().map(|(_, layer)| layer).peekable();
        let mut x = x.shallow_clone();
        while let Some(layer) = layers.next() {
            // A ReLU and the pooling after it are faster in one pass; so are some batch norms and the activation after them.
            let both = layers.peek().and_then(|next| match activation(next.class()) {
                Some(activation) => layer.forward_and_activate(&x, activation, train),
                None if layer.class() == RELU => next.forward_after_relu(&x),
                None => None,
            });
            x = match both {
                Some(y) => {
                    layers.next();
                    y
                }
                None => layer.forward_t(&x, train),
            };
        }
        x
    }
}

impl Layer for Sequential {
    fn class(&self) -> &'static str {
        "Sequential"
    }

    fn as_sequential(&self) -> Option<&Sequential> {
        Some(self)
    }

    fn try_forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor, Misfit> {
        self.0.iter().try_fold(x.shallow_clone(), |x, (name, layer)| {
            layer.try_forward_t(&x, train).map_err(|misfit| misfit.within(name))
        })
    }
}

#[cfg(test)]
mod tests {
    use tch::nn::{ModuleT, VarStore};
    use tch::{Device, Tensor};
    use tch_extra::fused::Activation;

    use super::sequential;
    use crate::layers::{Layer, flatten, relu, sigmoid};

    /// Adds 1; and, where it takes the activation over in training, 100 for a ReLU or 200 for a sigmoid, without either.
    #[derive(Debug)]
    struct Greedy;

    impl ModuleT for Greedy {
        fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
            x + 1
        }
    }

    impl Layer for Greedy {
        fn class(&self) -> &'static str {
            "Greedy"
        }

        fn forward_and_activate(&self, x: &Tensor, activation: Activation, train: bool) -> Option<Tensor> {
            train.then(|| x + 1 + 100 * activation as i64)
        }
    }

    #[test]
    fn a_layer_may_take_over_the_activation_after_it() {
        let vs = VarStore::new(Device::Cpu);
        let boxed = || Box::new(Greedy) as Box<dyn Layer>;
        let net = sequential(&vs.root())
            .then(|_| boxed())
            .then(|_| relu())
            .then(|_| Greedy)
            .then(|_| sigmoid())
            .then(|_| Greedy)
            .then(|_| flatten())
            .then(|_| Greedy)
            .done();
        let y = |train| {
            net.forward_t(&Tensor::from_slice(&[-5.0f32]).reshape([1, 1]), train).double_value(&[0, 0])
        };
        assert_eq!(y(true), -5.0 + 101.0 + 201.0 + 1.0 + 1.0);
        let sigmoid_of_1 = 1.0 / (1.0 + (-1.0f64).exp());
        assert!((y(false) - (sigmoid_of_1 + 2.0)).abs() < 1e-6);
    }
}
