//! snowmelt
pub mod act;
pub mod base;
pub mod catalog;
pub mod judge;
pub mod kinds;
pub mod observe;
pub mod resource;
pub mod transport;
pub mod verbs;
pub mod wire;
