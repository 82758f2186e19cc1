//! Two requests to the kernel's routing socket: loopback up, and one more address on it.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

/// The loopback device is the first of every network namespace.
const LOOPBACK_INDEX: u32 = 1;

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const REQUEST_WITH_ACK: u16 = 0x1 | 0x4;
const CREATE: u16 = 0x400;
const IFF_UP: u32 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_F_NODAD: u8 = 0x02;
const RT_SCOPE_HOST: u8 = 254;

/// Brings `lo` of this process's network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    let mut body = Vec::with_capacity(16);
    body.extend([0u8, 0, 0, 0]);
    body.extend(LOOPBACK_INDEX.to_ne_bytes());
    body.extend(IFF_UP.to_ne_bytes());
    body.extend(IFF_UP.to_ne_bytes());
    request(RTM_NEWLINK, REQUEST_WITH_ACK, &body)
}

/// Puts an address on `lo`. An address that is there already is not an error.
pub(crate) fn add_to_loopback(address: IpAddr) -> io::Result<()> {
    let (family, prefix, bytes) = match address {
        IpAddr::V4(v4) => (AddressFamily::INET, 32, v4.octets().to_vec()),
        IpAddr::V6(v6) => (AddressFamily::INET6, 128, v6.octets().to_vec()),
    };
    let family = u8::try_from(family.as_raw()).map_err(io::Error::other)?;
    let mut body = vec![family, prefix, IFA_F_NODAD, RT_SCOPE_HOST];
    body.extend(LOOPBACK_INDEX.to_ne_bytes());
    for kind in [IFA_LOCAL, IFA_ADDRESS] {
        let length = u16::try_from(4 + bytes.len()).map_err(io::Error::other)?;
        body.extend(length.to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(&bytes);
    }
    match request(RTM_NEWADDR, REQUEST_WITH_ACK | CREATE, &body) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        other => other,
    }
}

fn request(kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let socket = route_socket()?;
    let length = u32::try_from(16 + body.len()).map_err(io::Error::other)?;
    let mut message = Vec::with_capacity(16 + body.len());
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(1u32.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message.extend(body);
    send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0u8; 1024];
    let (received, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    verdict(answer.get(..received).unwrap_or_default())
}

fn route_socket() -> io::Result<OwnedFd> {
    // Protocol 0 of netlink is routing.
    Ok(socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?)
}

/// An acknowledgement is an error message with number 0.
fn verdict(answer: &[u8]) -> io::Result<()> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "not an acknowledgement");
    let kind = answer.get(4..6).and_then(|b| b.try_into().ok()).ok_or_else(bad)?;
    let code = answer.get(16..20).and_then(|b| b.try_into().ok()).ok_or_else(bad)?;
    match (u16::from_ne_bytes(kind), i32::from_ne_bytes(code)) {
        (NLMSG_ERROR, 0) => Ok(()),
        (NLMSG_ERROR, code) => Err(io::Error::from_raw_os_error(-code)),
        _ => Err(bad()),
    }
}
