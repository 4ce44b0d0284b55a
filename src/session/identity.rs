//! Who signed in.

use serde::{Deserialize, Serialize};

/// A person or machine, as the identity provider described them at sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The provider that vouches for the subject.
    pub issuer: String,
    /// The provider's stable name for them.
    pub subject: String,
    /// What to call them.
    pub name: String,
    /// The tenant they belong to.
    pub tenant: Option<String>,
    /// Their roles.
    pub roles: Vec<String>,
}

impl Identity {
    /// One text that names this identity among all providers; what conversations are owned by.
    pub fn owner(&self) -> String {
        format!("{} {}", self.issuer, self.subject)
    }
}
