//! Weights of every network, saved by Rust and loaded by Python, and the other way.

use std::path::Path;
use std::process::Command;

use d2l_ch7::experiments::networks::{NETWORKS, Network};
use d2l_ch7::layers::{Module, load_state, state};
use d2l_ch7::norm::Variant;
use d2l_ch7::{torch, weights};
use tch::{Device, Kind, Tensor};

use crate::live::{python_side, succeed};
use crate::support::{Stored, libtorch, notebooks_ref};

fn file(folder: &Path, network: &Network, variant: Variant, what: &str) -> std::path::PathBuf {
    folder.join(format!("{}.{variant}.{what}.safetensors", network.name))
}

/// What the network with the weights in `file` makes of `x`, to which it is a stranger until then.
fn evaluated(network: &Network, variant: Variant, file: &Path, x: &Tensor) -> Tensor {
    let mut net = (network.build)(variant);
    load_state(&mut net, &weights::load(file).unwrap(), "the test").unwrap();
    tch::no_grad(|| net.forward(x, false))
}

#[test]
fn weights_of_every_network_go_both_ways() {
    let _turn = libtorch();
    let Some(python) = python_side("weights of every network, both ways") else { return };
    let folder = tempfile::tempdir().unwrap();
    let each = || NETWORKS.iter().flat_map(|network| Variant::NOTEBOOKS.map(|variant| (network, variant)));
    torch::manual_seed(5);
    for (network, variant) in each() {
        let mut net = (network.build)(variant);
        // Running statistics as training leaves them: with those of a new net, mean 0 and variance 1 could change
        // places unseen.
        let [channels, height, width] = network.input;
        let x = Tensor::rand([2, channels, height, width], (Kind::Float, Device::Cpu));
        let _ = tch::no_grad(|| net.forward(&x, true));
        weights::save(&file(folder.path(), network, variant, "rust"), &state(&mut net)).unwrap();
    }
    succeed(Command::new(python).arg(notebooks_ref().join("networks.py")).arg(folder.path()));
    for (network, variant) in each() {
        let file = |what| file(folder.path(), network, variant, what);
        let images = Stored::made_here(&file("images"));
        let x = images.get("X");
        images.assert_floats("Y", &evaluated(network, variant, &file("rust"), x));
        let expected = Stored::made_here(&file("expected"));
        expected.assert_floats("Y", &evaluated(network, variant, &file("python"), x));
        assert!(images.get("Y") != expected.get("Y"), "two nets, not one twice");
    }
}
