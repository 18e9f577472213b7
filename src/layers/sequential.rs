//! Layers one after the other.

use tch::Tensor;

use super::{Misfit, Module};

/// PyTorch's `nn.Sequential`: feeds each layer's output to the next; children are named `0`, `1`, ... or as
/// [`add_module`](Self::add_module) says.
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
    pub fn then_boxed(self, layer: Box<dyn Module>) -> Self {
        let number = self.layers.len().to_string();
        self.named(number, layer)
    }

    /// `net.add_module(name, layer)`: appends a layer under a name of its own, which its weights' names begin with.
    ///
    /// # Panics
    /// If the name is empty, has a dot, or is taken.
    #[must_use]
    pub fn add_module(self, name: &str, layer: impl Module + 'static) -> Self {
        self.named(name.to_owned(), Box::new(layer))
    }

    fn named(mut self, name: String, layer: Box<dyn Module>) -> Self {
        assert!(!name.is_empty() && !name.contains('.'), "{name:?} cannot be a layer's name");
        assert!(self.layers.iter().all(|(taken, _)| *taken != name), "two layers are named {name}");
        self.layers.push((name, layer));
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

    fn try_forward(&mut self, x: &Tensor, train: bool) -> Result<Tensor, Misfit> {
        self.layers.iter_mut().try_fold(x.shallow_clone(), |x, (name, layer)| {
            layer.try_forward(&x, train).map_err(|misfit| misfit.within(name))
        })
    }

    fn children(&mut self) -> Vec<(String, &mut dyn Module)> {
        self.layers
            .iter_mut()
            .map(|(name, layer)| (name.clone(), layer.as_mut() as &mut dyn Module))
            .collect()
    }
}
