//! `thingsvision resume`: the command that began a run, given again where it was given.

use anyhow::{Context, Result};
use std::path::Path;
use thingsvision::atomic_file::partial;
use thingsvision::error::advise;
use thingsvision::extract::Record;
use thingsvision::run::is_run;

/// The words of the command that began the run in `folder`; the current folder becomes the one in which it was given.
pub fn words(folder: &Path) -> Result<Vec<String>> {
    let unfinished = partial(folder);
    let Some(place) = [folder, &unfinished].into_iter().find(|place| is_run(place)) else {
        return Err(advise(
            format!("there is no run in `{}`, nor an unfinished one in `{}`", folder.display(), unfinished.display()),
            "name the folder that the run is to have, or the .partial one beside it",
        ));
    };
    let Record { command, directory, .. } = Record::read(place)?;
    if command.is_empty() {
        return Err(advise(
            format!("the record in `{}` does not say by which command it was begun", place.display()),
            "give the command again that began it: it goes on by itself",
        ));
    }
    std::env::set_current_dir(&directory)
        .with_context(|| format!("the run was begun in `{}`, which cannot be entered", directory.display()))?;
    Ok(command)
}
