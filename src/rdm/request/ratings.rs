//! RDMs of ratings of pairs, and how often each pair was rated.

use super::Request;
use super::features::one_of;
use crate::numbers::{count, count_of};
use crate::observer::Observer;
use crate::rdm::ratings::{Ratings, Reading, Scale, of_subjects};
use crate::rdm::{ids, outputs, stored};
use crate::text::guard;
use crate::{arrays, atomic_file};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Writes the RDM of each subject, and beside it the table of counts.
pub(super) fn run(path: &Path, request: &Request, observer: &dyn Observer) -> Result<PathBuf> {
    let out = request.out.clone().unwrap_or_else(|| arrays::with_ending(path, "rdm.npy"));
    let counts = arrays::with_ending(&out, "counts.csv");
    let ids = one_of(&request.ids, "--ids", 0, 1)?;
    outputs::check_folder(&out)?;
    let outputs: Vec<PathBuf> = outputs::with_beside(&out).into_iter().chain([counts.clone()]).collect();
    outputs::check(&outputs, [path].into_iter().chain(ids).map(Path::to_owned))?;
    let ids = ids.map(ids::names).transpose()?;
    let scale = request.scale.unwrap_or(Scale::Dissimilarity);
    let reading = Reading { scale, columns: &request.rating_columns, range: request.rating_range };
    let ratings = Ratings::read(path, &reading, ids)?;
    let rdms = ratings.rdms()?;
    say(&ratings, request, observer);
    stored::write(&out, &rdms, request.condensed, observer)?;
    atomic_file::write(&counts, &table(&ratings)?)?;
    observer.note(&format!("how often each pair was rated: `{}`", counts.display()));
    Ok(out)
}

/// What must be known of the RDMs.
fn say(ratings: &Ratings, request: &Request, observer: &dyn Observer) {
    let subjects = ratings.rated();
    let all: usize = ratings.asked.values().map(|asked| asked.ratings).sum();
    let (rated, n) = (ratings.asked.len(), ratings.stimuli.len());
    let pairs = n * (n - 1) / 2 * subjects.len();
    observer.note(&format!("took the columns {}", ratings.columns));
    observer.note(&format!(
        "{} of {n} stimuli by {}, from {}; {} of {} pairs were never asked",
        if subjects.len() == 1 { "RDM" } else { "RDMs" },
        of_subjects(subjects.len()),
        count_of(all, "rating"),
        count(pairs - rated),
        count(pairs)
    ));
    if all > rated {
        let often = || ratings.asked.values().map(|asked| asked.ratings);
        let (least, most) = (often().min().unwrap_or(0), often().max().unwrap_or(0));
        observer.note(&format!("averaged repeats: {least} to {most} ratings of a pair by a subject"));
    }
    if request.scale == Some(Scale::Similarity) {
        let of = if request.rating_range.is_some() { "" } else { ", the largest in the table; --rating-range says another" };
        observer.note(&format!("dissimilarity = {} − rating{of}", ratings.largest));
    }
    say_left_out(ratings, &subjects, observer);
}

fn say_left_out(ratings: &Ratings, rated: &[usize], observer: &dyn Observer) {
    if ratings.of_same > 0 {
        observer.note(&format!("left out {} of a stimulus with itself", count_of(ratings.of_same, "rating")));
    }
    if ratings.missing > 0 {
        observer.note(&format!("{} without a rating", count_of(ratings.missing, "line")));
    }
    let silent: Vec<&String> =
        (0..ratings.subjects.len()).filter(|i| rated.binary_search(i).is_err()).map(|i| &ratings.subjects[i]).collect();
    if let [first, others @ ..] = &silent[..] {
        let more = if others.is_empty() { String::new() } else { format!(" and {} more", count(others.len())) };
        observer.note(&format!("left out who rated no two stimuli: `{first}`{more}"));
    }
}

/// One line a subject and pair that was asked: how often, the mean rating, and the dissimilarity that the RDM has.
fn table(ratings: &Ratings) -> Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["subject", "stimulus_1", "stimulus_2", "ratings", "mean_rating", "dissimilarity"])?;
    for (&[subject, i, j], asked) in &ratings.asked {
        let names = [&ratings.subjects[subject], &ratings.stimuli[i], &ratings.stimuli[j]].map(|name| guard(name).into_owned());
        let mean = asked.mean();
        let numbers = [asked.ratings.to_string(), mean.to_string(), ratings.dissimilarity(mean).to_string()];
        table.write_record(names.iter().chain(&numbers))?;
    }
    Ok(table.into_inner()?)
}
