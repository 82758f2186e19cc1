//! A service binding (in work).
#[derive(Debug)]
pub enum ServiceBinding {}
