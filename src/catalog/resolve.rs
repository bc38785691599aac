//! placeholder of the branch that is being written
use super::{
    Catalog,
    model::{Host, Project},
};
use crate::base::diagnostic::Diagnostics;
use crate::resource::{Facts, Probe, ProbeAnswer};
/// x
pub struct FactNeeds {
    /// x
    pub own: Vec<OwnNeed>,
}
/// x
pub struct OwnNeed {
    /// x
    pub probe: Probe,
}
/// x
pub fn fact_needs(_: &Project, _: &Host) -> Option<FactNeeds> {
    None
}
/// x
pub fn take_own_facts(_: &FactNeeds, _: &[Option<ProbeAnswer>], _: &mut Facts) -> Result<(), Diagnostics> {
    Ok(())
}
/// x
pub fn resolve(_: &Project, _: &Host, _: Option<&Facts>) -> Result<Catalog, Diagnostics> {
    Err(Diagnostics::new())
}
