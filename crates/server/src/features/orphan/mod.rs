//! Orphans: attempts that were given up and may have left something at a broker. Removed there for as long as it
//! takes; visible, so that nobody has to wonder.

mod act;
mod list;

pub use act::Controller;
pub use list::list;
