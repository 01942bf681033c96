//! Which columns of a table of ratings hold the subject, the two stimuli and the rating: as their names say, where only one reading is
//! possible, or as a flag says.

use super::categories::words_of;
use super::ratings::Scale;
use crate::error::advise;
use anyhow::Result;
use std::path::Path;

/// How the columns are named by hand.
const FLAG: &str = "say which columns they are, by their names in the first line: --rating-columns SUBJECT,STIMULUS,STIMULUS,RATING, without SUBJECT if all are of one; a table without names of columns needs such a line";

/// Words beside others that say nothing of what a column is.
const BESIDE: &str = "id nr no number name code index file filename path";
const OF_SUBJECTS: &str =
    "subject subjects subj sub participant participants ppt pid prolific worker rater observer respondent user";
const OF_STIMULI: &str = "stimulus stimuli stim item image img picture pic object concept word";
const SIDES: [[&str; 2]; 6] = [["1", "2"], ["a", "b"], ["i", "j"], ["left", "right"], ["first", "second"], ["one", "two"]];
const OF_RATINGS: &str = "rating ratings response score judgement judgment value";
const OF_SIMILARITY: &str = "similarity similarities sim";
const OF_DISSIMILARITY: &str = "dissimilarity dissimilarities dissim distance";

/// Numbers of columns, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Columns {
    /// None if all ratings are of one subject.
    pub(super) subject: Option<usize>,
    pub(super) stimuli: [usize; 2],
    pub(super) rating: usize,
}

impl Columns {
    /// Of the table at `path` whose first line is `header`: those that `named` says or, if it says none, those that are called so.
    pub(super) fn of(header: &[String], named: &[String], path: &Path) -> Result<Columns> {
        let place = |name: &String| only(&format!("`{name}`"), &places(header, name), header, path);
        let of_name = named.iter().map(place).collect::<Result<Vec<_>>>()?;
        match of_name[..] {
            [] => recognised(header, path),
            [one, other, rating] => distinct(Columns { subject: None, stimuli: [one, other], rating }, header),
            [subject, one, other, rating] => distinct(Columns { subject: Some(subject), stimuli: [one, other], rating }, header),
            _ => Err(advise(format!("--rating-columns names {} columns, not three or four", named.len()), FLAG)),
        }
    }

    /// The columns by their names.
    pub(super) fn text(self, header: &[String]) -> String {
        let all = self.subject.into_iter().chain(self.stimuli).chain([self.rating]);
        all.map(|column| format!("`{}`", header[column])).collect::<Vec<_>>().join(", ")
    }

    /// Fails if the column of ratings is called as the other scale.
    pub(super) fn check_scale(self, scale: Scale, header: &[String]) -> Result<()> {
        let name = &header[self.rating];
        let words = words(name);
        let are = |known| words.iter().any(|word| is_one(word, known));
        let (opposite, flag) = match scale {
            Scale::Similarity => (are(OF_DISSIMILARITY), "similarity"),
            Scale::Dissimilarity => (are(OF_SIMILARITY), "dissimilarity"),
        };
        match opposite {
            true => Err(advise(
                format!("the column `{name}` contradicts `--scale {flag}`"),
                "look what a large number means, and give the other --scale, or the column another name",
            )),
            false => Ok(()),
        }
    }
}

fn distinct(columns: Columns, header: &[String]) -> Result<Columns> {
    let mut all: Vec<usize> = columns.subject.into_iter().chain(columns.stimuli).chain([columns.rating]).collect();
    all.sort_unstable();
    match all.windows(2).find(|two| two[0] == two[1]) {
        Some(twice) => Err(advise(format!("--rating-columns names `{}` twice", header[twice[0]]), FLAG)),
        None => Ok(columns),
    }
}

/// The columns of this name or, if there is none, of this name in other letters.
fn places(header: &[String], name: &str) -> Vec<usize> {
    let name = name.trim();
    let of = |is_it: &dyn Fn(&str) -> bool| (0..header.len()).filter(|&column| is_it(&header[column])).collect::<Vec<_>>();
    let exact = of(&|other| other == name);
    if exact.is_empty() { of(&|other| other.to_lowercase() == name.to_lowercase()) } else { exact }
}

fn recognised(header: &[String], path: &Path) -> Result<Columns> {
    let words: Vec<Vec<String>> = header.iter().map(|name| words(name)).collect();
    let called = |known: &[&str]| {
        let is_it = |words: &Vec<String>| {
            let mut rest = words.iter().filter(|word| !is_one(word, BESIDE)).peekable();
            rest.peek().is_some() && rest.all(|word| known.iter().any(|known| is_one(word, known)))
        };
        (0..words.len()).filter(|&column| is_it(&words[column])).collect::<Vec<_>>()
    };
    let subjects = called(&[OF_SUBJECTS]);
    let is_of_one = subjects.is_empty() && header.len() == 3;
    Ok(Columns {
        subject: if is_of_one { None } else { Some(only("of subjects", &subjects, header, path)?) },
        stimuli: two_stimuli(&words, header, path)?,
        rating: only("of ratings", &called(&[OF_RATINGS, OF_SIMILARITY, OF_DISSIMILARITY]), header, path)?,
    })
}

/// The two columns that differ in their side alone: `image_1` and `image_2`, `left` and `right`.
fn two_stimuli(words: &[Vec<String>], header: &[String], path: &Path) -> Result<[usize; 2]> {
    let mut both = Vec::new();
    for sides in SIDES {
        let [ones, others] = sides.map(|side| (0..words.len()).filter_map(move |i| Some((i, without(&words[i], side)?))));
        let others: Vec<_> = others.collect();
        for (one, rest) in ones {
            both.extend(others.iter().filter(|(_, of_other)| *of_other == rest).map(|(other, _)| [one, *other]));
        }
    }
    match both[..] {
        [stimuli] => Ok(stimuli),
        _ => only("of the first and second stimulus", &both.concat(), header, path).map(|column| [column; 2]),
    }
}

/// The words of a column of stimuli but for its side; none if it is called otherwise.
fn without(words: &[String], side: &str) -> Option<Vec<String>> {
    let rest: Vec<String> = words.iter().filter(|word| *word != side).cloned().collect();
    let is_of_stimuli = rest.iter().any(|word| is_one(word, OF_STIMULI)) || rest.is_empty() && side.parse::<u8>().is_err();
    let are_known = rest.iter().all(|word| is_one(word, OF_STIMULI) || is_one(word, BESIDE));
    (rest.len() + 1 == words.len() && is_of_stimuli && are_known).then_some(rest)
}

/// The only one of these columns.
fn only(what: &str, columns: &[usize], header: &[String], path: &Path) -> Result<usize> {
    let path = path.display();
    match columns {
        [column] => Ok(*column),
        [] => Err(advise(format!("`{path}` has no column {what}; it has {}", listed(header)), FLAG)),
        _ => {
            let names: Vec<String> = columns.iter().map(|&column| header[column].clone()).collect();
            Err(advise(format!("`{path}` has several columns {what}: {}", listed(&names)), FLAG))
        }
    }
}

fn listed(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

fn is_one(word: &str, known: &str) -> bool {
    known.split(' ').any(|known| known == word)
}

/// `imageLeft_id` is image, left, id; `stim1` is stim, 1.
fn words(name: &str) -> Vec<String> {
    let mut apart = String::new();
    let mut before: Option<char> = None;
    for letter in name.chars() {
        if before.is_some_and(|before| before.is_ascii_digit() != letter.is_ascii_digit()) {
            apart.push(' ');
        }
        apart.push(letter);
        before = Some(letter);
    }
    words_of(&apart)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(header: &str) -> Option<(Option<usize>, [usize; 2], usize)> {
        let header: Vec<String> = header.split(',').map(str::to_owned).collect();
        Columns::of(&header, &[], Path::new("t.csv")).ok().map(|columns| (columns.subject, columns.stimuli, columns.rating))
    }

    #[test]
    fn columns_are_known_by_their_names_where_they_can_be_nothing_else() {
        let in_order = Some((Some(0), [1, 2], 3));
        for header in [
            "subject,stimulus1,stimulus2,rating",
            "SUBJECT_ID,Stimulus_1,Stimulus_2,Similarity",
            "participant,image_a,image_b,dissimilarity",
            "workerId,imageLeft,imageRight,response",
            "prolific_pid,left,right,score",
            "Rater,item1_name,item2_name,Similarity Rating",
            "sub,first,second,judgment",
            "subject nr,left image,right image,rating",
            "ppt,a,b,sim",
        ] {
            assert_eq!(columns(header), in_order, "{header}");
        }
        assert_eq!(columns("rt,rating,trial,image2,image1,subject"), Some((Some(5), [4, 3], 1)));
        assert_eq!(columns("image1,image2,rating"), Some((None, [0, 1], 2)));
        for header in [
            "subject,stimulus1,stimulus2,x",
            "subject,stimulus1,stimulus2,rating,response",
            "subject,worker,stimulus1,stimulus2,rating",
            "subject,image1,image2,concept1,concept2,rating",
            "subject,image1,concept2,rating",
            "subject,1,2,rating",
            "image1,image2,rating,trial",
            "subject,image1,image1,image2,rating",
            "0,1,2,3",
            "",
        ] {
            assert_eq!(columns(header), None, "{header}");
        }
    }
}
