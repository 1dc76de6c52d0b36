//! Whether a request comes from who it should come from.

use axum::http::{HeaderMap, header};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac as _};
use liteagent_engine::{
    definition::{HmacAuth, HmacScheme, HookAuth},
    units::Millis,
};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The headers that hold signatures, besides the one that a trigger names.
pub(super) const SIGNATURES: [&str; 2] = ["stripe-signature", "webhook-signature"];

/// Looks at the signature or token of a request. Gives what tells its delivery apart, where the signature covers that.
///
/// # Errors
/// Says what does not fit, and nothing that helps to forge it.
pub(super) fn verify(
    auth: &HookAuth,
    secret: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
    now: Millis,
) -> Result<Option<String>, String> {
    let secret = secret.unwrap_or_default();
    match auth {
        HookAuth::None(_) => Ok(None),
        HookAuth::Bearer { .. } => {
            let token = text(headers, header::AUTHORIZATION.as_str())?;
            let (scheme, token) = token.split_once(' ').unwrap_or_default();
            // Digests have one length, whatever the length of what was sent.
            let same = Sha256::digest(token.trim()).ct_eq(&Sha256::digest(secret));
            let fits = scheme.eq_ignore_ascii_case("bearer") && bool::from(same);
            fits.then_some(None).ok_or_else(|| "the token in `Authorization` does not fit".to_owned())
        }
        HookAuth::Hmac { hmac } => {
            let HmacAuth { scheme, header, tolerance, .. } = hmac;
            let tolerance = tolerance.millis();
            match scheme {
                HmacScheme::Body => of_body(header.as_deref().unwrap_or_default(), secret, headers, body),
                HmacScheme::Stripe => stripe(secret, headers, body, now, tolerance),
                HmacScheme::Standard => standard(secret, headers, body, now, tolerance),
            }
        }
    }
}

fn of_body(header: &str, secret: &str, headers: &HeaderMap, body: &[u8]) -> Result<Option<String>, String> {
    let sent = text(headers, header)?;
    let sent = sent.strip_prefix("sha256=").unwrap_or(sent);
    let is_hex = sent.len() == 64;
    let signature = if is_hex { hex(sent) } else { BASE64_STANDARD.decode(sent).ok() };
    let fits = signature.is_some_and(|signature| is_signed(secret.as_bytes(), &[body], &signature));
    fits.then_some(None).ok_or_else(|| format!("the signature in `{header}` does not fit the body"))
}

/// `Stripe-Signature: t=1700000000,v1=5257a8...`; of several signatures one must fit.
fn stripe(
    secret: &str,
    headers: &HeaderMap,
    body: &[u8],
    now: Millis,
    tolerance: Millis,
) -> Result<Option<String>, String> {
    let parts =
        || text(headers, "stripe-signature").map(|all| all.split(',').filter_map(|part| part.trim().split_once('=')));
    let time = parts()?.find(|(key, _)| *key == "t").map(|(_, time)| time).unwrap_or_default();
    check_age(time, now, tolerance)?;
    let signed = [time.as_bytes(), b".", body];
    let mut signatures = parts()?.filter(|(key, _)| *key == "v1").map(|(_, signature)| signature);
    let fitting = signatures.find(|sent| hex(sent).is_some_and(|sent| is_signed(secret.as_bytes(), &signed, &sent)));
    fitting
        .map(|signature| Some(format!("{time}.{signature}")))
        .ok_or_else(|| "the signature in `Stripe-Signature` does not fit the body".to_owned())
}

/// `webhook-id`, `webhook-timestamp`, and `webhook-signature: v1,... v1,...`; the secret may be `whsec_` and Base64.
fn standard(
    secret: &str,
    headers: &HeaderMap,
    body: &[u8],
    now: Millis,
    tolerance: Millis,
) -> Result<Option<String>, String> {
    let (id, time) = (text(headers, "webhook-id")?, text(headers, "webhook-timestamp")?);
    check_age(time, now, tolerance)?;
    let decoded = secret.strip_prefix("whsec_").and_then(|rest| BASE64_STANDARD.decode(rest).ok());
    let key = decoded.unwrap_or_else(|| secret.as_bytes().to_vec());
    let signed = [id.as_bytes(), b".", time.as_bytes(), b".", body];
    let mut signatures = text(headers, "webhook-signature")?.split(' ').filter_map(|one| one.strip_prefix("v1,"));
    let fits =
        signatures.any(|sent| BASE64_STANDARD.decode(sent).is_ok_and(|signature| is_signed(&key, &signed, &signature)));
    fits.then(|| Some(id.to_owned())).ok_or_else(|| "the signature in `webhook-signature` does not fit".to_owned())
}

fn check_age(seconds: &str, now: Millis, tolerance: Millis) -> Result<(), String> {
    let at = seconds.parse::<Millis>().ok().and_then(|seconds| seconds.checked_mul(1_000));
    let at =
        at.ok_or_else(|| format!("expected seconds since 1970 as the time of the signature, found `{seconds}`"))?;
    if now.abs_diff(at) > tolerance.unsigned_abs() {
        return Err("the signature is too old, or from the future".to_owned());
    }
    Ok(())
}

fn is_signed(key: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    // An empty secret signs for everyone.
    let Some(Ok(mut mac)) = (!key.is_empty()).then(|| Hmac::<Sha256>::new_from_slice(key)) else { return false };
    for part in parts {
        mac.update(part);
    }
    mac.verify_slice(signature).is_ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, String> {
    let value = headers.get(name).ok_or_else(|| format!("the request has no header `{name}`"))?;
    value.to_str().map_err(|_| format!("the header `{name}` is no text"))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |letter: &u8| char::from(*letter).to_digit(16);
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| u8::try_from(digit(&pair[0])? * 16 + digit(&pair[1])?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const NOW: Millis = 1_700_000_000_000;

    fn auth(yaml: &str) -> HookAuth {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn signatures_of_github_are_taken_and_nothing_else() {
        // The example of its documentation.
        let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let auth = auth("hmac: { secret: HOOK, header: X-Hub-Signature-256 }");
        let look = |secret, signature: &str, body: &str| {
            verify(&auth, Some(secret), &headers(&[("x-hub-signature-256", signature)]), body.as_bytes(), NOW)
        };
        let secret = "It's a Secret to Everybody";
        assert_eq!(look(secret, good, "Hello, World!"), Ok(None));
        assert_eq!(look(secret, &good.to_uppercase().replace("SHA256", "sha256"), "Hello, World!"), Ok(None));
        assert_eq!(look(secret, "dXEH6g6yUJ/CESIczphLijdXC211hsIsRvQ3nIsEPhc=", "Hello, World!"), Ok(None));
        for (secret, signature, body) in [
            (secret, good, "Hello, World"),
            ("other", good, "Hello, World!"),
            ("", good, "Hello, World!"),
            (secret, &good[..70], "Hello, World!"),
            (secret, "", "Hello, World!"),
            (secret, "sha256=", "Hello, World!"),
            (secret, "sha256=zz7107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", "Hello, World!"),
        ] {
            assert!(look(secret, signature, body).is_err(), "{secret} {signature} {body}");
        }
        assert!(verify(&auth, Some(secret), &HeaderMap::new(), b"Hello, World!", NOW).is_err());
    }

    #[test]
    fn a_signature_with_a_time_is_taken_only_for_a_while() {
        let auth = auth("hmac: { secret: HOOK, scheme: stripe, tolerance: 5m }");
        let mac = Hmac::<Sha256>::new_from_slice(b"shh").unwrap().chain_update(b"1700000000.{}").finalize();
        let signature = mac.into_bytes().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let sent = format!("t=1700000000,v1={},v1={signature}", "00".repeat(32));
        let look = |sent: &str, now| verify(&auth, Some("shh"), &headers(&[("stripe-signature", sent)]), b"{}", now);
        let delivery = Ok(Some(format!("1700000000.{signature}")));
        assert_eq!(look(&sent, NOW), delivery);
        assert_eq!(look(&sent, NOW + 300_000), delivery);
        assert!(look(&sent, NOW + 300_001).is_err() && look(&sent, NOW - 300_001).is_err());
        // Another time is another text.
        assert!(look(&sent.replace("t=1700000000", "t=1700000001"), NOW).is_err());
        for wrong in ["", "t=", "v1=ab", "t=x,v1=ab", "t=99999999999999999999,v1=ab"] {
            assert!(look(wrong, NOW).is_err(), "{wrong}");
        }
    }

    #[test]
    fn standard_webhooks_are_told_apart_by_their_id() {
        // The example of the specification.
        let auth = auth("hmac: { secret: HOOK, scheme: standard, tolerance: 5m }");
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let (id, time, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
        let good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let look = |id: &str, time: &str, signature: &str, now| {
            let headers = headers(&[("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", signature)]);
            verify(&auth, Some(secret), &headers, body, now)
        };
        let now = 1_614_265_330_000;
        assert_eq!(look(id, time, good, now), Ok(Some(id.to_owned())));
        assert_eq!(look(id, time, &format!("v2,x {good}"), now), Ok(Some(id.to_owned())));
        assert!(look("msg_other", time, good, now).is_err());
        assert!(look(id, "1614265331", good, now).is_err());
        assert!(look(id, time, good, now + 301_000).is_err());
    }

    #[test]
    fn a_token_is_compared_whole() {
        let auth = auth("bearer: { secret: HOOK }");
        let look = |sent: &str| verify(&auth, Some("token"), &headers(&[("authorization", sent)]), b"", NOW);
        assert_eq!(look("Bearer token"), Ok(None));
        for wrong in ["Bearer toke", "Bearer tokens", "Bearer", "Basic token", "token", ""] {
            assert!(look(wrong).is_err(), "{wrong}");
        }
    }
}
