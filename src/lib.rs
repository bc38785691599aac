//! snowmelt
pub mod base;
pub mod catalog;
