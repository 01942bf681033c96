//! One forward pass, which sees the output of every module call: traced on a dry run, kept where planned.

use super::{Flow, Halt, Manifest, ModuleId};
use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::Range;
use tch::Tensor;

/// The output of one execution of a module. Shared and recurrent modules have several; an execution that gives several
/// tensors, as some modules of exported networks do, has an entry for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The module that was called.
    pub module: ModuleId,
    /// Whether this is the first tensor of the execution.
    pub begins: bool,
    /// Where in the output the tensor is: empty if it is the output, else numbers and keys as `1:0`.
    pub element: String,
    /// The shape of the output, batch first.
    pub shape: Vec<i64>,
    /// The axis of the images where the module itself does not put them first.
    pub axis: usize,
    /// Where the channels of a picture are; `None` if three axes are no picture, or nobody knows.
    pub channels: Option<Channels>,
    /// Why it has no rows, one for each image, to give.
    pub unusable: Option<Cow<'static, str>>,
    /// Whether it is a convolution that [`Way::Winograd`] computes with fewer multiplications on this machine.
    pub winograd: bool,
}

/// Where a picture has its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channels {
    /// `[C, H, W]`
    #[default]
    First,
    /// `[H, W, C]`
    Last,
}

impl Call {
    /// An execution that gives one tensor, batch first.
    pub fn new(module: ModuleId, shape: Vec<i64>) -> Call {
        let channels = Some(Channels::First);
        Call { module, begins: true, element: String::new(), shape, axis: 0, channels, unusable: None, winograd: false }
    }
}

/// The calls of one pass through the whole network, in the order in which they ended; the first is the input.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Every call.
    pub calls: Vec<Call>,
    /// What was done to learnt positions, if images are not of the size that they were learnt for.
    pub interpolation: Option<Interpolation>,
}

/// Learnt positions of patches, interpolated from one grid to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpolation {
    /// Rows and columns of patches that positions were learnt for.
    pub from: [i64; 2],
    /// Rows and columns of patches of the images.
    pub to: [i64; 2],
}

impl Trace {
    /// The positions of the calls of `module` in [`Trace::calls`], of each that of its first tensor.
    pub fn calls_of(&self, module: ModuleId) -> Vec<usize> {
        (0..self.calls.len()).filter(|&call| self.calls[call].module == module && self.calls[call].begins).collect()
    }

    /// The positions of the tensors of the call whose first is at `first`.
    pub fn tensors_of(&self, first: usize) -> Range<usize> {
        let more = self.calls[first + 1..].iter().take_while(|call| !call.begins).count();
        first..first + 1 + more
    }
}

/// Which calls to keep, and thereby after which call to stop.
///
/// The stop is a position in the call sequence, never "all names seen": a shared ReLU is called again.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The trace up to the last call to keep.
    sequence: Vec<Call>,
    /// The position of each call in the trace, in order, and the slot under which its output is handed out.
    taps: Vec<(usize, usize)>,
}

impl Plan {
    /// Keeps the calls at the given positions of `trace`; the output of `calls[i]` is handed out as slot `i`.
    pub fn new(trace: &Trace, calls: &[usize]) -> Plan {
        let mut taps: Vec<_> = calls.iter().enumerate().map(|(slot, &call)| (call, slot)).collect();
        taps.sort_by_key(|(call, _)| *call);
        let needed = taps.last().map_or(0, |(last, _)| last + 1);
        Plan { sequence: trace.calls[..needed].to_vec(), taps }
    }

    /// What to keep, in the order of the trace: the call, which execution of its module that is, and the slot.
    pub fn taps(&self) -> impl Iterator<Item = (&Call, usize, usize)> {
        self.taps.iter().map(|&(at, slot)| {
            let call = &self.sequence[at];
            let begun = self.sequence[..=at].iter().filter(|other| other.module == call.module && other.begins).count();
            (call, begun - 1, slot)
        })
    }
}

/// Takes the kept outputs: the slot of [`Plan::new`], and the tensor `[N, …]`.
pub type Keep<'a> = dyn FnMut(usize, &Tensor) -> anyhow::Result<()> + 'a;

/// How a network computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Each module by itself, in PyTorch's order of operations.
    Exact,
    /// Modules together where nobody wants an output in between.
    Direct,
    /// The same, and convolutions with fewer multiplications where they have such a form.
    Winograd,
}

/// One pass through a network.
pub struct Pass<'a> {
    mode: Mode<'a>,
    calls: usize,
    way: Way,
    /// Of the outputs that come now.
    channels: Option<Channels>,
    unusable: Option<&'static str>,
    winograd: bool,
}

enum Mode<'a> {
    Tracing(Trace),
    Keeping { plan: &'a Plan, next: usize, keep: &'a mut Keep<'a> },
}

impl<'a> Pass<'a> {
    /// A dry run that records every call.
    pub fn tracing() -> Self {
        Self::of(Mode::Tracing(Trace::default()))
    }

    /// A pass that hands planned outputs to `keep` as they come, and ends after the last one.
    pub fn keeping(plan: &'a Plan, keep: &'a mut Keep<'a>) -> Self {
        Self::of(Mode::Keeping { plan, next: 0, keep })
    }

    fn of(mode: Mode<'a>) -> Self {
        Pass { mode, calls: 0, way: Way::Exact, channels: Some(Channels::First), unusable: None, winograd: false }
    }

    /// From here on, outputs with four axes are pictures whose channels are there; or, if `None`, no pictures.
    pub(crate) fn channels_are(&mut self, channels: Option<Channels>) {
        self.channels = channels;
    }

    /// What `compute` gives, whose modules see no images: `reason` says why their outputs have no row for each.
    pub(crate) fn aside<T>(&mut self, reason: &'static str, compute: impl FnOnce(&mut Self) -> Flow<T>) -> Flow<T> {
        let before = self.unusable.replace(reason);
        let result = compute(self);
        self.unusable = before;
        result
    }

    /// The same pass, computed so.
    pub fn computing(self, way: Way) -> Self {
        Pass { way, ..self }
    }

    /// Whether modules may be computed together where nobody wants an output in between.
    pub(crate) fn is_fused(&self) -> bool {
        self.way != Way::Exact
    }

    pub(super) fn way(&self) -> Way {
        self.way
    }

    /// In a dry run: the output that comes now is that of a convolution with a form of fewer multiplications, or not.
    pub(super) fn has_winograd(&mut self, has: bool) {
        self.winograd = has;
    }

    /// In a dry run: positions are interpolated so.
    pub(crate) fn interpolates(&mut self, interpolation: Interpolation) {
        if let Mode::Tracing(trace) = &mut self.mode {
            trace.interpolation = Some(interpolation);
        }
    }

    /// Whether shapes alone are wanted.
    pub(crate) fn is_tracing(&self) -> bool {
        matches!(self.mode, Mode::Tracing(_))
    }

    /// Whether the outputs of the next `number` calls may remain unseen.
    pub(super) fn wants_none_of_next(&self, number: usize) -> bool {
        match &self.mode {
            Mode::Tracing(_) => false,
            Mode::Keeping { plan, next, .. } => plan.taps.get(*next).is_none_or(|(call, _)| *call >= self.calls + number),
        }
    }

    /// A call whose output is not seen, because it was computed together with the next one's.
    pub(super) fn pass_over(&mut self, module: ModuleId) -> Flow<()> {
        self.count(module).map(drop)
    }

    /// What a [`Pass::tracing`] recorded.
    pub fn into_trace(self) -> Trace {
        match self.mode {
            Mode::Tracing(trace) => trace,
            Mode::Keeping { .. } => Trace::default(),
        }
    }

    /// Sees the output `y` of a call. [`Module::forward`](super::Module::forward) calls it for every module.
    pub fn visit(&mut self, module: ModuleId, y: &Tensor) -> Flow<()> {
        let call = self.count(module)?;
        match &mut self.mode {
            Mode::Tracing(trace) => {
                let (channels, unusable, winograd) =
                    (self.channels, self.unusable.map(Cow::from), std::mem::take(&mut self.winograd));
                trace.calls.push(Call { channels, unusable, winograd, ..Call::new(module, y.size()) });
            }
            Mode::Keeping { plan, next, keep } => {
                while let Some((_, slot)) = plan.taps.get(*next).filter(|(planned, _)| *planned == call) {
                    keep(*slot, y).map_err(Halt::Failed)?;
                    *next += 1;
                }
                if *next == plan.taps.len() {
                    return Err(Halt::Done);
                }
            }
        }
        Ok(())
    }

    /// The position of a call of `module`, which comes now.
    fn count(&mut self, module: ModuleId) -> Flow<usize> {
        let call = self.calls;
        self.calls += 1;
        match &self.mode {
            Mode::Keeping { plan, .. } if plan.sequence.get(call).map(|call| call.module) != Some(module) => Err(Halt::Failed(
                anyhow!("call {call} came from another module than in the dry run: a fault of this program, please report it"),
            )),
            _ => Ok(call),
        }
    }
}

impl Manifest {
    /// The name by which users ask for a module: PyTorch's; `output` for the network itself, `input` for the images, and
    /// `network_output` and `network_input` if it has modules that are called so.
    pub fn layer_name(&self, module: ModuleId) -> &str {
        let free = |name, other| if self.module(name).is_some() { other } else { name };
        match self.modules.get(module.0) {
            None => free("input", "network_input"),
            Some(entry) if entry.name.is_empty() => free("output", "network_output"),
            Some(entry) => &entry.name,
        }
    }

    /// The module that PyTorch calls `name`.
    pub fn module(&self, name: &str) -> Option<ModuleId> {
        let name = self.aliases.get(name).map_or(name, String::as_str);
        self.modules.iter().position(|entry| !name.is_empty() && entry.name == name).map(ModuleId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Function, Module, Scope, relu, run};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tch::{Device, Kind};

    /// Adds 1, and counts how often it was computed.
    struct AddOne {
        id: ModuleId,
        computed: Arc<AtomicUsize>,
    }

    impl Module for AddOne {
        fn id(&self) -> ModuleId {
            self.id
        }

        fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
            self.computed.fetch_add(1, Ordering::Relaxed);
            Ok(x.f_add_scalar(1.0)?)
        }
    }

    /// `relu → first → relu → second`, with one ReLU for both, as a residual block has it.
    struct Network {
        id: ModuleId,
        relu: Function,
        first: AddOne,
        second: AddOne,
    }

    impl Module for Network {
        fn id(&self) -> ModuleId {
            self.id
        }

        fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
            run(pass, x, &[&self.relu, &self.first, &self.relu, &self.second])
        }
    }

    /// The network, and how often `first` and `second` were computed together.
    fn network() -> (Network, Manifest, Arc<AtomicUsize>) {
        let computed = Arc::new(AtomicUsize::new(0));
        let (network, manifest) = Scope::build(None, (Kind::Float, Device::Cpu), |s| {
            let add_one = |s: Scope| AddOne { id: s.register("AddOne"), computed: computed.clone() };
            let id = s.register("Network");
            Ok(Network { id, relu: relu(&s / "relu"), first: add_one(&s / "first"), second: add_one(&s / "second") })
        })
        .unwrap();
        (network, manifest, computed)
    }

    fn trace(network: &Network, x: &Tensor) -> Trace {
        let mut pass = Pass::tracing();
        let _ = network.forward(&mut pass, x).unwrap();
        pass.into_trace()
    }

    /// What is kept of the given calls, by slot, and how the pass ended.
    fn keep(network: &Network, trace: &Trace, x: &Tensor, calls: &[usize]) -> (Vec<f64>, bool) {
        let mut kept = vec![f64::NAN; calls.len()];
        let mut take = |slot: usize, y: &Tensor| {
            kept[slot] = y.double_value(&[0]);
            Ok(())
        };
        let end = network.forward(&mut Pass::keeping(&Plan::new(trace, calls), &mut take), x);
        (kept, matches!(end, Err(Halt::Done)))
    }

    #[test]
    fn a_shared_module_is_kept_at_each_of_its_calls() {
        let (network, manifest, _) = network();
        let x = Tensor::from_slice(&[-3.0f32]);
        let trace = trace(&network, &x);
        let names: Vec<_> = trace.calls.iter().map(|call| manifest.layer_name(call.module)).collect();
        assert_eq!(names, ["relu", "first", "relu", "second", "output"]);
        assert_eq!(trace.calls_of(network.relu.id()), [0, 2]);
        // max(−3, 0) = 0, then 0 + 1 = 1, max(1, 0) = 1, 1 + 1 = 2
        assert_eq!(keep(&network, &trace, &x, &[0]), (vec![0.0], true));
        assert_eq!(keep(&network, &trace, &x, &[2]), (vec![1.0], true));
    }

    #[test]
    fn nothing_is_computed_after_the_last_wanted_call() {
        let (network, _, computed) = network();
        let x = Tensor::from_slice(&[1.0f32]);
        let trace = trace(&network, &x);
        for (calls, expected) in [(&[0][..], 0), (&[2], 1), (&[0, 1], 1), (&[3], 2), (&[4, 0], 2)] {
            computed.store(0, Ordering::Relaxed);
            keep(&network, &trace, &x, calls);
            assert_eq!(computed.load(Ordering::Relaxed), expected, "{calls:?}");
        }
    }

    #[test]
    fn keeping_many_equals_keeping_each() {
        let (network, _, _) = network();
        let x = Tensor::from_slice(&[-0.5f32]);
        let trace = trace(&network, &x);
        let all = [4, 2, 0, 3, 1, 2];
        let each: Vec<_> = all.iter().map(|&call| keep(&network, &trace, &x, &[call]).0[0]).collect();
        assert_eq!(keep(&network, &trace, &x, &all).0, each);
    }

    #[test]
    fn another_sequence_than_the_traced_one_is_an_error() {
        let (network, _, _) = network();
        let x = Tensor::zeros([1], (Kind::Float, Device::Cpu));
        let mut other = trace(&network, &x);
        other.calls.swap(0, 1);
        let mut take = |_: usize, _: &Tensor| Ok(());
        let end = network.forward(&mut Pass::keeping(&Plan::new(&other, &[4]), &mut take), &x);
        assert!(matches!(end, Err(Halt::Failed(_))));
    }
}
