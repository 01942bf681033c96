//! Ctrl-C and SIGTERM while images go through networks: the first stops after the batches in progress, a second at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// A signal that has come, or none.
#[derive(Debug, Default)]
pub struct Stop {
    pub wanted: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

/// Why a command ends before its work is done; its exit status is 128 + the signal.
#[derive(Debug, Clone, Copy)]
pub struct Interrupted(pub i32);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Interrupted {
    pub fn text(self) -> &'static str {
        if self.0 == SIGINT { "stopped by Ctrl-C" } else { "stopped by SIGTERM" }
    }
}

impl std::error::Error for Interrupted {}

impl Stop {
    /// From now on signals are heeded. (Before, they end the process, which has nothing to lose.)
    pub fn listen() -> &'static Stop {
        static STOP: OnceLock<Stop> = OnceLock::new();
        STOP.get_or_init(|| {
            let stop = Stop::default();
            for signal in [SIGINT, SIGTERM] {
                // In this order: the second of two signals finds the flag set by the first. Where it cannot be, signals end
                // the process as before.
                flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop.wanted)).ok();
                flag::register_usize(signal, Arc::clone(&stop.signal), signal as usize).ok();
                flag::register(signal, Arc::clone(&stop.wanted)).ok();
            }
            stop
        })
    }

    /// The signal, if one has come.
    pub fn interrupted(&self) -> Option<Interrupted> {
        let come = self.wanted.load(Ordering::SeqCst);
        come.then(|| Interrupted(self.signal.load(Ordering::SeqCst) as i32))
    }
}
