//! Layers one after the other.

use tch::Tensor;

use super::Module;

/// PyTorch's `nn.Sequential`: feeds each layer's output to the next; children are named `0`, `1`, ...
#[derive(Default)]
pub struct Sequential {
    layers: Vec<(String, Box<dyn Module>)>,
}

impl Sequential {
    /// A network without layers: the identity.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a layer under the next number.
    #[must_use]
    pub fn then(self, layer: impl Module + 'static) -> Self {
        self.then_boxed(Box::new(layer))
    }

    /// Appends a layer whose type was chosen at run time.
    #[must_use]
    pub fn then_boxed(mut self, layer: Box<dyn Module>) -> Self {
        self.layers.push((self.layers.len().to_string(), layer));
        self
    }

    /// The layers, first to last, for walking through them as the notebook's `for layer in net` does.
    pub fn layers(&mut self) -> impl Iterator<Item = &mut dyn Module> {
        self.layers.iter_mut().map(|(_, layer)| layer.as_mut() as &mut dyn Module)
    }
}

impl Module for Sequential {
    fn name(&self) -> &'static str {
        "Sequential"
    }

    fn forward(&mut self, x: &Tensor, train: bool) -> Tensor {
        self.layers().fold(x.shallow_clone(), |x, layer| layer.forward(&x, train))
    }

    fn children(&mut self) -> Vec<(String, &mut dyn Module)> {
        self.layers
            .iter_mut()
            .map(|(name, layer)| (name.clone(), layer.as_mut() as &mut dyn Module))
            .collect()
    }
}
