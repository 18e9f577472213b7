//! Weights on disk: safetensors files whose names are the keys of PyTorch's `state_dict()`.

use std::path::Path;

use tch::Tensor;

use crate::{Error, Result, whole_file};

/// Writes `state`, names and tensors, to `path`; Python reads it with `safetensors.torch.load_file`. The file appears
/// whole or not at all, and its folder is made if need be; on an error, what was at `path` stays.
///
/// # Errors
/// If the file cannot be written.
pub fn save(path: &Path, state: &[(String, Tensor)]) -> Result<()> {
    let on_cpu: Vec<(&str, Tensor)> =
        state.iter().map(|(name, t)| (name.as_str(), t.to_device(tch::Device::Cpu).contiguous())).collect();
    whole_file::save(path, |temp| Tensor::write_safetensors(&on_cpu, temp))
        .map_err(|error| whole_file::cannot_write(path, error))
}

/// Reads names and tensors, which are on the CPU, from the safetensors file `path`.
///
/// # Errors
/// If the file cannot be read, or is no safetensors file.
pub fn load(path: &Path) -> Result<Vec<(String, Tensor)>> {
    Tensor::read_safetensors(path).map_err(|error| {
        Error::failed(
            format!("cannot read weights from {}: {error}", path.display()),
            "name a .safetensors file, as a run leaves it under weights/",
        )
    })
}
