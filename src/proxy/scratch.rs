//! The bytes that a worker reads into: one buffer a thread, for nothing in it is kept over a wait.
//!
//! So a connection that waits holds no buffer, and what passes through is in the cache of the processor.

use std::cell::RefCell;

/// The most that is read at once. Pages that are never read into are never there.
pub(super) const MOST: usize = 128 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; MOST]);
}

/// Lends the buffer of this thread; whoever has it does not ask for it again.
pub(super) fn with<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| work(scratch))
}

/// The first `length` bytes, or all there are.
pub(super) fn first(scratch: &mut [u8], length: usize) -> &mut [u8] {
    let length = length.min(scratch.len());
    scratch.split_at_mut(length).0
}
