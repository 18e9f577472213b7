//! Mixed precision: `torch.autocast`. `tch`'s own knows CUDA only, and its float16.

use tch::Device;

use crate::ffi::Outcome;

unsafe extern "C" {
    safe fn tchx_enter_autocast(cuda: bool, before: &mut State) -> Outcome;
    safe fn tchx_leave_autocast(cuda: bool, before: &State) -> Outcome;
}

/// What autocast was set to before: `tchx_autocast`.
#[repr(C)]
#[derive(Default)]
struct State {
    enabled: bool,
    dtype: i8,
}

/// Runs `f` as `with torch.autocast(device_type, dtype=torch.bfloat16):` does, for the kind of `device`: convolutions
/// and matrix products take their inputs in bfloat16, losses and other sums in float32, on this thread alone.
///
/// What was set before is set again afterwards, also if `f` panics.
///
/// # Panics
/// If `device` is neither a CPU nor a CUDA device.
///
/// ```
/// use tch_extra::autocast_bfloat16;
/// use tch::{Device, Kind, Tensor};
///
/// let x = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
/// assert_eq!(autocast_bfloat16(Device::Cpu, || x.matmul(&x)).kind(), Kind::BFloat16);
/// assert_eq!(x.matmul(&x).kind(), Kind::Float);
/// ```
pub fn autocast_bfloat16<T>(device: Device, f: impl FnOnce() -> T) -> T {
    let cuda = match device {
        Device::Cpu => false,
        Device::Cuda(_) => true,
        other => panic!("no autocast for {other:?}"),
    };
    let mut before = State::default();
    tchx_enter_autocast(cuda, &mut before).unwrap();
    let _leave = Leave { cuda, before };
    f()
}

/// Leaves the innermost autocast when it is dropped.
struct Leave {
    cuda: bool,
    before: State,
}

impl Drop for Leave {
    fn drop(&mut self) {
        // It fails for unknown devices only, for which entering failed.
        let left = tchx_leave_autocast(self.cuda, &self.before).check();
        debug_assert!(left.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use std::panic;

    use tch::{Kind, Tensor};

    use super::*;

    #[test]
    fn the_state_before_comes_back_after_a_panic_and_from_within() {
        let x = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
        let product = || x.matmul(&x).kind();
        let panicked = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            autocast_bfloat16(Device::Cpu, || panic!("{:?}", product()));
        }));
        assert_eq!(*panicked.unwrap_err().downcast::<String>().unwrap(), "BFloat16");
        assert_eq!(product(), Kind::Float);
        let kinds = autocast_bfloat16(Device::Cpu, || [autocast_bfloat16(Device::Cpu, product), product()]);
        assert_eq!((kinds, product()), ([Kind::BFloat16; 2], Kind::Float));
    }

    /// A weight is cast once and kept while autocast lasts; a later one sees what it became since.
    #[test]
    fn no_cast_weight_outlives_autocast() {
        let mut weight = Tensor::ones([1, 1], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let x = Tensor::ones([1, 1], (Kind::Float, Device::Cpu));
        let product =
            |weight: &Tensor| autocast_bfloat16(Device::Cpu, || x.matmul(weight)).double_value(&[0, 0]);
        assert_eq!(product(&weight), 1.0);
        tch::no_grad(|| {
            let _ = weight.fill_(3.0);
        });
        assert_eq!(product(&weight), 3.0);
    }
}
