//! A convolutional network for MNIST, like that of `tch`'s own examples, trained twice from one state of the random generators: step by
//! step, and by a step that is recorded once and then repeated (on a GPU as a CUDA graph). Losses and weights are the same, to the bit.
//!
//! ```text
//! cargo run -p tch-extra --example mnist [FOLDER]
//! ```
//!
//! FOLDER has MNIST's four files, unzipped. Without it, the images are noise, which is enough to see the bits.

use tch::nn::{ConvConfig, ModuleT, VarStore};
use tch::{Device, Kind, Tensor, nn};
use tch_extra::nn::{Conv2d, conv2d, linear};
use tch_extra::optim::{Optimizer, Sgd};
use tch_extra::{Determinism, GeneratorState, Recording, device_name, manual_seed};

const BATCH: i64 = 64;
const STEPS: i64 = 20;
/// Steps before one is recorded: cuDNN chooses its kernels, and cuBLAS takes its memory.
const WARM_UP: i64 = 3;

#[derive(Debug)]
struct Net {
    conv1: Conv2d,
    conv2: Conv2d,
    fc1: nn::Linear,
    fc2: nn::Linear,
}

impl Net {
    fn new(p: &nn::Path) -> Self {
        Self {
            conv1: conv2d(&(p / "conv1"), 1, 32, 5, ConvConfig::default()),
            conv2: conv2d(&(p / "conv2"), 32, 64, 5, ConvConfig::default()),
            fc1: linear(&(p / "fc1"), 1024, 1024),
            fc2: linear(&(p / "fc2"), 1024, 10),
        }
    }
}

impl ModuleT for Net {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        let x = x.view([-1, 1, 28, 28]).apply(&self.conv1).max_pool2d_default(2);
        let x = x.apply(&self.conv2).max_pool2d_default(2).view([-1, 1024]);
        x.apply(&self.fc1).relu().dropout(0.5, train).apply(&self.fc2)
    }
}

/// The images and labels of one step, in memory that stays: a recorded step reads them there.
struct Batch {
    images: Tensor,
    labels: Tensor,
}

impl Batch {
    fn fill(&mut self, (images, labels): &(Tensor, Tensor), step: i64) {
        let start = step * BATCH % (images.size()[0] - BATCH + 1);
        self.images.copy_(&images.narrow(0, start, BATCH));
        self.labels.copy_(&labels.narrow(0, start, BATCH));
    }
}

/// Losses, and the weights after the last step.
fn trained(
    data: &(Tensor, Tensor),
    device: Device,
    recorded: bool,
) -> tch_extra::Result<(Vec<f64>, Vec<Tensor>)> {
    let mut vs = VarStore::new(Device::Cpu);
    let net = Net::new(&vs.root());
    vs.set_device(device);
    let mut optimizer = Sgd::new(vs.trainable_variables(), 0.1);
    let mut batch = Batch {
        images: Tensor::zeros([BATCH, 784], (Kind::Float, device)),
        labels: Tensor::zeros([BATCH], (Kind::Int64, device)),
    };
    let mut recording: Option<(Recording, Tensor)> = None;
    let mut losses = Vec::new();
    for i in 0..STEPS {
        batch.fill(data, i);
        let mut step = || {
            optimizer.zero_grad();
            let loss = net.forward_t(&batch.images, true).cross_entropy_for_logits(&batch.labels);
            loss.backward();
            optimizer.step();
            loss.detach()
        };
        let loss = match &recording {
            Some((recording, loss)) => {
                recording.replay()?;
                loss.shallow_clone()
            }
            None if recorded && i == WARM_UP => {
                recording.insert(Recording::of(device, step)?).1.shallow_clone()
            }
            None => step(),
        };
        losses.push(loss.double_value(&[]));
    }
    Ok((losses, vs.trainable_variables().iter().map(Tensor::detach).collect()))
}

fn data(device: Device) -> (Tensor, Tensor) {
    let Some(folder) = std::env::args().nth(1) else {
        let images = Tensor::rand([1000, 784], (Kind::Float, Device::Cpu));
        let labels = Tensor::randint(10, [1000], (Kind::Int64, Device::Cpu));
        return (images.to_device(device), labels.to_device(device));
    };
    let mnist = tch::vision::mnist::load_dir(folder).expect("a folder with MNIST's four files");
    (mnist.train_images.to_device(device), mnist.train_labels.to_device(device))
}

fn main() -> tch_extra::Result<()> {
    let device = Device::cuda_if_available();
    Determinism::reproducible().set()?;
    manual_seed(0);
    let data = data(device);
    let begun = GeneratorState::capture(device)?;
    let (losses, weights) = trained(&data, device, false)?;
    begun.restore()?;
    let (again, weights_again) = trained(&data, device, true)?;
    for (step, loss) in losses.iter().enumerate().step_by(5) {
        println!("step {step:2}: loss {loss}");
    }
    assert_eq!(losses, again);
    assert!(weights == weights_again);
    println!("the recorded step on {} gives the same losses and weights, to the bit", device_name(device));
    Ok(())
}
