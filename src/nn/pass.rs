//! One forward pass, which sees the output of every module call: traced on a dry run, kept where planned.

use super::{Flow, Halt, Manifest, ModuleId};
use anyhow::anyhow;
use tch::Tensor;

/// One execution of a module. Shared and recurrent modules have several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The module that was called.
    pub module: ModuleId,
    /// The shape of its output, batch first.
    pub shape: Vec<i64>,
}

/// The calls of one pass through the whole network, in the order in which they ended; the first is the input.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Every call.
    pub calls: Vec<Call>,
}

impl Trace {
    /// The positions of the calls of `module` in [`Trace::calls`].
    pub fn calls_of(&self, module: ModuleId) -> Vec<usize> {
        (0..self.calls.len()).filter(|&call| self.calls[call].module == module).collect()
    }
}

/// Which output to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tap {
    /// The position of the call in the trace.
    pub call: usize,
    /// The number under which the output is handed out.
    pub slot: usize,
}

/// Which calls to keep, and thereby after which call to stop.
///
/// The stop is a position in the call sequence, never "all names seen": a shared ReLU is called again.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The modules in the order of the trace, up to the last call to keep.
    sequence: Vec<ModuleId>,
    /// By call.
    taps: Vec<Tap>,
}

impl Plan {
    /// Keeps the calls at the given positions of `trace`; the output of `calls[i]` is handed out as slot `i`.
    pub fn new(trace: &Trace, calls: &[usize]) -> Plan {
        let mut taps: Vec<_> = calls.iter().enumerate().map(|(slot, &call)| Tap { call, slot }).collect();
        taps.sort_by_key(|tap| tap.call);
        let needed = taps.last().map_or(0, |last| last.call + 1);
        Plan { sequence: trace.calls[..needed].iter().map(|call| call.module).collect(), taps }
    }
}

/// Takes the kept outputs: the slot of [`Plan::new`], and the tensor `[N, …]`.
pub type Keep<'a> = dyn FnMut(usize, &Tensor) -> anyhow::Result<()> + 'a;

/// One pass through a network.
pub struct Pass<'a> {
    mode: Mode<'a>,
    calls: usize,
}

enum Mode<'a> {
    Tracing(Trace),
    Keeping { plan: &'a Plan, next: usize, keep: &'a mut Keep<'a> },
}

impl<'a> Pass<'a> {
    /// A dry run that records every call.
    pub fn tracing() -> Self {
        Pass { mode: Mode::Tracing(Trace::default()), calls: 0 }
    }

    /// A pass that hands planned outputs to `keep` as they come, and ends after the last one.
    pub fn keeping(plan: &'a Plan, keep: &'a mut Keep<'a>) -> Self {
        Pass { mode: Mode::Keeping { plan, next: 0, keep }, calls: 0 }
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
        let call = self.calls;
        self.calls += 1;
        match &mut self.mode {
            Mode::Tracing(trace) => trace.calls.push(Call { module, shape: y.size() }),
            Mode::Keeping { plan, next, keep } => {
                if plan.sequence.get(call) != Some(&module) {
                    return Err(Halt::Failed(anyhow!(
                        "call {call} came from another module than in the dry run: a fault of this program, please report it"
                    )));
                }
                while let Some(tap) = plan.taps.get(*next).filter(|tap| tap.call == call) {
                    keep(tap.slot, y).map_err(Halt::Failed)?;
                    *next += 1;
                }
                if *next == plan.taps.len() {
                    return Err(Halt::Done);
                }
            }
        }
        Ok(())
    }
}

impl Manifest {
    /// The name by which users ask for a module: PyTorch's; `output` for the network itself, `input` for the images.
    pub fn layer_name(&self, module: ModuleId) -> &str {
        match self.modules.get(module.0) {
            None => "input",
            Some(entry) if entry.name.is_empty() => "output",
            Some(entry) => &entry.name,
        }
    }
}
