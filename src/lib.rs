//! snowmelt
pub mod base;
pub mod catalog;
pub mod kinds;
pub mod report;
pub mod resource;
