//! Seals logins before they reach an engine: AES-256-GCM with a random 96-bit nonce, bound to the connection's name.
//!
//! The key comes from whoever opens the store and never from the environment. Without a key everything but stored
//! logins works.

use std::fmt;

use aes_gcm::aead::array::Array;
use aes_gcm::aead::{Aead, Generate, Nonce, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use infill_model::{ConnectionName, Timestamp};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::store::Login;

/// The variable a program reads the key from; named in messages, read by the configuration alone.
pub const KEY_VARIABLE: &str = "INFILL_SECRET_KEY";

/// Bytes of an AES-256 key.
const KEY_BYTES: usize = 32;

/// Bytes of an AES-GCM nonce, in front of each sealed login.
const NONCE_BYTES: usize = 12;

/// Bytes of the key's digest that name it: enough to tell a handful of keys apart.
const KEY_ID_BYTES: usize = 4;

/// What the key id is a digest of, besides the key.
const KEY_ID_CONTEXT: &[u8] = b"infill vault key id";

/// Seals and opens logins.
pub(crate) struct Vault {
    key: Option<Key>,
}

struct Key {
    id: String,
    cipher: Aes256Gcm,
}

/// A login as an engine keeps it.
pub(crate) struct Sealed {
    /// Names the key it was sealed with.
    pub(crate) key_id: String,
    /// Nonce, ciphertext and tag.
    pub(crate) bytes: Vec<u8>,
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Tokens<'a> {
    #[serde(borrow)]
    access: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    refresh: std::borrow::Cow<'a, str>,
    expires_at: Option<Timestamp>,
    #[serde(borrow, default)]
    base_url: Option<std::borrow::Cow<'a, str>>,
}

impl Vault {
    /// A vault with this key: 32 bytes as base64 or as 64 hexadecimal digits. `address` is the store's, for messages.
    pub(crate) fn new(key: Option<&SecretString>, address: &str) -> Result<Self, Error> {
        let Some(text) = key else { return Ok(Self { key: None }) };
        let bytes = read_key(text.expose_secret().trim()).ok_or_else(|| Error::Refused {
            address: address.to_owned(),
            hint: format!(
                "{KEY_VARIABLE} must be 32 bytes as base64 or 64 hexadecimal digits; make one with \
                 `openssl rand -base64 32`"
            ),
            source: None,
        })?;
        let digest = Sha256::new().chain_update(KEY_ID_CONTEXT).chain_update(bytes.as_slice()).finalize();
        let id = digest.iter().take(KEY_ID_BYTES).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { key: Some(Key { id, cipher: Aes256Gcm::new(&Array(*bytes)) }) })
    }

    /// Seals a login for a connection.
    pub(crate) fn seal(
        &self,
        connection: &ConnectionName,
        login: &Login,
        address: &str,
    ) -> Result<Sealed, Error> {
        let key = self.key(connection, address)?;
        let tokens = Tokens {
            access: login.access.as_ref().map(|access| access.expose_secret().into()),
            refresh: login.refresh.expose_secret().into(),
            expires_at: login.expires_at,
            base_url: login.base_url.as_deref().map(Into::into),
        };
        let failed = |source| Error::Query { operation: "seal a login", source };
        let plain = Zeroizing::new(serde_json::to_vec(&tokens).map_err(|e| failed(e.into()))?);
        let nonce = Nonce::<Aes256Gcm>::try_generate().map_err(|e| failed(e.to_string().into()))?;
        let payload = Payload { msg: &plain, aad: connection.as_str().as_bytes() };
        let ciphertext = key.cipher.encrypt(&nonce, payload).map_err(|e| failed(e.to_string().into()))?;
        Ok(Sealed { key_id: key.id.clone(), bytes: [nonce.as_slice(), &ciphertext].concat() })
    }

    /// Opens the login of a connection.
    pub(crate) fn open(
        &self,
        connection: &ConnectionName,
        version: u64,
        sealed: &Sealed,
        address: &str,
    ) -> Result<Login, Error> {
        let key = self.key(connection, address)?;
        let wrong_key = || Error::WrongKey { connection: connection.to_string(), key_variable: KEY_VARIABLE };
        if key.id != sealed.key_id {
            return Err(wrong_key());
        }
        let (nonce, ciphertext) = sealed.bytes.split_first_chunk::<NONCE_BYTES>().ok_or_else(wrong_key)?;
        let payload = Payload { msg: ciphertext, aad: connection.as_str().as_bytes() };
        let plain = key.cipher.decrypt(&Array(*nonce), payload).map_err(|_| wrong_key())?;
        let plain = Zeroizing::new(plain);
        let tokens: Tokens<'_> = serde_json::from_slice(&plain)
            .map_err(|e| Error::Query { operation: "read an opened login", source: e.into() })?;
        Ok(Login {
            version,
            access: tokens.access.map(|access| access.into_owned().into()),
            refresh: tokens.refresh.into_owned().into(),
            expires_at: tokens.expires_at,
            base_url: tokens.base_url.map(std::borrow::Cow::into_owned),
        })
    }

    fn key(&self, connection: &ConnectionName, address: &str) -> Result<&Key, Error> {
        self.key.as_ref().ok_or_else(|| Error::Refused {
            address: address.to_owned(),
            hint: format!(
                "the rotating login of connection {connection} is kept encrypted: set {KEY_VARIABLE} to 32 bytes \
                 as base64, the same for every program on this store (`openssl rand -base64 32` makes one)"
            ),
            source: None,
        })
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("key_id", &self.key.as_ref().map(|key| &key.id)).finish()
    }
}

/// Reads a key; hexadecimal first, since 64 hexadecimal digits are valid base64 of another length.
fn read_key(text: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let bytes = Zeroizing::new(from_hex(text).or_else(|| STANDARD.decode(text).ok())?);
    bytes.as_slice().try_into().ok().map(Zeroizing::new)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != KEY_BYTES.saturating_mul(2) {
        return None;
    }
    let digits: Option<Vec<u8>> = text.bytes().map(hex_digit).collect();
    Some(digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn vault(key: &str) -> Vault {
        Vault::new(Some(&key.into()), "here").unwrap()
    }

    fn login() -> Login {
        let expires_at = Some(Timestamp::from_second(1_700_000_000).unwrap());
        let base_url = Some("https://acme.example".to_owned());
        let (access, refresh) = (Some("opened \"sesame\"".into()), "again".into());
        Login { version: 3, access, refresh, expires_at, base_url }
    }

    #[test]
    fn hexadecimal_and_base64_name_the_same_key() {
        let main = "main".into();
        let sealed = vault(HEX).seal(&main, &login(), "here").unwrap();
        let opened = vault(BASE64).open(&main, 3, &sealed, "here").unwrap();
        assert_eq!(opened.access.unwrap().expose_secret(), "opened \"sesame\"");
        assert_eq!(opened.refresh.expose_secret(), "again");
        assert_eq!((opened.version, opened.expires_at), (3, login().expires_at));
        assert_eq!(opened.base_url, login().base_url);
    }

    #[test]
    fn the_same_login_is_never_sealed_to_the_same_bytes() {
        let seal = || vault(HEX).seal(&"main".into(), &login(), "here").unwrap().bytes;
        assert_ne!(seal(), seal());
    }

    #[test]
    fn a_login_moved_to_another_connection_does_not_open() {
        let sealed = vault(HEX).seal(&"main".into(), &login(), "here").unwrap();
        let moved = vault(HEX).open(&"other".into(), 3, &sealed, "here");
        assert!(matches!(moved, Err(Error::WrongKey { .. })));
    }

    #[test]
    fn another_key_or_a_changed_byte_does_not_open() {
        let main = "main".into();
        let mut sealed = vault(HEX).seal(&main, &login(), "here").unwrap();
        let other = vault(&BASE64.replace("AAEC", "BBEC"));
        assert!(matches!(other.open(&main, 3, &sealed, "here"), Err(Error::WrongKey { .. })));
        *sealed.bytes.last_mut().unwrap() ^= 1;
        assert!(matches!(vault(HEX).open(&main, 3, &sealed, "here"), Err(Error::WrongKey { .. })));
        sealed.bytes.truncate(5);
        assert!(matches!(vault(HEX).open(&main, 3, &sealed, "here"), Err(Error::WrongKey { .. })));
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused_with_the_way_out() {
        for key in ["", "short", "AAECAwQ=", HEX.trim_start_matches("00")] {
            let error = Vault::new(Some(&key.into()), "here").unwrap_err().to_string();
            assert!(error.contains("openssl rand -base64 32"), "{error}");
        }
    }

    #[test]
    fn nothing_of_the_key_is_printed() {
        let printed = format!("{:?}", vault(HEX));
        assert!(!printed.contains("0001") && printed.contains("key_id"), "{printed}");
    }
}
