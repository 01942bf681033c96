//! Ctrl-C and SIGTERM: the first stops a job as soon as it can without losing anything, a second ends the process at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Whether a signal has come, and which.
#[derive(Default)]
struct Signals {
    come: Arc<AtomicBool>,
    last: Arc<AtomicUsize>,
}

/// From the first call on signals are heeded. (Before, they end the process, which has nothing to lose.)
fn signals() -> &'static Signals {
    static SIGNALS: OnceLock<Signals> = OnceLock::new();
    SIGNALS.get_or_init(|| {
        let signals = Signals::default();
        for signal in [SIGINT, SIGTERM] {
            // In this order: the second of two signals finds the flag set by the first. Where it cannot be, signals end
            // the process as before.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&signals.come)).ok();
            flag::register_usize(signal, Arc::clone(&signals.last), signal as usize).ok();
            flag::register(signal, Arc::clone(&signals.come)).ok();
        }
        signals
    })
}

/// The signal that has come, if one has.
pub fn signal() -> Option<i32> {
    let signals = signals();
    signals.come.load(Ordering::SeqCst).then(|| signals.last.load(Ordering::SeqCst) as i32)
}

/// The same in words.
pub fn reason() -> Option<&'static str> {
    signal().map(|signal| if signal == SIGINT { "stopped by Ctrl-C" } else { "stopped by SIGTERM" })
}
