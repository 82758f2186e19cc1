//! How large the one executable is.

use std::fs;

use super::Found;
use crate::{
    report::Spread,
    stage::{Stage, Trouble},
};

pub fn run(stage: &Stage, found: &mut Vec<Found>) -> Result<(), Trouble> {
    let file = fs::metadata(&stage.dispatch).map_err(Trouble::io("look at the executable"))?;
    let megabytes = f64::from(u32::try_from(file.len() / 1_000).unwrap_or(u32::MAX)) / 1_000.0;
    found.extend(Spread::worst(&[megabytes]).map(|spread| ("executable", spread)));
    Ok(())
}
