//! Encryption of what is stored or handed out but must not be read: grants and sign-in attempts.
//!
//! XChaCha20-Poly1305 with a random 24-byte nonce, bound to a purpose so that one kind of sealed
//! value can never be passed off as another. The first key seals; every key opens, so keys can be
//! rotated.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use secrecy::{ExposeSecret, SecretString};

const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 24;

/// Seals and opens values with the configured keys.
#[derive(Clone)]
pub struct Sealer {
    keys: Vec<XChaCha20Poly1305>,
}

/// Why a sealed value could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("the value was not sealed with any of the configured keys")]
    Unopened,
    #[error("no random numbers could be had from the system")]
    Random,
    #[error("a key is not 32 bytes of base64")]
    Key,
    #[error("the key file {path} cannot be used: {cause}")]
    KeyFile { path: String, cause: io::Error },
}

impl Sealer {
    /// Takes the configured keys, or the one in `<data_dir>/session.key`, made when missing.
    pub fn open(keys: &[SecretString], data_dir: &Path) -> Result<Self, SealError> {
        if keys.is_empty() {
            return Self::from_keys(&[key_file(&data_dir.join("session.key"))?]);
        }
        let keys: Vec<_> = keys.iter().map(|key| key.expose_secret().to_owned()).collect();
        Self::from_keys(&keys)
    }

    fn from_keys(keys: &[String]) -> Result<Self, SealError> {
        let keys = keys.iter().map(|key| parse_key(key)).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// Encrypts `plain` for `purpose`.
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = self.keys.first().ok_or(SealError::Key)?;
        let nonce: [u8; NONCE_LEN] = random()?;
        let payload = Payload { msg: plain, aad: purpose.as_bytes() };
        let sealed = key.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::Unopened)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts what [`Self::seal`] made for the same purpose.
    pub fn open_sealed(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Unopened)?;
        let payload = || Payload { msg: body, aad: purpose.as_bytes() };
        self.keys
            .iter()
            .find_map(|key| key.decrypt(&XNonce::from(*nonce), payload()).ok())
            .ok_or(SealError::Unopened)
    }
}

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| SealError::Random)?;
    Ok(bytes)
}

fn parse_key(text: &str) -> Result<XChaCha20Poly1305, SealError> {
    let bytes = STANDARD.decode(text.trim()).map_err(|_| SealError::Key)?;
    XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| SealError::Key)
}

fn key_file(path: &Path) -> Result<String, SealError> {
    let failed = |cause| SealError::KeyFile { path: path.display().to_string(), cause };
    match fs::read_to_string(path) {
        Ok(key) => Ok(key),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            let key = STANDARD.encode(random::<KEY_LEN>()?);
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .map_err(failed)?;
            file.write_all(key.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
            Ok(key)
        }
        Err(cause) => Err(failed(cause)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn sealer(keys: &[[u8; 32]]) -> Sealer {
        let keys: Vec<_> = keys.iter().map(|key| STANDARD.encode(key)).collect();
        Sealer::from_keys(&keys).unwrap()
    }

    #[test]
    fn opens_what_it_sealed_for_the_same_purpose_only() {
        let sealer = sealer(&[[1; 32]]);
        let sealed = sealer.seal("grant", b"token").unwrap();
        assert!(!sealed.windows(5).any(|part| part == b"token"));
        assert_eq!(sealer.open_sealed("grant", &sealed).unwrap(), b"token");
        assert!(sealer.open_sealed("sign-in", &sealed).is_err());
    }

    #[test]
    fn refuses_a_value_that_was_changed() {
        let sealer = sealer(&[[1; 32]]);
        let mut sealed = sealer.seal("grant", b"token").unwrap();
        *sealed.last_mut().unwrap() ^= 1;
        assert!(sealer.open_sealed("grant", &sealed).is_err());
        assert!(sealer.open_sealed("grant", b"short").is_err());
    }

    #[test]
    fn an_old_key_still_opens_after_a_new_one_is_put_first() {
        let sealed = sealer(&[[1; 32]]).seal("grant", b"token").unwrap();
        assert_eq!(sealer(&[[2; 32], [1; 32]]).open_sealed("grant", &sealed).unwrap(), b"token");
        assert!(sealer(&[[2; 32]]).open_sealed("grant", &sealed).is_err());
    }

    #[test]
    fn makes_a_key_file_that_only_its_owner_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let first = Sealer::open(&[], dir.path()).unwrap();
        let mode = fs::metadata(dir.path().join("session.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let sealed = first.seal("grant", b"token").unwrap();
        let second = Sealer::open(&[], dir.path()).unwrap();
        assert_eq!(second.open_sealed("grant", &sealed).unwrap(), b"token");
    }
}
