//! Checking the assertion of the JWT bearer flow.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rustls::pki_types::alg_id;
use serde::Deserialize;
use serde_json::Value;

use super::config::JwtCheck;

/// The vendor takes assertions that expire within this long.
const MAX_AHEAD_S: i64 = 300;

/// The audiences of production and sandboxes.
const AUDIENCES: [&str; 3] = [
    "https://login.salesforce.com",
    "https://test.salesforce.com",
    "https://login.salesforce.com/services/oauth2/token",
];

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    /// A number; clients that send it as a text are understood as well.
    exp: Value,
}

/// Checks an assertion; the error is the vendor's `error_description`.
pub(crate) fn check(
    assertion: &str,
    how: &JwtCheck,
    client_id: &str,
    username: &str,
    base_url: &str,
    now_ms: i64,
) -> Result<(), &'static str> {
    const INVALID: &str = "invalid assertion";
    let (signed, signature) = assertion.rsplit_once('.').ok_or(INVALID)?;
    let (header, payload) = signed.split_once('.').ok_or(INVALID)?;
    let header: Value = part(header).ok_or(INVALID)?;
    let claims: Claims = part(payload).ok_or(INVALID)?;
    if header.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err("invalid assertion algorithm");
    }
    if claims.iss != client_id {
        return Err("client identifier invalid");
    }
    let is_known = |text: &str| AUDIENCES.contains(&text) || text == base_url;
    let audiences = claims.aud.as_array().cloned().unwrap_or_else(|| vec![claims.aud.clone()]);
    if !audiences.iter().filter_map(Value::as_str).any(is_known) {
        return Err("audience is invalid");
    }
    let expires_s = claims.exp.as_i64().or_else(|| claims.exp.as_str()?.parse().ok()).ok_or(INVALID)?;
    let left_s = expires_s - now_ms.div_euclid(1_000);
    if left_s <= 0 || left_s > MAX_AHEAD_S {
        return Err("expired authorization code");
    }
    match how {
        JwtCheck::Refused => return Err("user hasn't approved this consumer"),
        JwtCheck::PublicKey(pem) => {
            let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| INVALID)?;
            if !is_signed(pem, signed.as_bytes(), &signature) {
                return Err(INVALID);
            }
        }
        JwtCheck::Claims => {}
    }
    if claims.sub != username {
        return Err("user hasn't approved this consumer");
    }
    Ok(())
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn is_signed(pem: &str, message: &[u8], signature: &[u8]) -> bool {
    let Some(key) = public_key(pem) else { return false };
    let provider = rustls::crypto::ring::default_provider();
    let mut algorithms = provider.signature_verification_algorithms.all.iter();
    algorithms.any(|algorithm| {
        algorithm.signature_alg_id() == alg_id::RSA_PKCS1_SHA256
            && algorithm.verify_signature(&key, message, signature).is_ok()
    })
}

/// The key inside a `SubjectPublicKeyInfo`: a sequence of an algorithm and a bit string.
fn public_key(pem: &str) -> Option<Vec<u8>> {
    let lines: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = BASE64_STANDARD.decode(lines).ok()?;
    let (info, _) = element(&der)?;
    let (_, rest) = element(info)?;
    let (bits, _) = element(rest)?;
    bits.split_first().map(|(_, key)| key.to_vec())
}

/// The content of the first DER element and what follows it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let [_, first, rest @ ..] = der else { return None };
    let n_length_bytes = usize::from(first & 0x7f);
    let (length, rest) = if first & 0x80 == 0 {
        (n_length_bytes, rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(n_length_bytes.min(4))?;
        (bytes.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    rest.split_at_checked(length)
}
