//! snowmelt
pub mod base;
pub mod catalog;
pub mod transport;
