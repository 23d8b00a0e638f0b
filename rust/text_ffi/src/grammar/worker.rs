//! Compilation on a thread of its own: deep grammars need a deep stack, and a caller waits no longer than its deadline.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc};
use std::time::Duration;

use crate::border::{panic_text, Failure, MlxsStatus, Outcome};

const DEADLINE: Duration = Duration::from_secs(2);
/// Address space only; what is not used is never mapped.
const STACK_BYTES: usize = 256 << 20;
/// Compilations at once, those included whose callers gave up.
const MAX_WORKERS: usize = 8;

#[derive(Default)]
pub struct Workers {
    num_running: Arc<AtomicUsize>,
}

struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Workers {
    /// Runs `work` with a deep stack. ERRORS: its own; LimitExceeded past the deadline (the work then ends by its fuel)
    /// and when too many run; Internal for a panic.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Outcome<T> + Send + 'static) -> Outcome<T> {
        let place = self.take_place()?;
        let (sender, receiver) = mpsc::sync_channel(1);
        let body = move || {
            let place = place;
            let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
                let text = panic_text(payload);
                Err(Failure::new(MlxsStatus::Internal, format!("internal error in the text library: {text}")))
            });
            drop(place);
            // Nobody listens any more when the caller has given up.
            let _ = sender.send(outcome);
        };
        let thread = std::thread::Builder::new().name("grammar".to_string()).stack_size(STACK_BYTES).spawn(body);
        thread.map_err(|error| Failure::new(MlxsStatus::Internal, format!("no thread for a grammar: {error}")))?;
        receiver.recv_timeout(DEADLINE).unwrap_or_else(|_| {
            let seconds = DEADLINE.as_secs();
            Err(Failure::limit(format!("the grammar takes more than {seconds} s to compile; make it simpler")))
        })
    }

    fn take_place(&self) -> Outcome<Place> {
        let place = Place(Arc::clone(&self.num_running));
        if self.num_running.fetch_add(1, Ordering::AcqRel) < MAX_WORKERS {
            return Ok(place);
        }
        Err(Failure::limit(format!("{MAX_WORKERS} grammars are being compiled already; try again later")))
    }
}
