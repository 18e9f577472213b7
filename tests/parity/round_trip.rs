//! Weights of every network, saved by Rust and loaded by Python, and the other way round.

use std::path::Path;
use std::process::Command;

use d2l_ch7::experiments::networks::{NETWORKS, Network};
use d2l_ch7::nets::Net;
use d2l_ch7::norm::Variant;
use d2l_ch7::{torch, weights};
use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor};

use crate::live::{python_side, succeed};
use crate::support::{Stored, bytes, libtorch, notebooks_ref};

fn file(folder: &Path, network: &Network, variant: Variant, what: &str) -> std::path::PathBuf {
    folder.join(format!("{}.{variant}.{what}.safetensors", network.name))
}

fn net(network: &Network, variant: Variant) -> Net {
    Net::new(|p| (network.build)(p, &variant.into()))
}

/// The output for `x` of a new network with the weights in `file`.
fn evaluated(network: &Network, variant: Variant, file: &Path, x: &Tensor) -> Tensor {
    let net = net(network, variant);
    weights::load_into(&net.vs, file).unwrap();
    tch::no_grad(|| net.forward_t(x, false))
}

#[test]
fn weights_of_every_network_go_both_ways() {
    let _turn = libtorch();
    let Some(python) = python_side("weights of every network, both ways") else { return };
    let folder = tempfile::tempdir().unwrap();
    let each = || NETWORKS.iter().flat_map(|network| Variant::NOTEBOOKS.map(|variant| (network, variant)));
    torch::manual_seed(5);
    for (network, variant) in each() {
        let net = net(network, variant);
        // Running statistics as training leaves them: with those of a new net, mean 0 and variance 1 could change
        // places unseen.
        let [channels, height, width] = network.input;
        let x = Tensor::rand([2, channels, height, width], (Kind::Float, Device::Cpu));
        let _ = tch::no_grad(|| net.forward_t(&x, true));
        weights::save(&file(folder.path(), network, variant, "rust"), &net.state()).unwrap();
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

/// A file of `state_dicts.py` is loaded, with the same bits, if Python's strict `load_state_dict` takes it, and refused if that refuses
/// it.
#[test]
fn state_dicts_are_taken_as_python_takes_them() {
    let _turn = libtorch();
    let Some(python) = python_side("state dicts of other kinds") else { return };
    let folder = tempfile::tempdir().unwrap();
    succeed(Command::new(&python).arg(notebooks_ref().join("state_dicts.py")).arg(folder.path()));
    let network = Network::named("lenet").unwrap();
    let mut refused = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(variant) = Variant::NOTEBOOKS.into_iter().find(|v| name.starts_with(v.name())) else {
            continue;
        };
        if name.ends_with(".loaded.safetensors") {
            continue;
        }
        let net = net(network, variant);
        // A count that a file lacks stays.
        let fresh: Vec<_> = net.state().into_iter().map(|(name, tensor)| (name, tensor.copy())).collect();
        let loaded = path.with_extension("loaded.safetensors");
        if !loaded.exists() {
            assert!(weights::load_into(&net.vs, &path).is_err(), "{name}");
            assert!(net.state() == fresh, "{name}");
            refused += 1;
            continue;
        }
        weights::load_into(&net.vs, &path).unwrap_or_else(|error| panic!("{error}"));
        let expected = Stored::made_here(&loaded);
        for (key, tensor) in net.state() {
            assert!(bytes(&tensor) == bytes(expected.get(&key)), "{name}: {key}");
        }
    }
    assert!(refused >= 10, "{refused}");

    // What `torch.save` wrote becomes a file that is taken, by the line that the refusal gives.
    for (name, converted) in
        [("trained.pt", "trained.safetensors"), ("old.safetensors", "old.new.safetensors")]
    {
        let error = weights::load(&folder.path().join(name)).unwrap_err();
        let line = error.remedy().split_once("in Python: ").unwrap().1.split_once(" (where").unwrap().0;
        succeed(Command::new(&python).args(["-c", line]));
        let net = net(network, Variant::Native);
        weights::load_into(&net.vs, &folder.path().join(converted)).unwrap();
        let expected = Stored::made_here(&folder.path().join("native.plain.loaded.safetensors"));
        for (key, tensor) in net.state() {
            assert!(bytes(&tensor) == bytes(expected.get(&key)), "{name}: {key}");
        }
    }
}
