//! Weights on disk: safetensors files whose names are the keys of PyTorch's `state_dict()`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::tensor::{SafeTensors, TensorView};
use tch::Tensor;

use crate::{Error, Result, whole_file};

/// The largest file that is read, in bytes: 8 times a checkpoint of ResNet-18 with Adam's moments.
pub const MAX_BYTES: u64 = 1 << 30;

/// The longest header that is read, in bytes: ResNet-18's has 14,000.
const MAX_HEADER: u64 = 1 << 20;

/// Bytes of the number that says how long the header is.
const LENGTH: u64 = 8;

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
/// If the file cannot be read, is no safetensors file, or is larger than [`MAX_BYTES`].
pub fn load(path: &Path) -> Result<Vec<(String, Tensor)>> {
    read(path).map_err(|reason| {
        Error::failed(
            format!("cannot read weights from {}: {reason}", path.display()),
            "name a .safetensors file, as a run leaves it under weights/",
        )
    })
}

/// [`load`], whose error is the reason alone.
fn read(path: &Path) -> Result<Vec<(String, Tensor)>, String> {
    decode(&read_bytes(path)?)
}

/// The bytes of the file, if it begins like one that [`decode`] takes; an error is the reason why not.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    let at_most = |bytes: &mut Vec<u8>, n| (&file).take(n).read_to_end(bytes).map_err(|e| e.to_string());
    at_most(&mut bytes, LENGTH)?;
    check_header(&bytes)?;
    at_most(&mut bytes, MAX_BYTES + 1 - LENGTH)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    }
    Ok(bytes)
}

/// Names and tensors of a safetensors file with this content; an error is the reason why it is none.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<(String, Tensor)>, String> {
    check_header(bytes)?;
    // It checks that the tensors fill the file, one after the other, before anything is allocated for them.
    let file = SafeTensors::deserialize(bytes).map_err(|e| format!("it is no safetensors file ({e:?})"))?;
    let tensor = |(name, view): (String, TensorView)| match Tensor::try_from(view) {
        Ok(tensor) => Ok((name, tensor)),
        Err(e) => Err(format!("its tensor {name:?}: {}", e.to_string().lines().next().unwrap_or_default())),
    };
    file.tensors().into_iter().map(tensor).collect()
}

/// Refuses a header that is longer than any of ours, before it is read.
fn check_header(bytes: &[u8]) -> Result<(), String> {
    match bytes.first_chunk().map(|length| u64::from_le_bytes(*length)) {
        None => Err("it is too short for a safetensors file".to_owned()),
        Some(length) if length > MAX_HEADER => Err(format!(
            "it is no safetensors file: its header would have {length} bytes, more than {MAX_HEADER}"
        )),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_promises_too_much_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        // A file of 2 GiB that takes no room; and one that begins like a header of as many bytes.
        File::create(&path).unwrap().set_len(2 * MAX_BYTES).unwrap();
        let long = read(&path).unwrap_err();
        assert_eq!(long, format!("it has more than {MAX_BYTES} bytes"));
        std::fs::write(&path, (2 * MAX_BYTES).to_le_bytes()).unwrap();
        assert!(read(&path).unwrap_err().contains("header"));
        std::fs::write(&path, "short").unwrap();
        assert!(load(&path).unwrap_err().to_string().contains("too short"));
    }
}
