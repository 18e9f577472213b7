//! The losses of d2l's two training loops: cross entropy, `-log softmax(y_hat)[y]` of every example, for logits (B, classes) and
//! labels (B,), in nats.

use tch::{Kind, Reduction, Tensor};

/// Which of d2l's two losses a step minimizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// [`cross_entropy`], the loss of `train_ch6` (d2l section 6.6.2).
    Mean,
    /// [`summed_cross_entropy`], the loss of `train_ch13` (d2l section 13.1).
    Sum,
}

/// `nn.CrossEntropyLoss()(y_hat, y)`: the mean over the batch, an f32 scalar.
pub fn cross_entropy(y_hat: &Tensor, y: &Tensor) -> Tensor {
    y_hat.cross_entropy_loss(y, None::<Tensor>, Reduction::Mean, -100, 0.0)
}

/// `nn.CrossEntropyLoss(reduction="none")(y_hat, y).sum()`, an f32 scalar. `Reduction::Sum` would add in another order.
pub fn summed_cross_entropy(y_hat: &Tensor, y: &Tensor) -> Tensor {
    y_hat.cross_entropy_loss(y, None::<Tensor>, Reduction::None, -100, 0.0).sum(None::<Kind>)
}

impl Loss {
    /// The loss of a batch, an f32 scalar.
    pub fn of(self, y_hat: &Tensor, y: &Tensor) -> Tensor {
        match self {
            Self::Mean => cross_entropy(y_hat, y),
            Self::Sum => summed_cross_entropy(y_hat, y),
        }
    }

    /// The sum of the losses of a batch's `examples`, which d2l adds to the epoch's loss; `l` is the batch's loss. As in Python, the
    /// product is one of f32.
    pub fn total(self, l: &Tensor, examples: i64) -> Tensor {
        match self {
            Self::Mean => l.detach() * examples,
            Self::Sum => l.detach(),
        }
    }
}
