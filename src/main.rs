//! The `snowmelt` program: arguments, one match on the verb, exit code.

fn main() {}
