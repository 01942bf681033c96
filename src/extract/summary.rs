//! What a run says of itself before its first batch and after its last.

use super::journal::Done;
use super::plan::Space;
use super::plan::{Loaded, Plan};
use super::record::{Record, Seconds};
use super::resources::Resources;
use crate::images::Origin;
use crate::names::not_by_number;
use crate::numbers::{bytes, count, count_of, shape};
use crate::observer::Observer;
use crate::readout::Readout;
use crate::run::Shard;
use crate::weights::Provenance;
use std::collections::BTreeMap;

/// The facts that change results, what is written, and how the work is divided.
pub(super) fn say(plan: &Plan, runs: &[Loaded], space: &Space, observer: &dyn Observer) {
    let Plan { request, stimuli, resources, .. } = plan;
    for run in runs {
        observer.fact("model", &format!("{}, weights {}", run.record.model, run.record.weights.describe()));
        if let Some(activation) = run.record.activation.filter(|_| matches!(run.record.weights, Provenance::File { .. })) {
            let activation = serde_json::to_value(activation).unwrap_or_default();
            observer.fact("", &format!("with {}, which no checkpoint tells", activation.as_str().unwrap_or_default()));
        }
        if let (Provenance::File { tag: None, .. }, [first, others @ ..]) =
            (&run.record.weights, &run.planned.choice.entry.same_keys[..])
        {
            let others: String = others.iter().map(|other| format!(" and {other}")).collect();
            observer
                .fact("", &format!("keys and shapes are those of {first}{others} too: nothing in the file tells which it is"));
        }
        if let Provenance::File { layout: Some(layout), .. } = &run.record.weights {
            let layouts = run.planned.choice.architecture().layouts().into_iter();
            let note = layouts.filter(|known| known.name == layout).find_map(|known| known.note);
            note.iter().for_each(|note| observer.fact("", note));
        }
        if let Provenance::File { classes, absent, left_aside, .. } = &run.record.weights {
            of_file(run, *classes, absent, left_aside).iter().for_each(|note| observer.fact("", note));
        }
        if let Some(preprocessing) = &run.record.preprocessing {
            observer.fact("pixels", &preprocessing.describe());
        }
        if let Some(texts) = &run.record.texts {
            observer.fact("tokens", &texts.describe());
        }
        observer.fact("layers", &layers(run));
        if let Some(note) = vectors(run) {
            observer.fact("", &note);
        }
        say_reduction(&run.record, observer);
    }
    let are_texts = stimuli.images.texts().is_some();
    observer.fact(stimuli.noun(), &stimuli.images.summary());
    if let (Some(conditions), true) = (&stimuli.conditions, are_texts) {
        let count = count_of(request.templates.len(), "template");
        observer.fact(
            "rows",
            &format!("{}, each the mean over {count} of rows of length 1, brought to length 1", conditions.ids.len()),
        );
    } else if let Some(conditions) = &stimuli.conditions {
        let each = stimuli.images.column.as_ref().map_or_else(|| "folder".to_owned(), |column| format!("`{}`", column.name));
        observer.fact("rows", &format!("{}, the mean of each {each}", count_of(conditions.ids.len(), "condition")));
    }
    if let Some(first) = stimuli.lost.first() {
        observer
            .fact("", &format!("no image can be read of {}, among them `{first}`", count_of(stimuli.lost.len(), "condition")));
    }
    if let (Origin::Folders(_), Some([one, other])) = (&stimuli.images.origin, not_by_number(stimuli.row_ids())) {
        observer.fact("", &format!("ordered by the bytes of names and not by numbers: `{one}` comes before `{other}`"));
    }
    stimuli.images.notes().iter().for_each(|note| observer.fact("", note));
    observer.fact("writes", &format!("{} to {} ({} free)", bytes(space.needed), request.out.display(), bytes(space.free)));
    let Resources { batch_size, workers, threads } = *resources;
    let workers = count_of(workers, "worker");
    let threads = if threads > 1 { format!(" of {threads} threads") } else { String::new() };
    observer.fact("runs on", &format!("{}, {workers}{threads}, batches of {batch_size}", runs[0].record.device));
    if let Some(reason) = &plan.no_cuda {
        observer.fact("", &format!("not on CUDA: {reason}"));
    }
}

/// What of a file of weights is not as in the model.
fn of_file(run: &Loaded, classes: Option<i64>, absent: &[String], left_aside: &BTreeMap<String, usize>) -> Vec<String> {
    let classes = classes.map(|classes| format!("with the {classes} classes of the file's classifier"));
    let absent = run.planned.absent.as_ref().filter(|_| !absent.is_empty()).map(|(layers, why)| {
        let first = layers[..layers.len().min(3)].join("`, `");
        format!("without `{first}`{}: {why}", if layers.len() > 3 { " and what comes after" } else { "" })
    });
    let number: usize = left_aside.values().sum();
    let groups: Vec<_> = left_aside.keys().take(3).map(|group| format!("`{group}`")).collect();
    let more = if left_aside.len() > groups.len() { ", …" } else { "" };
    let aside =
        (number > 0).then(|| format!("{} of other parts left aside: {}{more}", count_of(number, "tensor"), groups.join(", ")));
    [classes, absent, aside].into_iter().flatten().collect()
}

fn layers(run: &Loaded) -> String {
    match (&run.planned.layers[..], &run.planned.shapes[..]) {
        ([layer], [sizes]) => format!("{} ({})", layer.name, shape(sizes)),
        (layers, _) => format!("{} in one pass, which stops after {}", layers.len(), layers[layers.len() - 1].name),
    }
}

/// Which layers a readout that pools over a picture leaves as they are.
fn vectors(run: &Loaded) -> Option<String> {
    let pools = matches!(run.planned.readout, Readout::Mean | Readout::Max);
    let mut vectors = run.planned.layers.iter().filter(|layer| pools && layer.shape.len() == 1);
    let (first, more) = (vectors.next()?, vectors.count());
    Some(match more {
        0 => format!("`{}` is a vector and stays as it is", first.name),
        more => format!("{} are vectors and stay as they are, among them `{}`", count_of(more + 1, "layer"), first.name),
    })
}

/// How rows become shorter.
pub(super) fn say_reduction(record: &Record, observer: &dyn Observer) {
    if let Some(reduction) = &record.reduction {
        observer.fact("reduces", &reduction.describe());
        whole_layers(record).iter().for_each(|note| observer.fact("", note));
    }
}

/// Which layers a random projection leaves as they are.
fn whole_layers(record: &Record) -> Option<String> {
    let mut whole = record.layers.iter().filter(|layer| layer.reduced.is_none());
    let (first, more) = (whole.next()?, whole.count());
    Some(match more {
        0 => format!("`{}` has no more and stays as it is", first.name),
        more => format!("{} have no more and stay as they are, among them `{}`", count_of(more + 1, "layer"), first.name),
    })
}

/// Which part is made, and what of it is there already.
pub(super) fn say_part(plan: &Plan, done: &Done, batches: &[usize], observer: &dyn Observer) {
    if let Some(Shard { number, of }) = plan.request.shard {
        let first = &plan.stimuli.row_ids()[plan.part.start];
        observer.fact("shard", &format!("{number} of {of}: {} rows from `{first}` on", count(plan.part.len())));
    }
    if !done.rows.is_empty() {
        let all = plan.rows().batches(&plan.part, &Done::default()).len();
        let kept = count_of(done.rows.len(), "row");
        observer.fact("goes on", &format!("{kept} from before; {} of {all} batches are left", batches.len()));
    }
}

/// Where the time went.
pub(super) fn took(seconds: &[Seconds], wall: f64, images: usize, noun: &str) -> String {
    let sum = |part: fn(&Seconds) -> f64| seconds.iter().map(part).sum::<f64>();
    format!(
        "{wall:.1} s, {:.1} {noun}/s; summed over workers: decoding {:.1} s, network {:.1} s, writing {:.1} s",
        images as f64 / wall,
        seconds[0].decoding,
        sum(|seconds| seconds.network),
        sum(|seconds| seconds.writing)
    )
}
