//! Weights on disk: safetensors files whose names are the keys of PyTorch's `state_dict()`.

mod fault;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tch::nn::VarStore;
use tch::{Kind, Tensor};
use tch_extra::state_dict::load_state_dict;

use crate::{Error, Result, whole_file};
use fault::Fault;

/// The largest file that is read, in bytes: 8 times a checkpoint of ResNet-18 with Adam's moments.
pub const MAX_BYTES: u64 = 1 << 30;

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

/// `net.load_state_dict(safetensors.torch.load_file(path))`: takes what Python takes, and prefixes, as [`load_state_dict`].
///
/// # Errors
/// As [`load`] and [`load_state_dict`].
pub fn load_into(vs: &VarStore, path: &Path) -> Result<()> {
    Ok(load_state_dict(vs, load(path)?, &path.display().to_string())?)
}

/// Reads names and tensors, which are on the CPU, from the safetensors file `path`.
///
/// # Errors
/// If the file cannot be read, is no safetensors file, is larger than [`MAX_BYTES`], or has numbers of a kind that `tch` lacks.
pub fn load(path: &Path) -> Result<Vec<(String, Tensor)>> {
    read_bytes(path).and_then(|bytes| decode(&bytes)).map_err(|fault| {
        Error::failed(format!("cannot read weights from {}: {fault}", path.display()), fault.remedy(path))
    })
}

/// The bytes of the file, if it begins like one that [`decode`] takes.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, Fault> {
    if path.is_dir() {
        return Err(Fault::Folder);
    }
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    (&file).take(fault::BEGINNING).read_to_end(&mut bytes)?;
    fault::check_beginning(&bytes)?;
    (&file).take(MAX_BYTES + 1 - fault::BEGINNING).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Fault::Other(format!("it has more than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

/// Names and tensors of a safetensors file with this content.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<(String, Tensor)>, Fault> {
    fault::check_beginning(bytes)?;
    // It checks that the tensors fill the file, one after the other, before anything is allocated for them.
    let file = SafeTensors::deserialize(bytes).map_err(|error| Fault::of_format(&error, bytes))?;
    let decoded = |(name, view)| match tensor(&view) {
        Ok(tensor) => Ok((name, tensor)),
        Err(reason) => Err(Fault::Other(format!("its tensor {name}: {reason}"))),
    };
    file.tensors().into_iter().map(decoded).collect()
}

fn tensor(view: &TensorView) -> Result<Tensor, String> {
    let kind = match view.dtype() {
        Dtype::BOOL => Kind::Bool,
        Dtype::U8 => Kind::Uint8,
        Dtype::I8 => Kind::Int8,
        Dtype::I16 => Kind::Int16,
        Dtype::I32 => Kind::Int,
        Dtype::I64 => Kind::Int64,
        Dtype::F8_E4M3 => Kind::Float8e4m3fn,
        Dtype::F8_E5M2 => Kind::Float8e5m2,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::C64 => Kind::ComplexFloat,
        other => return Err(format!("numbers of the kind {other} cannot be read, those of F32 can")),
    };
    let size: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
    let tensor = Tensor::f_from_data_size(view.data(), &size, kind);
    tensor.map_err(|e| e.to_string().lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A safetensors file with this header, and so many bytes of zeros.
    fn file(header: &str, zeros: usize) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; zeros]].concat()
    }

    /// A float32 tensor of one dimension.
    fn floats(name: &str, from: usize, to: usize) -> String {
        format!(r#""{name}":{{"dtype":"F32","shape":[{}],"data_offsets":[{from},{to}]}}"#, (to - from) / 4)
    }

    #[test]
    fn what_promises_too_much_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        // A file of 2 GiB that takes no room; and one that begins like a header of as many bytes.
        File::create(&path).unwrap().set_len(2 * MAX_BYTES).unwrap();
        assert_eq!(read_bytes(&path).unwrap_err().to_string(), format!("it has more than {MAX_BYTES} bytes"));
        std::fs::write(&path, (2 * MAX_BYTES).to_le_bytes()).unwrap();
        assert!(
            read_bytes(&path).unwrap_err().to_string().contains("its header would have 2147483648 bytes")
        );
    }

    #[test]
    fn a_header_may_be_as_long_as_the_format_allows() {
        let tensor = format!("{{{}}}", floats("a", 0, 8));
        for (length, taken) in [(2_000_000, true), (100_000_000, true), (100_000_001, false)] {
            let header = tensor.clone() + &" ".repeat(length - tensor.len());
            assert_eq!(decode(&file(&header, 8)).is_ok(), taken, "{length}");
        }
    }

    /// Each says in its own words what the file is, and what to do.
    #[test]
    fn other_files_are_called_by_their_names() {
        let two = format!("{{{},{}}}", floats("a", 0, 8), floats("b", 8, 16));
        let zip = b"PK\x03\x04\0\0\x08\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0archive/data.pkl";
        // With these, the bytes are also a header's length that is allowed.
        let small_zip = [b"PK\x03\x04\0\0\0\0".as_slice(), b"archive/data.pkl"].concat();
        let pickle = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
        let pickle4 = b"\x80\x04\x95\x0c\0\0\0\0\0\0\0\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.";
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
        let folder = tempfile::tempdir().unwrap();
        for (bytes, what, remedy) in [
            (zip.to_vec(), "torch.save wrote it", "save_file(torch.load(open("),
            (small_zip, "torch.save wrote it", "save_file(torch.load(open("),
            (pickle.to_vec(), "torch.save wrote it", "save_file(torch.load(open("),
            (pickle4.to_vec(), "torch.save wrote it", "save_file(torch.load(open("),
            (pointer.to_vec(), "it is a Git LFS pointer", "git lfs pull"),
            (b"\n<!DOCTYPE html>\n<html>".to_vec(), "it is an HTML page", "download the file itself"),
            (b"<html lang=\"en\">".to_vec(), "it is an HTML page", "download the file itself"),
            (vec![], "truncated: it is empty", "copy or download it again"),
            (b"short".to_vec(), "truncated: it has 5 bytes", "copy or download it again"),
            (
                file(&two, 0)[..60].to_vec(),
                "truncated: it ends within its header",
                "copy or download it again",
            ),
            (file(&two, 15), "promises 16 bytes of tensors, and 15 follow", "copy or download it again"),
            (file(&two, 17), "promises 16 bytes of tensors, and 17 follow", "name a .safetensors file"),
            (file("{}", 1), "promises 0 bytes of tensors, and 1 follow", "name a .safetensors file"),
            (file("[]", 0), "it is no safetensors file", "name a .safetensors file"),
            (
                file(&two.replace("F32", "U64").replace("[2]", "[1]"), 16),
                "numbers of the kind U64",
                "name a .safetensors file",
            ),
        ] {
            let path = folder.path().join("a.safetensors");
            std::fs::write(&path, &bytes).unwrap();
            let error = load(&path).unwrap_err();
            let message = error.to_string();
            assert!(
                message.contains(what) && error.remedy().contains(remedy),
                "{message}: {}",
                error.remedy()
            );
            assert!(
                message.starts_with(&format!("cannot read weights from {}: ", path.display())),
                "{message}"
            );
            assert!(!message.contains('\n') && !error.remedy().contains('\n'), "{message}");
        }
        for (path, what) in
            [(folder.path().to_owned(), "it is a folder"), (folder.path().join("b"), "No such file")]
        {
            assert!(load(&path).unwrap_err().to_string().contains(what));
        }
    }
}
