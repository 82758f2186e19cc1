//! A tar stream that may lack its end.
//!
//! The original client never closes its tar writer: the two empty blocks at the end and the last
//! file's padding are missing (contract 3.3). The reader supplies zeros there, and remembers that
//! it did, so that an archive which was cut inside a file can still be told.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use super::unpack::MAX_UNPACKED_BYTES;

/// More than the padding of a file, two empty blocks and what a reader looks ahead.
const SUPPLIED_BYTES: usize = 16 << 10;
/// Headers, padding and long names of as many entries as are allowed, besides their content.
const OVERHEAD_BYTES: u64 = 64 << 20;

/// Reads a decompressed stream up to a bound, then zeros.
pub(super) struct OpenEnded<R> {
    inner: io::Take<R>,
    supplied: usize,
    over: Rc<Cell<bool>>,
}

impl<R: Read> OpenEnded<R> {
    /// Also returns a flag that is set when zeros are supplied.
    pub(super) fn new(inner: R) -> (Self, Rc<Cell<bool>>) {
        let bound = MAX_UNPACKED_BYTES + OVERHEAD_BYTES;
        let over = Rc::new(Cell::new(false));
        (Self { inner: inner.take(bound), supplied: 0, over: Rc::clone(&over) }, over)
    }

    /// Whether it was cut because of its size.
    pub(super) fn is_too_long(&self) -> bool {
        self.over.get() && self.inner.limit() == 0
    }
}

impl<R: Read> Read for OpenEnded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.over.get() {
            let read = self.inner.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            self.over.set(true);
        }
        let zeros = buffer.len().min(SUPPLIED_BYTES - self.supplied);
        for byte in buffer.iter_mut().take(zeros) {
            *byte = 0;
        }
        self.supplied += zeros;
        Ok(zeros)
    }
}
