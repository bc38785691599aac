//! A spec's head: `specs/<role>.yml`, or a role's own `spec.yml`. What a check means is not known here.

use std::sync::Arc;

use super::model::Spec;
use super::yaml::{self, Node};
use crate::base::diagnostic::Diagnostics;
use crate::base::span::Source;

/// Reads a spec; mistakes are added to `found`.
pub fn read(source: &Arc<Source>, node: &Node, found: &mut Diagnostics) -> Spec {
    yaml::check_keys(node.entries().unwrap_or_default(), "key of a spec", &["checks"], found);
    let checks = super::role::entries(node.get("checks"), "`checks`", found);
    Spec { source: Arc::clone(source), checks }
}
