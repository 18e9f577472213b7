//! Cross entropy as d2l's two training loops take it: `-log softmax(y_hat)[y]` of every example, for logits (B, classes) and labels
//! (B,), in nats.

use tch::{Kind, Reduction, Tensor};

/// Which of d2l's losses a step minimizes over its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// [`cross_entropy`], as `train_ch6` has it (d2l section 6.6.2).
    Mean,
    /// [`summed_cross_entropy`], as `train_ch13` has it (d2l section 13.1).
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

    /// The sum over the batch's examples that d2l adds to the epoch's loss, for the loss `l` of `examples` of them. As in Python, a
    /// product of f32.
    pub fn total(self, l: &Tensor, examples: i64) -> Tensor {
        match self {
            Self::Mean => l.detach() * examples,
            Self::Sum => l.detach(),
        }
    }
}
