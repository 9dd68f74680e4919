//! Reads the name of a person from what a sign-in sends: a name, or a provider's token.
//!
//! A name is public, so a token must never become one. A JWT is read, without a check of its signature: the local sign-in signs in
//! anyone under any name. A text that looks like an opaque token is rejected, by rules that pass names, e-mail addresses and UUIDs.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::identity::{Name, NameError, SID_PREFIX};

/// The claims that hold a name, in the order in which they are read.
const NAME_CLAIMS: [&str; 3] = ["name", "preferred_username", "sub"];

/// Prefixes that only tokens have: access tokens of Google and GitHub.
const TOKEN_PREFIXES: [&str; 7] = ["ya29.", "gho_", "ghp_", "ghr_", "ghs_", "ghu_", "github_pat_"];

/// Prefixes of tokens that a short name may have too: a JSON object in base64 (JWT, JWE), tokens of Facebook and of Microsoft accounts,
/// refresh tokens and authorization codes of Google and Entra.
const LONG_TOKEN_PREFIXES: [&str; 10] = ["eyJ", "EAA", "EwA", "EwB", "M.C", "M.R", "1//", "4/0", "0.A", "1.A"];
const MIN_PREFIXED_CHARS: usize = 20;

/// Shorter words are not compared with random text: too few characters tell it from a name.
const MIN_RANDOM_CHARS: usize = 32;

/// The name in `text`: a claim of it if it is a JWT, else the text itself.
pub(super) fn parse_name(text: &str) -> Result<Name, NameError> {
    let text = text.trim();
    if let Some(claims) = jwt_claims(text) {
        let mut names = NAME_CLAIMS.iter().filter_map(|claim| Name::parse(claims.get(*claim)?.as_str()?).ok());
        return names.next().ok_or(NameError::NoNameInToken);
    }
    if text.split_whitespace().any(is_secret) {
        return Err(NameError::Secret);
    }
    Name::parse(text)
}

/// The payload of a JWT ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519#section-3)): three parts in base64url, of which the second
/// is a JSON object.
fn jwt_claims(text: &str) -> Option<Map<String, Value>> {
    let mut parts = text.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let (_header, payload, _signature) = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(())?;
    serde_json::from_slice(&payload).ok()
}

/// Whether `word` looks like a token, a code or a key. With an `@` it is an address, and other than ASCII are no tokens.
fn is_secret(word: &str) -> bool {
    let may_be_token = word.is_ascii() && !word.contains('@') && !is_id(word);
    let begins_with = |prefixes: &[&str]| prefixes.iter().any(|prefix| word.starts_with(prefix));
    let has_prefix =
        begins_with(&TOKEN_PREFIXES) || (word.len() >= MIN_PREFIXED_CHARS && begins_with(&LONG_TOKEN_PREFIXES));
    may_be_token && (has_prefix || (word.len() >= MIN_RANDOM_CHARS && is_random(word)))
}

/// Whether `word` is an id as providers and App Service show them: a UUID with hyphens, or `sid:` with a UUID. Such ids are not secret.
fn is_id(word: &str) -> bool {
    let is_uuid = |text| Uuid::try_parse(text).is_ok();
    word.strip_prefix(SID_PREFIX).map_or(word.contains('-') && is_uuid(word), is_uuid)
}

/// Whether small letters, capitals and digits alternate as in random text: at one in five neighbours or more. In names they come in
/// groups. A capital before a small letter begins a word and does not count.
fn is_random(word: &str) -> bool {
    let characters: Vec<_> = word.bytes().filter(u8::is_ascii_alphanumeric).collect();
    let alternate = |pair: &&[u8]| match pair {
        [a, b] if a.is_ascii_digit() || b.is_ascii_digit() => a.is_ascii_digit() != b.is_ascii_digit(),
        [a, b] => a.is_ascii_lowercase() && b.is_ascii_uppercase(),
        _ => false,
    };
    let pairs = characters.windows(2);
    characters.len() > 1 && pairs.clone().filter(alternate).count() * 5 >= pairs.len()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    use serde_json::json;
    use sha2::{Digest, Sha256};

    use super::*;

    /// A JWT as a provider sends it, with a signature that no test knows.
    fn jwt(claims: &Value) -> String {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT","kid":"1LTMzakihiRla_8z2BEJVXeWMqo"}"#);
        [&header, &URL_SAFE_NO_PAD.encode(claims.to_string()), &URL_SAFE_NO_PAD.encode([7; 256])]
            .map(String::as_str)
            .join(".")
    }

    fn name_of(text: &str) -> Result<String, NameError> {
        parse_name(text).map(|name| name.as_str().to_owned())
    }

    /// 43 characters of base64 that are the same in each run.
    fn random_base64(seed: u32) -> String {
        STANDARD_NO_PAD.encode(Sha256::digest(seed.to_be_bytes()))
    }

    #[test]
    fn a_name_is_read_from_the_first_usable_claim_of_a_jwt() {
        let long = "x".repeat(257);
        for (claims, name) in [
            (json!({"name": "Ann Lee", "preferred_username": "ann@contoso.com", "sub": "1"}), "Ann Lee"),
            (json!({"preferred_username": "ann@contoso.com", "sub": "1"}), "ann@contoso.com"),
            (json!({"sub": "110169484474386276334"}), "110169484474386276334"),
            (
                json!({"sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ"}),
                "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
            ),
            (json!({"name": "", "sub": "ann"}), "ann"),
            (json!({"name": " \t", "preferred_username": " ann "}), "ann"),
            (json!({"name": 7, "preferred_username": null, "sub": "ann"}), "ann"),
            (json!({"name": ["Ann"], "sub": "ann"}), "ann"),
            (json!({"name": long, "sub": "ann"}), "ann"),
            (json!({"name": "a\nb", "sub": "ann"}), "ann"),
            (json!({"name": "Łucja 🦊"}), "Łucja 🦊"),
        ] {
            assert_eq!(name_of(&jwt(&claims)).as_deref(), Ok(name), "{claims}");
        }
    }

    #[test]
    fn the_length_of_a_jwt_does_not_matter() {
        for chars in [800, 1_500, 3_000, 12_000] {
            let groups = "g".repeat(chars);
            let token = jwt(&json!({"groups": groups, "name": "Ann"}));
            assert!(token.len() > chars);
            assert_eq!(name_of(&format!(" {token}\n")).as_deref(), Ok("Ann"));
        }
        let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode(r#"{"sub":"ann"}"#));
        assert_eq!(name_of(&unsigned).as_deref(), Ok("ann"));
    }

    #[test]
    fn a_jwt_without_a_usable_claim_is_rejected() {
        for claims in
            [json!({}), json!({"email": "ann@contoso.com"}), json!({"name": null, "sub": 1}), json!({"sub": ""})]
        {
            assert_eq!(name_of(&jwt(&claims)), Err(NameError::NoNameInToken), "{claims}");
        }
    }

    #[test]
    fn what_looks_like_a_secret_is_no_name() {
        let token = jwt(&json!({"name": "Ann"}));
        let (without_signature, _) = token.rsplit_once('.').unwrap();
        let [encrypted, truncated, unreadable] =
            [format!("{token}.{token}"), token[..100].to_owned(), format!("{without_signature}+.x")];
        let hex: String = Sha256::digest("hex").iter().map(|byte| format!("{byte:02x}")).collect();
        for secret in [
            without_signature,
            &encrypted,
            &truncated,
            &unreadable,
            &format!("Bearer {token}"),
            &format!("{}\n{}", &token[..90], &token[90..]),
            "eyJub3QiOiJhIG5hbWUifQ",
            "ya29.a0AfH6SMB",
            &format!("ya29.{}", random_base64(1)),
            "1//0gAbCdEfGhIjKlMnOpQrSt",
            "4/0AX4XfWh-abcdefghijklmnopqr",
            "gho_16C7e42F292c6912E7710c838347Ae178B4a",
            "ghp_abcdefghijklmnopqrstuvwxyz",
            "ghu_1",
            "github_pat_11ABCDEFG0",
            "EAACEdEose0cBAPmXRzZ",
            "EwBgA8l6BAAURSN_FHlDW5xN",
            "M.C507_BAY.2.U.5a9e33b2-5a9e-33b2",
            "0.AXoAjp5Rk2YzL0aB7mT8rQ",
            "d2f1e9a07c3b4e5f8a6d9c0b1e2f3a4b",
            &hex,
            &random_base64(2),
            "14927799-UBHcr3gJzwpQWbCU9s3fS7mYh2VfR1kTx0qLdNa4",
            "c6b0a5d0c3c9e4e0fb8e7c0f7d1a2.0.srtzx.Tg7hLqVw2",
            "4%2F0AX4XfWhQ9s3fS7mYh2VfR1kTx0qLdNa4",
            &format!("Ann {}", random_base64(3)),
            &random_base64(4).repeat(30),
        ] {
            assert_eq!(name_of(secret), Err(NameError::Secret), "{secret}");
        }
    }

    #[test]
    fn opaque_tokens_of_random_characters_are_recognized() {
        let recognized = (0..2_000).filter(|seed| is_secret(&random_base64(*seed))).count();
        assert!(recognized >= 1_990, "{recognized} of 2,000");
    }

    #[test]
    fn names_and_ids_are_not_secrets() {
        for name in [
            "alice",
            "Ann Lee",
            "alice@contoso.com",
            "a-very-long-address-with-numbers-1a2b3c4d5e6f7a8b@mail.contoso.example.com",
            "live.com#ann@outlook.com",
            "CONTOSO\\ann",
            "john.fitzgerald.kennedy",
            "Karl-Theodor Maria Nikolaus Johann Jacob Philipp Franz Joseph Sylvester",
            "Donaudampfschifffahrtsgesellschaft",
            "JohnFitzgeraldKennedyTheThirdOfHisName",
            "service-account-for-integration-tests-01",
            "DEPARTMENT-OF-REDUNDANCY-DEPARTMENT-42",
            "CN=Ann Lee,OU=People,DC=contoso,DC=com",
            "S-1-5-21-3623811015-3361044348-30300820-1013",
            "+441632960961",
            "110169484474386276334",
            "8f3f2c5e-6a2b-4c1d-9e7f-0a1b2c3d4e5f",
            "8F3F2C5E-6A2B-4C1D-9E7F-0A1B2C3D4E5F",
            "sid:8f3f2c5e6a2b4c1d9e7f0a1b2c3d4e5f",
            "sid:lost",
            "eyJack",
            "EAA Club",
            "ya29",
            "Łucja Nowak",
            "Владимир Владимирович Константинопольский",
            "山田太郎😀",
            "a.b.c",
            "A1B2C3D4",
        ] {
            assert_eq!(name_of(name).as_deref(), Ok(name));
        }
    }

    #[test]
    fn a_long_name_is_rejected_for_its_length() {
        let words = "Ann ".repeat(100);
        for text in [&"a".repeat(257), &"ä".repeat(3_000), &words] {
            let error = parse_name(text).unwrap_err();
            assert_eq!(error, NameError::TooLong);
            assert_eq!(error.to_string(), "The name is too long: use at most 256 characters.");
        }
        for (text, error) in [(" ", NameError::Empty), ("a\u{7f}b", NameError::ControlCharacter)] {
            assert_eq!(name_of(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn no_error_repeats_the_text() {
        for text in [jwt(&json!({})), random_base64(5), "x".repeat(300), "a\0b".to_owned()] {
            let error = parse_name(&text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(&text), "{error}");
        }
    }
}
