//! A file from a web server, in as many attempts as it takes.
//!
//! What has arrived is kept: after a break, and in a later call, the rest is asked for (`Range`). A server that stalls is
//! left after a while and asked again. The caller checks the content.

use anyhow::{Context, Result, bail, ensure};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;
use ureq::Agent;
use ureq::http::StatusCode;

/// How long to wait and how often to try again.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// One connection is given up after this time, and the rest asked for on a new one.
    pub request: Duration,
    /// Attempts that bring nothing new before giving up.
    pub attempts: u32,
    /// The pause after the first such attempt; it doubles with each.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { request: Duration::from_secs(120), attempts: 5, pause: Duration::from_secs(1) }
    }
}

/// Told how many bytes have arrived, and how many there are if the server says so.
pub type Progress<'a> = dyn FnMut(u64, Option<u64>) + 'a;

/// Downloads `url` to `file`, which may hold the beginning already.
pub fn download(url: &str, file: &Path, patience: Patience, progress: &mut Progress) -> Result<()> {
    let config = Agent::config_builder()
        .timeout_connect(Some(patience.request.min(Duration::from_secs(20))))
        .timeout_recv_response(Some(patience.request.min(Duration::from_secs(30))))
        .timeout_recv_body(Some(patience.request))
        .http_status_as_error(false)
        .user_agent(concat!("thingsvision/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent = Agent::new_with_config(config);
    progress(length(file), None);
    let mut fruitless = 0;
    let mut most = length(file);
    loop {
        let error = match attempt(&agent, url, file, progress) {
            Ok(()) => return Ok(()),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(error)) => error,
        };
        fruitless = if length(file) > most { 0 } else { fruitless + 1 };
        most = most.max(length(file));
        if fruitless >= patience.attempts {
            return Err(error.context(format!("cannot download {url}: gave up after {fruitless} attempts")));
        }
        std::thread::sleep(patience.pause * 2u32.saturating_pow(fruitless.saturating_sub(1)).min(60));
    }
}

enum Failure {
    /// Trying again may help.
    Passing(anyhow::Error),
    /// It will not.
    Final(anyhow::Error),
}

fn length(file: &Path) -> u64 {
    file.metadata().map_or(0, |file| file.len())
}

fn attempt(agent: &Agent, url: &str, file: &Path, progress: &mut Progress) -> Result<(), Failure> {
    let start = length(file);
    let mut request = agent.get(url);
    if start > 0 {
        request = request.header("Range", format!("bytes={start}-"));
    }
    let mut response = request.call().map_err(|error| match error {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => Failure::Final(error.into()),
        error => Failure::Passing(error.into()),
    })?;
    let resumed = match response.status() {
        StatusCode::OK => false,
        StatusCode::PARTIAL_CONTENT => true,
        // More is here than there is: what is here cannot be the beginning.
        StatusCode::RANGE_NOT_SATISFIABLE => {
            std::fs::remove_file(file).map_err(|error| Failure::Final(error.into()))?;
            return Err(Failure::Passing(anyhow::anyhow!("the server has less than had arrived")));
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Err(Failure::Passing(anyhow::anyhow!("the server answers {status}")));
        }
        status => return Err(Failure::Final(anyhow::anyhow!("cannot download {url}: the server answers {status}"))),
    };
    let start = if resumed { start } else { 0 };
    let length = response.headers().get("Content-Length").and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let total = length.map(|length| start + length);
    let target = OpenOptions::new().create(true).write(true).append(resumed).truncate(!resumed).open(file);
    let target = target.with_context(|| format!("cannot write `{}`", file.display())).map_err(Failure::Final)?;
    copy(&mut response.body_mut().as_reader(), target, start, total, progress)
}

fn copy(body: &mut dyn Read, mut target: File, start: u64, total: Option<u64>, progress: &mut Progress) -> Result<(), Failure> {
    let mut buffer = vec![0; 256 * 1024];
    let mut arrived = start;
    progress(arrived, total);
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::Passing(error.into())),
        };
        target.write_all(&buffer[..count]).map_err(|error| Failure::Final(error.into()))?;
        arrived += count as u64;
        progress(arrived, total);
    }
    let whole = || -> Result<()> {
        if let Some(total) = total {
            ensure!(arrived == total, "the connection broke after {arrived} of {total} bytes");
        }
        if arrived == 0 {
            bail!("the server sent nothing");
        }
        Ok(())
    };
    whole().map_err(Failure::Passing)?;
    target.sync_all().map_err(|error| Failure::Final(error.into()))
}
