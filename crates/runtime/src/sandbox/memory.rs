//! Memory of all processes of this sandbox, where no cgroup counts it (decision 37).
//!
//! Resident pages first, which are cheap to read and never less than what counts; the proportional
//! shares only when those are over. What lies in files of /tmp, in memory files and in System V
//! segments counts whether or not a process has it mapped.
//!
//! Not counted: pages of a shared mapping without a file (`MAP_SHARED | MAP_ANONYMOUS`) that a
//! process has unmapped or given back by `MADV_DONTNEED` while another part of the mapping stays.
//! The kernel keeps them and tells nobody without privilege. The confinement report says so.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Whether the sandbox uses more than this. Runs in its first process, which sees all of /proc.
pub(super) fn is_over(limit_bytes: u64) -> bool {
    let processes = processes();
    let kept = tmp_bytes() + memory_file_bytes(&processes) + segment_bytes();
    let resident: u64 = processes.iter().filter_map(|process| resident(process)).sum();
    if kept + resident <= limit_bytes {
        return false;
    }
    let (mut private, mut shared) = (0, 0);
    for process in &processes {
        let text = fs::read_to_string(process.join("smaps_rollup")).unwrap_or_default();
        private += figure(&text, "Pss_Anon:") + figure(&text, "Pss_File:");
        shared += figure(&text, "Pss_Shmem:");
    }
    // What is kept may also be mapped; it is not counted twice.
    private + shared.max(kept) > limit_bytes
}

fn processes() -> Vec<PathBuf> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbered = |name: &std::ffi::OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    entries.filter(|entry| numbered(&entry.file_name())).map(|entry| entry.path()).collect()
}

fn resident(process: &Path) -> Option<u64> {
    let text = fs::read_to_string(process.join("statm")).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).unwrap_or(4096))
}

/// A line of smaps_rollup, in bytes.
fn figure(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) << 10
}

fn tmp_bytes() -> u64 {
    rustix::fs::statvfs("/tmp").map_or(0, |stat| (stat.f_blocks - stat.f_bfree) * stat.f_frsize)
}

/// Files of memfd_create, each once.
fn memory_file_bytes(processes: &[PathBuf]) -> u64 {
    let mut files = BTreeMap::new();
    for process in processes {
        for entry in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
            let is_memory =
                |target: PathBuf| target.as_os_str().as_encoded_bytes().starts_with(b"/memfd:");
            if fs::read_link(entry.path()).is_ok_and(is_memory)
                && let Ok(meta) = fs::metadata(entry.path())
            {
                files.insert(meta.ino(), meta.blocks() * 512);
            }
        }
    }
    files.values().sum()
}

/// System V segments: the column `rss` of their table.
fn segment_bytes() -> u64 {
    let table = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    let rows = table.lines().skip(1);
    rows.filter_map(|row| row.split_whitespace().nth(14)?.parse::<u64>().ok()).sum()
}
