//! How clap reads the values of options, where its own types are not enough.

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use tch::Device;

use crate::distributed::local_rank;
use crate::{Error, Result};

/// A count, which zero is not.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|&count| count > 0)
        .ok_or_else(|| "a whole number from 1 on is expected".to_owned())
}

/// An entry of a `table`, by its name. `describe` gives an entry's name and what it is.
pub fn entry_of<T: Sync>(
    table: &'static [T],
    describe: fn(&T) -> (&'static str, &'static str),
) -> impl TypedValueParser<Value = &'static T> {
    let names = table.iter().map(describe).map(|(name, about)| PossibleValue::new(name).help(about));
    PossibleValuesParser::new(names).map(move |chosen| {
        table.iter().find(|entry| describe(entry).0 == chosen).expect("clap takes the table's names only")
    })
}

/// The name by which the command line takes a value.
pub fn name_of(value: &impl ValueEnum) -> String {
    value.to_possible_value().expect("no value is hidden from the command line").get_name().to_owned()
}

/// A learning rate: positive, and within the range of the weights' 32-bit floats.
pub fn learning_rate(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(lr) if lr > 0.0 && lr <= f64::from(f32::MAX) => Ok(lr),
        _ => Err("a learning rate is a number above zero, 3.4e38 at most".to_owned()),
    }
}

/// Minutes of training: a number above zero.
pub fn minutes(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes.is_finite() => Ok(minutes),
        _ => Err("minutes are a number above zero".to_owned()),
    }
}

/// A seed, as `torch.manual_seed` takes it: 64 bits; a negative number is read as its two's complement.
pub fn seed(text: &str) -> Result<u64, String> {
    text.parse()
        .or_else(|_| text.parse().map(i64::cast_unsigned))
        .map_err(|_| format!("a seed is a whole number from {} to {}", i64::MIN, u64::MAX))
}

/// One device. [`check_devices`] looks whether it is there.
pub fn device(text: &str) -> Result<Device, String> {
    match text {
        "auto" if !tch::Cuda::is_available() => Ok(Device::Cpu),
        "auto" => Ok(Device::Cuda(local_rank())),
        _ => named_device(text)
            .ok_or_else(|| "the devices are auto, cpu, cuda, and cuda:0, cuda:1, ...".to_owned()),
    }
}

/// One device or more, among which batches are divided.
pub fn devices(text: &str) -> Result<Box<[Device]>, String> {
    if text == "all" {
        let all: Box<[Device]> = (0..cuda_devices()).map(Device::Cuda).collect();
        return Ok(if all.is_empty() { [Device::Cpu].into() } else { all });
    }
    if !text.contains(',') {
        return device(text).map(|device| [device].into()).map_err(|error| format!("{error}; or all"));
    }
    let devices: Option<Box<[Device]>> = text.split(',').map(named_device).collect();
    devices
        .filter(|devices| devices.iter().all(|device| device.is_cuda() == devices[0].is_cuda()))
        .ok_or_else(|| "several devices are all CUDA devices, or all cpu".to_owned())
}

fn cuda_devices() -> usize {
    if tch::Cuda::is_available() { tch::Cuda::device_count() as usize } else { 0 }
}

/// `cuda` without a number is the first, or this process's own among those that a launcher started.
fn named_device(text: &str) -> Option<Device> {
    match text {
        "cpu" => Some(Device::Cpu),
        "cuda" => Some(Device::Cuda(local_rank())),
        _ => text.strip_prefix("cuda:")?.parse().ok().map(Device::Cuda),
    }
}

/// Refuses CUDA devices that libtorch does not find.
///
/// # Errors
/// A failure that says which there are.
pub fn check_devices(devices: &[Device]) -> Result<()> {
    let count = cuda_devices();
    let missing = devices.iter().find_map(|device| match device {
        Device::Cuda(index) if *index >= count => Some(index),
        _ => None,
    });
    let Some(index) = missing else { return Ok(()) };
    let found = match count {
        0 => "libtorch finds no CUDA device".to_owned(),
        1 => "libtorch finds one CUDA device, cuda:0".to_owned(),
        n => format!("libtorch finds {n} CUDA devices, cuda:0 to cuda:{}", n - 1),
    };
    Err(Error::failed(
        format!("cuda:{index} cannot be used: {found}"),
        "choose what there is with --device, such as cpu; if there is a GPU, check its driver with nvidia-smi",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_64_bits_with_a_sign_or_without() {
        for (text, expected) in [
            ("0", 0),
            ("-1", u64::MAX),
            ("18446744073709551615", u64::MAX),
            ("-9223372036854775808", 1 << 63),
        ] {
            assert_eq!(seed(text), Ok(expected), "{text}");
        }
        for text in ["18446744073709551616", "-9223372036854775809", "1.5", "one", ""] {
            assert!(
                seed(text).unwrap_err().contains("from -9223372036854775808 to 18446744073709551615"),
                "{text}"
            );
        }
    }
}
