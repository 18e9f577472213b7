//! Note 001: a batch norm after one forward pass, feature scaling, and tensors as PyTorch prints them.
//!
//! `fixtures.basics` stores the numbers of this Python (`basics.figures`):
//!
//! ```python
//! torch.manual_seed(seed)
//! for shape in (100, 16, 28, 28), (1, 16, 7, 7):
//!     x = torch.rand(shape)
//!     layer = nn.BatchNorm2d(16)
//!     y = layer(x)  # in training
//!     print(layer.state_dict(), y.mean((0, 2, 3)), y.var((0, 2, 3), correction=0))
//!     evaluated = layer.eval()(x)
//! before = basics.gradient_images().to(torch.float32).div(255)
//! after = Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])(before)
//! print(after.mean((0, 2, 3)), after.std((0, 2, 3)), after.amin((0, 2, 3)), after.amax((0, 2, 3)))
//! ```

use std::process::Command;

use d2l_ch7::experiments::basics::Figures;
use d2l_ch7::report::pytorch_text;
use tch::{Kind, Tensor};

use crate::live::{Live, assert_same_weights, succeed};
use crate::support::{ROUNDING, Stored, libtorch, notebooks_ref};

const SEEDS: [u64; 4] = [0, 1, 7, 12345];

#[test]
fn every_figure_is_pytorchs() {
    let _turn = libtorch();
    let stored = Stored::open("basics");
    for seed in SEEDS {
        let figures = Figures::compute(seed, None);
        let tensors = figures.tensors();
        let names = stored.below(&format!("{seed}."));
        let kept = names.iter().filter(|name| !name.ends_with(".sha256")).count();
        assert_eq!(tensors.len(), kept, "seed {seed}: as many figures as in Python");
        for (name, tensor) in tensors {
            let name = format!("{seed}.{name}");
            match tensor.kind() {
                Kind::Float => stored.assert_floats(&name, &tensor),
                _ => stored.assert_equal(&name, &tensor),
            }
        }
        for (pass, shape) in figures.passes.iter().zip(["100x16x28x28", "1x16x7x7"]) {
            let (training, evaluation) = (&pass.training, &pass.evaluation);
            for (name, tensor) in [("x", &pass.x), ("y", &training.output), ("evaluated", &evaluation.output)]
            {
                stored.assert_digest(&format!("{seed}.{shape}.{name}"), tensor, ROUNDING);
            }
            assert_eq!(training.state, evaluation.state, "evaluation leaves the statistics alone");
        }
        let scaling = &figures.scaling;
        for (name, tensor) in
            [("images", &scaling.images), ("before", &scaling.before), ("after", &scaling.after)]
        {
            stored.assert_digest(&format!("{seed}.{name}"), tensor, ROUNDING);
        }
    }
}

/// The lists are `fixtures.PRINTED`:
///
/// ```python
/// str(torch.tensor(values)), str(torch.tensor(values).requires_grad_())
/// ```
#[test]
fn tensors_print_as_in_python() {
    let _turn = libtorch();
    let stored = Stored::open("basics");
    let names = stored.below("printed.");
    for case in names.iter().filter_map(|name| name.strip_suffix(".values")) {
        let of_case = |name: &str| stored.get(&format!("printed.{case}.{name}"));
        let values: Vec<f32> = of_case("values").try_into().unwrap();
        for (name, requires_grad) in [("tensor", false), ("parameter", true)] {
            let expected = String::from_utf8(bytes(of_case(name))).unwrap();
            assert_eq!(pytorch_text::tensor(&values, requires_grad), expected, "{case}");
        }
    }
}

fn bytes(tensor: &Tensor) -> Vec<u8> {
    tensor.try_into().unwrap()
}

/// Everything that `d2l_ch7 basics` stores, with seeds and threads that the stored references lack, and for an image file.
#[test]
fn basics_are_pythons() {
    let _turn = libtorch();
    let Some(live) = Live::find("basics against Python") else { return };
    let image = live.folder.path().join("image.png");
    let mut encoder = png::Encoder::new(std::fs::File::create(&image).unwrap(), 50, 37);
    encoder.set_color(png::ColorType::Rgba);
    let pixels: Vec<u8> = (0..50 * 37 * 4u32).map(|i| (i * i / 91) as u8).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();

    let of_file = ["--image", image.to_str().unwrap()];
    for (seed, threads, file) in [("-1", "2", &of_file[..0]), ("18446744073709551615", "1", &of_file)] {
        let out = live.folder.path().join(format!("basics-{seed}"));
        let python = live.folder.path().join("basics.safetensors");
        let arguments = [&["--seed", seed, "--threads", threads], file].concat();
        succeed(
            Command::new(env!("CARGO_BIN_EXE_d2l_ch7")).arg("basics").args(&arguments).arg("--out").arg(&out),
        );
        let script = notebooks_ref().join("basics.py");
        succeed(Command::new(&live.python).arg(script).args(&arguments).arg("--out").arg(&python));
        assert_same_weights(&out.join("basics.safetensors"), &python);
    }
}
