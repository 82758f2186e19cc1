//! The PostgreSQL broker over HTTP, against a real PostgreSQL.

mod attacks;
mod concurrency;
mod crash;
mod dedicated;
mod lifecycle;
mod limits;
mod process;
mod readiness;
mod refusals;
mod secrecy;
mod sessions;
mod sharing;
mod support;
mod update;
