//! The four demo people, and what the identity provider remembers about them: password, sign-in,
//! consent.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{self, PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use sqlx::SqlitePool;

use super::{fingerprint, now};

/// How long a browser stays signed in to the sandbox itself, in seconds.
pub(super) const SIGN_IN_LIFE: i64 = 8 * 60 * 60;

/// Somebody who can sign in to the sandbox.
#[derive(Debug, PartialEq, Eq)]
pub struct Person {
    /// `sub` in tokens.
    pub subject: &'static str,
    /// Shown to people: `Ada Park`.
    pub name: &'static str,
    /// Typed at sign-in: `ada`.
    pub user_name: &'static str,
    /// The demo password. It is no secret: the sign-in page shows it.
    pub password: &'static str,
    /// An address at a domain that cannot exist.
    pub email: &'static str,
    /// `tenant_id` in tokens.
    pub tenant: &'static str,
    /// The tenant's name as people know it.
    pub tenant_name: &'static str,
    /// `roles` in tokens: `admin`, `member` or `viewer`.
    pub roles: &'static [&'static str],
}

/// The tenant that the machine client acts for.
pub(super) const HARBOR: (&str, &str) = ("harbor", "Harbor Supply");
const SUMMIT: (&str, &str) = ("summit", "Summit Outdoor");

static PEOPLE: [Person; 4] = [
    person("ada", "Ada Park", "ada.park@harbor.example", HARBOR, &["admin"]),
    person("ben", "Ben Ortiz", "ben.ortiz@harbor.example", HARBOR, &["member"]),
    person("chen", "Chen Wei", "chen.wei@summit.example", SUMMIT, &["admin"]),
    person("dana", "Dana Kim", "dana.kim@summit.example", SUMMIT, &["viewer"]),
];

const fn person(
    user_name: &'static str,
    name: &'static str,
    email: &'static str,
    tenant: (&'static str, &'static str),
    roles: &'static [&'static str],
) -> Person {
    Person {
        subject: user_name,
        name,
        user_name,
        password: "sandbox",
        email,
        tenant: tenant.0,
        tenant_name: tenant.1,
        roles,
    }
}

/// Everybody who can sign in, for printing the demo sign-ins.
pub fn demo_people() -> &'static [Person] {
    &PEOPLE
}

pub(super) fn by_subject(subject: &str) -> Option<&'static Person> {
    PEOPLE.iter().find(|person| person.subject == subject)
}

pub(super) fn by_user_name(user_name: &str) -> Option<&'static Person> {
    PEOPLE.iter().find(|person| person.user_name.eq_ignore_ascii_case(user_name.trim()))
}

/// Why a password could not be stored or compared.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("the sandbox cannot store its passwords: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the sandbox cannot hash a password: {0}")]
    Hash(#[from] password_hash::Error),
    #[error("the sandbox was stopped while it hashed a password: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

/// Stores a hash of everybody's password, the first time only.
pub(super) async fn seed_passwords(pool: &SqlitePool) -> Result<(), PasswordError> {
    for person in &PEOPLE {
        if stored_hash(pool, person).await?.is_some() {
            continue;
        }
        let hash = tokio::task::spawn_blocking(move || hashed(person.password)).await??;
        sqlx::query("INSERT INTO passwords (user_name, hash) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(person.user_name)
            .bind(hash)
            .execute(pool)
            .await?;
    }
    Ok(())
}

/// The least that OWASP recommends for argon2id where memory is dear: 7 MiB, five passes. These
/// passwords are printed on the screen, and the process should stay small.
fn hashed(password: &str) -> Result<String, password_hash::Error> {
    let cost = Params::new(7 * 1024, 5, 1, None)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, cost)
        .hash_password(password.as_bytes())
        .map(|hash: PasswordHash| hash.to_string())
}

/// The person with this name and password, or nobody.
pub(super) async fn with_password(
    pool: &SqlitePool,
    user_name: &str,
    password: String,
) -> Result<Option<&'static Person>, PasswordError> {
    let Some(person) = by_user_name(user_name) else {
        return Ok(None);
    };
    let Some(hash) = stored_hash(pool, person).await? else {
        return Ok(None);
    };
    let matches = tokio::task::spawn_blocking(move || {
        Argon2::default().verify_password(password.as_bytes(), hash.as_str()).is_ok()
    })
    .await?;
    Ok(matches.then_some(person))
}

async fn stored_hash(pool: &SqlitePool, person: &Person) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT hash FROM passwords WHERE user_name = ?")
        .bind(person.user_name)
        .fetch_optional(pool)
        .await
}

/// Remembers that the browser holding `id` is signed in.
pub(super) async fn sign_in(
    pool: &SqlitePool,
    id: &str,
    person: &Person,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO sign_ins (id, subject, expires) VALUES (?, ?, ?)")
        .bind(fingerprint(id))
        .bind(person.subject)
        .bind(now() + SIGN_IN_LIFE)
        .execute(pool)
        .await?;
    Ok(())
}

/// Who the browser holding `id` is signed in as.
pub(super) async fn signed_in(
    pool: &SqlitePool,
    id: &str,
) -> Result<Option<&'static Person>, sqlx::Error> {
    let subject: Option<String> =
        sqlx::query_scalar("SELECT subject FROM sign_ins WHERE id = ? AND expires > ?")
            .bind(fingerprint(id))
            .bind(now())
            .fetch_optional(pool)
            .await?;
    Ok(subject.as_deref().and_then(by_subject))
}

/// Forgets the sign-in of the browser holding `id`.
pub(super) async fn sign_out(pool: &SqlitePool, id: &str) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM sign_ins WHERE id = ?").bind(fingerprint(id)).execute(pool).await?;
    Ok(())
}

/// Whether this person has allowed this client everything in `scope`.
pub(super) async fn has_allowed(
    pool: &SqlitePool,
    person: &Person,
    client_id: &str,
    scope: &str,
) -> Result<bool, sqlx::Error> {
    let allowed: Option<String> =
        sqlx::query_scalar("SELECT scope FROM consents WHERE subject = ? AND client_id = ?")
            .bind(person.subject)
            .bind(client_id)
            .fetch_optional(pool)
            .await?;
    Ok(allowed.is_some_and(|allowed| covers(&allowed, scope)))
}

/// Remembers that this person allows this client everything in `scope`.
pub(super) async fn allow(
    pool: &SqlitePool,
    person: &Person,
    client_id: &str,
    scope: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO consents (subject, client_id, scope) VALUES (?, ?, ?)
         ON CONFLICT (subject, client_id) DO UPDATE SET scope = excluded.scope",
    )
    .bind(person.subject)
    .bind(client_id)
    .bind(scope)
    .execute(pool)
    .await?;
    Ok(())
}

/// Whether every word of `wanted` is among the words of `given`.
pub(super) fn covers(given: &str, wanted: &str) -> bool {
    wanted.split_whitespace().all(|scope| given.split_whitespace().any(|own| own == scope))
}

#[cfg(test)]
mod tests {
    use super::super::tests::database;
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_signs_in() {
        let (_directory, pool) = database().await;
        seed_passwords(&pool).await.unwrap();
        seed_passwords(&pool).await.unwrap();
        let ada = with_password(&pool, " Ada ", "sandbox".into()).await.unwrap();
        assert_eq!(ada.map(|person| person.name), Some("Ada Park"));
        assert_eq!(with_password(&pool, "ada", "sandbox ".into()).await.unwrap(), None);
        assert_eq!(with_password(&pool, "eve", "sandbox".into()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn passwords_are_hashed_at_rest() {
        let (_directory, pool) = database().await;
        seed_passwords(&pool).await.unwrap();
        let hash = stored_hash(&pool, &PEOPLE[0]).await.unwrap().unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert_ne!(Some(hash), stored_hash(&pool, &PEOPLE[1]).await.unwrap());
    }

    #[tokio::test]
    async fn signing_out_ends_a_sign_in() {
        let (_directory, pool) = database().await;
        sign_in(&pool, "browser", &PEOPLE[2]).await.unwrap();
        assert_eq!(signed_in(&pool, "browser").await.unwrap(), Some(&PEOPLE[2]));
        assert_eq!(signed_in(&pool, "another").await.unwrap(), None);
        sign_out(&pool, "browser").await.unwrap();
        assert_eq!(signed_in(&pool, "browser").await.unwrap(), None);
    }

    #[tokio::test]
    async fn consent_covers_what_was_allowed_and_no_more() {
        let (_directory, pool) = database().await;
        let ada = &PEOPLE[0];
        assert!(!has_allowed(&pool, ada, "app", "openid").await.unwrap());
        allow(&pool, ada, "app", "openid profile").await.unwrap();
        assert!(has_allowed(&pool, ada, "app", "profile").await.unwrap());
        assert!(!has_allowed(&pool, ada, "app", "openid offline_access").await.unwrap());
        assert!(!has_allowed(&pool, ada, "other", "openid").await.unwrap());
        assert!(!has_allowed(&pool, &PEOPLE[1], "app", "openid").await.unwrap());
    }
}
