//! ResNet-18 on CIFAR-10 against Python, live: the batches of every augmentation and number of workers, and whole runs
//! against d2l's own `train_ch13`. The Python of each test stands above the test.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use clap::ValueEnum;
use d2l_ch7::data::{Batch, Batches, Cifar10, FashionMnist, ImageLoader};
use d2l_ch7::experiments::cifar::Augmentation;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tch::Device;
use torchvision_exact::transforms::Compose;

use crate::live::{Live, assert_same_figures, assert_same_weights, succeed};
use crate::support::{bytes, has_cuda, libtorch};

/// A folder with six files in CIFAR-10's layout. The first `examples` images of the first training file and of the test
/// file come from Fashion-MNIST: three neighbours are an image's red, green and blue. All other images are black.
pub fn cifar_folder(live: &Live, examples: usize) -> PathBuf {
    let data = FashionMnist::load(Some(live.data()), false).unwrap();
    let folder = live.folder.path().join("cifar-10-batches-bin");
    std::fs::create_dir_all(&folder).unwrap();
    let files = (1..=5).map(|i| format!("data_batch_{i}.bin")).chain(["test_batch.bin".to_owned()]);
    for (name, images) in files.zip([&data.train; 5].into_iter().chain([&data.test])) {
        let mut file = File::create(folder.join(&name)).unwrap();
        file.set_len((RECORDS * (1 + 3 * SIDE * SIDE)) as u64).unwrap();
        if name.ends_with("_1.bin") || name.starts_with("test") {
            for i in 0..examples {
                file.write_all(&record(images, i)).unwrap();
            }
        }
    }
    folder
}

/// The images in one file of CIFAR-10.
const RECORDS: usize = 10_000;
const SIDE: usize = 32;

/// The label and the pixels of one image, as CIFAR-10's files have them.
fn record(images: &d2l_ch7::data::Images, i: usize) -> Vec<u8> {
    let mut record = vec![images.labels[i]];
    for plane in i..i + 3 {
        let mut pixels = [[0; SIDE]; SIDE];
        for (row, line) in images.image(plane).pixels().chunks(images.cols).enumerate() {
            pixels[row + 2][2..2 + images.cols].copy_from_slice(line);
        }
        record.extend(pixels.as_flattened());
    }
    record
}

/// `cifar_batches.batches`, here with the augmentation `flip`:
///
/// ```python
/// augs = Compose([RandomHorizontalFlip(), ToTensor()])
/// train = cifar10.Cifar10(data_dir, cifar10.TRAIN_FILES, augs, examples=300)
/// loader = DataLoader(train, batch_size=64, shuffle=True, num_workers=workers)
/// torch.manual_seed(5)
/// for epoch in range(2):
///     for X, y in loader:
///         print(hashlib.sha256(X.numpy().tobytes() + y.numpy().tobytes()).hexdigest())
/// next_seed = torch.empty((), dtype=torch.int64).random_()
/// ```
#[test]
fn batches_are_the_data_loaders() {
    let _turn = libtorch();
    let Some(live) = Live::find("augmented batches against a DataLoader's") else { return };
    let folder = cifar_folder(&live, 300);
    let arguments = ["--examples", "300", "--batch-size", "64", "--seed", "5"];
    let python = succeed(live.script("cifar_batches.py").args(arguments).arg("--data-dir").arg(&folder));
    let python: Value = serde_json::from_str(&python).unwrap();

    let images = Arc::new(Cifar10::load(Some(&folder), false).unwrap().train.first(Some(300)));
    let augmentations =
        Augmentation::value_variants().iter().map(|augment| (augment.to_string(), Some(augment)));
    for (name, augment) in [("plain".to_owned(), None)].into_iter().chain(augmentations) {
        for workers in [0, 1, 2, 4] {
            let augs = || augment.map_or_else(Compose::new, |augment| augment.transforms());
            let loader = ImageLoader::new(Arc::clone(&images), augs(), 64, true, workers, Device::Cpu);
            tch_extra::manual_seed(5);
            let hashes: Vec<String> = (0..2).flat_map(|_| loader.iter()).map(|batch| hash(&batch)).collect();
            let expected = &python[format!("{name}.{workers}")];
            assert_eq!(expected["batches"], Value::from(hashes), "{name} with {workers} workers");
            assert_eq!(expected["next_seed"], tch_extra::random_i64(), "{name} with {workers} workers");
        }
    }
}

fn hash(batch: &Batch) -> String {
    let digest = Sha256::new().chain_update(bytes(&batch.x)).chain_update(bytes(&batch.y)).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Trains one epoch in Rust and in Python, and compares figures and weights. Both programs get the options of `place`, such as
/// the device; only the Rust program gets those of `steps`.
fn check(live: &Live, folder: &Path, arguments: &[&str], place: &[&str], steps: &[&str]) {
    let variant = arguments[1];
    let out = live.folder.path().join([arguments, steps].concat().concat());
    let arguments = [
        arguments,
        place,
        &["--test-examples", "40", "--batch-size", "40", "--epochs", "1", "--threads", "2"],
    ]
    .concat();
    succeed(
        Command::new(env!("CARGO_BIN_EXE_d2l_ch7"))
            .args(["cifar", "--quiet", "--variants", variant])
            .args(&arguments[2..])
            .args(steps)
            .arg("--data-dir")
            .arg(folder)
            .arg("--out")
            .arg(&out),
    );
    let (json, weights) = (live.folder.path().join("out.json"), live.folder.path().join("out.safetensors"));
    succeed(
        live.script("train_cifar.py")
            .args(&arguments)
            .arg("--data-dir")
            .arg(folder)
            .arg("--out")
            .arg(&json)
            .arg("--weights")
            .arg(&weights),
    );
    assert_same_figures(&out, &json, 1);
    assert_same_weights(&out.join(format!("weights/{variant}.safetensors")), &weights);
}

/// `train_cifar.run`; `init_weights` is the note's Xavier initialization, and `cifar10.loaders` its `load_cifar10`:
///
/// ```python
/// torch.manual_seed(seed)
/// net = d2l.resnet18(10, 3)
/// net.apply(init_weights)
/// train_iter, test_iter = cifar10.loaders(data_dir, "flip", 40, 210, 40, workers)
/// loss = nn.CrossEntropyLoss(reduction="none")
/// trainer = torch.optim.Adam(net.parameters(), lr=0.001)
/// d2l.train_ch13(net, train_iter, test_iter, loss, trainer, num_epochs, devices=[torch.device("cpu")])
/// ```
#[test]
fn runs_are_train_ch13s_to_the_last_bit() {
    let _turn = libtorch();
    let Some(live) = Live::find("ResNet-18 on CIFAR-10 against d2l's loop") else { return };
    // Five batches and a smaller last one, so that some workers prepare more batches than others.
    let folder = cifar_folder(&live, 210);
    for (workers, seed, variant, augment) in [
        ("0", "0", "augmented", "flip"),
        ("1", "3", "augmented", "flip+jitter"),
        ("2", "7", "augmented", "all"),
        ("4", "123456789", "augmented", "flip+crop"),
        ("4", "1", "plain", "flip"),
    ] {
        let arguments = ["--variant", variant, "--seed", seed, "--workers", workers, "--augment", augment];
        check(&live, &folder, &arguments, &["--device", "cpu", "--train-examples", "210"], &[]);
    }
}

/// The same on a GPU, by steps and by CUDA graphs. There are so many batches that the loader still copies some to the device while the
/// fourth step is recorded.
#[test]
fn runs_on_cuda_are_train_ch13s_to_the_last_bit() {
    let _turn = libtorch();
    let what = "ResNet-18 on CUDA against d2l's loop";
    let Some(live) = Live::find(what).filter(|_| has_cuda(what)) else { return };
    let arguments = ["--variant", "augmented", "--seed", "0", "--workers", "2", "--augment", "flip"];
    let folder = cifar_folder(&live, 4010);
    let place = ["--device", "cuda:0", "--deterministic", "--train-examples", "4010"];
    for steps in ["--no-graph", "--graph"] {
        check(&live, &folder, &arguments, &place, &[steps]);
    }
}
