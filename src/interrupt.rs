//! Ctrl-C and SIGTERM: the first stops a job as soon as it can without losing anything, a second ends the process at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Whether a signal has come, and which.
#[derive(Default)]
struct Signals {
    come: Arc<AtomicBool>,
    last: Arc<AtomicUsize>,
}

/// From the first call on signals are heeded, and `say` answers the first. (Before, they end the process, which has nothing to lose.)
fn signals(say: impl FnOnce(&'static str) + Send + 'static) -> &'static Signals {
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
        if let Ok(mut come) = iterator::Signals::new([SIGINT, SIGTERM]) {
            let answer = "stops as soon as what is in progress is done; a second Ctrl-C stops at once";
            std::thread::spawn(move || come.forever().next().map(|_| say(answer)));
        }
        signals
    })
}

/// The signal that has come, if one has.
pub fn signal(say: impl FnOnce(&'static str) + Send + 'static) -> Option<i32> {
    let signals = signals(say);
    signals.come.load(Ordering::SeqCst).then(|| signals.last.load(Ordering::SeqCst) as i32)
}

/// The same in words.
pub fn reason(say: impl FnOnce(&'static str) + Send + 'static) -> Option<&'static str> {
    signal(say).map(|signal| if signal == SIGINT { "stopped by Ctrl-C" } else { "stopped by SIGTERM" })
}

/// On Linux, lets this process stop as by SIGTERM when the program that reads what it says is killed from now on, so that no run
/// goes on that nobody sees.
pub fn end_with_parent() {
    #[cfg(target_os = "linux")]
    if crate::printer::is_for_program() {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM)).ok();
    }
}
