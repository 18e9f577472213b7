//! CUDA only: a graph gives the bits of an eager step, and the allocator counts the bytes of the tensors.
//!
//! These tests compare this program with itself, and need no Python.

use d2l_ch7::data::{DataLoader, ImageSet, Images};
use tch::{Device, Kind, Tensor};
use tch_extra::{
    self, CudaGraph, GeneratorState, Readback, device_bytes, empty_cache, memory, reset_peak_memory,
};

use crate::support::{bytes, has_cuda, libtorch};

const CUDA: Device = Device::Cuda(0);

/// Python's loader scales them on the CPU, before they go to the device:
///
/// ```python
/// pixels.to(torch.float32).div(255)  # transforms.ToTensor does the same
/// ```
#[test]
fn pixels_are_scaled_as_on_a_cpu() {
    let _turn = libtorch();
    if !has_cuda("pixels on CUDA") {
        return;
    }
    let pixels: Vec<u8> = (0..=255).collect();
    let images = ImageSet::new(&Images { pixels, labels: vec![0], rows: 16, cols: 16, channels: 1 });
    let batch = |device| DataLoader::new(&images, 1, false, device).first_image();
    assert_eq!(bytes(&batch(CUDA).to_device(Device::Cpu)), bytes(&batch(Device::Cpu)));
}

/// A replay draws the random numbers that the next eager step would draw. Inputs may change from replay to replay.
#[test]
fn replays_give_an_eager_steps_bits() {
    let _turn = libtorch();
    if !has_cuda("CUDA graphs") {
        return;
    }
    // Products whose rounding tells one kernel of cuBLAS from another.
    let random = || Tensor::randn([200, 200], (Kind::Float, CUDA));
    let mut input = random();
    let step =
        |input: &Tensor| input.matmul(input).dropout(0.5, true).sum_dim_intlist(1i64, false, Kind::Float);
    // cuBLAS allocates its workspace here, before the capture.
    let _ = step(&input);
    let (graph, output) = CudaGraph::capture(CUDA, || step(&input)).unwrap();

    let inputs = [(); 3].map(|()| random());
    tch_extra::manual_seed(3);
    let begun = GeneratorState::capture(CUDA).unwrap();
    let eager = inputs.each_ref().map(|input| bytes(&step(input).to_device(Device::Cpu)));
    begun.restore().unwrap();
    for (i, (new, eager)) in inputs.iter().zip(&eager).enumerate() {
        input.copy_(new);
        graph.replay().unwrap();
        assert_eq!(bytes(&output.to_device(Device::Cpu)), *eager, "replay {i}");
    }
    assert_ne!(eager[0], eager[1]);
}

/// A value that is read back without waiting does not contain what the stream does afterwards.
#[test]
fn values_are_read_as_they_were_when_the_reading_began() {
    let _turn = libtorch();
    if !has_cuda("values read back from CUDA") {
        return;
    }
    let busy = Tensor::ones([4096, 4096], (Kind::Float, CUDA));
    let mut sum = Tensor::zeros([], (Kind::Double, CUDA));
    for i in 1..=20 {
        // The products keep the stream busy. A value that is read before the stream comes to it would be wrong.
        let _ = busy.matmul(&busy);
        sum += i;
        let readback = Readback::begin(&[&sum]).unwrap();
        sum += 1000;
        let value = loop {
            if let Some(values) = readback.arrived().unwrap() {
                break values[0].double_value(&[]);
            }
        };
        assert_eq!(value, f64::from(i * (i + 1) / 2 + 1000 * (i - 1)));
    }
}

/// A panic within a step ends the capture, and the device stays usable. (After an operation that CUDA cannot capture, this
/// process captures no graph any more.)
#[test]
fn a_capture_that_fails_leaves_the_device_as_it_was() {
    let _turn = libtorch();
    if !has_cuda("captures that fail") {
        return;
    }
    let input = Tensor::ones([8], (Kind::Float, CUDA));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        CudaGraph::capture(CUDA, || panic!("in the middle"))
    }));
    assert!(panicked.is_err());
    assert_eq!(input.sum(Kind::Float).double_value(&[]), 8.0);
}

#[test]
fn counts_are_those_of_the_tensors() {
    let _turn = libtorch();
    if !has_cuda("a device's memory") {
        return;
    }
    const BYTES: u64 = 64 << 20;
    let tensor = Tensor::zeros([BYTES as i64], (Kind::Uint8, CUDA));
    reset_peak_memory(CUDA).unwrap();
    let before = memory(CUDA).unwrap().unwrap();
    assert_eq!(before.peak_allocated, before.allocated);
    let other = tensor.copy();
    assert_eq!(memory(CUDA).unwrap().unwrap().allocated, before.allocated + BYTES);
    drop(other);
    let after = memory(CUDA).unwrap().unwrap();
    assert_eq!((after.allocated, after.peak_allocated), (before.allocated, before.allocated + BYTES));
    drop(tensor);
    empty_cache(CUDA).unwrap();
    assert!(memory(CUDA).unwrap().unwrap().reserved + 2 * BYTES <= after.reserved);
    let bytes = device_bytes(CUDA).unwrap().unwrap();
    assert!(bytes.free < bytes.total && bytes.total > 1 << 30, "{bytes:?}");
}
