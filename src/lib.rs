//! snowmelt
pub mod act;
pub mod base;
pub mod catalog;
pub mod cli;
pub mod judge;
pub mod kinds;
pub mod observe;
pub mod report;
pub mod resource;
pub mod transport;
pub mod verbs;
pub mod wire;
