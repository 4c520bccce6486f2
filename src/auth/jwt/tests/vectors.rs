//! Do the examples of the RFCs hold here too?
//!
//! RFC 7515, appendices A.1 to A.3, and RFC 8037, appendix A.4: keys, payloads and signatures are
//! theirs. No payload names a user, so the refusal `NoSubject` shows that all before it held; that
//! of RFC 8037 is no JSON, so `Undecodable` does.

use std::time::{Duration, UNIX_EPOCH};

use super::*;

const JOE: &str = concat!(
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQog",
    "Imh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
);

struct Example {
    source: &'static str,
    algorithm: TokenAlgorithm,
    keys: Vec<VerifyingKey>,
    token: String,
    outcome: TokenError,
}

fn key(jwk: &Value, algorithm: TokenAlgorithm) -> Vec<VerifyingKey> {
    static_keys(jwk.to_string().as_bytes(), &[algorithm]).unwrap()
}

fn hmac() -> Example {
    const SECRET: &str =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    Example {
        source: "RFC 7515, A.1",
        algorithm: TokenAlgorithm::Hs256,
        keys: vec![VerifyingKey::from_secret(&URL_SAFE_NO_PAD.decode(SECRET).unwrap()).unwrap()],
        token: format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}.{signature}"),
        outcome: TokenError::NoSubject,
    }
}

fn rsa() -> Example {
    let modulus = concat!(
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJ",
        "PMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0",
        "LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uD",
        "Zlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2",
        "PAcDTW9gb54h4FRWyuXpoQ",
    );
    let signature = concat!(
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF",
        "5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK",
        "5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqt",
        "FZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB",
        "p0igcN_IoypGlUPQGe77Rw",
    );
    let jwk = json!({ "kty": "RSA", "n": modulus, "e": "AQAB" });
    Example {
        source: "RFC 7515, A.2",
        algorithm: TokenAlgorithm::Rs256,
        keys: key(&jwk, TokenAlgorithm::Rs256),
        token: format!("eyJhbGciOiJSUzI1NiJ9.{JOE}.{signature}"),
        outcome: TokenError::NoSubject,
    }
}

fn ecdsa() -> Example {
    let jwk = json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let signature =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    Example {
        source: "RFC 7515, A.3",
        algorithm: TokenAlgorithm::Es256,
        keys: key(&jwk, TokenAlgorithm::Es256),
        token: format!("eyJhbGciOiJFUzI1NiJ9.{JOE}.{signature}"),
        outcome: TokenError::NoSubject,
    }
}

fn eddsa() -> Example {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let payload = "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
    Example {
        source: "RFC 8037, A.4",
        algorithm: TokenAlgorithm::EdDsa,
        keys: key(&jwk, TokenAlgorithm::EdDsa),
        token: format!("eyJhbGciOiJFZERTQSJ9.{payload}.{signature}"),
        outcome: TokenError::Undecodable,
    }
}

#[test]
fn the_examples_of_the_rfcs_hold() {
    let just_in_time = Now { wall: UNIX_EPOCH + Duration::from_secs(1_300_819_379), ..Now::read() };
    for example in [hmac(), rsa(), ecdsa(), eddsa()] {
        let rule = bare(&[example.algorithm], KeySource::Static(example.keys));
        let verifier = verifier(rule);
        let verify = |token: &str, now| verifier.verify(token.as_bytes(), now).unwrap_err();
        assert_eq!(verify(&example.token, just_in_time), example.outcome, "{}", example.source);
        if example.outcome == TokenError::NoSubject {
            let over = just_in_time.plus(Duration::from_secs(1));
            assert_eq!(verify(&example.token, over), TokenError::Expired, "{}", example.source);
        }
        let tampered = example.token.replacen(".eyJp", ".eyJq", 1).replacen(".RX", ".RY", 1);
        let refused = verify(&tampered, just_in_time);
        assert_eq!(refused, TokenError::Signature, "{}", example.source);
    }
}

#[test]
fn a_token_that_openssl_signed_with_8192_bits_holds() {
    let algorithms = [TokenAlgorithm::Rs256];
    let keys = static_keys(key_file!("rsa_8192_public.pem"), &algorithms).unwrap();
    let verifier = verifier(bare(&algorithms, KeySource::Static(keys)));
    let found = verifier.verify(key_file!("rsa_8192_token.txt"), now()).unwrap();
    assert_eq!(found.principal.quota_key(), "jwt:42");
}
