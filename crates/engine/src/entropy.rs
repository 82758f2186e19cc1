//! Randomness as an argument, so that tests own ids and jitter.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use uuid::{Builder, Uuid};

/// Where ids and jitter come from.
pub trait Entropy: Send + Sync + std::fmt::Debug {
    fn bytes(&self) -> [u8; 16];

    /// A fresh UUIDv4.
    fn uuid(&self) -> Uuid {
        Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// A fresh UUIDv7: byte order is time order (decision 5).
    fn uuid_at(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let [a, b, c, d, e, f, g, h, i, j, ..] = self.bytes();
        Builder::from_unix_timestamp_millis(millis, &[a, b, c, d, e, f, g, h, i, j]).into_uuid()
    }

    /// A number for jitter.
    fn number(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is where the ambient source is wrapped")]
    fn bytes(&self) -> [u8; 16] {
        let (a, b) = (Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes());
        // The six fixed bits of a UUIDv4 are random ones of the second.
        let mut mixed = a;
        for (byte, other) in mixed.iter_mut().zip(b.iter().rev()) {
            *byte ^= other;
        }
        mixed
    }
}

/// The same numbers for the same seed. For tests.
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// One step of SplitMix64 (Steele, Lea and Flood, 2014).
    fn next(&self) -> u64 {
        let state = self
            .0
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
            .wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn bytes(&self) -> [u8; 16] {
        let mut out = [0; 16];
        let (low, high) = out.split_at_mut(8);
        low.copy_from_slice(&self.next().to_le_bytes());
        high.copy_from_slice(&self.next().to_le_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_made_later_sort_later_and_seeds_repeat() {
        let (a, b) = (SeededEntropy::new(1), SeededEntropy::new(1));
        assert_eq!(a.uuid(), b.uuid());
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        assert!(a.uuid_at(at(1_000)) < a.uuid_at(at(1_001)));
        assert_ne!(SystemEntropy.uuid(), SystemEntropy.uuid());
    }
}
