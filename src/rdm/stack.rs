//! The RDMs of several subjects in one file, `[subjects, N, N]` or `[subjects, pairs]`, of which one is computed at a time.

use super::Job;
use super::bands::Shape;
use super::mapped::MappedFile;
use anyhow::Result;
use std::path::Path;

/// A file that has its name when it is whole.
pub struct SubjectStack {
    file: MappedFile,
    shape: Shape,
    /// The number of values of one RDM.
    size: usize,
}

impl SubjectStack {
    /// Makes room for the RDMs of so many subjects, float32, at `path`.
    pub fn create(path: &Path, subjects: usize, stimuli: usize, shape: Shape) -> Result<SubjectStack> {
        let one = shape.sizes(stimuli);
        let all: Vec<usize> = std::iter::once(subjects).chain(one.iter().copied()).collect();
        Ok(SubjectStack { file: MappedFile::create(path, &all)?, shape, size: one.iter().product() })
    }

    /// Computes the RDM of a subject, counted from 0; it has as many stimuli as all others.
    pub fn put(&mut self, subject: usize, job: &Job) -> Result<()> {
        job.fill(&mut self.file.values()[subject * self.size..(subject + 1) * self.size], self.shape)
    }

    /// Gives the file its name.
    pub fn finish(self) -> Result<()> {
        self.file.finish()
    }
}
