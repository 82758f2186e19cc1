//! Refusing in good time what would fill the disk.
//!
//! A write that fails half-way leaves a log as long as the disk was free, and copying the log into the
//! database needs space once more. So what adds data is refused while some space is left, and that rest
//! is for finishing what was begun, and for deleting.

use std::path::Path;

use crate::queue::Work;

/// For each piece of work, in order, whether there is room for it. Work that adds nothing always fits.
/// `reusable_bytes` are those of the database file that hold nothing any more.
pub(super) fn fits(
    database: &Path,
    reserve_bytes: u64,
    reusable_bytes: u64,
    works: &[&Work],
) -> Vec<bool> {
    let sizes: Vec<u64> = works.iter().map(|work| work.bytes() as u64).collect();
    let directory = database.parent().filter(|path| *path != Path::new(""));
    let free = rustix::fs::statvfs(directory.unwrap_or(Path::new(".")));
    // A file system that cannot say how full it is says so when a write fails.
    let free = free.map_or(u64::MAX, |fs| fs.f_bavail.saturating_mul(fs.f_frsize));
    if reserve_bytes == 0 {
        vec![true; sizes.len()]
    } else {
        share(free, reserve_bytes, reusable_bytes, &sizes)
    }
}

fn share(free: u64, reserve: u64, reusable: u64, sizes: &[u64]) -> Vec<bool> {
    // What was deleted left room inside the database. The log has none there: it may take half of what is free.
    let mut left = free.saturating_sub(reserve).saturating_add(reusable);
    let for_the_log = if reusable == 0 { u64::MAX } else { free / 2 };
    let fits = |size: &u64| {
        // Once in the log and once in the database.
        let need = size.saturating_mul(2);
        let fits = need <= left && *size <= for_the_log;
        left -= if fits { need } else { 0 };
        fits
    };
    sizes.iter().map(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_adds_data_must_fit_twice_beside_the_reserve() {
        let check = |free, sizes: &[u64], expect: &[bool]| {
            assert_eq!(share(free, 100, 0, sizes), expect, "{free} {sizes:?}");
        };
        check(120, &[10], &[true]);
        check(119, &[10], &[false]);
        check(120, &[11, 10, 1], &[false, true, false]);
        check(122, &[10, 0, 1, 1], &[true, true, true, false]);
        check(100, &[1, 0], &[false, true]);
        check(0, &[0, u64::MAX], &[true, false]);
        check(u64::MAX, &[1 << 40], &[true]);
    }

    #[test]
    fn room_inside_the_database_is_used_again_as_far_as_the_log_has_room() {
        let check = |free, reusable, size: u64, expect: bool| {
            assert_eq!(share(free, 100, reusable, &[size]), [expect], "{free} {reusable} {size}");
        };
        check(90, 0, 10, false);
        check(90, 20, 10, true);
        check(90, 19, 10, false);
        check(90, 1_000, 45, true);
        check(90, 1_000, 46, false);
    }
}
