//! The images of a run, and what rows they make.

use super::record::checksums;
use super::request::Request;
use crate::atomic_file::lines;
use crate::images::{AverageBy, Conditions, ImageList};
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
}

impl Stimuli {
    /// All that `request` asks for, found and checked.
    pub fn find(request: &Request) -> Result<Stimuli> {
        let mut images = ImageList::find(&request.selection())?;
        let conditions = match request.average_by {
            Some(AverageBy::Folder) => Some(Conditions::by_folder(&images.ids)?),
            None => None,
        };
        let lost = conditions.as_ref().map(|conditions| lost(conditions, &images)).transpose()?.unwrap_or_default();
        let hashes = images.look()?;
        let checksums = checksums(&images.ids, &hashes);
        images.expect(hashes);
        Ok(Stimuli { images, conditions, lost, checksums })
    }

    /// The name of each row, for messages and images.txt.
    pub fn row_ids(&self) -> &[String] {
        self.conditions.as_ref().map_or(&self.images.ids, |conditions| &conditions.ids)
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.row_ids().len()
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
    let skipped: Vec<String> =
        images.skipped.iter().filter(|skipped| skipped.id.contains('/')).map(|skipped| skipped.id.clone()).collect();
    let all = Conditions::by_folder(&skipped)?.ids;
    Ok(all.into_iter().filter(|id| !conditions.ids.contains(id)).collect())
}
