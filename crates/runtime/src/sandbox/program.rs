//! The last steps of the worker's own process: descriptors, limits, no capability left, exec.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::Mode;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, setsid, umask};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits,
    set_no_new_privs,
};

use super::step::{Step, StepError};
use super::{Plan, filter, sys};
use crate::spawn::WorkerSpec;

/// The running program, and the server's ends of its descriptors.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) pid: i32,
    pub(super) channel: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// What a program gets that was given no other.
const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/tmp"), ("LANG", "C.UTF-8")];

/// Starts `argv` and returns once it really runs, or with what stopped it.
pub(super) fn start(plan: &Plan) -> Result<Started, StepError> {
    let flags = SocketFlags::CLOEXEC;
    let (channel, inner_channel) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .step("make the channel")?;
    let (stdout, inner_stdout) = pipe_with(PipeFlags::CLOEXEC).step("make a pipe")?;
    let (stderr, inner_stderr) = pipe_with(PipeFlags::CLOEXEC).step("make a pipe")?;
    for end in [&channel, &stdout, &stderr] {
        rustix::io::ioctl_fionbio(end, true).step("make a descriptor non-blocking")?;
    }
    let (verdict, low) = pipe_with(PipeFlags::CLOEXEC).step("make a pipe")?;
    // Away from the numbers that the program's own descriptors will take.
    let inner_verdict = fcntl_dupfd_cloexec(&low, 10).step("move a descriptor")?;
    drop(low);
    let program = Program::new(&plan.spec)?;
    match sys::fork().step("fork")? {
        None => {
            let inner =
                Inner { channel: inner_channel, stdout: inner_stdout, stderr: inner_stderr };
            let error = become_program(plan, &program, &inner);
            let text = format!("{}\n{}", error.errno, error.step);
            let _ = rustix::io::write(&inner_verdict, text.as_bytes());
            sys::exit_now(73)
        }
        Some(pid) => {
            drop((inner_channel, inner_stdout, inner_stderr, inner_verdict));
            heard(&verdict)?;
            Ok(Started { pid, channel, stdout, stderr })
        }
    }
}

struct Inner {
    channel: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// Silence means that exec has closed the pipe: the program runs.
fn heard(verdict: &OwnedFd) -> Result<(), StepError> {
    let mut bytes = [0u8; 1024];
    let count = rustix::io::retry_on_intr(|| rustix::io::read(verdict, &mut bytes))
        .step("hear of the program")?;
    let text = String::from_utf8_lossy(bytes.get(..count).unwrap_or_default()).into_owned();
    match text.split_once('\n') {
        Some((errno, step)) => {
            Err(StepError { step: step.to_owned(), errno: errno.parse().unwrap_or(libc::EIO) })
        }
        None => Ok(()),
    }
}

struct Program {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Program {
    fn new(spec: &WorkerSpec) -> Result<Self, StepError> {
        let text = |text: String| {
            CString::new(text).map_err(std::io::Error::from).step("pass an argument with a NUL")
        };
        let arguments: Vec<CString> =
            spec.argv.iter().cloned().map(text).collect::<Result<_, _>>()?;
        let path = arguments.first().cloned().ok_or_else(|| StepError {
            step: "start an empty command".to_owned(),
            errno: libc::EINVAL,
        })?;
        let given = |name: &str| spec.environment.iter().any(|(known, _)| known == name);
        let defaults = ENVIRONMENT.iter().filter(|(name, _)| !given(name));
        let environment = defaults
            .map(|(name, value)| format!("{name}={value}"))
            .chain(spec.environment.iter().map(|(name, value)| format!("{name}={value}")))
            .map(text)
            .collect::<Result<_, _>>()?;
        Ok(Self { path, arguments, environment })
    }
}

/// Never returns but with an error.
fn become_program(plan: &Plan, program: &Program, inner: &Inner) -> StepError {
    match prepare(plan, inner) {
        Ok(()) => {
            let error = sys::execute(&program.path, &program.arguments, &program.environment);
            StepError::new(format!("execute {}", program.path.to_string_lossy()), &error)
        }
        Err(error) => error,
    }
}

fn prepare(plan: &Plan, inner: &Inner) -> Result<(), StepError> {
    setsid().step("start a session")?;
    place(inner)?;
    limits(plan)?;
    umask(Mode::from_raw_mode(plan.spec.umask & 0o777));
    no_capabilities()?;
    set_no_new_privs(true).step("set no_new_privs")?;
    sys::default_signals();
    match filter::program(!plan.watch_memory).filter(|_| plan.filter) {
        Some(steps) => sys::filter_calls(&steps).step("filter system calls"),
        None => Ok(()),
    }
}

/// 0 is /dev/null already; 1, 2 and 3 as promised; all else closes at exec.
fn place(inner: &Inner) -> Result<(), StepError> {
    // Out of the way first: any of them may itself have the number 3.
    let away = |fd: &OwnedFd| fcntl_dupfd_cloexec(fd, 10).step("move a descriptor");
    let (channel, stdout, stderr) =
        (away(&inner.channel)?, away(&inner.stdout)?, away(&inner.stderr)?);
    for (descriptor, number) in [(&stdout, 1), (&stderr, 2), (&channel, 3)] {
        sys::place(descriptor.as_fd(), number).step_on("place descriptor", &number)?;
    }
    sys::close_on_exec_from(4);
    Ok(())
}

fn limits(plan: &Plan) -> Result<(), StepError> {
    let limits = &plan.spec.limits;
    let set = |resource: Resource, value: u64, name: &str| {
        let allowed = getrlimit(resource).maximum.map_or(value, |maximum| value.min(maximum));
        setrlimit(resource, Rlimit { current: Some(allowed), maximum: Some(allowed) })
            .step_on("limit", &name)
    };
    set(Resource::Core, 0, "core files")?;
    set(Resource::Nofile, u64::from(limits.descriptors), "descriptors")?;
    set(Resource::Memlock, 64 << 10, "locked memory")?;
    set(Resource::Msgqueue, 0, "message queues")?;
    set(Resource::Nice, 0, "priority")?;
    set(Resource::Rtprio, 0, "real-time priority")?;
    set(Resource::Sigpending, 1024, "pending signals")?;
    if plan.limit_processes {
        // The sandbox's first process has the same uid.
        set(Resource::Nproc, u64::from(limits.processes) + 1, "processes")?;
    }
    if plan.watch_memory {
        set(Resource::Data, limits.memory_bytes, "memory")?;
    }
    Ok(())
}

fn no_capabilities() -> Result<(), StepError> {
    let bits = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    set_capabilities_secure_bits(bits).step("lock the secure bits")?;
    for capability in CapabilitySet::all().iter() {
        match remove_capability_from_bounding_set(capability) {
            // One that this kernel does not know.
            Err(rustix::io::Errno::INVAL) => {}
            other => other.step("empty the bounding set")?,
        }
    }
    clear_ambient_capability_set().step("clear ambient capabilities")?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .step("give up capabilities")
}
