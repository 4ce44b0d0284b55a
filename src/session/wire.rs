//! What a browser may know of its session: never a token.

use serde::{Deserialize, Serialize};

/// One place where a person is signed in. The id names the session and opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLine {
    /// Names the session.
    pub id: String,
    /// The browser, in words.
    pub device: String,
    /// When it began, seconds since 1970.
    pub since: i64,
    /// When it was last used, to the minute, seconds since 1970.
    pub last_used: i64,
    /// Whether it is the one that asks.
    pub is_here: bool,
}

/// The answer of `GET /api/session`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// The provider's stable name for the person.
    pub subject: String,
    /// The person's name.
    pub name: String,
    /// The tenant they belong to.
    pub tenant: Option<String>,
    /// Their roles.
    pub roles: Vec<String>,
    /// When the session ends at the latest, seconds since 1970.
    pub ends_at: i64,
    /// When it ends without another request, seconds since 1970.
    pub idle_ends_at: i64,
}
