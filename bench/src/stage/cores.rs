//! Which core does what (decision 45): client on one, server and worker on the other; or no rule at all.

use std::io;

use rustix::{
    process::Pid,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

/// How processes are spread over the cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Pinned,
    Unpinned,
}

impl Mode {
    pub const BOTH: [Self; 2] = [Self::Pinned, Self::Unpinned];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Unpinned => "unpinned",
        }
    }
}

/// Who a core is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// The cores that this process may use.
#[derive(Debug)]
pub struct Cores {
    all: CpuSet,
    client: CpuSet,
    server: CpuSet,
    count: usize,
}

impl Cores {
    /// Takes the first allowed core for the client and the second for the server.
    pub fn find() -> io::Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
        let first = allowed.next().unwrap_or(0);
        let second = allowed.next().unwrap_or(first);
        let only = |core| {
            let mut set = CpuSet::new();
            set.set(core);
            set
        };
        let count = usize::try_from(all.count()).unwrap_or(1);
        Ok(Self { all, client: only(first), server: only(second), count })
    }

    /// How many there are. With one, pinning separates nothing.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    fn of(&self, mode: Mode, side: Side) -> &CpuSet {
        match (mode, side) {
            (Mode::Unpinned, _) => &self.all,
            (Mode::Pinned, Side::Client) => &self.client,
            (Mode::Pinned, Side::Server) => &self.server,
        }
    }

    /// Moves this thread. Threads and processes that it starts from now on inherit the place.
    pub fn take(&self, mode: Mode, side: Side) -> io::Result<()> {
        Ok(sched_setaffinity(None, self.of(mode, side))?)
    }

    /// Lets this thread go everywhere again.
    pub fn free(&self) -> io::Result<()> {
        self.take(Mode::Unpinned, Side::Client)
    }

    /// Moves a process with one thread, such as the spawn helper; its children inherit the place.
    pub fn place(&self, pid: u32, mode: Mode, side: Side) -> io::Result<()> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(sched_setaffinity(Some(pid), self.of(mode, side))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_of_a_pinned_thread_are_where_it_is() {
        let cores = Cores::find().unwrap();
        let allowed = || {
            let out = std::process::Command::new("/bin/grep")
                .args(["Cpus_allowed_list", "/proc/self/status"])
                .output()
                .unwrap();
            String::from_utf8(out.stdout).unwrap()
        };
        let everywhere = allowed();
        cores.take(Mode::Pinned, Side::Server).unwrap();
        let one = allowed();
        cores.take(Mode::Unpinned, Side::Server).unwrap();
        assert_eq!(allowed(), everywhere);
        if cores.count() > 1 {
            assert_ne!(one, everywhere);
        }
    }
}
