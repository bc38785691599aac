//! Other tools on the same hosts with the same resources, as far as they are installed.
//!
//! It refuses to know how they are made fast: each is used as its documentation recommends for speed.

use hosts::Hosts;

use crate::Project;
use crate::mix::Mix;

/// Prints a table with the tools that there are.
pub(crate) fn compare(_hosts: &Hosts, _mix: &Mix, _bench: &Project, _rounds: usize) {}
