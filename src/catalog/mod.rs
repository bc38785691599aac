//! catalog
pub mod connection;
