//! What a network consists of: its modules in the order of `named_modules()`, its tensors in that of `state_dict()`.

use super::{Call, winograd};
use std::collections::{BTreeSet, HashMap, HashSet};
use tch::{Kind, Tensor};

/// Tensors by their key in PyTorch's `state_dict()`.
pub type StateDict = HashMap<String, Tensor>;

/// A module's place in [`Manifest::modules`]; [`ModuleId::INPUT`] stands for the network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ModuleId(pub usize);

impl ModuleId {
    /// The images that go into the network: not a module, but they can be tapped like the output of one.
    pub const INPUT: ModuleId = ModuleId(usize::MAX);
}

/// A module as PyTorch names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleEntry {
    /// The dotted name, `layer4.2.conv3`; empty for the network itself.
    pub name: String,
    /// The name of the Python class, `Conv2d`.
    pub class: String,
}

/// A parameter or buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorEntry {
    /// The key in `state_dict()`, `layer4.2.conv3.weight`.
    pub key: String,
    /// The size along each axis.
    pub shape: Vec<i64>,
    /// The element type, `Float` but for counters.
    pub kind: Kind,
}

/// The by-product of building a network in a `Scope`.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// All modules, parents before children, in the order of PyTorch's `named_modules()`.
    pub modules: Vec<ModuleEntry>,
    /// All tensors, in the order of PyTorch's `state_dict()`.
    pub tensors: Vec<TensorEntry>,
    /// Other names of modules, each with that in `modules`.
    pub aliases: HashMap<String, String>,
    /// Whether modules may be missing among the calls because tracing in Python dropped them: they compute nothing.
    pub is_traced: bool,
}

impl Manifest {
    /// The number of trainable values, as `sum(p.numel() for p in model.parameters())`.
    pub fn parameters(&self) -> i64 {
        let parameters = self.tensors.iter().filter(|tensor| !is_buffer(&tensor.key));
        parameters.map(|tensor| tensor.shape.iter().product::<i64>()).sum()
    }

    /// The modules of `calls` whose convolutions are computed with fewer multiplications by default, and the bytes of weights that
    /// this takes beside.
    pub fn winograd(&self, calls: &[Call]) -> (Vec<String>, usize) {
        let modules: BTreeSet<usize> = calls.iter().filter(|call| call.winograd).map(|call| call.module.0).collect();
        let names: Vec<String> = modules.iter().map(|&module| self.modules[module].name.clone()).collect();
        let keys: HashSet<String> = names.iter().map(|name| format!("{name}.weight")).collect();
        let weights = self.tensors.iter().filter(|entry| keys.contains(&entry.key));
        let bytes = weights.map(|entry| winograd::transformed_bytes(&entry.shape)).fold(0, usize::saturating_add);
        (names, bytes)
    }

    /// The number of multiplications by weights in `calls`: each matrix or filter once for every position of its output.
    pub fn multiplications(&self, calls: &[Call]) -> f64 {
        let shapes: HashMap<&str, &[i64]> = self.tensors.iter().map(|entry| (entry.key.as_str(), &entry.shape[..])).collect();
        let called: HashSet<&str> = calls
            .iter()
            .filter_map(|call| Some(self.modules.get(call.module.0)?.name.as_str()).filter(|name| !name.is_empty()))
            .collect();
        let of_call = |call: &Call| {
            let Some(module) = self.modules.get(call.module.0) else { return 0.0 };
            let outputs: i64 = call.shape.iter().product();
            // The matrices that modules of attention hold for their parts, with the number of outputs of each; Swin's are those of
            // modules that are not called.
            let is_called =
                |name: &&&str| called.contains(format!("{}.{}", module.name, name.trim_end_matches(".weight")).as_str());
            ["weight", "in_proj_weight", "out_proj.weight", "qkv.weight", "proj.weight"]
                .iter()
                .filter(|name| !is_called(name))
                .filter_map(|name| Some((name, shapes.get(format!("{}.{name}", module.name).as_str())?)))
                .filter(|(_, shape)| shape.len() > 1)
                .map(|(name, shape)| {
                    let channels = if matches!(*name, "in_proj_weight" | "qkv.weight") { shape[0] / 3 } else { shape[0] };
                    shape.iter().product::<i64>() as f64 * outputs as f64 / channels as f64
                })
                .sum()
        };
        calls.iter().map(of_call).sum()
    }
}

fn is_buffer(key: &str) -> bool {
    let buffers = ["running_mean", "running_var", "num_batches_tracked", "relative_coords_table", "relative_position_index"];
    buffers.iter().any(|buffer| key.ends_with(buffer))
}
