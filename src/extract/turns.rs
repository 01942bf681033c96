//! Threads that take turns by number.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Lets threads pass in the order of their numbers from 0 on, whatever order they come in: one at a time, or as many as
/// [`Turns::together`] says.
#[derive(Debug, Default)]
pub struct Turns {
    /// How many may pass beside the one whose turn it is.
    beside: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next: usize,
    abandoned: bool,
}

/// Why a turn never comes: a thread before has failed.
#[derive(Debug, thiserror::Error)]
#[error("stopped, since another worker failed")]
pub struct Abandoned;

impl Turns {
    /// Lets `number` threads pass together.
    pub fn together(number: usize) -> Turns {
        Turns { beside: number - 1, ..Turns::default() }
    }

    /// Waits for the turn of `number`.
    pub fn wait_for(&self, number: usize) -> Result<(), Abandoned> {
        let waiting = |state: &mut State| number > state.next + self.beside && !state.abandoned;
        let state = self.changed.wait_while(self.state(), waiting).unwrap_or_else(PoisonError::into_inner);
        if state.abandoned { Err(Abandoned) } else { Ok(()) }
    }

    /// Ends a turn; the next is that of `next`.
    pub fn pass_to(&self, next: usize) {
        self.state().next = next;
        self.changed.notify_all();
    }

    /// Ends one of several turns that were taken together.
    pub fn end_one(&self) {
        self.state().next += 1;
        self.changed.notify_all();
    }

    /// No turn comes any more.
    pub fn abandon(&self) {
        self.state().abandoned = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_taken_in_order_or_not_at_all() {
        let (turns, order) = (Turns::default(), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for number in [3, 1, 0, 2] {
                let (turns, order) = (&turns, &order);
                scope.spawn(move || {
                    turns.wait_for(number).unwrap();
                    order.lock().unwrap().push(number);
                    turns.pass_to(number + 1);
                });
            }
        });
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
        let two = Turns::together(2);
        two.wait_for(1).unwrap();
        two.wait_for(0).unwrap();
        std::thread::scope(|scope| {
            let third = scope.spawn(|| two.wait_for(2));
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!third.is_finished());
            two.end_one();
            third.join().unwrap().unwrap();
        });
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| turns.wait_for(7));
            turns.abandon();
            assert!(waiting.join().unwrap().is_err());
        });
    }
}
