//! Every network's layers, and what `list` says it costs, against Python's, live.
//!
//! `networks.py --shapes`:
//!
//! ```python
//! net, X = vgg(native_norm, ratio=4).eval(), torch.rand(1, 1, 224, 224)
//! with FlopCounterMode() as counter:
//!     for name, layer in net.named_children():
//!         X = layer(X)
//!         print(name, type(layer).__name__, X.shape, sum(p.numel() for p in layer.parameters()))
//! print(counter.get_total_flops() // 2)
//! ```

use std::process::Command;

use d2l_ch7::experiments::list::Cost;
use d2l_ch7::experiments::networks::NETWORKS;
use d2l_ch7::experiments::shapes::{self, Format, Shapes};
use d2l_ch7::norm::Variant;

use crate::live::{python_side, succeed};
use crate::support::{libtorch, notebooks_ref};

#[test]
fn shapes_and_costs_are_pythons() {
    let _turn = libtorch();
    let Some(python) = python_side("shapes of every network against Python's") else { return };
    let rows = succeed(Command::new(python).arg(notebooks_ref().join("networks.py")).arg("--shapes"));
    for network in &NETWORKS {
        for variant in Variant::IN_PYTHON {
            let prefix = format!("{},{variant},", network.name);
            let python: Vec<&str> = rows.lines().filter_map(|row| row.strip_prefix(&prefix)).collect();
            let asked = Shapes { network, input: None, variant: Some(variant), format: Format::Csv };
            let rust = shapes::run(&asked).unwrap();
            let cost = Cost::of(network.build, &variant.into(), network.input).unwrap();
            let multiply_adds = format!("multiply-adds,{}", cost.multiply_adds);
            assert_eq!(rust.lines().skip(1).chain([&*multiply_adds]).collect::<Vec<_>>(), python, "{prefix}");
            let parameters = python.iter().filter_map(|row| row.split(',').nth(3)?.parse::<usize>().ok());
            assert_eq!(cost.parameters, parameters.sum::<usize>(), "{prefix}");
        }
    }
}
