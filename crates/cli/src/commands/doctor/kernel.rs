//! What the kernel says it allows. Whether that is enough is found by trying (`sandbox.rs`).

use dispatch_runtime::probe::kernel::{self, Group, Hindered, Sysctl};

use super::check::Check;

pub fn checks(is_root: bool) -> Vec<Check> {
    let mut checks = vec![release()];
    checks.extend(kernel::sysctls().into_iter().map(|switch| sysctl(&switch, is_root)));
    checks.extend(kernel::cgroups().iter().map(cgroup));
    checks.push(match kernel::seccomp() {
        Ok(()) => Check::ok("kernel.seccomp", "filters system calls"),
        Err(error) => Check::missing(
            "kernel.seccomp",
            error.to_string(),
            "boot a kernel with CONFIG_SECCOMP_FILTER: without it sockets of every family can be made",
        ),
    });
    checks.push(match kernel::landlock_abi() {
        Ok(abi) => Check::ok("kernel.landlock", format!("ABI {abi}")),
        Err(error) => Check::off(
            "kernel.landlock",
            error.to_string(),
            "nothing to do: no sandbox uses it in this version",
        ),
    });
    checks.push(if kernel::has_overlayfs() {
        Check::ok("kernel.overlayfs", "known")
    } else {
        Check::off("kernel.overlayfs", "not loaded", "nothing to do: layers are bind mounts")
    });
    checks.push(match kernel::hidepid() {
        None => Check::ok("kernel.proc", "/proc shows every process"),
        Some(value) => Check::off(
            "kernel.proc",
            format!("/proc is mounted with hidepid={value}"),
            "let the server's user see its workers: mount -o remount,hidepid=0 /proc (or gid= a group of that user)",
        ),
    });
    checks
}

fn release() -> Check {
    let (release, is_new) = kernel::release();
    let (major, minor) = kernel::OLDEST;
    if is_new {
        return Check::ok("kernel.release", format!("Linux {release}"));
    }
    let remedy = format!("boot Linux {major}.{minor} or newer");
    Check::wrong("kernel.release", format!("Linux {release}"), remedy).deciding()
}

fn sysctl(switch: &Sysctl, is_root: bool) -> Check {
    let name = format!("sysctl.{}", switch.name);
    let who = match switch.hinders {
        Hindered::Nobody => return Check::ok(&name, &switch.value),
        Hindered::OrdinaryUsers if is_root => "ordinary users make no sandboxes",
        Hindered::OrdinaryUsers => "this user makes no sandboxes",
        Hindered::Everybody => "nobody makes sandboxes",
    };
    let remedy = format!("sysctl -w {}={}", switch.name, switch.better);
    let remedy = match switch.hinders {
        Hindered::OrdinaryUsers => format!("{remedy}, or start the server as root"),
        _ => remedy,
    };
    Check::off(&name, format!("{}: {who}", switch.value), remedy)
}

fn cgroup(group: &Group) -> Check {
    let name = format!("cgroup.{}", group.controller);
    let place = match &group.place {
        Ok(place) => place,
        Err(why) => {
            let remedy = format!("mount cgroups with {}, or boot with them", group.controller);
            return Check::missing(&name, why, remedy);
        }
    };
    let detail = format!("{} in {}", place.version, place.directory.display());
    if place.is_writable {
        return Check::ok(&name, detail);
    }
    Check::off(
        &name,
        format!("{detail}, which this user may not write"),
        "start the server as root, or in a unit of systemd with Delegate=yes",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_in_the_way_names_who_is_kept_out_and_the_command_that_helps() {
        let check = |hinders, is_root, detail: &str, remedy: Option<&str>| {
            let switch = Sysctl {
                name: "kernel.unprivileged_userns_clone",
                value: "0".to_owned(),
                hinders,
                better: "1",
            };
            let check = sysctl(&switch, is_root);
            assert_eq!((check.detail.as_str(), check.remedy.as_deref()), (detail, remedy));
        };
        let command = "sysctl -w kernel.unprivileged_userns_clone=1";
        let or_root = format!("{command}, or start the server as root");
        check(Hindered::Nobody, false, "0", None);
        check(Hindered::OrdinaryUsers, false, "0: this user makes no sandboxes", Some(&or_root));
        check(Hindered::OrdinaryUsers, true, "0: ordinary users make no sandboxes", Some(&or_root));
        check(Hindered::Everybody, true, "0: nobody makes sandboxes", Some(command));
    }
}
