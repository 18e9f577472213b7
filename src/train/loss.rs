//! Cross entropy as d2l's two training loops take it.

use tch::{Kind, Reduction, Tensor};

/// What a step minimizes over its batch: `-log softmax(y_hat)[y]` of every example, for logits (B, classes) and
/// labels (B,), in nats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// `nn.CrossEntropyLoss()`, as `train_ch6` has it (d2l section 6.6.2): the mean.
    Mean,
    /// `nn.CrossEntropyLoss(reduction="none")`, then `.sum()`, as `train_ch13` has it (d2l section 13.1).
    Sum,
}

impl Loss {
    /// The loss of a batch, an f32 scalar.
    pub fn of(self, y_hat: &Tensor, y: &Tensor) -> Tensor {
        let cross_entropy = |reduction| y_hat.cross_entropy_loss(y, None::<Tensor>, reduction, -100, 0.0);
        match self {
            Self::Mean => cross_entropy(Reduction::Mean),
            // Not Reduction::Sum, which adds in another order.
            Self::Sum => cross_entropy(Reduction::None).sum(None::<Kind>),
        }
    }

    /// What d2l adds to the epoch's loss for a batch of so many examples: the sum over them, an f32 in either case.
    pub(super) fn total(self, loss: &Tensor, examples: i64) -> f64 {
        // f32 -> f64 -> f32 is exact.
        let loss = loss.double_value(&[]) as f32;
        f64::from(match self {
            Self::Mean => loss * examples as f32,
            Self::Sum => loss,
        })
    }

    /// [`total`](Self::total) as an f32 scalar on the loss's device: the same product.
    pub(super) fn total_on_device(self, loss: &Tensor, examples: i64) -> Tensor {
        let loss = loss.to_kind(Kind::Float);
        match self {
            Self::Mean => loss * examples,
            Self::Sum => loss,
        }
    }
}
