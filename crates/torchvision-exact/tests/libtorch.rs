//! What needs libtorch: random numbers against its own, and tensors of images.

mod common;

use std::process::Command;

use common::Stored;
use tch::{Device, Kind, Tensor};
use torchvision_exact::image::{Image, Mode};
use torchvision_exact::random::{Draws, Mt19937};
use torchvision_exact::transforms::{Normalize, ToTensor};

/// The one test that draws from libtorch's generator, which belongs to the process.
#[test]
fn draws_are_libtorchs() {
    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);
    for seed in [0, 1, 12345] {
        tch::manual_seed(seed);
        let mut draws = Mt19937::new(seed as u64);
        for i in 0..2000i64 {
            let (from, to) = (i as f64 / -7.0, (i * i) as f64 / 11.0 + 0.1);
            let uniform = Tensor::empty([1], CPU).uniform_(from, to).double_value(&[0]);
            assert_eq!(f64::from(draws.uniform(from, to)), uniform, "uniform_({from}, {to})");
            assert_eq!(f64::from(draws.rand()), Tensor::rand([1], CPU).double_value(&[0]));
            let high = i % 300 + 1;
            let randint = Tensor::randint(high, [1], (Kind::Int64, Device::Cpu)).int64_value(&[0]);
            assert_eq!(draws.randint(high as usize) as i64, randint, "randint({high})");
            let random = Tensor::zeros([], (Kind::Int64, Device::Cpu)).random_().int64_value(&[]);
            assert_eq!(draws.random_i64(), random);
        }
        let order = Tensor::randperm(1000, (Kind::Int64, Device::Cpu));
        assert_eq!(draws.randperm(1000), Vec::<i64>::try_from(order).unwrap());
    }
}

/// libtorch chooses kernels that fuse multiplication and addition, or not, once in a process.
#[test]
fn draws_are_libtorchs_whatever_kernels_it_uses() {
    let mut settings = vec![None, Some("default"), Some("no such capability")];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        settings.push(Some("avx2"));
    }
    for setting in settings {
        let mut test = Command::new(std::env::current_exe().unwrap());
        test.args(["--exact", "draws_are_libtorchs"]).env_remove("ATEN_CPU_CAPABILITY");
        let output = test.envs(setting.map(|value| ("ATEN_CPU_CAPABILITY", value))).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed.contains("1 passed"), "{setting:?}: {printed}");
    }
}

/// Stored by `make_references.transforms`, here for RGB images:
///
/// ```python
/// batch = torch.stack([ToTensor()(to_pil_image(image.permute(2, 0, 1))) for image in images])
/// normalized = Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])(batch)
/// ```
#[test]
fn tensors_of_images_are_torchvisions() {
    let stored = Stored::open("transforms");
    let assert_same = |name: &str, tensor: &Tensor| {
        let expected = stored.get(name);
        let size: Vec<_> = tensor.size().into_iter().map(|n| n as usize).collect();
        let values = Vec::<f32>::try_from(tensor.reshape([-1])).unwrap();
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        assert_eq!((size, tensor.kind()), (expected.shape.clone(), Kind::Float), "{name}");
        assert!(bytes == expected.bytes, "{name}: other bits");
    };
    for set in ["rgb", "gray", "rgb_pixel", "gray_pixel", "row", "column"] {
        let images = stored.get(&format!("{set}.images")).images();
        let batch = ToTensor.batch(&images).unwrap();
        assert_same(&format!("{set}.to_tensor"), &batch);
        assert!(ToTensor.image(&images[1]) == batch.get(1), "{set}: one image is that of its batch");
        let normalize = match images[0].mode() {
            Mode::L => Normalize::new(&[0.5], &[0.25]),
            Mode::Rgb => Normalize::new(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]),
        };
        assert_same(&format!("{set}.normalized"), &normalize.unwrap().tensor(&batch));
    }
}

#[test]
fn impossible_tensors_are_refused() {
    let gray = Image::new(Mode::L, 1, 2, vec![0, 1]).unwrap();
    let rgb = Image::new(Mode::Rgb, 1, 2, vec![0; 6]).unwrap();
    assert!(ToTensor.batch(&[gray, rgb]).is_err());
    assert!(ToTensor.batch(&[]).is_err());
    assert!(Normalize::new(&[0.5], &[0.0]).is_err());
    assert!(Normalize::new(&[0.5, 0.5], &[1.0]).is_err());
    let three = Normalize::new(&[0.5; 3], &[1.0; 3]).unwrap();
    let zeros = |size: &[i64], kind| Tensor::zeros(size, (kind, Device::Cpu));
    for other in [zeros(&[1, 2, 2], Kind::Float), zeros(&[2, 2], Kind::Float), zeros(&[3, 2, 2], Kind::Int64)]
    {
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| three.tensor(&other))).is_err());
    }
}
