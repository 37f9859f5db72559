//! What the memories of all instances have together: the plugins' share of the memory budget.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long an instance waits for memory that others hold: they give it back when their calls end, at the latest after
/// their deadlines.
const WAIT_MAX: Duration = Duration::from_secs(3);

#[derive(Default, Debug)]
pub(super) struct Pool {
    bytes_max: usize,
    used: Mutex<usize>,
    freed: Condvar,
}

/// The others have it all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no room for {bytes} more bytes of memory, all components together may have {bytes_max}")]
pub(super) struct Crowded {
    pub bytes: usize,
    pub bytes_max: usize,
}

impl Pool {
    pub fn new(bytes_max: usize) -> Self {
        Pool { bytes_max, used: Mutex::new(0), freed: Condvar::new() }
    }

    /// Waits where there is no room now. The thread's CPU time, which is what deadlines are made of, stands meanwhile.
    pub fn take(&self, bytes: usize) -> Result<(), Crowded> {
        let full = |used: &mut usize| used.saturating_add(bytes) > self.bytes_max;
        let mut used = self.used();
        if full(&mut used) && bytes <= self.bytes_max {
            used = match self.freed.wait_timeout_while(used, WAIT_MAX, full) {
                Ok((used, _)) => used,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        if full(&mut used) {
            return Err(Crowded { bytes, bytes_max: self.bytes_max });
        }
        *used += bytes;
        Ok(())
    }

    pub fn give_back(&self, bytes: usize) {
        *self.used() -= bytes;
        self.freed.notify_all();
    }

    /// Whether who has grown by so much should give it back: all that have when next to nothing is left, and those that have
    /// grown by much when little is.
    pub fn wants_back(&self, grown_bytes: usize) -> bool {
        let used = *self.used();
        let little = used > self.bytes_max / 4 * 3 && grown_bytes > self.bytes_max / 16;
        grown_bytes > 0 && (little || used > self.bytes_max / 16 * 15)
    }

    pub fn used_bytes(&self) -> usize {
        *self.used()
    }

    fn used(&self) -> MutexGuard<'_, usize> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn who_finds_no_room_waits_until_another_gives_back() {
        let pool = Arc::new(Pool::new(100));
        assert_eq!(pool.take(101), Err(Crowded { bytes: 101, bytes_max: 100 }), "never: nobody is waited for");
        pool.take(70).expect("there is room");
        assert!(!pool.wants_back(100));
        pool.take(10).expect("there is room");
        assert!(pool.wants_back(7) && !pool.wants_back(1));
        pool.take(20).expect("there is room");
        assert!(pool.wants_back(1) && !pool.wants_back(0));
        pool.give_back(20);
        let waiting = thread::spawn({
            let pool = pool.clone();
            move || pool.take(50)
        });
        pool.give_back(70);
        assert_eq!(waiting.join().expect("ends"), Ok(()));
        assert_eq!(*pool.used(), 60);
    }
}
