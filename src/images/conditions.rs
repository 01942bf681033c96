//! Images that stand for one thing: the conditions of an experiment, of which each has several images.

use crate::error::advise;
use crate::text::guard;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// What the images of a condition have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum AverageBy {
    /// The folder that an image lies in
    Folder,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions {
    /// The name of each condition, in the order of their first images.
    pub ids: Vec<String>,
    pub of_image: Vec<usize>,
    pub sizes: Vec<usize>,
}

impl Conditions {
    /// The images of a folder stand for one condition, called as the folder: `aardvark` of `aardvark/aardvark_01b.jpg`.
    pub fn by_folder(images: &[String]) -> Result<Conditions> {
        let mut numbers = HashMap::new();
        let mut conditions = Conditions { ids: Vec::new(), of_image: Vec::new(), sizes: Vec::new() };
        for image in images {
            let Some((folder, _)) = image.rsplit_once('/') else {
                return Err(advise(
                    format!("`{image}` lies in no folder that could be its condition"),
                    "to average by folder, the images of each condition must be files in a folder of their own",
                ));
            };
            // `./a` and `a//` are `a`.
            let folder: PathBuf = Path::new(folder).components().filter(|part| *part != Component::CurDir).collect();
            let folder = folder.to_string_lossy().into_owned();
            let number = *numbers.entry(folder.clone()).or_insert(conditions.ids.len());
            if number == conditions.ids.len() {
                conditions.ids.push(folder);
                conditions.sizes.push(0);
            }
            conditions.sizes[number] += 1;
            conditions.of_image.push(number);
        }
        Ok(conditions)
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

#[cfg(test)]
mod tests {
    use super::*;

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
