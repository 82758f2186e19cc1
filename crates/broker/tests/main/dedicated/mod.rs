//! Servers of one's own: a PostgreSQL cluster for each instance, made by a broker on this machine.

mod adoption;
mod crash;
mod lifecycle;
mod place;
mod ports;
mod refusals;
mod removal;
mod storage;

pub(crate) use place::settings;
