//! What server, spawn helper and sandbox say to each other: one JSON document per SEQPACKET
//! message, at most [`MAX_MESSAGE`] bytes and [`MAX_DESCRIPTORS`] descriptors. A closed set.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::SpawnerConfig;
use crate::spawn::{Confinement, Endpoint, WorkerSpec};

/// Bytes of one message.
pub(crate) const MAX_MESSAGE: usize = 96 << 10;
/// Descriptors with one message: channel, stdout, stderr and the listeners.
pub(crate) const MAX_DESCRIPTORS: usize = 40;

/// Server → helper.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The first message, once. No descriptor.
    Configure(SpawnerConfig),
    /// With one descriptor, the sandbox's end of the worker's control socket.
    Spawn(Box<WorkerSpec>),
}

/// Helper → server, once, in answer to [`Request::Configure`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Greeting {
    Ready(Confinement),
    Refused { reason: String },
    Failed { step: String, errno: i32 },
}

/// Helper or sandbox → server, on a worker's control socket.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// From the helper, with a pidfd of the sandbox's first process.
    Accepted {
        pid: i32,
        memory: Option<PathBuf>,
        confinement: Confinement,
    },
    Refused {
        reason: String,
    },
    Exhausted {
        what: String,
    },
    Failed {
        step: String,
        errno: i32,
    },
    /// From the sandbox: the program runs. With channel, stdout, stderr and a listener per endpoint.
    Ready {
        listeners: Vec<Endpoint>,
    },
    /// An answer to [`Order::Add`], with a listener per endpoint.
    Added {
        listeners: Vec<Endpoint>,
    },
    NotAdded {
        step: String,
        errno: i32,
    },
    /// The program ended; the rest of its processes are about to.
    Exited(Ended),
    /// From the helper: no process is left.
    Gone {
        ended: Ended,
        out_of_memory: bool,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ended {
    Code(i32),
    Signal(i32),
    /// The sandbox's watcher ended it.
    Memory,
}

/// Server → sandbox, on the worker's control socket. Its end means: stop.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    Add(Vec<Endpoint>),
}

/// Sends one message; fails with `WouldBlock` rather than wait when the socket is non-blocking.
pub(crate) fn send<T: Serialize>(
    socket: impl AsFd,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > MAX_MESSAGE || descriptors.len() > MAX_DESCRIPTORS {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "message too large"));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    loop {
        match sendmsg(&socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.map(|_| ()).map_err(Into::into),
        }
    }
}

/// Receives one message. `Ok(None)` when the other side has closed.
pub(crate) fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; MAX_MESSAGE + 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match recvmsg(&socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            // The other side died with our message unread: for us the same as an orderly end.
            Err(rustix::io::Errno::CONNRESET) => return Ok(None),
            other => break other?,
        }
    };
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(list) = message {
            descriptors.extend(list);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    let cut = received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    match bytes.get(..received.bytes) {
        Some(text) if !cut && text.len() <= MAX_MESSAGE => {
            Ok(Some((serde_json::from_slice(text)?, descriptors)))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "message too large")),
    }
}
