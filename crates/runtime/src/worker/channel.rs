//! The server's end of a worker's descriptor 3.

use std::io::{Error, ErrorKind, IoSlice};
use std::os::fd::OwnedFd;

use bytes::BytesMut;
use rustix::net::RecvFlags;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use crate::frame::{FrameError, WorkerFrame, decode};

/// Free space before a read; a frame that is larger is read in steps that grow with it.
const READ_BYTES: usize = 8 << 10;
/// The memory of larger frames is not kept for the next one.
const KEEP_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Channel {
    stream: UnixStream,
    incoming: BytesMut,
}

/// Why no frame came.
#[derive(Debug)]
pub(super) enum ChannelError {
    /// The worker has closed its end, or ended.
    Closed,
    Frame(FrameError),
}

impl Channel {
    /// `socket` must be a non-blocking stream socket.
    pub(super) fn new(socket: OwnedFd) -> Result<Self, Error> {
        let stream = UnixStream::from_std(socket.into())?;
        Ok(Self { stream, incoming: BytesMut::new() })
    }

    /// The next frame. Safe to drop and to call again: nothing read is lost.
    pub(super) async fn frame(&mut self) -> Result<WorkerFrame, ChannelError> {
        loop {
            let held = self.incoming.len();
            if let Some(frame) = decode(&mut self.incoming).map_err(ChannelError::Frame)? {
                if held > KEEP_BYTES {
                    self.incoming = BytesMut::from(&*self.incoming);
                }
                return Ok(frame);
            }
            if self.incoming.capacity() - self.incoming.len() < READ_BYTES / 2 {
                self.incoming.reserve(READ_BYTES.max(self.incoming.len()));
            }
            match self.stream.read_buf(&mut self.incoming).await {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(ChannelError::Closed),
            }
        }
    }

    /// Whether the worker has said nothing that nobody asked for and has not hung up. Asks the
    /// kernel, because the event loop may not have heard of it yet.
    pub(super) fn is_quiet(&self) -> bool {
        let mut byte = [0u8; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let unread = rustix::net::recv(&self.stream, &mut byte, flags);
        self.incoming.is_empty()
            && matches!(unread, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Writes what is left of `parts` after the first `written` bytes, which it counts up.
    /// Safe to drop and to call again.
    pub(super) async fn write(
        &mut self,
        parts: [&[u8]; 4],
        written: &mut usize,
    ) -> Result<(), Error> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        while *written < total {
            let mut slices = parts.map(IoSlice::new);
            let mut rest = &mut slices[..];
            IoSlice::advance_slices(&mut rest, *written);
            match self.stream.try_write_vectored(rest) {
                Ok(bytes) => *written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.stream.writable().await?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
