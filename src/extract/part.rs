//! Which rows a process is to make: all of a run or a shard of it, less what is done; and the batches that give them.

use super::journal::Done;
use crate::images::Conditions;
use crate::run::Shard;
use anyhow::Result;
use std::ops::Range;

/// How the rows of a run come about.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// The number of images.
    pub images: usize,
    /// Images in a batch.
    pub batch_size: usize,
    /// If a row is the mean over images.
    pub conditions: Option<&'a Conditions>,
}

impl Rows<'_> {
    pub(super) fn count(&self) -> usize {
        self.conditions.map_or(self.images, |conditions| conditions.ids.len())
    }

    /// The row that an image goes to.
    pub(super) fn of_image(&self, image: usize) -> usize {
        self.conditions.map_or(image, |conditions| conditions.of_image[image])
    }

    /// The rows of a shard: whole batches, or conditions whole. Fails if there are more shards than these.
    pub fn of_shard(&self, shard: Option<Shard>) -> Result<Range<usize>> {
        match shard {
            Some(shard) => shard.rows(self.count(), if self.conditions.is_some() { 1 } else { self.batch_size }),
            None => Ok(0..self.count()),
        }
    }

    /// Batches in a part that one of several processes claims: 16; of fewer than 256, a sixteenth of all.
    pub(super) fn batches_of_claim(&self) -> usize {
        (self.images.div_ceil(self.batch_size) / 16).clamp(1, 16)
    }

    /// The rows that come of this many batches: whole batches, or conditions whole.
    pub(super) fn rows_of_claim(&self) -> usize {
        let images = self.batches_of_claim() * self.batch_size;
        self.conditions.map_or(images, |conditions| (images * conditions.ids.len() / self.images).max(1))
    }

    /// The batches that give `rows` that are not `done`, in order.
    pub fn batches(&self, rows: &Range<usize>, done: &Done) -> Vec<usize> {
        let is_needed = |image: usize| {
            let row = self.of_image(image);
            rows.contains(&row) && !done.rows.contains(&row)
        };
        let images = |batch: usize| batch * self.batch_size..self.images.min((batch + 1) * self.batch_size);
        (0..self.images.div_ceil(self.batch_size)).filter(|&batch| images(batch).any(is_needed)).collect()
    }

    /// The rows, of those that are needed, that are whole when a batch is done after those before it: its images, or the
    /// conditions that have their last image in it.
    pub(super) fn ended_by(&self, images: Range<usize>, rows: &Range<usize>) -> Vec<Range<usize>> {
        let Some(conditions) = self.conditions else { return vec![images] };
        let is_last = |&image: &usize| !conditions.of_image[image + 1..].contains(&conditions.of_image[image]);
        let ended = images.filter(is_last).map(|image| conditions.of_image[image]).filter(|row| rows.contains(row));
        ended.map(|row| row..row + 1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn shards_are_whole_batches_and_lack_nothing() {
        let rows = Rows { images: 50, batch_size: 8, conditions: None };
        for of in 1..=7 {
            let parts: Vec<_> = (1..=of).map(|number| rows.of_shard(Some(Shard { number, of })).unwrap()).collect();
            assert_eq!((parts[0].start, parts[of - 1].end), (0, 50));
            assert!(parts.windows(2).all(|two| two[0].end == two[1].start && two[0].end % 8 == 0 && !two[0].is_empty()));
        }
        assert!(rows.of_shard(Some(Shard { number: 1, of: 8 })).is_err());
        assert_eq!("2/3".parse(), Ok(Shard { number: 2, of: 3 }));
        assert!(["0/3", "4/3", "1", "a/b", "1/0"].iter().all(|text| text.parse::<Shard>().is_err()));
    }

    #[test]
    fn batches_of_done_rows_are_left_out() {
        let rows = Rows { images: 10, batch_size: 4, conditions: None };
        let done = |rows: &[usize]| Done { rows: rows.iter().copied().collect(), damaged: BTreeSet::new() };
        assert_eq!(rows.batches(&(0..10), &done(&[])), [0, 1, 2]);
        assert_eq!(rows.batches(&(0..10), &done(&[0, 1, 2, 3, 8])), [1, 2]);
        assert_eq!(rows.batches(&(4..8), &done(&[])), [1]);

        let ids = ["a/1", "b/1", "a/2", "c/1", "b/2", "c/2"].map(str::to_owned);
        let conditions = Conditions::by_folder(&ids).unwrap();
        let rows = Rows { images: 6, batch_size: 2, conditions: Some(&conditions) };
        assert_eq!(rows.batches(&(0..3), &done(&[0])), [0, 1, 2]);
        assert_eq!(rows.batches(&(0..3), &done(&[0, 1])), [1, 2]);
        assert!(rows.ended_by(2..4, &(0..3)).iter().eq([&(0..1)]));
        assert_eq!(rows.ended_by(4..6, &(1..3)), [1..2, 2..3]);
        assert_eq!(rows.of_shard(Some(Shard { number: 2, of: 3 })).unwrap(), 1..2);
    }
}
