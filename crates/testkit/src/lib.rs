//! What holds for the whole house and belongs to no single crate: see `tests/house.rs`. Development only.
