//! The tensors in a weights file, whatever its format; told by its first bytes, not by its name.
//!
//! Nothing in a file is executed: pickles are read by `pytorch-reader`, which knows tensors and skips the rest, and of
//! TorchScript archives only the tensors are taken. Tensors are read one by one and only if they are wanted, so memory
//! holds the weights once and the largest tensor twice.

use crate::error::{Advice, advise};
use crate::nn::StateDict;
use crate::plain_file;
use crate::torchscript::{Script, archive, on_large_stack};
use anyhow::{Context, Result, bail};
use memmap2::Mmap;
use pytorch_reader::{DType, PytorchReader};
use safetensors::{Dtype, SafeTensors};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use tch::{Kind, Tensor};

/// An opened file of tensors.
pub enum Checkpoint {
    /// `torch.save` in any of its formats.
    Torch(PytorchReader),
    /// TorchScript, read whole.
    Script(StateDict),
    /// safetensors, memory-mapped.
    Safetensors(Mmap),
}

impl Checkpoint {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> Result<Checkpoint> {
        open(path).map_err(|error| match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
            Some(ErrorKind::NotFound) => advise(
                format!("there is no weights file `{}`", path.display()),
                "`--weights` takes `pretrained`, `random`, or the path of a .pth, .pt or .safetensors file",
            ),
            _ => error.context(Advice {
                problem: format!("cannot read weights from `{}`", path.display()),
                hint: "it must be a state dict or checkpoint of `torch.save`, a TorchScript archive, or a safetensors file"
                    .into(),
            }),
        })
    }

    /// The names of all tensors, nested dictionaries joined by dots, with their shapes.
    pub fn tensors(&self) -> Result<Vec<(String, Vec<i64>)>> {
        let shape = |sizes: &[usize]| sizes.iter().map(|&size| size as i64).collect();
        Ok(match self {
            Checkpoint::Torch(file) => {
                file.tensors().iter().map(|(name, tensor)| (name.clone(), shape(tensor.shape()))).collect()
            }
            Checkpoint::Script(state) => state.iter().map(|(name, tensor)| (name.clone(), tensor.size())).collect(),
            Checkpoint::Safetensors(map) => SafeTensors::deserialize(map)?
                .tensors()
                .iter()
                .map(|(name, tensor)| (name.clone(), shape(tensor.shape())))
                .collect(),
        })
    }

    /// Reads the tensor `name`, in the type in which it is stored.
    pub fn read(&self, name: &str) -> Result<Tensor> {
        let read = || match self {
            Checkpoint::Torch(file) => {
                let tensor = file.get(name).context("it is not there")?;
                let shape: Vec<_> = tensor.shape().iter().map(|&size| size as i64).collect();
                Ok(Tensor::f_from_data_size(&tensor.read()?, &shape, torch_kind(tensor.dtype())?)?)
            }
            Checkpoint::Script(state) => Ok(state.get(name).context("it is not there")?.shallow_clone()),
            Checkpoint::Safetensors(map) => {
                let file = SafeTensors::deserialize(map)?;
                let tensor = file.tensor(name)?;
                let shape: Vec<_> = tensor.shape().iter().map(|&size| size as i64).collect();
                Ok(Tensor::f_from_data_size(tensor.data(), &shape, safetensors_kind(tensor.dtype())?)?)
            }
        };
        read().map_err(|error: anyhow::Error| error.context(format!("tensor `{name}`")))
    }
}

fn open(path: &Path) -> Result<Checkpoint> {
    let mut file = plain_file::open(path)?;
    let mut start = [0; 4];
    match file.read_exact(&mut start) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => bail!("it has no more than {} bytes", file.metadata()?.len()),
        read => read?,
    }
    if start.starts_with(b"PK") && is_torchscript(path)? {
        let tensors = on_large_stack(&[path.to_owned()], || Script::open(path)?.tensors())?;
        return Ok(Checkpoint::Script(tensors.into_iter().map(|tensor| (tensor.key, tensor.tensor)).collect()));
    }
    // A safetensors file begins with the length of its header, and then the header's brace.
    let mut header = [0; 5];
    if file.read_exact(&mut header).is_ok() && header[4] == b'{' {
        return Ok(Checkpoint::Safetensors(map(&file)?));
    }
    Ok(Checkpoint::Torch(PytorchReader::new(path)?))
}

/// A TorchScript archive has its constants beside the data.
fn is_torchscript(path: &Path) -> Result<bool> {
    let archive = archive(path)?;
    Ok(archive.file_names().any(|name| name.is_ok_and(|name| name.ends_with("/constants.pkl"))))
}

#[allow(unsafe_code)] // a memory map, reasoned below
fn map(file: &File) -> Result<Mmap> {
    // SAFETY: the map is only read, and each tensor is copied out of it. Were the file truncated by another process
    // meanwhile, the read would end this process by a signal, as any program that maps files.
    let map = unsafe { Mmap::map(file) }?;
    SafeTensors::deserialize(&map)?;
    Ok(map)
}

fn torch_kind(dtype: DType) -> Result<Kind> {
    Ok(match dtype {
        DType::F16 => Kind::Half,
        DType::BF16 => Kind::BFloat16,
        DType::F32 => Kind::Float,
        DType::F64 => Kind::Double,
        DType::I64 => Kind::Int64,
        other => bail!("it is of type {other:?}"),
    })
}

fn safetensors_kind(dtype: Dtype) -> Result<Kind> {
    Ok(match dtype {
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::I64 => Kind::Int64,
        other => bail!("it is of type {other:?}"),
    })
}
