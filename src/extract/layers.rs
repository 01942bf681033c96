//! From what a user asks for (names, `name@call`, globs) to calls of the network.

use crate::error::{advise, did_you_mean};
use crate::nn::{Call, Channels, Manifest, ModuleId, Trace};
use crate::readout::Places;
use anyhow::Result;
use glob::Pattern;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A layer as a user asks for it: one call of one module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// PyTorch's name, with `@k` if a call and `:element` if a tensor of it was named; also the name of its file.
    pub name: String,
    /// The position of the call in the trace.
    pub call: usize,
    /// The shape of the output for one image.
    pub shape: Vec<usize>,
    /// Where readouts find what they look for.
    pub places: Places,
}

impl Layer {
    fn new(name: String, trace: &Trace, call: usize) -> Layer {
        let places = Places { channels: trace.calls[call].channels, tokens: None, of_texts: false };
        Layer { name, call, shape: shape(trace, call), places }
    }
}

/// One row of `thingsvision layers`.
#[derive(Debug, Clone)]
pub struct Description {
    /// PyTorch's name.
    pub name: String,
    /// The Python class.
    pub class: String,
    /// Each call; empty if the network never calls the module.
    pub calls: Vec<Output>,
}

/// What a call gives.
#[derive(Debug, Clone)]
pub struct Output {
    /// The shape for one image; of several tensors, that of the first that can be extracted.
    pub shape: Vec<usize>,
    /// Where in the output its tensors are, of those that can be extracted; one empty text if it is one tensor.
    pub elements: Vec<String>,
    /// Where the channels of a picture are, if that is known.
    pub channels: Option<Channels>,
    /// Why nothing of it can be extracted, if so.
    pub unusable: Option<Cow<'static, str>>,
}

/// Every layer between `input` and `output`, in the order in which the network begins them: a container stands before what
/// it contains. Modules that are never called stand after all else that their parent contains.
pub fn describe(manifest: &Manifest, trace: &Trace) -> Vec<Description> {
    let of = |module: ModuleId, class: &str| Description {
        name: manifest.layer_name(module).to_owned(),
        class: class.to_owned(),
        calls: trace.calls_of(module).into_iter().map(|first| output(trace, first)).collect(),
    };
    let mut order: Vec<usize> = (0..manifest.modules.len()).collect();
    order.sort_by_cached_key(|&module| place(manifest, trace, module));
    // The network itself is the last.
    order.sort_by_key(|&module| module == 0);
    let modules = order.into_iter().map(|i| of(ModuleId(i), &manifest.modules[i].class));
    [of(ModuleId::INPUT, "Tensor")].into_iter().chain(modules).collect()
}

/// What modules are ordered by: the first call to end in one, the outer before the inner; of one that is not called, the last
/// to end in the nearest ancestor that is.
fn place(manifest: &Manifest, trace: &Trace, module: usize) -> (Option<usize>, bool, usize) {
    let calls_in = |module: usize| {
        let name = &manifest.modules[module].name;
        let is_inside = move |other: &str| {
            name.is_empty() || other == name || other.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        let of = move |call: &Call| manifest.modules.get(call.module.0).is_some_and(|entry| is_inside(&entry.name));
        trace.calls.iter().enumerate().filter(move |(_, call)| of(call)).map(|(at, _)| at)
    };
    if let Some(first) = calls_in(module).next() {
        return (Some(first), false, manifest.modules[module].name.matches('.').count());
    }
    let parent = |module: usize| {
        let name = &manifest.modules[module].name;
        manifest.modules[..module]
            .iter()
            .rposition(|entry| entry.name.is_empty() || name.starts_with(&format!("{}.", entry.name)))
    };
    let mut ancestors = std::iter::successors(parent(module), |&module| parent(module));
    (ancestors.find_map(|ancestor| calls_in(ancestor).next_back()), true, module)
}

/// The position of the tensor that stands for the call whose first is at `first`: the first that can be extracted.
fn principal(trace: &Trace, first: usize) -> usize {
    trace.tensors_of(first).find(|&tensor| trace.calls[tensor].unusable.is_none()).unwrap_or(first)
}

fn output(trace: &Trace, first: usize) -> Output {
    let at = principal(trace, first);
    let Call { channels, unusable, .. } = trace.calls[at].clone();
    let tensors = trace.calls[trace.tensors_of(first)].iter().filter(|tensor| tensor.unusable.is_none());
    let elements = tensors.map(|tensor| tensor.element.clone()).collect();
    Output { shape: shape(trace, at), elements, channels, unusable }
}

fn shape(trace: &Trace, call: usize) -> Vec<usize> {
    trace.calls[call].shape[1..].iter().map(|&size| size as usize).collect()
}

/// The layers that `wanted` asks for, each once, in the order in which the network computes them.
///
/// `name` is the last call of a module, as a PyTorch hook that overwrites would keep it; `name@k` its call `k` from 0. Of a
/// call that gives several tensors it is the first that has one value for each image; `name:element` names another, by its place (`:1`) or key (`:out`).
/// A name with `*`, `?` or `[…]` is a glob over all modules that are called; it never means `input` or `output`.
/// `model` is its name, for messages.
pub fn resolve(model: &str, manifest: &Manifest, trace: &Trace, wanted: &[String]) -> Result<Vec<Layer>> {
    let mut layers = BTreeMap::new();
    for wanted in wanted {
        for layer in resolve_one(model, manifest, trace, wanted)? {
            check_file_name(&layer.name)?;
            layers.insert((layer.call, layer.name.clone()), layer);
        }
    }
    let layers: Vec<Layer> = layers.into_values().collect();
    let file_of_rdm = |layer: &Layer| format!("{}.rdm", layer.name);
    match layers.iter().find(|layer| layers.iter().any(|other| other.name == file_of_rdm(layer))) {
        Some(layer) => Err(advise(
            format!("the RDM of `{}` would be in the same file as the activations of `{}`", layer.name, file_of_rdm(layer)),
            "extract them in two runs, with another --out",
        )),
        None => Ok(layers),
    }
}

/// Fails if no file can be called so, or one elsewhere: names in exported networks may be anything.
fn check_file_name(name: &str) -> Result<()> {
    const LONGEST: usize = 200;
    let is_odd = |letter: char| matches!(letter, '/' | '\\') || letter.is_control();
    if name.len() <= LONGEST && !name.starts_with('.') && !name.contains(is_odd) {
        return Ok(());
    }
    let shown: String = name.chars().take(60).flat_map(char::escape_debug).collect();
    Err(advise(
        format!("no file can be called after the layer `{shown}`"),
        "export the network with other names: of at most 200 letters, without slashes or control characters, and not beginning with a dot",
    ))
}

fn resolve_one(model: &str, manifest: &Manifest, trace: &Trace, wanted: &str) -> Result<Vec<Layer>> {
    let hint = "`NAME@0` is the first call of a module, `NAME` the last; globs go in quotes: --layer 'layer4.*'";
    // A name may have an `@` or `:` itself.
    let is_name = manifest.module(wanted).is_some();
    let parts = wanted.split_once(':').filter(|_| !is_name);
    let (rest, element) = parts.map_or((wanted, None), |(rest, element)| (rest, Some(element)));
    let (name, call) = match rest.rsplit_once('@').filter(|_| !is_name) {
        None => (rest, None),
        Some((name, call)) => {
            let digits = !call.is_empty() && call.bytes().all(|byte| byte.is_ascii_digit());
            let call = call.parse().ok().filter(|_| digits);
            let call: usize = call.ok_or_else(|| advise(format!("`{wanted}`: what follows `@` must be a call number"), hint))?;
            (name, Some(call))
        }
    };
    // What was asked for, of the module `name`.
    let full = |name: &str| name.to_owned() + if is_name { "" } else { &wanted[name_end(wanted)..] };
    if name.contains(['*', '?', '[']) && !is_name {
        return resolve_glob(model, manifest, trace, name, (call, element), &full);
    }
    let module = find(model, manifest, name)?;
    let calls = trace.calls_of(module);
    let first = match call {
        _ if calls.is_empty() => return Err(never_called(manifest, name)),
        None => calls[calls.len() - 1],
        Some(call) => *calls.get(call).ok_or_else(|| {
            let last = calls.len() - 1;
            advise(
                format!("`{name}` has no call {call}"),
                if last == 0 {
                    format!("it is called once: `{name}`")
                } else {
                    format!("it is called {} times: `{name}@0` to `{name}@{last}`", calls.len())
                },
            )
        })?,
    };
    let at = tensor(trace, first, element).ok_or_else(|| no_element(trace, first, name, wanted))?;
    match &trace.calls[at].unusable {
        Some(reason) => Err(advise(format!("`{wanted}` cannot be extracted: {reason}"), others(trace, first, rest))),
        None => Ok(vec![Layer::new(full(name), trace, at)]),
    }
}

/// Where in what a user asks for the name of the module ends.
fn name_end(wanted: &str) -> usize {
    let end = wanted.find(':').unwrap_or(wanted.len());
    wanted[..end].rfind('@').unwrap_or(end)
}

/// The position of a tensor of the call whose first is at `first`. A tensor that is the whole output is its own element 0.
fn tensor(trace: &Trace, first: usize, element: Option<&str>) -> Option<usize> {
    let Some(element) = element else { return Some(principal(trace, first)) };
    let is_it = |at: &usize| trace.calls[*at].element == element || element == "0" && trace.calls[*at].element.is_empty();
    trace.tensors_of(first).find(is_it)
}

fn no_element(trace: &Trace, first: usize, name: &str, wanted: &str) -> anyhow::Error {
    let elements = output(trace, first).elements;
    let is_one = matches!(elements.as_slice(), [element] if element.is_empty());
    let problem = format!("there is no `{wanted}`");
    advise(problem, if is_one { format!("`{name}` gives one tensor") } else { others(trace, first, name) })
}

fn others(trace: &Trace, first: usize, name: &str) -> String {
    let elements = output(trace, first).elements;
    let named: Vec<_> =
        elements.iter().filter(|element| !element.is_empty()).map(|element| format!("`{name}:{element}`")).collect();
    match named.as_slice() {
        [] => "take another layer: `thingsvision layers` shows which have a shape".into(),
        named => format!("it gives {}", named.join(", ")),
    }
}

fn resolve_glob(
    model: &str,
    manifest: &Manifest,
    trace: &Trace,
    glob: &str,
    (call, element): (Option<usize>, Option<&str>),
    full: &dyn Fn(&str) -> String,
) -> Result<Vec<Layer>> {
    let pattern = Pattern::new(glob).map_err(|error| {
        advise(format!("`{glob}` is not a glob: {}", error.msg), "* stands for any part of a name: --layer 'layer4.*'")
    })?;
    let mut layers = Vec::new();
    let mut uncalled = None;
    for (i, entry) in manifest.modules.iter().enumerate().filter(|(_, entry)| !entry.name.is_empty()) {
        let calls = trace.calls_of(ModuleId(i));
        let first = call.map_or_else(|| calls.last(), |call| calls.get(call));
        let at = first.and_then(|&first| tensor(trace, first, element)).filter(|&at| trace.calls[at].unusable.is_none());
        match (pattern.matches(&entry.name), at) {
            (true, Some(at)) => layers.push(Layer::new(full(&entry.name), trace, at)),
            (true, None) if calls.is_empty() => uncalled = Some(entry.name.as_str()),
            _ => {}
        }
    }
    if let (true, Some(name)) = (layers.is_empty(), uncalled) {
        return Err(never_called(manifest, name));
    }
    if layers.is_empty() {
        return Err(advise(
            format!("`{model}` has no layer like `{glob}`"),
            format!("`thingsvision layers --model {model}` lists all"),
        ));
    }
    Ok(layers)
}

fn find(model: &str, manifest: &Manifest, name: &str) -> Result<ModuleId> {
    let ours = || [ModuleId::INPUT, ModuleId(0)].into_iter().find(|&module| manifest.layer_name(module) == name);
    manifest.module(name).or_else(ours).ok_or_else(|| {
        let near = did_you_mean(name, manifest.modules.iter().map(|entry| entry.name.as_str()));
        let count = manifest.modules.len() + 1;
        advise(
            format!("`{model}` has no layer `{name}`"),
            format!("{near}`thingsvision layers --model {model}` lists all {count}"),
        )
    })
}

fn never_called(manifest: &Manifest, name: &str) -> anyhow::Error {
    let parent = name.rsplit_once('.').map_or("output", |(parent, _)| parent);
    let reason = if manifest.is_traced {
        format!(
            "it computes nothing (such as Identity) and the export left it out, it has another name that is called, or `{parent}` \
             uses its weights without it"
        )
    } else {
        let has_tensors = manifest.tensors.iter().any(|tensor| tensor.key.starts_with(&format!("{name}.")));
        let uses = if has_tensors { "uses its weights without it, or " } else { "" };
        format!("`{parent}` {uses}leaves it out in evaluation mode")
    };
    advise(format!("`{name}` is never called by the network, so it has no output"), reason)
}
