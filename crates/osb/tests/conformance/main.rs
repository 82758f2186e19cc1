//! Client, toolkit and fake broker against each other, over real connections on the loopback.

#![cfg(test)]

mod azure;
mod common;
mod lifecycle;
mod limits;
mod loss;
mod policy;
mod tls;
mod wire;
