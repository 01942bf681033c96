//! What happens when the disk fails under a file that is mapped into memory: the system sends a signal, which would end the
//! process without a word.
#![allow(unsafe_code)] // a signal handler, reasoned at the one place

use signal_hook::consts::SIGBUS;
use signal_hook::low_level::{exit, register};
use std::io::Write;

const MESSAGE: &str = "
error: a file that is mapped into memory cannot be read or written: the disk returned an error, or another program cut the file short

hint: see what the system says about the disk (dmesg); what is done of a run is kept, and the same command goes on from there
";

/// From now on such a failure is an error like others.
pub fn report() {
    let report = || {
        std::io::stderr().write_all(MESSAGE.trim_start().as_bytes()).ok();
        exit(1);
    };
    // SAFETY: the signal is raised by an access to a map in this program's own arithmetic, which holds neither the lock of stderr
    // nor that of the allocator; the handler allocates nothing and does not return.
    unsafe { register(SIGBUS, report) }.ok();
}
