//! The system calls that no safe wrapper offers. All unsafe code of the sandbox is in this file.
//!
//! Everything here is called in processes with exactly one thread: the spawn helper and what it
//! clones. That is what makes clone and fork without exec sound.

#![expect(
    unsafe_code,
    reason = "clone3, fork, execve, mount_setattr and signals have no safe form"
)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// `struct clone_args` of linux/sched.h, version 2 (with cgroup).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Which side of a clone this is.
#[derive(Debug)]
pub(crate) enum Cloned {
    Child,
    Parent { pid: i32, pidfd: OwnedFd },
}

const CLONE_PIDFD: u64 = 0x1000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks with new namespaces (`CLONE_NEW*` in `namespaces`), into a cgroup v2 directory if given.
pub(crate) fn clone_with(namespaces: i32, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    let mut pidfd: libc::c_int = -1;
    let mut arguments = CloneArgs {
        flags: u64::from(namespaces.cast_unsigned()) | CLONE_PIDFD,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD.cast_unsigned().into(),
        ..CloneArgs::default()
    };
    if let Some(directory) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::from(directory.as_raw_fd().cast_unsigned());
    }
    // SAFETY: the struct has the layout and size that the kernel expects and outlives the call; no
    // memory is shared with the child, and this process has one thread, so that no lock is held.
    let result = unsafe {
        libc::syscall(libc::SYS_clone3, &raw const arguments, std::mem::size_of::<CloneArgs>())
    };
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Cloned::Child),
        // SAFETY: the kernel has just put a new descriptor there, which nobody else owns.
        pid => Ok(Cloned::Parent {
            pid: i32::try_from(pid).unwrap_or(-1),
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// A plain fork of a process with one thread: `None` in the child, its pid in the parent.
pub(crate) fn fork() -> io::Result<Option<i32>> {
    // SAFETY: one thread, so the child's copy of every lock is free.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(pid)),
    }
}

/// Ends this process with no destructors, flushes or exit handlers.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: always sound.
    unsafe { libc::_exit(code) }
}

/// Replaces this process; returns only the error.
pub(crate) fn execute(
    program: &CString,
    arguments: &[CString],
    environment: &[CString],
) -> io::Error {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|text| text.as_ptr()).chain(std::iter::once(std::ptr::null())).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both arrays end with null and their strings live until the call returns, if it does.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// `struct mount_attr` of linux/mount.h.
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

pub(crate) const READ_ONLY: u64 = 0x1;
pub(crate) const NO_SUID: u64 = 0x2;
pub(crate) const NO_DEV: u64 = 0x4;
pub(crate) const NO_EXEC: u64 = 0x8;
const IDMAP: u64 = 0x10_0000;

/// Sets attributes on a mount, or with `recursive` on all under it.
pub(crate) fn mount_attributes(mount: BorrowedFd<'_>, set: u64, recursive: bool) -> io::Result<()> {
    set_mount(
        mount,
        recursive,
        &MountAttr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0 },
    )
}

/// Shows a detached mount's owners through the id map of a user namespace.
pub(crate) fn mount_id_map(mount: BorrowedFd<'_>, namespace: BorrowedFd<'_>) -> io::Result<()> {
    let userns_fd = u64::from(namespace.as_raw_fd().cast_unsigned());
    set_mount(mount, false, &MountAttr { attr_set: IDMAP, attr_clr: 0, propagation: 0, userns_fd })
}

fn set_mount(mount: BorrowedFd<'_>, recursive: bool, attributes: &MountAttr) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a C string, the struct has the size that is passed with it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attributes),
            std::mem::size_of::<MountAttr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Closes every descriptor from 3 on but these.
pub(crate) fn close_all_except(keep: &[RawFd]) {
    let mut keep: Vec<u32> = keep.iter().filter_map(|fd| u32::try_from(*fd).ok()).collect();
    keep.sort_unstable();
    let mut from: u32 = 3;
    for fd in keep {
        if fd > from {
            close_range(from, fd - 1, 0);
        }
        from = from.max(fd + 1);
    }
    close_range(from, u32::MAX, 0);
}

/// Marks every descriptor from `from` on as closed by exec.
pub(crate) fn close_on_exec_from(from: u32) {
    close_range(from, u32::MAX, 4);
}

fn close_range(first: u32, last: u32, flags: libc::c_int) {
    // SAFETY: those who call this own every descriptor of the process and use none of these again.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
}

/// Blocks SIGCHLD and gives a non-blocking descriptor that becomes readable with it.
pub(crate) fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: an all-zero sigset_t is valid storage for sigemptyset; the calls only write to it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        match libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// Every signal back to its default, none blocked: what a program expects at its start.
pub(crate) fn default_signals() {
    // SAFETY: SIG_DFL installs no code; numbers that the C library keeps for itself are refused.
    unsafe {
        for number in 1..=64 {
            libc::signal(number, libc::SIG_DFL);
        }
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// For the helper: terminal and service-manager signals are the server's business. SIGUSR2, sent
/// by the kernel when the server dies, gives the helper five more seconds to clean up.
pub(crate) fn helper_signals() {
    extern "C" fn last_seconds(_: libc::c_int) {
        // SAFETY: alarm is async-signal-safe.
        unsafe { libc::alarm(5) };
    }
    let handler: extern "C" fn(libc::c_int) = last_seconds;
    // SAFETY: the handler makes one async-signal-safe call.
    unsafe {
        for number in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGPIPE] {
            libc::signal(number, libc::SIG_IGN);
        }
        libc::signal(libc::SIGUSR2, handler as *const () as libc::sighandler_t);
        libc::signal(libc::SIGALRM, libc::SIG_DFL);
    }
}

/// A session keyring of its own, so that the worker cannot read the keys of whoever started the server.
pub(crate) fn new_session_keyring() {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: null asks for an anonymous keyring. Kernels without keyrings have nothing to leave.
    unsafe {
        libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>())
    };
}

/// Puts a descriptor at this number, where it survives exec. Whatever had the number is closed.
pub(crate) fn place(descriptor: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    // SAFETY: called right before exec, when nothing in this process uses the number any more.
    match unsafe { libc::dup2(descriptor.as_raw_fd(), number) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Whether this kernel filters system calls, and the filter is written for its architecture.
pub(crate) fn can_filter_calls() -> io::Result<()> {
    if super::filter::ARCHITECTURE.is_none() {
        return Err(io::Error::from_raw_os_error(libc::ENOSYS));
    }
    let action = libc::SECCOMP_RET_ERRNO;
    let ask = libc::SECCOMP_GET_ACTION_AVAIL;
    // SAFETY: the action outlives the call, which only reads it.
    match unsafe { libc::syscall(libc::SYS_seccomp, ask, 0, &raw const action) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The version of Landlock's interface.
pub(crate) fn landlock_abi() -> io::Result<u32> {
    const VERSION: u32 = 1;
    let nothing = std::ptr::null::<libc::c_void>();
    // SAFETY: asked for the version, the call takes no attributes and makes nothing.
    match unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0_usize, VERSION) } {
        -1 => Err(io::Error::last_os_error()),
        abi => u32::try_from(abi).map_err(io::Error::other),
    }
}

/// Filters the system calls of this process and all that come from it. Needs no_new_privs.
pub(crate) fn filter_calls(steps: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(steps.len()).map_err(io::Error::other)?,
        filter: steps.as_ptr().cast_mut(),
    };
    let set = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the program and its steps outlive the call, which copies them and writes nothing.
    match unsafe { libc::syscall(libc::SYS_seccomp, set, 0, &raw const program) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
