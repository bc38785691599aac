//! snowmelt
pub mod base;
pub mod catalog;
pub mod kinds;
pub mod observe;
pub mod resource;
pub mod wire;
