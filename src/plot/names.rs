//! The names of stimuli as people read them.

use std::collections::HashSet;
use std::path::Path;

/// File names without folder and ending, or where two stimuli would be called alike with their folders.
pub fn display_names(ids: &[String]) -> Vec<String> {
    let without_ending = |id: &String| Path::new(id).with_extension("").to_string_lossy().into_owned();
    let is_picture = |id: &String| Path::new(id).extension().is_some_and(|ending| (3..=4).contains(&ending.len()));
    if !ids.iter().all(is_picture) {
        return ids.to_vec();
    }
    let short: Vec<String> = ids.iter().map(|id| without_ending(&id.rsplit('/').next().unwrap_or(id).to_owned())).collect();
    let differ = short.iter().collect::<HashSet<_>>().len() == ids.len();
    if differ { short } else { ids.iter().map(without_ending).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_short_as_they_can_be_told_apart() {
        let names = |ids: &[&str]| display_names(&ids.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(names(&["a/one.jpg", "b/two.jpg"]), ["one", "two"]);
        assert_eq!(names(&["a/1.jpg", "b/1.jpg"]), ["a/1", "b/1"]);
        assert_eq!(names(&["aardvark", "b.1"]), ["aardvark", "b.1"]);
    }
}
