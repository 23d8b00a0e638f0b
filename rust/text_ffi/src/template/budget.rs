//! What one rendering may spend. Every operation that makes or walks text or lists pays here first, so a hostile
//! template ends with an error and not with the process.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use minijinja::{Error, ErrorKind};

/// Instructions one rendering may execute.
pub const MAX_STEPS: u64 = 2_000_000;
/// Bytes and elements that one rendering may produce or walk: this much, and for each byte of input this many.
pub const BASE_WORK: u64 = 64 << 20;
pub const WORK_PER_INPUT_BYTE: u64 = 64;
/// Bytes of one single string, list or dictionary (a list counts 16 per element) that a template makes.
pub const MAX_VALUE_BYTES: u64 = 64 << 20;
pub const MAX_TIME: Duration = Duration::from_secs(10);
/// Elements of range(), nesting of lists and dictionaries.
pub const MAX_RANGE: usize = 100_000;
pub const MAX_DEPTH: u32 = 200;

pub struct Budget {
    work_left: AtomicU64,
    calls: AtomicU64,
    deadline: Instant,
    exceeded: AtomicBool,
    raised: Mutex<Option<String>>,
}

impl Budget {
    pub fn new(input_bytes: usize) -> Self {
        let work = BASE_WORK.saturating_add((input_bytes as u64).saturating_mul(WORK_PER_INPUT_BYTE));
        Budget {
            work_left: AtomicU64::new(work),
            calls: AtomicU64::new(0),
            deadline: Instant::now() + MAX_TIME,
            exceeded: AtomicBool::new(false),
            raised: Mutex::new(None),
        }
    }

    /// Pays for `amount` bytes or elements; to be called before they are made.
    pub fn charge(&self, amount: u64) -> Result<(), Error> {
        let before = self.work_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            Some(left.saturating_sub(amount.saturating_add(1)))
        });
        if before.is_ok_and(|left| left <= amount) {
            return Err(self.exceed("the template makes or walks too much text"));
        }
        if amount > MAX_VALUE_BYTES {
            return Err(self.exceed("the template makes a value that is too large"));
        }
        // The clock is read rarely: most charges are small.
        if self.calls.fetch_add(1, Ordering::Relaxed) % 64 == 0 && Instant::now() > self.deadline {
            return Err(self.exceed("the template runs for too long"));
        }
        Ok(())
    }

    pub fn exceed(&self, message: &'static str) -> Error {
        self.exceeded.store(true, Ordering::Relaxed);
        Error::new(ErrorKind::InvalidOperation, message)
    }

    pub fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    /// Keeps the message of `raise_exception`: the first one is what the caller sees.
    pub fn raise(&self, message: String) -> Error {
        let mut raised = self.raised.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        raised.get_or_insert_with(|| message.clone());
        Error::new(ErrorKind::InvalidOperation, message)
    }

    pub fn take_raised(&self) -> Option<String> {
        self.raised.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }
}
