//! Records of blocking runs on their way to the disk: bounded, the oldest goes first (decision 4).

use std::collections::VecDeque;

use crate::RunRecord;

#[derive(Debug, Default)]
pub(crate) struct RunBuffer {
    records: VecDeque<RunRecord>,
    bytes: usize,
}

impl RunBuffer {
    pub(crate) const RECORDS_MAX: usize = 10_000;
    pub(crate) const BYTES_MAX: usize = 64 << 20;

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Returns how many were dropped for it, itself perhaps.
    pub(crate) fn push(&mut self, record: RunRecord) -> u64 {
        self.bytes += record.body.len();
        self.records.push_back(record);
        self.drop_oldest()
    }

    /// The oldest `count`.
    pub(crate) fn take(&mut self, count: usize) -> Vec<RunRecord> {
        let taken: Vec<_> = self.records.drain(..count.min(self.records.len())).collect();
        self.bytes -= taken.iter().map(|record| record.body.len()).sum::<usize>();
        taken
    }

    /// Gives back what was taken last. Returns how many were dropped, because others came meanwhile.
    pub(crate) fn give_back(&mut self, records: Vec<RunRecord>) -> u64 {
        for record in records.into_iter().rev() {
            self.bytes += record.body.len();
            self.records.push_front(record);
        }
        self.drop_oldest()
    }

    fn drop_oldest(&mut self) -> u64 {
        let mut dropped = 0;
        while self.records.len() > Self::RECORDS_MAX || self.bytes > Self::BYTES_MAX {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= oldest.body.len();
            dropped += 1;
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::RunState;

    fn record(number: usize, bytes: usize) -> RunRecord {
        RunRecord {
            id: Uuid::from_u128(number as u128),
            organization: Uuid::nil().into(),
            function: Uuid::nil(),
            state: RunState::Done,
            created: Timestamp::UNIX_EPOCH,
            finished: None,
            body: "x".repeat(bytes),
        }
    }

    fn numbers(records: &[RunRecord]) -> Vec<u128> {
        records.iter().map(|record| record.id.as_u128()).collect()
    }

    #[test]
    fn the_oldest_record_is_dropped_when_there_are_too_many() {
        let mut buffer = RunBuffer::default();
        for number in 0..RunBuffer::RECORDS_MAX {
            assert_eq!(buffer.push(record(number, 1)), 0);
        }
        assert_eq!(buffer.push(record(RunBuffer::RECORDS_MAX, 1)), 1);
        assert_eq!(numbers(&buffer.take(2)), [1, 2]);
    }

    #[test]
    fn the_oldest_records_are_dropped_when_they_are_too_big() {
        let mut buffer = RunBuffer::default();
        let half = RunBuffer::BYTES_MAX / 2;
        assert_eq!(buffer.push(record(0, half)), 0);
        assert_eq!(buffer.push(record(1, half)), 0);
        assert_eq!(buffer.push(record(2, 1)), 1);
        assert_eq!(buffer.push(record(3, RunBuffer::BYTES_MAX)), 2);
        assert_eq!(buffer.push(record(4, RunBuffer::BYTES_MAX + 1)), 2, "not even room for itself");
        assert!(buffer.is_empty());
        assert_eq!(buffer.push(record(5, RunBuffer::BYTES_MAX)), 0, "the bytes were counted right");
    }

    #[test]
    fn what_is_given_back_keeps_its_place() {
        let mut buffer = RunBuffer::default();
        for number in 0..5 {
            buffer.push(record(number, 1));
        }
        let taken = buffer.take(3);
        buffer.push(record(5, 1));
        assert_eq!(buffer.give_back(taken), 0);
        assert_eq!(numbers(&buffer.take(9)), [0, 1, 2, 3, 4, 5]);
        assert!(buffer.is_empty());
    }

    #[test]
    fn giving_back_to_a_full_buffer_drops_the_oldest() {
        let mut buffer = RunBuffer::default();
        buffer.push(record(0, 1));
        buffer.push(record(1, 1));
        let taken = buffer.take(2);
        for number in 2..=RunBuffer::RECORDS_MAX {
            buffer.push(record(number, 1));
        }
        assert_eq!(buffer.give_back(taken), 1);
        assert_eq!(numbers(&buffer.take(1)), [1]);
    }
}
