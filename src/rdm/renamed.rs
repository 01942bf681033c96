//! Stimuli that one file calls as their images are, and another without the folder or the ending: `dog_3` for `dog/dog_3.jpg`.

use crate::error::advise;
use anyhow::Result;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

/// IDs in the words of another file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Renamed {
    /// Those that the other has not as they were.
    pub(crate) ids: Vec<String>,
    /// How many of them.
    pub(crate) found: usize,
    /// What was taken for what, in a sentence.
    pub(crate) said: String,
}

/// Fewer say nothing.
const FEWEST: usize = 4;

/// The IDs `own` of the file `name` as `others` calls them, if no ID is written alike and some are the same without folder or ending on
/// one of the two sides. Fails if one may be several of the others.
pub(crate) fn renamed(name: &str, own: &[String], others: &[String]) -> Result<Option<Renamed>> {
    // At once of the layers of a run, of which there are many.
    if own == others {
        return Ok(None);
    }
    let alike: HashSet<&String> = others.iter().collect();
    if own.iter().any(|id| alike.contains(id)) {
        return Ok(None);
    }
    let (of_others, of_own) = (Shortened::of(others), Shortened::of(own));
    let mut pairs: Vec<(&String, &String)> = Vec::new();
    for id in own {
        pairs.extend(of_others.one(name, id)?.map(|other| (id, other)));
    }
    if pairs.is_empty() {
        for other in others {
            pairs.extend(of_own.one(name, other)?.map(|id| (id, other)));
        }
    }
    // Two names of one thing, such as `1` and `1.jpg`.
    let by_other: HashMap<&String, &String> = pairs.iter().map(|(id, other)| (*other, *id)).collect();
    if let Some((id, other)) = pairs.iter().find(|(id, other)| by_other[other] != *id) {
        return Err(unclear(name, other, id, by_other[other]));
    }
    let found: HashMap<&String, &String> = pairs.into_iter().collect();
    let Some(first) = own.iter().find(|id| found.contains_key(id)).filter(|_| found.len() >= FEWEST) else { return Ok(None) };
    let said = format!("`{first}` of `{name}` is taken for `{}`, and {} more likewise", found[first], found.len() - 1);
    Ok(Some(Renamed {
        found: found.len(),
        ids: own.iter().map(|id| found.get(id).map_or(id, |other| *other).clone()).collect(),
        said,
    }))
}

/// IDs by what is left of them without folder, ending, and both.
struct Shortened<'a>(HashMap<String, BTreeSet<&'a String>>);

impl<'a> Shortened<'a> {
    fn of(ids: &'a [String]) -> Shortened<'a> {
        let mut all: HashMap<String, BTreeSet<&String>> = HashMap::new();
        for id in ids {
            let path = Path::new(id);
            let without_ending = path.with_extension("");
            for part in [path.file_name(), Some(without_ending.as_os_str()), path.file_stem()].into_iter().flatten() {
                all.entry(part.to_string_lossy().into_owned()).or_default().insert(id);
            }
        }
        Shortened(all)
    }

    /// The one that `short` stands for.
    fn one(&self, name: &str, short: &String) -> Result<Option<&'a String>> {
        let Some(all) = self.0.get(short) else { return Ok(None) };
        let mut all = all.iter();
        match (all.next(), all.next()) {
            (Some(one), Some(other)) => Err(unclear(name, short, one, other)),
            (one, _) => Ok(one.copied()),
        }
    }
}

fn unclear(name: &str, id: &str, one: &str, other: &str) -> anyhow::Error {
    advise(
        format!("the stimuli of `{name}` are not written alike, and `{id}` may be `{one}` or `{other}`"),
        "write IDs with their folders and endings, as in images.txt",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn names_without_folders_or_endings_are_found_on_both_sides() {
        let images = ids("cat/1.jpg cat/2.jpg dog/3.jpg dog/4.jpg dog/5.png");
        for short in ["5 4 3 2", "5.png 4.jpg 3.jpg 2.jpg", "dog/5 dog/4 dog/3 cat/2"] {
            let renamed = renamed("b.csv", &ids(short), &images).unwrap().unwrap();
            assert_eq!(renamed.ids, ids("dog/5.png dog/4.jpg dog/3.jpg cat/2.jpg"), "{short}");
            let back = super::renamed("a", &images, &ids(short)).unwrap().unwrap();
            assert_eq!(back.ids[1..].iter().rev().cloned().collect::<Vec<_>>(), ids(short));
            assert_eq!(back.ids[0], "cat/1.jpg");
        }
        let said = renamed("b.csv", &ids("5 4 3 2 x"), &images).unwrap().unwrap().said;
        assert_eq!(said, "`5` of `b.csv` is taken for `dog/5.png`, and 3 more likewise");
    }

    #[test]
    fn other_folders_other_endings_and_few_are_no_other_names() {
        let images = ids("cat/1.jpg cat/2.jpg dog/3.jpg dog/4.jpg dog/5.png");
        let others = ["a/1.jpg a/2.jpg a/3.jpg a/4.jpg", "1.gif 2.gif 3.gif 4.gif", "1 2 3", "cat/1.jpg 2 3 4 5", "v w x y z"];
        for other in others {
            assert_eq!(renamed("b", &ids(other), &images).unwrap(), None, "{other}");
        }
    }

    #[test]
    fn a_name_that_may_be_two_is_refused_with_both() {
        let images = ids("cat/1.jpg dog/1.jpg cat/2.jpg cat/3.jpg cat/4.jpg");
        let error = |own: &[String], others: &[String]| renamed("b", own, others).unwrap_err().to_string();
        let unclear = "the stimuli of `b` are not written alike, and ";
        assert_eq!(error(&ids("1 2 3 4"), &images), format!("{unclear}`1` may be `cat/1.jpg` or `dog/1.jpg`"));
        assert_eq!(error(&images, &ids("1 2 3 4")), format!("{unclear}`1` may be `cat/1.jpg` or `dog/1.jpg`"));
        let twice = ids("2 2.jpg 3 4");
        assert_eq!(error(&twice, &images[2..]), format!("{unclear}`cat/2.jpg` may be `2` or `2.jpg`"));
    }
}
