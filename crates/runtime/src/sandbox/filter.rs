//! The seccomp filter of a worker: which families of sockets it may make. No filter of all system
//! calls.
//!
//! Some families leave the machine past every network namespace (AF_VSOCK), others are doors into
//! rarely tried parts of the kernel. For the filter to hold, the other ways to the same calls are
//! closed too: system calls of another architecture (i386 and x32 on x86_64) and io_uring.

use libc::{
    AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD,
    BPF_RET, BPF_W, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, sock_filter,
};

const FAMILIES: [i32; 4] = [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK];

/// `AUDIT_ARCH_*` of linux/audit.h for the system calls of this program's own kind.
pub(crate) const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xC000_003E)
} else if cfg!(target_arch = "aarch64") {
    Some(0xC000_00B7)
} else {
    None
};

/// Offsets in `struct seccomp_data`. Both architectures have the low half of an argument first.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

/// Numbers from here on are x32's.
const X32: u32 = 0x4000_0000;

/// A step without its value: what it does, and how many steps it skips if it applies and if not.
type Form = (u32, u8, u8);
const LOAD: Form = (BPF_LD | BPF_W | BPF_ABS, 0, 0);
const RETURN: Form = (BPF_RET | BPF_K, 0, 0);
const SKIP_IF: Form = (BPF_JMP | BPF_JEQ | BPF_K, 1, 0);
const SKIP_UNLESS: Form = (BPF_JMP | BPF_JEQ | BPF_K, 0, 1);
const SKIP_BELOW: Form = (BPF_JMP | BPF_JGE | BPF_K, 0, 1);
const SKIP_TWO_IF: Form = (BPF_JMP | BPF_JEQ | BPF_K, 2, 0);

/// The filter's program; `None` where it is not written for the architecture. Without
/// `memory_files` there is no memfd_create: a memory file that is only on its way through a socket
/// belongs to no process, so that nobody who looks at processes can count it.
pub(super) fn program(memory_files: bool) -> Option<Vec<sock_filter>> {
    let absent = refuse(libc::ENOSYS);
    let mut steps = vec![
        step(LOAD, ARCH),
        step(SKIP_IF, ARCHITECTURE?),
        step(RETURN, absent),
        step(LOAD, NUMBER),
        step(SKIP_BELOW, X32),
        step(RETURN, absent),
    ];
    let missing = [libc::SYS_io_uring_setup, libc::SYS_memfd_create];
    for call in missing.into_iter().take(if memory_files { 1 } else { 2 }) {
        steps.extend([step(SKIP_UNLESS, number(call)), step(RETURN, absent)]);
    }
    steps.extend([
        step(SKIP_TWO_IF, number(libc::SYS_socket)),
        step(SKIP_IF, number(libc::SYS_socketpair)),
        step(RETURN, SECCOMP_RET_ALLOW),
        step(LOAD, FIRST_ARGUMENT),
    ]);
    for family in FAMILIES {
        let allow = step(RETURN, SECCOMP_RET_ALLOW);
        steps.extend([step(SKIP_UNLESS, family.cast_unsigned()), allow]);
    }
    steps.push(step(RETURN, refuse(libc::EAFNOSUPPORT)));
    Some(steps)
}

fn refuse(errno: i32) -> u32 {
    SECCOMP_RET_ERRNO | errno.cast_unsigned()
}

fn number(call: libc::c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

fn step((code, jt, jf): Form, k: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt, jf, k }
}
