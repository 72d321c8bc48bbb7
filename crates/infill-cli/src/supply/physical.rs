//! Hands a text on line by line, so that whoever reads records from it can be asked on which line it stands, and none can grow
//! without bound.

use std::io::{self, BufRead, Read};

/// Bytes of one record at most. Beyond that a quote is open.
pub(super) const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// A record grew beyond [`MAX_RECORD_BYTES`].
#[derive(Debug, thiserror::Error)]
#[error("the record is longer than 1 MiB")]
pub(super) struct TooLong;

/// A text that gives at most one line for each read: the line that the last read gave is the line where its reader stands.
#[derive(Debug)]
pub(super) struct Physical<R> {
    text: R,
    served: u64,
    is_within_line: bool,
    left: usize,
}

impl<R> Physical<R> {
    pub(super) const fn new(text: R) -> Self {
        Self { text, served: 0, is_within_line: false, left: MAX_RECORD_BYTES }
    }

    /// Lines given so far, the one being given included.
    pub(super) const fn served(&self) -> u64 {
        self.served
    }

    /// Another record begins: it may take as much as the one before.
    pub(super) const fn begin_record(&mut self) {
        self.left = MAX_RECORD_BYTES;
    }
}

impl<R: BufRead> Read for Physical<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let available = self.text.fill_buf()?;
        if available.is_empty() || room.is_empty() {
            return Ok(0);
        }
        let most = available.len().min(room.len()).min(self.left);
        if most == 0 {
            return Err(io::Error::other(TooLong));
        }
        let end = available.iter().take(most).position(|byte| *byte == b'\n').map(|at| at.saturating_add(1));
        let n_bytes = end.unwrap_or(most);
        if let (Some(to), Some(from)) = (room.get_mut(..n_bytes), available.get(..n_bytes)) {
            to.copy_from_slice(from);
        }
        self.text.consume(n_bytes);
        self.left = self.left.saturating_sub(n_bytes);
        if !self.is_within_line {
            self.served = self.served.saturating_add(1);
        }
        self.is_within_line = end.is_none();
        Ok(n_bytes)
    }
}
