//! The tensors in a weights file, whatever its format; told by its first bytes, not by its name.
//!
//! Nothing in a file is executed: of pickles and TorchScript archives only the tensors are taken. Tensors are read one by one and only
//! if they are wanted, so memory holds the weights once and the largest tensor twice.

use super::fit::shortened;
use super::torch_file::TorchFile;
use crate::error::{Advice, advise};
use crate::hash::{sha256, sha256_of_file};
use crate::nn::StateDict;
use crate::plain_file;
use crate::torchscript::{Script, archive, on_large_stack};
use anyhow::{Context, Result, bail};
use memmap2::Mmap;
use pytorch_reader::{DType, PytorchReader};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

/// An opened file of tensors.
pub enum Checkpoint {
    /// `torch.save`.
    Torch(TorchFile),
    /// `torch.save` before PyTorch 0.1.10, a tar archive.
    Tar(PytorchReader),
    /// TorchScript, read whole.
    Script(StateDict),
    /// safetensors, memory-mapped.
    Safetensors(Mmap),
    /// Several files with an index, and which of them has a tensor.
    Parts(Vec<Checkpoint>, BTreeMap<String, usize>),
}

/// `model.safetensors.index.json` of Hugging Face.
#[derive(Deserialize)]
struct Parts {
    /// The file in which each tensor is.
    weight_map: BTreeMap<String, String>,
}

/// In bytes.
const LARGEST_INDEX: u64 = 64 << 20;
const MOST_PARTS: usize = 10_000;
/// Where a tar archive says that it is one.
const TAR_MAGIC: u64 = 257;

impl Checkpoint {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> Result<Checkpoint> {
        open(path).map_err(|error| match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
            Some(ErrorKind::NotFound) if !path.exists() => advise(
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
            Checkpoint::Torch(file) => file.tensors().iter().map(|(name, tensor)| (name.clone(), shape(&tensor.shape))).collect(),
            Checkpoint::Tar(file) => file.tensors().iter().map(|(name, tensor)| (name.clone(), shape(tensor.shape()))).collect(),
            Checkpoint::Script(state) => state.iter().map(|(name, tensor)| (name.clone(), tensor.size())).collect(),
            Checkpoint::Safetensors(map) => SafeTensors::deserialize(map)?
                .tensors()
                .iter()
                .map(|(name, tensor)| (name.clone(), shape(tensor.shape())))
                .collect(),
            Checkpoint::Parts(parts, names) => {
                let mut all = Vec::new();
                for (number, part) in parts.iter().enumerate() {
                    all.extend(part.tensors()?.into_iter().filter(|(name, _)| names.get(name) == Some(&number)));
                }
                if all.len() < names.len() {
                    bail!("its files have not all tensors that the index names");
                }
                all
            }
        })
    }

    /// Whether two tensors are one, or have the same numbers.
    pub fn are_same(&self, one: &str, other: &str) -> Result<bool> {
        if let Checkpoint::Torch(file) = self
            && let (Some(one), Some(other)) = (file.stored(one), file.stored(other))
            && one == other
        {
            return Ok(true);
        }
        let (one, other) = (self.read(one)?, self.read(other)?);
        Ok(one.size() == other.size() && one.kind() == other.kind() && one.f_equal(&other)?)
    }

    /// Reads the tensor `name`, in the type in which it is stored.
    pub fn read(&self, name: &str) -> Result<Tensor> {
        let read = || match self {
            Checkpoint::Torch(file) => file.read(name),
            Checkpoint::Parts(parts, names) => parts[*names.get(name).context("it is not there")?].read(name),
            Checkpoint::Tar(file) => {
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
        read().map_err(|error: anyhow::Error| error.context(format!("tensor `{}`", shortened(name))))
    }
}

fn open(path: &Path) -> Result<Checkpoint> {
    let Some(Parts { weight_map }) = parts(path)? else { return open_one(path) };
    let files: BTreeSet<&String> = weight_map.values().collect();
    let numbers: BTreeMap<&String, usize> = files.into_iter().enumerate().map(|(number, file)| (file, number)).collect();
    let open = |file: &&String| open_one(&path.with_file_name(file)).with_context(|| format!("its file `{}`", shortened(file)));
    let parts = numbers.keys().map(open).collect::<Result<Vec<_>>>()?;
    let names = weight_map.iter().map(|(name, file)| (name.clone(), numbers[file])).collect();
    Ok(Checkpoint::Parts(parts, names))
}

/// The index at `path`, if it is one.
fn parts(path: &Path) -> Result<Option<Parts>> {
    let mut file = plain_file::open(path)?;
    let mut start = [0; 1];
    if file.read(&mut start)? == 0 || start != *b"{" || file.metadata()?.len() > LARGEST_INDEX {
        return Ok(None);
    }
    let index: Parts = serde_json::from_slice(&plain_file::read(path)?).context("it is no index of safetensors files")?;
    // An index may come from anybody.
    let is_plain = |file: &&String| !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\\', '\0']);
    if let Some(file) = index.weight_map.values().find(|file| !is_plain(file)) {
        bail!("it names the file `{}`, and may name only files beside it", file.escape_debug());
    }
    let files: BTreeSet<&String> = index.weight_map.values().collect();
    if files.is_empty() || files.len() > MOST_PARTS {
        bail!("it names {} files", files.len());
    }
    Ok(Some(index))
}

/// The SHA-256 of a file of weights; of several with an index that of the list of theirs, the index first.
pub fn sha256_of_weights(path: &Path) -> Result<String> {
    let hash = sha256_of_file(path)?;
    let Ok(Some(index)) = parts(path) else { return Ok(hash) };
    let files: BTreeSet<PathBuf> = index.weight_map.values().map(|file| path.with_file_name(file)).collect();
    let hashes = files.iter().map(|file| sha256_of_file(file)).collect::<Result<Vec<_>>>()?;
    Ok(sha256([hash].into_iter().chain(hashes).collect::<Vec<_>>().join("\n")))
}

fn open_one(path: &Path) -> Result<Checkpoint> {
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
    let mut tar = [0; 5];
    let is_tar = file.read_at(&mut tar, TAR_MAGIC).is_ok_and(|length| length == 5) && tar == *b"ustar";
    if is_tar {
        return Ok(Checkpoint::Tar(PytorchReader::new(path)?));
    }
    Ok(Checkpoint::Torch(TorchFile::open(path)?))
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
