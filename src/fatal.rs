//! Signals that would end the process without a word: the disk fails under a file that is mapped into memory, or code of others
//! divides as the processor does not.
#![allow(unsafe_code)] // signal handlers, reasoned at the one place

use signal_hook::consts::{SIGBUS, SIGFPE};
use signal_hook::low_level::exit;
use signal_hook_registry::register_unchecked;
use std::io::Write;

const UNREADABLE: &str = "
error: a file that is mapped into memory cannot be read or written: the disk returned an error, or another program cut the file short

hint: see what the system says about the disk (dmesg); what is done of a run is kept, and the same command goes on from there
";

const DIVISION: &str = "
error: the code in an exported network, or in a file of weights, divides a whole number by 0, or so that no whole number comes of it

hint: export the network anew; what is done of a run is kept
";

/// From now on such a failure is an error like others.
pub fn report() {
    for (signal, message) in [(SIGBUS, UNREADABLE), (SIGFPE, DIVISION)] {
        let report = move |_: &_| {
            std::io::stderr().write_all(message.trim_start().as_bytes()).ok();
            exit(1);
        };
        // SAFETY: the signals are raised by an access to a map in this program's own arithmetic, and by a division of libtorch's
        // interpreter, which hold neither the lock of stderr nor that of the allocator; the handler allocates nothing and does not
        // return, for which alone SIGFPE is forbidden otherwise.
        unsafe { register_unchecked(signal, report) }.ok();
    }
}
