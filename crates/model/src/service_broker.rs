//! A service broker (in work).
#[derive(Debug)]
pub enum ServiceBroker {}
