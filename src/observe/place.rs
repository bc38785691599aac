//! Where on a host it is remembered what was applied to it.

use crate::base::quote;

/// Where on a host its memory is kept: `<folder>/<project>/<host>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder; without one /var/lib/snowmelt, or below the user's own state folder where that is not root.
    pub folder: Option<String>,
    /// The project's name.
    pub project: String,
    /// The host's name in the inventory.
    pub host: String,
}

impl Place {
    /// The variables by which scripts know it.
    pub fn settings(&self) -> String {
        let folder = quote::always(self.folder.as_deref().unwrap_or_default());
        format!("MEMORY={folder}\nPROJECT={}\nHOST={}\n", quote::always(&self.project), quote::always(&self.host))
    }
}
