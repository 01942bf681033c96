//! The stimuli of several subjects: all must have the same, in one order.

use crate::error::advise;
use crate::rdm::ids;
use anyhow::Result;

/// The stimuli that all subjects have.
pub(super) struct Common {
    /// The file that has named or counted them.
    of: String,
    pub(super) stimuli: usize,
    pub(super) ids: Option<Vec<String>>,
    /// Whether a subject without IDs was taken to be in the order of the others.
    pub(super) assumed: bool,
    /// Whether two with IDs have them in different orders.
    differs: bool,
}

impl Common {
    /// Those of the first subject, whose file is called `of`.
    pub(super) fn new(of: String, stimuli: usize, ids: Option<Vec<String>>) -> Result<Common> {
        ids.iter().try_for_each(|ids| ids::check_unique(ids, &of))?;
        Ok(Common { of, stimuli, assumed: ids.is_none(), differs: false, ids })
    }

    /// Where the subject of the file `other` has each of the stimuli; `None` if in this order.
    pub(super) fn order(&mut self, other: &str, stimuli: usize, own: Option<&[String]>) -> Result<Option<Vec<usize>>> {
        if stimuli != self.stimuli {
            return Err(advise(
                format!("`{other}` has {stimuli} stimuli, but `{}` has {}", self.of, self.stimuli),
                "every subject must have the same stimuli; --on-constant nan keeps those that do not vary",
            ));
        }
        let Some(own) = own else {
            self.assumed = true;
            return self.check_order().map(|()| None);
        };
        ids::check_unique(own, other)?;
        let Some(common) = &self.ids else {
            (self.of, self.ids) = (other.to_owned(), Some(own.to_vec()));
            return Ok(None);
        };
        self.differs |= common != own;
        let order = ids::order(common, own).ok_or_else(|| not_the_same(common, own, &self.of, other))?;
        self.check_order().map(|()| Some(order))
    }

    /// Fails if those without IDs are in nobody knows which order.
    fn check_order(&self) -> Result<()> {
        if !(self.assumed && self.differs) {
            return Ok(());
        }
        Err(advise(
            "some subjects have no IDs, and others have the stimuli in different orders",
            "put the IDs of each, one a line, into a file beside it that ends in .ids.txt, or give --ids",
        ))
    }
}

fn not_the_same(common: &[String], own: &[String], of: &str, other: &str) -> anyhow::Error {
    let lacking = common.iter().find(|id| !own.contains(id)).map_or_else(String::new, |id| format!(": the latter has no `{id}`"));
    advise(
        format!("`{of}` and `{other}` are not of the same stimuli{lacking}"),
        "IDs must be written alike, and every subject must have the same: leave out what one lacks",
    )
}
