//! Where networks run: the CPU, or a CUDA device whose kernels are loaded at run time.
//!
//! The program is linked to libtorch's CPU part only. The CUDA part is a library of its own, `libtorch_cuda.so`, which
//! registers its kernels when it is loaded; one binary so serves machines with and without a GPU.
#![allow(unsafe_code)] // loads a library, reasoned at the one place

use crate::error::advise;
use crate::libtorch;
use crate::nn::allow_tf32;
use anyhow::{Context, Result, anyhow};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tch::{Cuda, Device, Kind};

/// Where a network is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Preference {
    /// CUDA where it works, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this number, or an error.
    Cuda(usize),
}

impl FromStr for Preference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "auto" => Ok(Preference::Auto),
            None if text == "cpu" => Ok(Preference::Cpu),
            None if text == "cuda" => Ok(Preference::Cuda(0)),
            Some(("cuda", number)) => {
                number.parse().map(Preference::Cuda).map_err(|_| format!("`{number}` is not a device number"))
            }
            _ => Err("expected auto, cpu, cuda or cuda:N".into()),
        }
    }
}

impl TryFrom<String> for Preference {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Preference> for String {
    fn from(preference: Preference) -> String {
        match preference {
            Preference::Auto => "auto".into(),
            Preference::Cpu => "cpu".into(),
            Preference::Cuda(number) => format!("cuda:{number}"),
        }
    }
}

/// The value of `--precision`: how a network computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float32 throughout
    #[default]
    Fp32,
    /// float32, but the factors of products rounded to 10 bits of mantissa (CUDA)
    Tf32,
    /// float16 throughout (CUDA)
    Fp16,
    /// bfloat16 throughout (CUDA, and processors with AVX-512 BF16)
    Bf16,
}

impl Precision {
    /// The kind of weights and activations on `device`, for which libtorch is set. Fails if the device has no such numbers.
    pub fn prepare(self, device: Device) -> Result<Kind> {
        let hint = "leave --precision out, or add --device cuda";
        match self {
            _ if matches!(device, Device::Cuda(_)) => {}
            Precision::Tf32 | Precision::Fp16 => {
                return Err(advise("on the CPU networks run in float32 or bfloat16 only", hint));
            }
            Precision::Bf16 if !has_bfloat16() => {
                return Err(advise("this processor has no instructions for bfloat16 (AVX-512 BF16)", hint));
            }
            Precision::Fp32 | Precision::Bf16 => {}
        }
        allow_tf32(self == Precision::Tf32);
        Ok(match self {
            Precision::Fp32 | Precision::Tf32 => Kind::Float,
            Precision::Fp16 => Kind::Half,
            Precision::Bf16 => Kind::BFloat16,
        })
    }
}

/// Whether products of bfloat16 are an instruction of the processor: without it they would be slower than float32.
fn has_bfloat16() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    let has = false;
    has
}

/// What a record calls a device: `cpu`, `cuda:0`.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(number) => format!("cuda:{number}"),
        _ => "cpu".into(),
    }
}

/// An environment variable naming a torch installation (`site-packages/torch`) to take the CUDA part from.
pub const TORCH: &str = "THINGSVISION_TORCH";

/// The device for `preference`. `auto` never fails: without CUDA it is the CPU, and if there is an NVIDIA driver all the
/// same, the reason comes with it.
pub fn open(preference: Preference) -> Result<(Device, Option<String>)> {
    libtorch::check()?;
    match preference {
        Preference::Cpu => Ok((Device::Cpu, None)),
        Preference::Auto if driver().is_err() => Ok((Device::Cpu, None)),
        Preference::Auto => Ok(cuda(0).map_or_else(|reason| (Device::Cpu, Some(format!("{reason:#}"))), |cuda| (cuda, None))),
        Preference::Cuda(number) => cuda(number).map(|cuda| (cuda, None)).map_err(|error| {
            let hint = format!(
                "CUDA needs an NVIDIA driver and the libraries of torch {}: name an installation by\n      \
                 {TORCH}=/path/to/site-packages/torch, or run on the CPU with --device cpu",
                libtorch::needed()
            );
            advise(format!("CUDA cannot be used: {error:#}"), hint)
        }),
    }
}

/// Cheap, and tells a machine without a GPU before a library of hundreds of MB is read.
fn driver() -> Result<()> {
    load(Path::new("libcuda.so.1")).context("there is no NVIDIA driver (libcuda.so.1)")
}

fn cuda(number: usize) -> Result<Device> {
    driver()?;
    load_kernels()?;
    if !Cuda::is_available() {
        return Err(anyhow!("libtorch_cuda.so is loaded but finds no device"));
    }
    let devices = Cuda::device_count();
    if number as i64 >= devices {
        return Err(anyhow!("there is no device {number}: this machine has {devices}"));
    }
    Ok(Device::Cuda(number))
}

fn load_kernels() -> Result<()> {
    const NAME: &str = "libtorch_cuda.so";
    let mut places: Vec<PathBuf> = libtorch::folder().map(|folder| folder.join(NAME)).into_iter().collect();
    if let Some(torch) = std::env::var_os(TORCH) {
        places.insert(0, PathBuf::from(torch).join("lib").join(NAME));
    }
    let mut tried = Vec::new();
    // A bare name is searched in LD_LIBRARY_PATH and the system's folders.
    for place in places.iter().map(PathBuf::as_path).chain([Path::new(NAME)]) {
        match load(place) {
            Ok(()) => return Ok(()),
            Err(error) => tried.push(format!("{error:#}")),
        }
    }
    Err(anyhow!("{NAME} was not found or does not load ({})", tried.join("; ")))
}

fn load(library: &Path) -> Result<()> {
    // SAFETY: loading runs the library's initialisers. These are NVIDIA's driver and PyTorch's own kernels, found under
    // their fixed names where the user or the set-up put them; symbols are shared so that libraries they need find them.
    let library = unsafe { Library::open(Some(library.as_os_str()), RTLD_NOW | RTLD_GLOBAL) }?;
    // Never unloaded: kernels stay registered in libtorch.
    std::mem::forget(library);
    Ok(())
}
