//! What /proc says of a process and its descendants: memory, and whether anything happens.

use std::{
    fs,
    time::{Duration, Instant},
};

/// Nothing used the processor for this long: it has settled.
const QUIET: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

/// Children, and theirs.
#[must_use]
pub fn descendants(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|child| Some((child, stat(child)?.0)))
        .collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        next += 1;
    }
    found.split_off(1)
}

/// Resident memory in bytes, shared pages included.
#[must_use]
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Waits until the process and its descendants have done nothing for a second; false if that did not come.
#[must_use]
pub fn settles(pid: u32) -> bool {
    let begun = Instant::now();
    let mut last = (ticks(pid), Instant::now());
    while begun.elapsed() < PATIENCE {
        super::pause(Duration::from_millis(50));
        let now = ticks(pid);
        if now != last.0 {
            last = (now, Instant::now());
        } else if last.1.elapsed() >= QUIET {
            return true;
        }
    }
    false
}

/// Processor time of a process and its descendants, in clock ticks (10 ms).
fn ticks(pid: u32) -> u64 {
    let all = std::iter::once(pid).chain(descendants(pid));
    all.filter_map(|pid| Some(stat(pid)?.1)).sum()
}

/// Parent and processor time. The name in the second field may hold anything, so what counts begins after its `)`.
fn stat(pid: u32) -> Option<(u32, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let mut times = fields.skip(9);
    let (user, system): (u64, u64) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    Some((parent, user + system))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_grandchild_is_a_descendant_and_has_memory() {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "sleep 1000 & echo; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut byte = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut byte).unwrap();
        let found = descendants(std::process::id());
        assert!(found.contains(&child.id()), "{found:?}");
        let below = descendants(child.id());
        assert_eq!(below.len(), 1);
        assert!(resident_bytes(child.id()).unwrap() > 100_000);
        for pid in below {
            super::super::interrupted::end(pid, rustix::process::Signal::KILL);
        }
        child.wait().unwrap();
    }
}
