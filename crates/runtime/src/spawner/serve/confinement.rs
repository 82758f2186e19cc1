//! What this helper's workers are held by, in words for people.

use std::io;

use crate::probe::kernel;
use crate::sandbox::cgroup::{Cgroups, Controller, Version};
use crate::spawn::{Confinement, Layer, LayerState};

/// Kernels from 5.14 on count RLIMIT_NPROC per user namespace.
pub(super) fn counts_per_namespace() -> bool {
    let name = rustix::system::uname();
    let version = kernel::version(&name.release().to_string_lossy());
    version.is_some_and(|version| version >= (5, 14))
}

pub(super) fn report(
    cgroups: &Cgroups,
    root: bool,
    limit_processes: bool,
    filter: &io::Result<()>,
) -> Confinement {
    let on = |how: &str| LayerState::On(how.to_owned());
    let identity = if root {
        on("a host uid of its own")
    } else {
        LayerState::Partial("the server's own uid, in a user namespace".to_owned())
    };
    let processes = match by_cgroup(cgroups, Controller::Pids) {
        Ok(state) => state,
        Err(_) if limit_processes => on("rlimit"),
        Err(why) => LayerState::Off(format!("{why}, and the kernel is older than 5.14")),
    };
    let watched = match filter {
        Ok(()) => "watched, but not shared memory that is no longer mapped",
        Err(_) => {
            "watched, but not shared memory that is no longer mapped or only in flight between sockets"
        }
    };
    let seccomp = match filter {
        Ok(()) => LayerState::Partial("socket families only".to_owned()),
        Err(error) => LayerState::Off(error.to_string()),
    };
    let memory = by_cgroup(cgroups, Controller::Memory)
        .unwrap_or_else(|why| LayerState::Partial(format!("{watched} ({why})")));
    let cpu =
        by_cgroup(cgroups, Controller::Cpu).unwrap_or_else(|why| LayerState::Off(why.to_owned()));
    Confinement {
        layers: vec![
            (Layer::Namespaces, on("user, mount, pid, ipc, uts, net")),
            (Layer::FileSystem, on("own root, read-only base, all of /usr")),
            (Layer::Network, on("own loopback")),
            (Layer::Identity, identity),
            (Layer::Capabilities, on("none, no_new_privs")),
            (Layer::Memory, memory),
            (Layer::Processes, processes),
            (Layer::Cpu, cpu),
            (Layer::Seccomp, seccomp),
            (Layer::Landlock, LayerState::Off("not in this version".to_owned())),
        ],
    }
}

fn by_cgroup(cgroups: &Cgroups, controller: Controller) -> Result<LayerState, &str> {
    cgroups.state(controller).map(|version| match version {
        Version::V1 => LayerState::On("cgroup v1".to_owned()),
        Version::V2 => LayerState::On("cgroup v2".to_owned()),
    })
}
