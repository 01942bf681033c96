//! A state dict from a file of `torch.save` (zip or legacy pickle) or safetensors, told by the first bytes.
//!
//! Nothing in a file is executed: pickles are read by `pytorch-reader`, which knows tensors and skips the rest.

use crate::advice::{Advice, advise};
use crate::nn::StateDict;
use anyhow::{Context, Result, bail};
use pytorch_reader::{DType, PytorchReader};
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use tch::{Kind, Tensor};

/// The tensors in the file at `path`, and the file's SHA-256.
pub fn read(path: &Path) -> Result<(StateDict, String)> {
    let mut file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => advise(
            format!("there is no weights file `{}`", path.display()),
            "`--weights` takes `pretrained`, `random`, or the path of a .pth, .pt or .safetensors file",
        ),
        _ => error.into(),
    })?;
    let mut start = [0; 2];
    let is_torch = file.read_exact(&mut start).is_ok() && (start == *b"PK" || start == [0x80, 2]);
    let state = if is_torch { read_torch(path) } else { read_safetensors(path) };
    let state = state.map_err(|error| {
        error.context(Advice {
            problem: format!("cannot read weights from `{}`", path.display()),
            hint: "it must be a state dict: `torch.save(model.state_dict(), file)`, or a safetensors file".into(),
        })
    })?;
    Ok((state, sha256(path)?))
}

fn read_torch(path: &Path) -> Result<StateDict> {
    let reader = PytorchReader::new(path)?;
    let mut state = StateDict::new();
    for (name, tensor) in reader.tensors() {
        let shape: Vec<_> = tensor.shape().iter().map(|&size| size as i64).collect();
        let kind = match tensor.dtype() {
            DType::F16 => Kind::Half,
            DType::BF16 => Kind::BFloat16,
            DType::F32 => Kind::Float,
            DType::F64 => Kind::Double,
            DType::I64 => Kind::Int64,
            other => bail!("`{name}` is of type {other:?}"),
        };
        state.insert(name.clone(), Tensor::f_from_data_size(&tensor.read()?, &shape, kind)?);
    }
    Ok(state)
}

fn read_safetensors(path: &Path) -> Result<StateDict> {
    let bytes = std::fs::read(path)?;
    let mut state = StateDict::new();
    for (name, tensor) in SafeTensors::deserialize(&bytes)?.tensors() {
        let shape: Vec<_> = tensor.shape().iter().map(|&size| size as i64).collect();
        let kind = match tensor.dtype() {
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::F32 => Kind::Float,
            Dtype::F64 => Kind::Double,
            Dtype::I64 => Kind::Int64,
            other => bail!("`{name}` is of type {other:?}"),
        };
        state.insert(name, Tensor::f_from_data_size(tensor.data(), &shape, kind)?);
    }
    Ok(state)
}

fn sha256(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash).with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(format!("{:x}", hash.finalize()))
}
