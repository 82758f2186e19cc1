//! The settings that a server of this user would have, and where it would keep its data. Nothing is made there.

use std::path::Path;

use dispatch_server::preflight;

use super::check::Check;
use crate::{
    commands::server::{run_as, settings::Read},
    error::CliError,
};

/// With less than that nothing is stored any more.
const MIB_MIN: u64 = 64;
/// With less than that images with packages may not fit.
const MIB_FEW: u64 = 1024;

pub fn checks(read: &Result<Read, CliError>, is_root: bool) -> Vec<Check> {
    let wrong = |error: &CliError| {
        let faults = error.text().trim_end().replace('\n', "; ");
        let remedy = "mend that; dispatch server check-config says the same";
        vec![Check::wrong("settings", faults, remedy).deciding()]
    };
    let read = match read {
        Ok(read) => read,
        Err(error) => return wrong(error),
    };
    let settings = &read.resolved.settings;
    let user = match run_as(&settings.user, is_root) {
        Ok(user) => user,
        Err(error) => return wrong(&error),
    };
    let place = match &read.file {
        Some(file) => format!("{} is good", file.display()),
        None => "there is no server.toml: defaults".to_owned(),
    };
    let mut checks = vec![Check::ok("settings", place)];
    let obstacles = preflight::obstacles(settings, user.as_ref());
    for obstacle in &obstacles {
        let name = format!("settings.{}", obstacle.key);
        checks.push(Check::wrong(&name, &obstacle.why, &obstacle.remedy).deciding());
    }
    checks.push(disk(&settings.data));
    checks
}

/// On the file system where the data is or would be.
fn disk(data: &Path) -> Check {
    const NAME: &str = "disk";
    let there = data.ancestors().find(|part| part.exists()).unwrap_or(Path::new("/"));
    let free = match rustix::fs::statvfs(there) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize) >> 20,
        Err(errno) => return Check::wrong(NAME, errno.to_string(), "look at that file system"),
    };
    of_disk(NAME, free, data)
}

fn of_disk(name: &str, free_mib: u64, data: &Path) -> Check {
    let detail = format!("{free_mib} MiB free for {}", data.display());
    let remedy = "make room there, or keep the data elsewhere: dispatch server --data DIR";
    match free_mib {
        0..MIB_MIN => Check::wrong(name, detail, remedy).deciding(),
        MIB_MIN..MIB_FEW => Check::off(name, detail, remedy),
        _ => Check::ok(name, detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_decides_and_a_small_one_is_told() {
        let check = |free, mark: &str, decides| {
            let check = of_disk("disk", free, Path::new("/d"));
            assert_eq!((check.cells()[0].trim(), check.decides), (mark, decides), "{free}");
        };
        check(63, "wrong", true);
        check(64, "off", false);
        check(1023, "off", false);
        check(1024, "ok", false);
    }
}
