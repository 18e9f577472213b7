//! `d2l_ch7 cifar` on several devices, with mixed precision and with channels last, against Python, live.
//!
//! `nn.DataParallel` works on accelerators only. `replicas.Replicas` does its arithmetic on a CPU. `train_cifar.run`:
//!
//! ```python
//! torch.manual_seed(3)
//! net = d2l.resnet18(10, 3)
//! net.apply(init_weights)
//! train_iter, test_iter = cifar10.loaders(data_dir, "flip", 7, 32, 15, workers=1)
//! loss = nn.CrossEntropyLoss(reduction="none")
//! trainer = torch.optim.Adam(net.parameters(), lr=0.001)
//! trained = Replicas(net, 2)  # on GPUs: nn.DataParallel(net, device_ids=[0, 1])
//! d2l.train_ch13(trained, train_iter, test_iter, loss, trainer, 1, devices=[torch.device("cpu")])
//! ```

use std::path::Path;
use std::process::Command;

use d2l_ch7::layers::linear;
use d2l_ch7::nets::Net;
use d2l_ch7::train::DataParallel;
use serde_json::Value;
use tch::Device;

use crate::experiments::cifar::cifar_folder;
use crate::live::{Live, assert_same_figures, assert_same_weights, succeed};
use crate::support::libtorch;

/// The options that both programs get. d2l's loop needs five batches. Of a batch of 7 images, two devices get 4 and 3, and three
/// get 3, 3 and 1. The last batch has 4 images: the first two devices get 2 each. The last test image goes to the first device.
const COMMON: &str =
    "--seed 3 --epochs 1 --batch-size 7 --train-examples 32 --test-examples 15 --workers 1 --threads 1";

/// Trains in Rust and in Python and compares every figure and every weight. Gives the run's `config.json` and report.
fn check(live: &Live, data: &Path, rust: &[&str], python: &[&str]) -> (Value, String) {
    let out = live.folder.path().join(rust.concat());
    let mut command = Command::new(env!("CARGO_BIN_EXE_d2l_ch7"));
    command.args(["cifar", "--variants", "augmented", "--quiet"]).args(rust).args(COMMON.split(' '));
    succeed(command.arg("--data-dir").arg(data).arg("--out").arg(&out));
    let (json, weights) = (out.join("python.json"), out.join("python.safetensors"));
    let mut command = live.script("train_cifar.py");
    command.args(python).args(COMMON.split(' ')).arg("--data-dir").arg(data);
    succeed(command.arg("--out").arg(&json).arg("--weights").arg(&weights));
    assert_same_figures(&out, &json, 1);
    assert_same_weights(&out.join("weights/augmented.safetensors"), &weights);
    let read = |name| std::fs::read_to_string(out.join(name)).unwrap();
    (serde_json::from_str(&read("config.json")).unwrap(), read("report.md"))
}

#[test]
fn several_devices_are_data_parallel() {
    let _turn = libtorch();
    let Some(live) = Live::find("cifar on several devices against Python") else { return };
    let data = cifar_folder(&live, 32);
    for (devices, replicas) in [("cpu,cpu", "2"), ("cpu,cpu,cpu", "3")] {
        let (config, report) = check(&live, &data, &["--device", devices], &["--replicas", replicas]);
        assert_eq!(config["signature"]["device"], devices);
        assert!(!report.contains("## Mixed precision"), "{report}");
    }
}

/// `numerics.ChannelsLast` and `numerics.Autocast` wrap the net and the loss of `d2l.train_ch13`. A step is then:
///
/// ```python
/// net.to(memory_format=torch.channels_last)
/// trainer.zero_grad()
/// with torch.autocast("cpu", dtype=torch.bfloat16):
///     l = loss(net(X.to(memory_format=torch.channels_last)), y)
/// l.sum().backward()
/// trainer.step()
/// ```
#[test]
fn mixed_precision_and_memory_format_are_pytorchs() {
    let _turn = libtorch();
    let Some(live) = Live::find("cifar --amp --channels-last against Python") else { return };
    let data = cifar_folder(&live, 32);
    for options in [&["--amp"][..], &["--channels-last"]] {
        let (config, report) = check(&live, &data, &[options, &["--device", "cpu"]].concat(), options);
        assert_eq!(config["amp"], options.contains(&"--amp"));
        assert_eq!(config["channels_last"], options.contains(&"--channels-last"));
        assert!(report.contains("## Mixed precision") && report.contains("The trained weights"), "{report}");
    }
    let both = ["--amp", "--channels-last"];
    check(
        &live,
        &data,
        &[&both[..], &["--device", "cpu,cpu"]].concat(),
        &[&both[..], &["--replicas", "2"]].concat(),
    );
}

/// The copies of a net leave the random generator as the net alone leaves it.
#[test]
fn replicas_take_no_random_number() {
    let _turn = libtorch();
    tch_extra::manual_seed(5);
    let net = || Net::new(|p| linear(p, 3, 2));
    let _alone = net();
    let next = tch_extra::random_u32();
    tch_extra::manual_seed(5);
    let _net = DataParallel::of(net(), &[Device::Cpu; 3], net);
    assert_eq!(tch_extra::random_u32(), next);
}
