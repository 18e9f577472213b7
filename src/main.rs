use d2l_ch7::*;
fn main() {
    let mut tr = Vec::new();
    use std::io::Read;
    let rd = |n: &str| { let mut v = Vec::new(); flate2::read::GzDecoder::new(std::fs::File::open(format!("/usr/share/datasets/fashion-mnist/{n}")).unwrap()).read_to_end(&mut v).unwrap(); v };
    let ti = rd("train-images-idx3-ubyte.gz"); let tl = rd("train-labels-idx1-ubyte.gz");
    let si = rd("t10k-images-idx3-ubyte.gz"); let sl = rd("t10k-labels-idx1-ubyte.gz");
    let train = data::ImageSet::new(&ti[16..], &tl[8..], 28, 28, None);
    let test = data::ImageSet::new(&si[16..], &sl[8..], 28, 28, None);
    for v in norm::Variant::ALL {
        torch::manual_seed(0);
        let mut net = nets::lenet::lenet(v);
        init::xavier_weights(&mut net);
        let mut opt = optim::Sgd::new(layers::parameters(&mut net), 1.0);
        let a = data::DataLoader::new(&train, 256, true, tch::Device::Cpu);
        let b = data::DataLoader::new(&test, 256, false, tch::Device::Cpu);
        for _ in 0..2 {
            let t = std::time::Instant::now();
            let m = train::train_epoch(&mut net, &a, &mut opt, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
            let t1 = t.elapsed();
            let e = train::evaluate(&mut net, &b);
            println!("{v} {:?} {:?} {:?} {:?} {:?} {:?}", m.loss(), m.accuracy(), e.loss(), e.accuracy(), t1, t.elapsed());
        }
        tr.push(0);
    }
}
