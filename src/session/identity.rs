//! Who signed in.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
    /// Tells those apart who have one name between them: sessions of a machine.
    #[serde(default)]
    pub instance: Option<String>,
}

impl Identity {
    /// What all who come in by one channel are.
    pub fn of_channel(name: &str, tenant: Option<&str>) -> Self {
        Self {
            issuer: "channel".to_owned(),
            subject: name.to_owned(),
            name: name.to_owned(),
            tenant: tenant.map(str::to_owned),
            roles: Vec::new(),
            instance: None,
        }
    }

    /// Eight digits that tell this identity from others on the same browser and say nothing of it.
    pub fn tag(&self) -> String {
        let [a, b, c, d, ..] = Sha256::digest(self.owner()).0;
        format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
    }

    /// One text that names this identity among all providers; what conversations are owned by.
    pub fn owner(&self) -> String {
        format!("{} {}", self.issuer, self.account())
    }

    /// The same without the provider.
    pub fn account(&self) -> String {
        match &self.instance {
            Some(instance) => format!("{} {instance}", self.subject),
            None => self.subject.clone(),
        }
    }
}
