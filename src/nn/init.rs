//! Random weights, bit for bit those of `torch.manual_seed(seed)` followed by the model's constructor.
//!
//! A constructor draws from one generator in a fixed order: every layer resets itself when it is made
//! (`reset_parameters`), then many networks draw anew in a second pass. Each family replays its own order with the
//! functions here, which have the names, formulas and float64 arguments of `torch/nn/init.py`.
//! Draws are made on the CPU, where they do not depend on the number of threads. Uniform ones are the same on every processor, and
//! normal ones on all others are those of PyTorch on x86 with AVX2 (`super::normal`); `erfinv` differs in last digits.
#![allow(clippy::disallowed_methods)] // filled in place here, before anyone shares them

use super::{Manifest, ModuleEntry, StateDict, normal};
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tch::{Device, Kind, TchError, Tensor};

/// libtorch has one generator for the whole process: networks are drawn one after the other.
static GENERATOR: Mutex<()> = Mutex::new(());

/// Held by whoever draws.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    GENERATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A state dict that is being drawn.
pub struct Init<'a> {
    /// None of one beside another, which holds it.
    _alone: Option<MutexGuard<'static, ()>>,
    manifest: &'a Manifest,
    state: StateDict,
    filled: HashSet<String>,
}

impl<'a> Init<'a> {
    /// Allocates the tensors of `manifest` and seeds libtorch's generator.
    pub fn new(manifest: &'a Manifest, seed: u64) -> Result<Self> {
        let init = Self::allocate(Some(alone()), manifest)?;
        // PyTorch takes seeds as 64 unsigned bits, tch as the same bits with a sign.
        tch::manual_seed(seed as i64);
        Ok(init)
    }

    /// That of another part of the network whose weights `_first` draws, and from the same generator.
    pub fn beside(_first: &Init, manifest: &'a Manifest) -> Result<Self> {
        Self::allocate(None, manifest)
    }

    fn allocate(alone: Option<MutexGuard<'static, ()>>, manifest: &'a Manifest) -> Result<Self> {
        let mut state = StateDict::new();
        for entry in &manifest.tensors {
            state.insert(entry.key.clone(), Tensor::f_empty(&entry.shape, (entry.kind, Device::Cpu))?);
        }
        Ok(Self { _alone: alone, manifest, state, filled: HashSet::new() })
    }

    /// The modules in the order of `model.modules()`.
    pub fn modules(&self) -> &'a [ModuleEntry] {
        &self.manifest.modules
    }

    /// The drawn weights. Fails if a tensor was left unfilled, which is a fault of the family's replay.
    pub fn finish(self) -> Result<StateDict> {
        if let Some(entry) = self.manifest.tensors.iter().find(|entry| !self.filled.contains(&entry.key)) {
            bail!("`{}` was never initialised: a fault of this program, please report it", entry.key);
        }
        Ok(self.state)
    }

    /// `module.reset_parameters()`, as run at the end of the constructor of a layer with weights.
    pub fn reset(&mut self, module: &ModuleEntry) -> Result<()> {
        let key = |name: &str| format!("{}.{name}", module.name);
        match module.class.as_str() {
            "Conv2d" | "Linear" => self.reset_linear_map(&key("weight"), &key("bias")),
            "BatchNorm2d" => {
                self.fill(&key("weight"), 1.0)?;
                self.fill(&key("bias"), 0.0)?;
                self.fill(&key("running_mean"), 0.0)?;
                self.fill(&key("running_var"), 1.0)?;
                self.fill(&key("num_batches_tracked"), 0.0)
            }
            "Embedding" => self.normal(&key("weight"), 0.0, 1.0),
            "GroupNorm" | "LayerNorm" | "LayerNorm2d" => {
                self.fill(&key("weight"), 1.0)?;
                self.fill(&key("bias"), 0.0)
            }
            // Its `out_proj` resets itself first, when it is made.
            "MultiheadAttention" => {
                self.reset_linear_map(&key("out_proj.weight"), &key("out_proj.bias"))?;
                self.xavier_uniform(&key("in_proj_weight"))?;
                self.fill(&key("in_proj_bias"), 0.0)?;
                self.fill(&key("out_proj.bias"), 0.0)
            }
            _ => Ok(()),
        }
    }

    /// `kaiming_uniform_(weight, a=√5)`, then a bias uniform in ±1/√fan_in.
    fn reset_linear_map(&mut self, weight: &str, bias: &str) -> Result<()> {
        let fan_in = self.fans(weight)?.0.sqrt();
        let gain = (2.0 / (1.0 + 5f64.sqrt().powi(2))).sqrt();
        let bound = 3f64.sqrt() * (gain / fan_in);
        self.uniform(weight, -bound, bound)?;
        if self.state.contains_key(bias) {
            self.uniform(bias, -1.0 / fan_in, 1.0 / fan_in)?;
        }
        Ok(())
    }

    /// `kaiming_normal_(tensor, mode="fan_out", nonlinearity="relu")`: normal with deviation `√2 / √fan_out`.
    pub fn kaiming_normal_fan_out(&mut self, key: &str) -> Result<()> {
        let std = 2f64.sqrt() / self.fans(key)?.1.sqrt();
        self.normal(key, 0.0, std)
    }

    /// `kaiming_normal_(tensor)`: normal with deviation `√2 / √fan_in`.
    pub fn kaiming_normal_fan_in(&mut self, key: &str) -> Result<()> {
        let std = 2f64.sqrt() / self.fans(key)?.0.sqrt();
        self.normal(key, 0.0, std)
    }

    /// `kaiming_uniform_(tensor)`: uniform in `±√3 · √2 / √fan_in`.
    pub fn kaiming_uniform_fan_in(&mut self, key: &str) -> Result<()> {
        let bound = 3f64.sqrt() * (2f64.sqrt() / self.fans(key)?.0.sqrt());
        self.uniform(key, -bound, bound)
    }

    /// `kaiming_uniform_(tensor, mode="fan_out", nonlinearity="sigmoid")`: uniform in `±√3 / √fan_out`.
    pub fn kaiming_uniform_fan_out(&mut self, key: &str) -> Result<()> {
        let bound = 3f64.sqrt() * (1.0 / self.fans(key)?.1.sqrt());
        self.uniform(key, -bound, bound)
    }

    /// `xavier_uniform_(tensor)`: uniform in `±√3 · √(2 / (fan_in + fan_out))`.
    pub fn xavier_uniform(&mut self, key: &str) -> Result<()> {
        let (fan_in, fan_out) = self.fans(key)?;
        let bound = 3f64.sqrt() * (2.0 / (fan_in + fan_out)).sqrt();
        self.uniform(key, -bound, bound)
    }

    /// timm's `trunc_normal_tf_(tensor, 0, std)`: a normal distribution cut off at ±2 deviations.
    pub fn trunc_normal_tf(&mut self, key: &str, std: f64) -> Result<()> {
        self.trunc_normal(key, 1.0)?;
        let _ = self.tensor(key)?.f_mul_scalar_(std)?.f_add_scalar_(0.0)?;
        Ok(())
    }

    /// `trunc_normal_(tensor, 0, std)`: a normal distribution cut off at ±2, by the inverse of its integral.
    pub fn trunc_normal(&mut self, key: &str, std: f64) -> Result<()> {
        let integral = |x: f64| (1.0 + libm::erf(x / 2f64.sqrt())) / 2.0;
        let (low, high) = (integral(-2.0 / std), integral(2.0 / std));
        let tensor = self.tensor(key)?;
        let _ = tensor.f_uniform_(2.0 * low - 1.0, 2.0 * high - 1.0)?;
        let _ = tensor.f_erfinv_()?;
        let _ = tensor.f_mul_scalar_(std * 2f64.sqrt())?;
        // PyTorch adds the mean, 0, which turns −0 into 0.
        let _ = tensor.f_add_scalar_(0.0)?;
        let _ = tensor.f_clamp_(-2.0, 2.0)?;
        Ok(())
    }

    /// `torch.randn(…)`, then `scale`.
    pub fn randn(&mut self, key: &str, scale: impl FnOnce(&Tensor) -> Result<Tensor, TchError>) -> Result<()> {
        self.normal(key, 0.0, 1.0)?;
        let tensor = self.tensor(key)?;
        *tensor = scale(tensor)?;
        Ok(())
    }

    /// Draws as if a tensor of `count` values were filled by `uniform_` and throws it away.
    pub fn skip_uniform(&mut self, count: i64) -> Result<()> {
        let _ = Tensor::f_empty([count], (Kind::Float, Device::Cpu))?.f_uniform_(0.0, 1.0)?;
        Ok(())
    }

    /// Draws as if a tensor of `count` values were filled by `normal_` and throws it away.
    pub fn skip_normal(&mut self, count: i64) -> Result<()> {
        // However they are made, as many are drawn.
        let _ = Tensor::f_empty([count], (Kind::Float, Device::Cpu))?.f_normal_(0.0, 1.0)?;
        Ok(())
    }

    pub fn uniform(&mut self, key: &str, low: f64, high: f64) -> Result<()> {
        let _ = self.tensor(key)?.f_uniform_(low, high)?;
        Ok(())
    }

    pub fn normal(&mut self, key: &str, mean: f64, std: f64) -> Result<()> {
        let tensor = self.tensor(key)?;
        if !normal::is_libtorchs() {
            return normal::fill(tensor, mean, std);
        }
        let _ = tensor.f_normal_(mean, std)?;
        Ok(())
    }

    /// `tensor.mul_(factor)`.
    pub fn scale(&mut self, key: &str, factor: f64) -> Result<()> {
        let _ = self.tensor(key)?.f_mul_scalar_(factor)?;
        Ok(())
    }

    /// `tensor.div_(divisor)`.
    pub fn divide(&mut self, key: &str, divisor: f64) -> Result<()> {
        let _ = self.tensor(key)?.f_div_scalar_(divisor)?;
        Ok(())
    }

    pub fn fill(&mut self, key: &str, value: f64) -> Result<()> {
        let _ = self.tensor(key)?.f_fill_(value)?;
        Ok(())
    }

    /// What a constructor computes without drawing.
    pub fn set(&mut self, key: &str, value: Tensor) -> Result<()> {
        let tensor = self.tensor(key)?;
        ensure!(value.size() == tensor.size(), "`{key}` is not of the shape {:?}", value.size());
        *tensor = value;
        Ok(())
    }

    /// `_calculate_fan_in_and_fan_out`: channels times the size of the kernel.
    pub fn fans(&self, key: &str) -> Result<(f64, f64)> {
        let shape = self.state.get(key).with_context(|| format!("no tensor `{key}` to initialise"))?.size();
        let kernel: i64 = shape[2..].iter().product();
        Ok(((shape[1] * kernel) as f64, (shape[0] * kernel) as f64))
    }

    /// Whether there is such a tensor: few convolutions have a bias.
    pub fn has(&self, key: &str) -> bool {
        self.state.contains_key(key)
    }

    fn tensor(&mut self, key: &str) -> Result<&mut Tensor> {
        let tensor = self.state.get_mut(key).with_context(|| format!("no tensor `{key}` to initialise"))?;
        self.filled.insert(key.to_owned());
        Ok(tensor)
    }
}
