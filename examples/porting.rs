//! A PyTorch program, carried to Rust: the worked example of `docs/porting.md`, which has the Python.

use std::sync::Arc;

use tch::nn::{BatchNormConfig, ConvConfig, Init, ModuleT, VarStore};
use tch::{Device, Kind, Tensor, nn};
use tch_extra::nn::{conv2d, linear};
use tch_extra::optim::{Adam, Optimizer};
use torchvision_exact::image::{Image, Mode};
use torchvision_exact::loader::{EpochDraws, Prefetcher};
use torchvision_exact::random::Draws;
use torchvision_exact::transforms::{RandomHorizontalFlip, ToTensor, Transform};

/// libtorch's default generator, from which a `DataLoader` draws its seeds.
struct DefaultGenerator;

impl Draws for DefaultGenerator {
    fn next_u32(&mut self) -> u32 {
        tch_extra::random_u32()
    }
}

fn net(p: &nn::Path) -> nn::SequentialT {
    let padded = ConvConfig { padding: 1, ..Default::default() };
    let ones = BatchNormConfig { ws_init: Init::Const(1.0), ..Default::default() };
    nn::seq_t()
        .add(conv2d(&(p / 0), 3, 8, 3, padded))
        .add(nn::batch_norm2d(p / 1, 8, ones))
        .add_fn(|x| x.relu().avg_pool2d(2, 2, 0, false, true, None::<i64>).flatten(1, -1))
        .add_fn_t(|x, train| x.dropout(0.5, train))
        .add(linear(&(p / 6), 128, 5))
}

/// The sum of the batches' losses in each of three epochs.
pub fn totals() -> anyhow::Result<Vec<f64>> {
    tch_extra::set_threads(Some(1))?;
    tch_extra::manual_seed(0);
    let bytes: Vec<u8> = (0..50 * 8 * 8 * 3).map(|i| (i * 37 % 251) as u8).collect();
    let pictures = bytes.chunks(8 * 8 * 3).map(|pixels| Image::new(Mode::Rgb, 8, 8, pixels.to_vec()));
    let pictures: Arc<[Image]> = pictures.collect::<Result<_, _>>()?;

    let vs = VarStore::new(Device::Cpu);
    let net = net(&vs.root());
    let mut optimizer = Adam::decoupled(vs.trainable_variables(), 0.01, 0.01);
    let mut totals = Vec::new();
    for _ in 0..3 {
        let draws = EpochDraws::new(pictures.len(), true, &mut DefaultGenerator);
        let (workers, pictures) = (draws.workers(2), Arc::clone(&pictures));
        let loader = Prefetcher::new(draws.order, 16, 0, workers, move |indices, draws| {
            let flip =
                |&i: &i64| RandomHorizontalFlip::default().transform(pictures[i as usize].clone(), draws);
            let x =
                ToTensor.batch(&indices.iter().map(flip).collect::<Vec<_>>()).expect("images of one size");
            (x, Tensor::from_slice(indices).remainder(5))
        });
        let mut total = 0.0;
        for (x, y) in loader {
            optimizer.zero_grad();
            let loss = net.forward_t(&x, true).cross_entropy_for_logits(&y);
            loss.backward();
            optimizer.step();
            total += loss.to_kind(Kind::Double).double_value(&[]);
        }
        totals.push(total);
    }
    Ok(totals)
}

fn main() -> anyhow::Result<()> {
    for (epoch, total) in totals()?.into_iter().enumerate() {
        println!("{epoch} {total:.3}");
    }
    Ok(())
}

// Output:
// 0 6.625
// 1 6.373
// 2 5.640
