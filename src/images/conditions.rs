//! Images that stand for one thing: the conditions of an experiment, of which each has several images.

use crate::error::advise;
use crate::text::guard;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// What the images of a condition have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AverageBy {
    /// The folder that an image lies in: `folder`.
    Folder,
    /// What a column of the list says, by its name; `column:folder` is a column that is called so.
    Column(String),
}

const COLUMN: &str = "column:";

impl FromStr for AverageBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.trim();
        match name.strip_prefix(COLUMN).unwrap_or(name) {
            "" => Err("`folder` or the name of a column is needed".to_owned()),
            _ if name.eq_ignore_ascii_case("folder") => Ok(AverageBy::Folder),
            column => Ok(AverageBy::Column(column.to_owned())),
        }
    }
}

impl fmt::Display for AverageBy {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            AverageBy::Folder => f.write_str("folder"),
            AverageBy::Column(name) if name.eq_ignore_ascii_case("folder") || name.starts_with(COLUMN) => {
                write!(f, "{COLUMN}{name}")
            }
            AverageBy::Column(name) => f.write_str(name),
        }
    }
}

impl TryFrom<String> for AverageBy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AverageBy> for String {
    fn from(by: AverageBy) -> String {
        by.to_string()
    }
}

/// What the column of a list says that images are averaged by.
#[derive(Debug)]
pub struct Column {
    /// As the list calls it.
    pub name: String,
    /// Of each image.
    pub of_image: Vec<String>,
    /// What it says of images alone that were left out.
    pub lost: Vec<String>,
}

impl Column {
    /// With what it says of each image that is there, and of all.
    pub fn new(name: String, of_image: Vec<String>, all: Vec<String>) -> Column {
        let there: HashSet<&String> = of_image.iter().collect();
        let lost = Conditions::of(&all).ids.into_iter().filter(|condition| !there.contains(condition)).collect();
        Column { name, of_image, lost }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions {
    /// The name of each condition, in the order of their first images.
    pub ids: Vec<String>,
    pub of_image: Vec<usize>,
    pub sizes: Vec<usize>,
    /// Whether a row is the mean of rows of length 1, and of length 1 itself, as CLIP's recipe for templates has it.
    pub unit: bool,
}

impl Conditions {
    /// The images of a folder stand for one condition, called as the folder: `aardvark` of `aardvark/aardvark_01b.jpg`.
    pub fn by_folder(images: &[String]) -> Result<Conditions> {
        let folders: Vec<String> = images.iter().map(|image| folder(image)).collect::<Result<_>>()?;
        Ok(Conditions::of(&folders))
    }

    /// Images with the same name stand for one condition, which is called so.
    pub fn of(names: &[String]) -> Conditions {
        let mut numbers = HashMap::new();
        let mut conditions = Conditions { ids: Vec::new(), of_image: Vec::new(), sizes: Vec::new(), unit: false };
        for name in names {
            let number = *numbers.entry(name).or_insert(conditions.ids.len());
            if number == conditions.ids.len() {
                conditions.ids.push(name.clone());
                conditions.sizes.push(0);
            }
            conditions.sizes[number] += 1;
            conditions.of_image.push(number);
        }
        conditions
    }

    /// How many conditions there are at most, at a time, of which some images have been and some are still to come.
    pub fn most_open(&self) -> usize {
        let mut missing = self.sizes.clone();
        let (mut open, mut most) = (0, 0);
        for &condition in &self.of_image {
            open += usize::from(missing[condition] == self.sizes[condition]);
            most = most.max(open);
            missing[condition] -= 1;
            open -= usize::from(missing[condition] == 0);
        }
        most
    }

    pub fn csv(&self, images: &[String]) -> Result<String> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["condition", "image"])?;
        for (image, &condition) in images.iter().zip(&self.of_image) {
            csv.write_record([guard(&self.ids[condition]), guard(image)].map(Cow::into_owned))?;
        }
        Ok(String::from_utf8(csv.into_inner()?)?)
    }
}

/// The folder of an image, for a condition.
fn folder(image: &str) -> Result<String> {
    let Some((folder, _)) = image.rsplit_once('/') else {
        return Err(advise(
            format!("`{image}` lies in no folder that could be its condition"),
            "to average by folder, the images of each condition must be files in a folder of their own",
        ));
    };
    // `./a` and `a//` are `a`.
    let folder: PathBuf = Path::new(folder).components().filter(|part| *part != Component::CurDir).collect();
    Ok(folder.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_told_from_folders() {
        for (text, by) in [
            ("folder", AverageBy::Folder),
            (" Folder", AverageBy::Folder),
            ("concept", AverageBy::Column("concept".into())),
            ("column:folder", AverageBy::Column("folder".into())),
            ("column:column:a", AverageBy::Column("column:a".into())),
        ] {
            let read: AverageBy = text.parse().unwrap();
            assert_eq!(read, by);
            assert_eq!(serde_json::from_value::<AverageBy>(serde_json::to_value(&by).unwrap()).unwrap(), by);
        }
        assert!(["", " ", "column:"].iter().all(|text| text.parse::<AverageBy>().is_err()));
    }

    #[test]
    fn conditions_are_in_the_order_of_their_first_images() {
        let images = ["b/1", "a/x/1", "./b//2", "a/1"].map(str::to_owned);
        let conditions = Conditions::by_folder(&images).unwrap();
        assert_eq!(conditions.ids, ["b", "a/x", "a"]);
        assert_eq!(conditions.of_image, [0, 1, 0, 2]);
        assert_eq!(conditions.sizes, [2, 1, 1]);
        assert_eq!(conditions.most_open(), 2);
        assert_eq!(conditions.csv(&images).unwrap(), "condition,image\nb,b/1\na/x,a/x/1\nb,./b//2\na,a/1\n");
        assert!(Conditions::by_folder(&["a/1".to_owned(), "2".to_owned()]).is_err());
    }
}
