//! Host uids for workers (decision 30): one each, never 0, never one that another organization had.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::UidRange;

#[derive(Debug)]
pub(super) struct Uids {
    range: UidRange,
    /// Where to look first: spreads servers that share a range.
    offset: u32,
    owners: BTreeMap<u32, Uuid>,
    live: BTreeSet<u32>,
}

impl Uids {
    /// `map` is the text of /proc/self/uid_map: in a container not every uid exists.
    pub(super) fn new(range: UidRange, instance: Uuid, map: &str) -> Self {
        let range = if is_mapped(range, map) { range } else { highest(map, range.count) };
        let seed = u32::try_from(instance.as_u128() & 0xffff_ffff).unwrap_or(0);
        let offset = seed.checked_rem(range.count).unwrap_or(0);
        Self { range, offset, owners: BTreeMap::new(), live: BTreeSet::new() }
    }

    /// A container whose root is all that exists has none to give.
    pub(super) fn is_empty(&self) -> bool {
        self.range.count == 0
    }

    /// A free uid of this organization, else one that nobody had; `None` when there is none.
    pub(super) fn take(&mut self, organization: Uuid) -> Option<u32> {
        let known = self
            .owners
            .iter()
            .find(|(uid, owner)| **owner == organization && !self.live.contains(uid))
            .map(|(uid, _)| *uid);
        let uid = known.or_else(|| {
            (0..self.range.count)
                .map(|n| self.range.first + (n + self.offset) % self.range.count)
                .find(|uid| *uid != 0 && !self.owners.contains_key(uid))
        })?;
        self.owners.insert(uid, organization);
        self.live.insert(uid);
        Some(uid)
    }

    pub(super) fn give_back(&mut self, uid: u32) {
        self.live.remove(&uid);
    }
}

/// Lines of `inside outside count`.
fn extents(map: &str) -> impl Iterator<Item = (u32, u32)> {
    map.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(inside)), Some(Ok(_)), Some(Ok(count))) => Some((inside, count)),
            _ => None,
        }
    })
}

fn is_mapped(range: UidRange, map: &str) -> bool {
    extents(map).any(|(first, count)| {
        range.first >= first
            && range.first - first <= count
            && range.count <= count - (range.first - first)
    })
}

/// The top of the largest extent, at most half of it.
fn highest(map: &str, count: u32) -> UidRange {
    let (first, size) = extents(map).max_by_key(|(_, size)| *size).unwrap_or((0, 0));
    let count = count.min(size / 2);
    UidRange { first: first + (size - count), count }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "         0          0 4294967295\n";
    const ONE: Uuid = Uuid::from_u128(1);
    const TWO: Uuid = Uuid::from_u128(2);

    #[test]
    fn no_uid_is_ever_given_to_a_second_organization() {
        let range = UidRange { first: 1000, count: 2 };
        let mut uids = Uids::new(range, Uuid::nil(), HOST);
        let first = uids.take(ONE).unwrap();
        uids.give_back(first);
        let second = uids.take(TWO).unwrap();
        assert_ne!(first, second);
        uids.give_back(second);
        assert_eq!(uids.take(Uuid::from_u128(3)), None, "both had an owner");
        assert_eq!(uids.take(ONE), Some(first));
        assert_eq!(uids.take(ONE), None, "in use");
    }

    #[test]
    fn the_range_fits_what_the_machine_has() {
        let check = |map: &str, expect: UidRange| {
            assert_eq!(Uids::new(UidRange::default(), Uuid::nil(), map).range, expect, "{map}");
        };
        check(HOST, UidRange::default());
        check("0 100000 65536\n", UidRange { first: 32768, count: 32768 });
        check("", UidRange { first: 0, count: 0 });
        let root_only = Uids::new(UidRange::default(), Uuid::nil(), "0 1000 1").take(ONE);
        assert_eq!(root_only, None, "never 0");
    }
}
