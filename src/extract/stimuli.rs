//! The images of a run, and what rows they make.

use super::record::{Averaged, checksums};
use super::request::Request;
use crate::atomic_file::lines;
use crate::hash::sha256;
use crate::images::{AverageBy, Conditions, ImageList};
use crate::texts::{self, TextList};
use anyhow::Result;

/// The images, and the conditions that they stand for.
pub struct Stimuli {
    /// In the order of their rows.
    pub images: ImageList,
    /// If a row is the mean of several images.
    pub conditions: Option<Conditions>,
    /// Conditions of which no image can be read.
    pub(super) lost: Vec<String>,
    /// The text of images.sha256.
    pub(super) checksums: String,
    /// Of conditions.csv, where the paths of images do not tell their conditions.
    pub(super) conditions_sha256: Option<String>,
}

impl Stimuli {
    /// All that `request` asks for, found and checked.
    pub fn find(request: &Request) -> Result<Stimuli> {
        if let Some(path) = &request.texts {
            return Stimuli::of_texts(TextList::read(path)?, &request.templates);
        }
        let mut images = ImageList::find(&request.selection())?;
        let conditions = match (&request.average_by, &images.column) {
            (None, _) => None,
            (Some(_), Some(column)) => Some(Conditions::of(&column.of_image)),
            (Some(_), None) => Some(Conditions::by_folder(&images.ids)?),
        };
        let lost = conditions.as_ref().map(|conditions| lost(conditions, &images)).transpose()?.unwrap_or_default();
        let hashes = images.look()?;
        let checksums = checksums(&images.ids, &hashes);
        images.expect(hashes);
        let listed = conditions.as_ref().filter(|_| images.column.is_some());
        let conditions_sha256 = listed.map(|conditions| conditions.csv(&images.ids).map(sha256)).transpose()?;
        Ok(Stimuli { images, conditions, lost, checksums, conditions_sha256 })
    }

    /// Texts as they are, or in the templates: with several, a row is of a text in all of them.
    fn of_texts(list: TextList, templates: &[String]) -> Result<Stimuli> {
        texts::check_templates(templates)?;
        let TextList { path, ids, texts } = list;
        let (images, conditions) = match templates {
            [] => (ImageList::of_texts(path, ids, texts), None),
            [one] => (ImageList::of_texts(path, ids, texts.iter().map(|text| texts::fill(one, text)).collect()), None),
            several => {
                let each = || ids.iter().zip(&texts).flat_map(|(id, text)| (1..).zip(several).map(move |one| (id, text, one)));
                let filled = each().map(|(_, text, (_, template))| texts::fill(template, text)).collect();
                let numbered = each().map(|(id, _, (number, _))| format!("{id}/{number}")).collect();
                let names: Vec<String> = each().map(|(id, ..)| id.clone()).collect();
                let conditions = Conditions { unit: true, ..Conditions::of(&names) };
                (ImageList::of_texts(path, numbered, filled), Some(conditions))
            }
        };
        let checksums = checksums(&images.ids, &images.sha256()?);
        Ok(Stimuli { images, conditions, lost: Vec::new(), checksums, conditions_sha256: None })
    }

    /// The name of each row, for messages and images.txt.
    pub fn row_ids(&self) -> &[String] {
        self.conditions.as_ref().map_or(&self.images.ids, |conditions| &conditions.ids)
    }

    /// What they are, in words.
    pub(super) fn noun(&self) -> &'static str {
        if self.images.texts().is_some() { "texts" } else { "images" }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.row_ids().len()
    }

    /// How rows are averaged, if they are.
    pub(super) fn averaged(&self) -> Option<Averaged> {
        let column = self.images.column.as_ref().map(|column| AverageBy::Column(column.name.clone()));
        let by = column.unwrap_or(AverageBy::Folder).to_string();
        let by = if self.images.texts().is_some() { "template".to_owned() } else { by };
        self.conditions.as_ref().map(|_| Averaged { by, images: self.images.len() })
    }

    /// What stands beside the layers in the folder of a run.
    pub(super) fn files(&self) -> Result<Vec<(&'static str, String)>> {
        let mut files = vec![("images.txt", lines(self.row_ids())), ("images.sha256", self.checksums.clone())];
        if let Some(conditions) = &self.conditions {
            files.push(("conditions.csv", conditions.csv(&self.images.ids)?));
        }
        if !self.images.skipped.is_empty() {
            let skipped: Vec<_> =
                self.images.skipped.iter().map(|skipped| format!("{}\t{}", skipped.id, skipped.reason)).collect();
            files.push(("skipped.txt", lines(&skipped)));
        }
        Ok(files)
    }
}

/// Conditions that only images have that were left out.
fn lost(conditions: &Conditions, images: &ImageList) -> Result<Vec<String>> {
    if let Some(column) = &images.column {
        return Ok(column.lost.clone());
    }
    let skipped: Vec<String> =
        images.skipped.iter().filter(|skipped| skipped.id.contains('/')).map(|skipped| skipped.id.clone()).collect();
    let all = Conditions::by_folder(&skipped)?.ids;
    Ok(all.into_iter().filter(|id| !conditions.ids.contains(id)).collect())
}
