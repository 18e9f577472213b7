//! `--device`: as it is asked for, and the devices that are there.

use tch::Device;

use crate::distributed::local_rank;
use crate::{Error, Result};

/// A device as it was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    Auto,
    Cpu,
    /// `None`: the first, or a rank's own.
    Cuda(Option<usize>),
}

/// Devices as they were asked for.
#[derive(Clone, Debug)]
pub(super) enum Devices {
    All,
    /// One, or several of one kind.
    Listed(Vec<Choice>),
}

impl Choice {
    pub(super) fn settle(self) -> Result<Device> {
        match self {
            Self::Auto if !tch::Cuda::is_available() => Ok(Device::Cpu),
            Self::Cpu => Ok(Device::Cpu),
            Self::Auto | Self::Cuda(None) => cuda(local_rank()),
            Self::Cuda(Some(index)) => cuda(index),
        }
    }
}

impl Devices {
    /// The devices, at least one, which are there.
    pub(super) fn settle(&self) -> Result<Vec<Device>> {
        match self {
            Self::All => Ok(match tch::Cuda::device_count() {
                count if count > 0 && tch::Cuda::is_available() => {
                    (0..count as usize).map(Device::Cuda).collect()
                }
                _ => vec![Device::Cpu],
            }),
            Self::Listed(choices) => choices.iter().map(|choice| choice.settle()).collect(),
        }
    }
}

fn cuda(index: usize) -> Result<Device> {
    let count = tch::Cuda::device_count();
    if tch::Cuda::is_available() && (index as i64) < count {
        return Ok(Device::Cuda(index));
    }
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

pub(super) fn parse_device(text: &str) -> Result<Choice, String> {
    match text {
        "auto" => Ok(Choice::Auto),
        "cpu" => Ok(Choice::Cpu),
        "cuda" => Ok(Choice::Cuda(None)),
        _ => text
            .strip_prefix("cuda:")
            .and_then(|index| index.parse().ok())
            .map(|index| Choice::Cuda(Some(index)))
            .ok_or_else(|| "the devices are auto, cpu, cuda, and cuda:0, cuda:1, ...".to_owned()),
    }
}

pub(super) fn parse_devices(text: &str) -> Result<Devices, String> {
    if text == "all" {
        return Ok(Devices::All);
    }
    if !text.contains(',') {
        return parse_device(text)
            .map(|device| Devices::Listed(vec![device]))
            .map_err(|error| format!("{error}; or all"));
    }
    let devices = text.split(',').map(parse_device).collect::<Result<Vec<_>, _>>()?;
    let all_cpu = devices.iter().all(|device| matches!(device, Choice::Cpu));
    let all_cuda = devices.iter().all(|device| matches!(device, Choice::Cuda(_)));
    if all_cpu || all_cuda {
        Ok(Devices::Listed(devices))
    } else {
        Err("several devices are CUDA devices, or each is cpu".to_owned())
    }
}
