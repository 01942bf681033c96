//! From a run that is there, finished or not, back to the request that made it.

use super::record::Record;
use super::request::Request;
use crate::atomic_file::partial;
use crate::error::advise;
use crate::run::is_run;
use anyhow::Result;
use std::path::Path;

/// Reads a command line, for records of version 0.1 hold nothing else.
pub type ReadCommand<'a> = &'a dyn Fn(&[String]) -> Result<Request>;

/// The request that began the run in `folder`, which may be that of an unfinished one.
pub fn resume(folder: &Path, read_command: ReadCommand) -> Result<Request> {
    let unfinished = partial(folder);
    let Some(place) = [folder, &unfinished].into_iter().find(|place| is_run(place)) else {
        return Err(advise(
            format!("there is no run in `{}`, nor an unfinished one in `{}`", folder.display(), unfinished.display()),
            "name the folder that the run is to have, or the .partial one beside it",
        ));
    };
    Record::read(place)?.request(read_command)?.ok_or_else(|| {
        advise(
            format!("the record in `{}` does not say by which command it was begun", place.display()),
            "give the command again that began it: it goes on by itself",
        )
    })
}

impl Record {
    /// The request that made the run; none if the record does not say it.
    pub(super) fn request(&self, read_command: ReadCommand) -> Result<Option<Request>> {
        let request = match &self.request {
            Some(request) => request.clone(),
            None if self.command.is_empty() => return Ok(None),
            None => read_command(&self.command)?,
        };
        let request = Request { command: self.command.clone(), ..request };
        let is_here = std::env::current_dir().is_ok_and(|here| here == self.directory);
        Ok(Some(if is_here { request } else { request.below(&self.directory) }))
    }
}
