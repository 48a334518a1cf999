//! Speaks to Trunkline, the gRPC gateway to every AI provider.
//!
//! [`Trunkline`] is a connection that sends the key with every call and makes clients of every service; `ask`, `stream`
//! and `wait` are the short way for what is wanted most often. The messages are in [`v1`].

mod client;
mod failure;
mod question;

#[allow(clippy::all, rustdoc::all)]
mod contract {
    include!(concat!(env!("OUT_DIR"), "/contract.rs"));
}

pub use client::{Caller, Options, Trunkline};
pub use contract::google::rpc;
pub use contract::trunkline::v1;
pub use failure::Failure;
pub use question::{question, text_of};
