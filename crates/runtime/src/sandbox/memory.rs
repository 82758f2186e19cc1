//! Memory of all processes of this sandbox, where no cgroup counts it (decision 37).
//!
//! Resident pages first, which are cheap to read and never less than the share that counts; the
//! proportional share only when those are over. Files of /tmp count too. Memory that no process has
//! mapped (a System V segment, a memfd) is not seen: a cgroup would.

use std::path::Path;

/// Whether the sandbox uses more than this. Runs in its first process, which sees all of /proc.
pub(super) fn is_over(limit_bytes: u64) -> bool {
    let files = tmp_bytes();
    let sum = |of: fn(&Path) -> Option<u64>| -> u64 {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbered = processes
            .filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
        numbered.filter_map(|entry| of(&entry.path())).sum()
    };
    files + sum(resident) > limit_bytes && files + sum(proportional) > limit_bytes
}

fn resident(process: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(process.join("statm")).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).unwrap_or(4096))
}

fn proportional(process: &Path) -> Option<u64> {
    crate::spawn::pss_bytes(&process.join("smaps_rollup"))
}

fn tmp_bytes() -> u64 {
    rustix::fs::statvfs("/tmp").map_or(0, |stat| (stat.f_blocks - stat.f_bfree) * stat.f_frsize)
}
