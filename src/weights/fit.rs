//! Which tensors of a file are which of a network. Files nest state dicts in other things and put something before their keys
//! (`state_dict.module.`, `backbone.`, `_orig_mod.`): what stands before is found by the names and shapes that come after it.
//!
//! A set of tensors below one beginning fits if it has all of the network's tensors, in one of the family's [`Layout`]s, and nothing
//! among them that the network lacks. Only the classifier may be absent. What stands beside the network (a projector, an optimiser,
//! a text tower) is left aside and counted.

use crate::models::{Architecture, Layout};
use crate::nn::{Manifest, TensorEntry};
use crate::text::shown;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Names and shapes in a file.
pub type Tensors = [(String, Vec<i64>)];

/// Of longer names nothing is looked at: PyTorch's have some dozens of letters.
const LONGEST_NAME: usize = 4096;
/// No key of a network has more parts.
const MOST_PARTS: usize = 16;
/// Beginnings that are looked at for what comes nearest.
const MOST_NEAR: usize = 8;
/// Sets that fit; of more no error need name all.
const MOST_FITS: usize = 64;
/// The classifier of timm's, DINO's and DINOv2's vision transformers.
const HEAD: &str = "head.weight";
/// Groups of tensors that are recorded by name.
const MOST_GROUPS: usize = 50;

/// The tensors of a file by the ends of their names: made once, for all networks that are tried.
pub struct Index<'a> {
    tensors: &'a Tensors,
    /// Their numbers, in the order of names.
    sorted: Vec<usize>,
    ends: HashMap<&'a str, Vec<usize>>,
}

/// What makes one tensor of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The names in the file, joined along the first axis.
    pub names: Vec<String>,
    /// The shape that each is to get, where the file's may differ in axes of size 1.
    pub shape: Option<Vec<i64>>,
    /// Whether each has its axes the other way round.
    pub transposed: bool,
}

/// A set of tensors that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// What stands before the keys, with its dot.
    pub prefix: String,
    /// The name of the layout.
    pub layout: &'static str,
    /// By the network's keys.
    pub sources: BTreeMap<String, Source>,
    /// The tensors of the classifier that are not there, each with the reason.
    pub absent: BTreeMap<String, String>,
    /// The number of classes, if it is not the network's.
    pub classes: Option<i64>,
    /// The names of tensors that must be 0 throughout.
    pub zeros: Vec<String>,
    /// How many tensors stand beside the network, by the first part of their names that parts them from it.
    pub aside: BTreeMap<String, usize>,
}

impl Fit {
    /// What [`Fit::prefix`] is called behind `#`.
    pub fn key(&self) -> &str {
        self.prefix.trim_end_matches('.')
    }
}

impl<'a> Index<'a> {
    /// Of the tensors of a file.
    pub fn new(tensors: &'a Tensors) -> Index<'a> {
        let mut ends: HashMap<&str, Vec<usize>> = HashMap::new();
        for (number, (name, _)) in tensors.iter().enumerate().filter(|(_, (name, _))| name.len() <= LONGEST_NAME) {
            let dots = name.rmatch_indices('.').map(|(dot, _)| dot + 1);
            for start in dots.chain([0]).take(MOST_PARTS) {
                ends.entry(&name[start..]).or_default().push(number);
            }
        }
        let mut sorted: Vec<usize> = (0..tensors.len()).collect();
        sorted.sort_by_key(|&number| &tensors[number].0);
        Index { tensors, sorted, ends }
    }

    /// The sets that fit `architecture`, those with a classifier before the same without; or what is wrong with the set that
    /// comes nearest, `key` being a part of what stands before it.
    pub fn fits(&self, architecture: &Architecture, key: Option<&str>) -> Result<Result<Vec<Fit>, String>> {
        let mut fits: Vec<Fit> = Vec::new();
        for classes in self.numbers_of_classes(architecture)? {
            // The network is without a classifier, and the file with one: as it was trained further.
            let Some(with) = architecture.with_classes(classes) else { continue };
            let found = self.fits(&with, key)?.unwrap_or_default().into_iter();
            let is_whole = |fit: &Fit| fit.absent.is_empty() && fit.classes.is_none();
            fits.extend(found.filter(is_whole).map(|fit| Fit { classes: Some(classes), ..fit }));
        }
        let manifest = architecture.manifest()?;
        let mut nearest: Option<([usize; 2], String)> = None;
        for layout in architecture.layouts() {
            let Some(search) = Search::new(self, architecture, &manifest, &layout)? else { continue };
            for prefix in search.prefixes(key) {
                let found = search.look(prefix);
                if found.faults == [0, 0] {
                    fits.extend((fits.len() < MOST_FITS).then(|| search.fit(prefix, &found)));
                } else if nearest.as_ref().is_none_or(|(fewest, _)| found.faults < *fewest) {
                    nearest = Some((found.faults, found.description));
                }
            }
        }
        if fits.is_empty() {
            return Ok(Err(nearest.map(|(_, description)| description).unwrap_or_default()));
        }
        Ok(Ok(each_once(fits)))
    }

    /// The sizes of classifiers in the file that `architecture`, being without one, can have.
    fn numbers_of_classes(&self, architecture: &Architecture) -> Result<BTreeSet<i64>> {
        let mut numbers = BTreeSet::new();
        let Some(with) = (architecture.classes() == Some(0)).then(|| architecture.with_classes(1)).flatten() else {
            return Ok(numbers);
        };
        let (manifest, classifier) = (with.manifest()?, with.classifier()?);
        let weight = manifest.tensors.iter().find(|entry| classifier.contains(&entry.key) && entry.shape.len() > 1);
        for (layout, entry) in with.layouts().iter().zip(weight.into_iter().cycle()) {
            let (keys, _) = layout.keys(&entry.key);
            let ends = keys.first().and_then(|key| self.ends.get(key.as_str())).into_iter().flatten();
            let shapes = ends.map(|&number| &self.tensors[number].1);
            numbers.extend(shapes.filter(|shape| shape.get(1..) == Some(&entry.shape[1..])).map(|shape| shape[0]));
        }
        numbers.retain(|number| *number > 0);
        Ok(numbers.into_iter().take(MOST_NEAR).collect())
    }

    /// Whether `architecture` may fit: whether no tensor but those of a classifier is absent everywhere.
    pub fn may_fit(&self, architecture: &Architecture) -> Result<bool> {
        let manifest = architecture.manifest()?;
        let mut classifier = None;
        'layouts: for layout in architecture.layouts() {
            for entry in manifest.tensors.iter().filter(|entry| is_needed(entry)) {
                if wanted(entry, &layout)
                    .is_some_and(|wanted| wanted.parts.iter().all(|(key, shape)| self.has(key, shape, &layout)))
                {
                    continue;
                }
                if classifier.is_none() {
                    classifier = Some(architecture.classifier()?);
                }
                if !classifier.iter().flatten().any(|key| *key == entry.key) {
                    continue 'layouts;
                }
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn has(&self, end: &str, shape: &[i64], layout: &Layout) -> bool {
        let numbers = self.ends.get(end);
        numbers.is_some_and(|numbers| numbers.iter().any(|&number| is_shape(&self.tensors[number].1, shape, layout)))
    }

    /// The tensors whose names begin so.
    fn below(&self, prefix: &'a str) -> impl Iterator<Item = &'a (String, Vec<i64>)> {
        let start = self.sorted.partition_point(|&number| self.tensors[number].0.as_str() < prefix);
        self.sorted[start..].iter().map(|&number| &self.tensors[number]).take_while(move |(name, _)| name.starts_with(prefix))
    }
}

/// Of sets with the same tensors the one with most of a classifier, the first among equals.
fn each_once(mut fits: Vec<Fit>) -> Vec<Fit> {
    fits.sort_by_key(|fit| fit.absent.len());
    let mut kept: Vec<Fit> = Vec::new();
    for fit in fits {
        let is_same = |other: &Fit| {
            let all = fit.sources.iter().filter(|(key, _)| !other.absent.contains_key(*key));
            all.into_iter().all(|(key, source)| other.sources.get(key) == Some(source))
        };
        if !kept.iter().any(is_same) {
            kept.push(fit);
        }
    }
    kept.sort_by(|one, other| (one.prefix.len(), &one.prefix).cmp(&(other.prefix.len(), &other.prefix)));
    kept
}

/// `num_batches_tracked` may be absent, as in files of PyTorch before 0.4.1, and DINOv2's `mask_token`, as in timm's: evaluation uses
/// neither.
fn is_needed(entry: &TensorEntry) -> bool {
    !entry.key.ends_with("num_batches_tracked") && entry.key != "mask_token"
}

/// Whether a tensor of the shape `there` can be one of `shape`.
fn is_shape(there: &[i64], shape: &[i64], layout: &Layout) -> bool {
    let long = |shape: &'_ [i64]| shape.iter().copied().filter(|size| *size != 1).collect::<Vec<_>>();
    there == shape || layout.ones && long(there) == long(shape)
}

/// A tensor of the network and what makes it.
struct Wanted<'m> {
    entry: &'m TensorEntry,
    /// Keys and shapes in the file.
    parts: Vec<(String, Vec<i64>)>,
    transposed: bool,
}

fn wanted<'m>(entry: &'m TensorEntry, layout: &Layout) -> Option<Wanted<'m>> {
    let (keys, transposed) = layout.keys(&entry.key);
    let mut shape = entry.shape.clone();
    if transposed {
        shape.reverse();
    }
    if keys.len() > 1 {
        let first = shape.first_mut()?;
        *first = (*first % keys.len() as i64 == 0).then_some(*first / keys.len() as i64)?;
    }
    Some(Wanted { entry, parts: keys.into_iter().map(|key| (key, shape.clone())).collect(), transposed })
}

/// The tensors of a network in one layout, looked for in a file.
struct Search<'i, 'a, 'm> {
    index: &'i Index<'a>,
    architecture: &'m Architecture,
    layout: &'m Layout,
    wanted: Vec<Wanted<'m>>,
    classifier: HashSet<String>,
    /// The modules that hold nothing but the classifier, with dots.
    heads: Vec<String>,
    /// The first parts of the keys of all else.
    tops: HashSet<String>,
}

/// Names without their beginning, with shapes.
type Below<'a> = HashMap<&'a str, &'a Vec<i64>>;

/// What is below one beginning.
struct Found {
    /// Missing or of another shape; unexpected.
    faults: [usize; 2],
    description: String,
    absent: BTreeMap<String, String>,
    classes: Option<i64>,
}

impl<'i, 'a, 'm> Search<'i, 'a, 'm> {
    /// `None` if the layout is for no network of these sizes.
    fn new(
        index: &'i Index<'a>,
        architecture: &'m Architecture,
        manifest: &'m Manifest,
        layout: &'m Layout,
    ) -> Result<Option<Search<'i, 'a, 'm>>> {
        let wanted: Option<Vec<Wanted>> = manifest.tensors.iter().map(|entry| wanted(entry, layout)).collect();
        let Some(wanted) = wanted else { return Ok(None) };
        let classifier: HashSet<String> = architecture.classifier()?.into_iter().collect();
        let is_of_it = |wanted: &&Wanted| classifier.contains(&wanted.entry.key);
        let keys = |wanted: &'_ Wanted| wanted.parts.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
        let others: Vec<String> = wanted.iter().filter(|wanted| !is_of_it(wanted)).flat_map(keys).collect();
        let tops = others.iter().map(|key| key.split('.').next().unwrap_or(key).to_owned()).collect();
        let root = |key: String| {
            let ends = key.match_indices('.').map(|(dot, _)| key[..=dot].to_owned());
            ends.into_iter().find(|root| !others.iter().any(|other| other.starts_with(root.as_str())))
        };
        let mut heads: Vec<String> = wanted.iter().filter(is_of_it).flat_map(keys).filter_map(root).collect();
        heads.sort();
        heads.dedup();
        Ok(Some(Search { index, architecture, layout, wanted, classifier, heads, tops }))
    }

    /// Beginnings that have all of the network, or else most of it, the best first.
    fn prefixes(&self, key: Option<&str>) -> Vec<&'a str> {
        let mut scores: HashMap<&str, usize> = HashMap::new();
        let mut needed = 0;
        for wanted in self.wanted.iter().filter(|wanted| is_needed(wanted.entry)) {
            let is_classifier = self.classifier.contains(&wanted.entry.key);
            for (key, shape) in &wanted.parts {
                needed += usize::from(!is_classifier);
                let numbers = self.index.ends.get(key.as_str()).into_iter().flatten();
                for (name, there) in numbers.map(|&number| &self.index.tensors[number]) {
                    if !is_classifier && is_shape(there, shape, self.layout) {
                        *scores.entry(&name[..name.len() - key.len()]).or_default() += 1;
                    }
                }
            }
        }
        let mut scores: Vec<(&str, usize)> = scores.into_iter().collect();
        scores.retain(|(prefix, _)| key.is_none_or(|key| matches(key, prefix.trim_end_matches('.')) > 0));
        scores.sort_by_key(|&(prefix, score)| (std::cmp::Reverse(score), prefix.len(), prefix));
        let whole = scores.iter().take_while(|(_, score)| *score >= needed).count();
        scores.truncate(whole.max(MOST_NEAR));
        if scores.is_empty() {
            return vec![""];
        }
        scores.into_iter().map(|(prefix, _)| prefix).collect()
    }

    /// What is below `prefix`, compared with the network.
    fn look(&self, prefix: &'a str) -> Found {
        let below: Below = self.index.below(prefix).map(|(name, shape)| (&name[prefix.len()..], shape)).collect();
        let (mut missing, mut misshapen, mut absent) = (Vec::new(), Vec::new(), BTreeMap::new());
        for Wanted { entry, parts, .. } in &self.wanted {
            for (key, shape) in parts {
                let is_classifier = self.classifier.contains(&entry.key);
                let name = || shortened(&format!("{prefix}{key}"));
                match below.get(key.as_str()) {
                    Some(there) if there == &shape || !is_classifier && is_shape(there, shape, self.layout) => {}
                    Some(there) if is_classifier => {
                        let why = || format!("`{}` is {there:?} instead of {shape:?}", name());
                        absent.entry(entry.key.clone()).or_insert_with(why);
                    }
                    Some(there) => misshapen.push(format!("{key} is {there:?} instead of {shape:?}")),
                    None if is_classifier => {
                        absent.entry(entry.key.clone()).or_insert_with(|| format!("the file has no `{}`", name()));
                    }
                    None if is_needed(entry) => missing.push(key.clone()),
                    None => {}
                }
            }
        }
        let classes = if absent.is_empty() { None } else { self.classes(&below) };
        if classes.is_some() {
            absent.clear();
        }
        let is_empty = missing.len() + misshapen.len() + self.classifier.len() >= self.number_needed();
        let unexpected = self.unexpected(&below, !absent.is_empty(), is_empty);
        if !missing.is_empty() || !misshapen.is_empty() {
            // Then the classifier is one thing more that is missing.
            missing.extend(absent.keys().cloned());
        }
        let faults = [missing.len() + misshapen.len(), unexpected.len()];
        let description = self.describe(prefix, &missing, &misshapen, &unexpected);
        Found { faults, description, absent, classes }
    }

    /// How many tensors must be there.
    fn number_needed(&self) -> usize {
        self.wanted.iter().filter(|wanted| is_needed(wanted.entry)).map(|wanted| wanted.parts.len()).sum()
    }

    /// What is below the beginning and not the network's, but may be part of one like it. If the classifier is absent, another may
    /// be in its place; if nothing is there of the network, everything is unexpected.
    fn unexpected<'b>(&self, below: &Below<'b>, is_headless: bool, is_empty: bool) -> Vec<&'b str> {
        let used: HashSet<&str> = self.wanted.iter().flat_map(|wanted| &wanted.parts).map(|(key, _)| key.as_str()).collect();
        let begins = |key: &str, with: &[&str]| with.iter().any(|with| key.starts_with(with));
        let is_known = |key: &str| used.contains(key) || self.is_ignored(key) || self.is_zero(key);
        let (mut unexpected, mut beside) = (Vec::new(), BTreeMap::<&str, Vec<(&'b str, &Vec<i64>)>>::new());
        for (key, shape) in below.iter().filter(|(key, _)| !is_known(key)) {
            let top = key.split('.').next().unwrap_or(key);
            let is_head = self.heads.iter().any(|head| key.starts_with(head.as_str()));
            if !is_head && !self.tops.contains(top) && !begins(key, self.layout.refused) {
                beside.entry(top).or_default().push((key, shape));
            } else if !is_head || !is_headless {
                unexpected.push(*key);
            }
        }
        // Beside a network of several parts, what has no matrix may be one more of them, as a norm between two; and what has a
        // convolution, as attention between two stages.
        let is_one_more = |tensors: &Vec<(&str, &Vec<i64>)>| {
            let has = |axes: usize| tensors.iter().any(|(key, shape)| shape.len() >= axes && key.contains('.'));
            has(4) || !has(2) && tensors.iter().any(|(_, shape)| shape.iter().any(|size| *size > 1))
        };
        let is_fault = |tensors: &Vec<_>| is_empty || self.layout.alone || self.tops.len() > 1 && is_one_more(tensors);
        unexpected.extend(beside.into_values().filter(is_fault).flatten().map(|(key, _)| key));
        unexpected.sort_unstable();
        unexpected
    }

    fn is_ignored(&self, key: &str) -> bool {
        self.layout.ignored.iter().any(|part| if part.starts_with('.') { key.ends_with(part) } else { key.starts_with(part) })
    }

    /// Whether the tensor with this key must be 0 throughout.
    fn is_zero(&self, key: &str) -> bool {
        self.layout.zeros.iter().any(|end| key.ends_with(end))
    }

    fn describe(&self, prefix: &str, missing: &[String], misshapen: &[String], unexpected: &[&str]) -> String {
        let unexpected: Vec<String> = unexpected.iter().map(|key| key.to_string()).collect();
        let all = [("missing", missing), ("of another shape", misshapen), ("unexpected", &unexpected)];
        let faults = all.iter().filter(|(_, keys)| !keys.is_empty());
        let faults = faults.map(|(fault, keys)| format!("{} {fault} ({})", keys.len(), examples(keys)));
        let place = match prefix.trim_end_matches('.') {
            "" => String::new(),
            prefix => format!(" under `{}`", shortened(prefix)),
        };
        format!("of {} tensors{place}: {}", self.wanted.len(), faults.collect::<Vec<_>>().join(", "))
    }

    /// The number of classes of a whole classifier of another size.
    fn classes(&self, below: &Below) -> Option<i64> {
        let mut found = None;
        for Wanted { entry, parts, transposed } in &self.wanted {
            if !self.classifier.contains(&entry.key) {
                continue;
            }
            let [(key, shape)] = &parts[..] else { return None };
            let there = below.get(key.as_str())?;
            let (classes, rest) = there.split_first().filter(|_| !transposed)?;
            if rest != &shape[1..] || found.is_some_and(|found| found != *classes) {
                return None;
            }
            found = Some(*classes);
        }
        found.filter(|classes| *classes > 0 && self.architecture.with_classes(*classes).is_some())
    }

    fn fit(&self, prefix: &'a str, found: &Found) -> Fit {
        let is_there = |wanted: &&Wanted| !found.absent.contains_key(&wanted.entry.key);
        let full = |key: &String| format!("{prefix}{key}");
        let names: HashSet<&str> = self.index.below(prefix).map(|(name, _)| name.as_str()).collect();
        let mut sources = BTreeMap::new();
        let mut used = HashSet::new();
        for Wanted { entry, parts, transposed } in self.wanted.iter().filter(is_there) {
            // A classifier may have another number of classes.
            let may_differ = self.layout.ones && !self.classifier.contains(&entry.key);
            let shape = parts.first().filter(|_| may_differ).map(|(_, shape)| shape.clone());
            let source = Source { names: parts.iter().map(|(key, _)| full(key)).collect(), shape, transposed: *transposed };
            if source.names.iter().all(|name| names.contains(name.as_str())) {
                used.extend(source.names.clone());
                sources.insert(entry.key.clone(), source);
            }
        }
        let below = self.index.below(prefix).map(|(name, _)| name);
        let zeros: Vec<String> = below.filter(|name| self.is_zero(&name[prefix.len()..])).cloned().collect();
        used.extend(zeros.clone());
        let beside = self.index.tensors.iter().map(|(name, _)| name.as_str()).filter(|name| !used.contains(*name));
        let (layout, mut absent, classes) = (self.layout.name, found.absent.clone(), found.classes);
        // A network whose code has no classifier, in a file of one that was trained further with one.
        let has_none = self.architecture.classes() == Some(0) && self.architecture.with_classes(1).is_none();
        let head = format!("{prefix}{HEAD}");
        if has_none && names.contains(head.as_str()) {
            absent
                .insert(HEAD.to_owned(), format!("the file has a classifier, `{}`, and the network has none", shortened(&head)));
        }
        Fit { prefix: prefix.to_owned(), layout, sources, absent, classes, zeros, aside: grouped(prefix, beside) }
    }
}

/// How well `key` says which `prefix`, without its last dot, is meant: 3 to the letter, 2 by its beginning, 1 by a part of it.
pub fn matches(key: &str, prefix: &str) -> usize {
    let within = format!(".{prefix}.").contains(&format!(".{key}."));
    match prefix.strip_prefix(key) {
        Some("") => 3,
        Some(rest) if rest.starts_with('.') => 2,
        _ if within && !key.is_empty() => 1,
        _ => 0,
    }
}

/// How many of `names` have the same part where they part from `prefix`; the rest of many groups as `…`.
fn grouped<'n>(prefix: &str, names: impl Iterator<Item = &'n str>) -> BTreeMap<String, usize> {
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    for name in names {
        let common = name.bytes().zip(prefix.bytes()).take_while(|(one, other)| one == other).count();
        let start = name.as_bytes()[..common].iter().rposition(|byte| *byte == b'.').map_or(0, |dot| dot + 1);
        let end = name[start..].find('.').map_or(name.len(), |dot| start + dot);
        let group = shortened(&name[..end]);
        let is_known = groups.len() < MOST_GROUPS || groups.contains_key(&group);
        *groups.entry(if is_known { group } else { "…".into() }).or_default() += 1;
    }
    groups
}

/// A name that anybody may have given, for a message or a record.
pub fn shortened(name: &str) -> String {
    const MOST: usize = 100;
    let name = shown(name);
    let name: String =
        if name.chars().count() > MOST { name.chars().take(MOST - 1).chain(['…']).collect() } else { name.into() };
    name.replace('\n', "\\n").replace('\t', "\\t")
}

fn examples(keys: &[String]) -> String {
    let first = keys[..keys.len().min(3)].iter().map(|key| shortened(key)).collect::<Vec<_>>().join(", ");
    if keys.len() > 3 { format!("{first}, …") } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Entry, Registry};

    /// The keys and shapes of a model's state dict, each key changed by `rename`.
    fn file(entry: &Entry, rename: impl Fn(&str) -> String) -> Vec<(String, Vec<i64>)> {
        let manifest = entry.architecture.manifest().unwrap();
        manifest.tensors.iter().map(|tensor| (rename(&tensor.key), tensor.shape.clone())).collect()
    }

    fn fits_to(registry: &Registry, model: &str, file: &Tensors) -> Result<Vec<Fit>, String> {
        Index::new(file).fits(&registry.choose(model).unwrap().entry.architecture, None).unwrap()
    }

    type Rename = fn(&str) -> String;

    #[test]
    fn state_dicts_are_found_in_everything_they_are_published_in() {
        let registry = Registry::load(None).unwrap();
        let cases: [(&str, Rename, &str); 8] = [
            ("resnet50", str::to_owned, ""),
            ("cornet-s", |key| format!("state_dict.module.{key}"), "state_dict.module"),
            ("vgg16", |key| format!("state_dict.{}", key.replace("features.", "features.module.")), "state_dict"),
            (
                "resnet50",
                |key| format!("classy_state_dict.base_model.model.trunk._feature_blocks.{key}"),
                "classy_state_dict.base_model.model.trunk._feature_blocks",
            ),
            ("vit-b-32", |key| key.replace(".mlp.0.", ".mlp.linear_1."), ""),
            ("clip-vit", |key| format!("state_dict.module.{key}"), "state_dict.module"),
            ("clip-rn", |key| key.replace("visual.", ""), ""),
            ("densenet121", |key| key.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."), ""),
        ];
        for (model, rename, key) in cases {
            let entry = registry.choose(model).unwrap().entry;
            // A family renames all that a layout names, or nothing.
            let rename = |key: &str| match model {
                "vit-b-32" => rename(key).replace(".mlp.3.", ".mlp.linear_2."),
                "densenet121" => rename(key).replace(".norm2.", ".norm.2.").replace(".conv1.", ".conv.1."),
                _ => rename(key),
            };
            let mut tensors = file(entry, rename);
            // Beside a tower by itself nothing may stand.
            let aside = usize::from(model != "clip-rn");
            tensors.extend((aside == 1).then(|| ("optimizer.state.0.momentum_buffer".into(), vec![3, 3])));
            let fits = fits_to(&registry, model, &tensors).unwrap_or_else(|faults| panic!("{model} {key}: {faults}"));
            let [fit] = &fits[..] else { panic!("{model} {key}: {} fit", fits.len()) };
            assert_eq!((fit.sources.len(), fit.key()), (entry.architecture.manifest().unwrap().tensors.len(), key), "{model}");
            assert!(fit.sources.iter().all(|(key, source)| source.names == [rename(key)]), "{model} {key}");
            assert_eq!((fit.absent.len(), fit.aside.values().sum::<usize>()), (0, aside), "{model}");
        }
    }

    #[test]
    fn counters_may_be_absent_and_text_towers_are_left_out() {
        let registry = Registry::load(None).unwrap();
        let mut tensors = file(registry.choose("clip-rn").unwrap().entry, str::to_owned);
        tensors.retain(|(name, _)| !name.ends_with("num_batches_tracked"));
        tensors.push(("token_embedding.weight".into(), vec![49408, 512]));
        tensors.push(("text_projection".into(), vec![512, 512]));
        fits_to(&registry, "clip-rn", &tensors).unwrap();
        // In the tower itself nothing is left out.
        tensors.push(("visual.more.weight".into(), vec![2, 2]));
        let faults = fits_to(&registry, "clip-rn", &tensors).err();
        assert!(faults.is_some_and(|faults| faults.ends_with("1 unexpected (visual.more.weight)")));
    }

    #[test]
    fn what_stands_in_the_network_is_a_fault_and_what_stands_beside_it_is_not() {
        let registry = Registry::load(None).unwrap();
        let whole = file(registry.choose("resnet18").unwrap().entry, str::to_owned);
        let with = |name: &str, shape: &[i64]| {
            let tensors = [&whole[..], &[(name.to_owned(), shape.to_vec())]].concat();
            fits_to(&registry, "resnet18", &tensors)
        };
        for (name, shape) in [
            ("layer1.0.se.fc1.weight", &[4, 64][..]),
            ("fc.1.weight", &[10, 1000]),
            ("norm_pre.weight", &[512]),
            ("register_tokens", &[1, 4, 512]),
        ] {
            assert_eq!(with(name, shape).unwrap_err(), format!("of 122 tensors: 1 unexpected ({name})"));
        }
        for (name, shape) in [("projection_head.0.weight", &[128, 512][..]), ("epoch", &[]), ("scale", &[1])] {
            let fits = with(name, shape).unwrap();
            let group = name.split('.').next().unwrap();
            assert_eq!((fits.len(), fits[0].aside[group]), (1, 1), "{name}");
        }
    }

    #[test]
    fn parts_of_other_transformers_are_faults() {
        let registry = Registry::load(None).unwrap();
        let entry = registry.choose("vit-b-32").unwrap().entry;
        let layout = entry.architecture.layouts().into_iter().find(|layout| layout.name == "timm").unwrap();
        let mut tensors = file(entry, |key| layout.keys(key).0.remove(0));
        assert_eq!(fits_to(&registry, "vit-b-32", &tensors).unwrap()[0].layout, "timm");
        tensors.push(("pre_logits.fc.weight".into(), vec![768, 768]));
        assert!(
            fits_to(&registry, "vit-b-32", &tensors).is_err_and(|faults| faults.ends_with("1 unexpected (pre_logits.fc.weight)"))
        );
    }

    #[test]
    fn parts_of_timms_other_networks_are_faults_in_its_own_keys() {
        let registry = Registry::load(None).unwrap();
        for (model, name, shape) in [
            ("vit-tiny-patch16", "attn_pool.kv.weight", &[384, 192][..]),
            ("vit-tiny-patch16", "pre_logits.fc.weight", &[192, 192]),
            ("deit-tiny", "dist_token", &[1, 1, 192]),
            ("mae-vitb16", "fc_norm.weight", &[768]),
            ("dinov3-vits16", "pos_embed", &[1, 257, 384]),
            ("resnet18", "ca.fc1.weight", &[4, 64, 1, 1]),
        ] {
            let mut tensors = file(registry.choose(model).unwrap().entry, str::to_owned);
            assert!(fits_to(&registry, model, &tensors).is_ok(), "{model}");
            tensors.push((name.into(), shape.to_vec()));
            let faults = fits_to(&registry, model, &tensors).unwrap_err();
            assert!(faults.ends_with(&format!("1 unexpected ({name})")), "{model}: {faults}");
        }
    }

    /// As peft leaves them, beside the matrices that they change: what they change these by is not in the file.
    #[test]
    fn adapters_have_to_be_merged_first() {
        let registry = Registry::load(None).unwrap();
        let entry = registry.choose("dino-vitb16").unwrap().entry;
        let merged = file(entry, |key| format!("base_model.model.model.{key}"));
        assert_eq!(fits_to(&registry, "dino-vitb16", &merged).unwrap()[0].key(), "base_model.model.model");
        let mut tensors = file(entry, |key| format!("base_model.model.model.{}", key.replace(".qkv.", ".qkv.base_layer.")));
        for block in 0..12 {
            let layer = format!("base_model.model.model.blocks.{block}.attn.qkv");
            tensors.push((format!("{layer}.lora_A.default.weight"), vec![16, 768]));
            tensors.push((format!("{layer}.lora_B.default.weight"), vec![2304, 16]));
        }
        let faults = fits_to(&registry, "dino-vitb16", &tensors).unwrap_err();
        assert!(faults.contains("24 missing (blocks.0.attn.qkv.weight") && faults.contains("48 unexpected"), "{faults}");
    }

    /// Where the code has a classifier, the network gets that of the file; where it has none, nothing after it is there.
    #[test]
    fn a_classifier_that_a_network_has_not_is_taken_or_said() {
        let registry = Registry::load(None).unwrap();
        for (model, key, width, taken) in [
            ("dinov3-vits16", "head", 384, true),
            ("siglip2-base-patch32", "head", 768, true),
            ("mocov2-rn50", "fc", 2048, true),
            ("dinov3-convnext-tiny", "head.fc", 768, true),
            ("dinov2-vits14", "head", 384, false),
            ("dino-vits16", "head", 384, false),
        ] {
            let mut tensors = file(registry.choose(model).unwrap().entry, |key| format!("state_dict.model.{key}"));
            tensors.push((format!("state_dict.model.{key}.weight"), vec![10, width]));
            tensors.push((format!("state_dict.model.{key}.bias"), vec![10]));
            let fits = fits_to(&registry, model, &tensors).unwrap();
            let [fit] = &fits[..] else { panic!("{model}: {} fit", fits.len()) };
            assert_eq!((fit.classes, fit.aside.is_empty()), (taken.then_some(10), taken), "{model}");
            assert_eq!(fit.sources.contains_key(&format!("{key}.weight")), taken, "{model}");
            assert_eq!(fit.absent.keys().collect::<Vec<_>>().is_empty(), taken, "{model}");
        }
    }

    #[test]
    fn one_wrong_key_is_a_fault() {
        let registry = Registry::load(None).unwrap();
        let entry = registry.choose("alexnet").unwrap().entry;
        let mut tensors = file(entry, str::to_owned);
        tensors[0].1[0] += 1;
        let faults = fits_to(&registry, "alexnet", &tensors).unwrap_err();
        assert_eq!(faults, "of 16 tensors: 1 of another shape (features.0.weight is [65, 3, 11, 11] instead of [64, 3, 11, 11])");
        tensors.remove(0);
        tensors.push(("classifier.7.weight".into(), vec![1]));
        let faults = fits_to(&registry, "alexnet", &tensors).unwrap_err();
        assert_eq!(faults, "of 16 tensors: 1 missing (features.0.weight), 1 unexpected (classifier.7.weight)");
    }

    #[test]
    fn classifiers_are_found_by_their_shapes_in_every_family() {
        for (name, architecture) in Registry::load(None).unwrap().architectures() {
            let classifier = architecture.classifier().unwrap();
            let has_none = architecture.family_name() == "clip" || format!("{architecture:?}").contains("classes: 0");
            assert_eq!(classifier.is_empty(), has_none, "{name}");
            assert!(
                classifier.len() <= 6 && classifier.iter().all(|key| key.ends_with("weight") || key.ends_with("bias")),
                "{name}"
            );
        }
    }

    #[test]
    fn a_file_of_a_hundred_thousand_tensors_is_looked_through_quickly() {
        let registry = Registry::load(None).unwrap();
        let mut tensors: Vec<(String, Vec<i64>)> = Vec::new();
        let keys = file(registry.choose("resnet18").unwrap().entry, str::to_owned);
        for set in 0..1000 {
            // Each lacks one tensor, so that none fits.
            tensors.extend(keys[1..].iter().map(|(key, shape)| (format!("sets.{set}.{key}"), shape.clone())));
        }
        let start = std::time::Instant::now();
        let index = Index::new(&tensors);
        assert!(index.fits(&registry.choose("resnet18").unwrap().entry.architecture, None).unwrap().is_err());
        assert!(registry.architectures().all(|(_, architecture)| !index.may_fit(architecture).unwrap()));
        // It takes less than a second; were it quadratic, minutes.
        assert!(start.elapsed().as_secs() < 20);
    }
}
