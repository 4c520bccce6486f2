//! Is a signed request taken exactly when its client signed it, and is the refusal the right one?
#![no_main]

use std::sync::LazyLock;

use farmgate::auth::{NonceMemory, Scheme, SignatureVerifier};
use farmgate_fuzz::message::Message;
use farmgate_fuzz::signing::{METHODS, judge, rule, sign_where_asked};
use farmgate_fuzz::{EARLIER, NOW, at};
use libfuzzer_sys::fuzz_target;

static VERIFIER: LazyLock<SignatureVerifier> = LazyLock::new(|| {
    let verifier = SignatureVerifier::new(rule()).expect("the clients are right");
    // If nothing was ever taken, every check of what is would be empty.
    let mut good = Message::read(include_bytes!("../seeds/signature/asked_base64")).expect("whole");
    sign_where_asked(&mut good);
    assert!(verifier.verify(&good.head, &good.body, &METHODS, at(NOW)).is_ok());
    verifier
});

fuzz_target!(|data: &[u8]| {
    let Some(mut message) = Message::read(data) else { return };
    sign_where_asked(&mut message);
    for seconds in [NOW, EARLIER] {
        check(&message, seconds);
    }
});

fn check(Message { head, body }: &Message, seconds: u64) {
    let now = at(seconds);
    let verified = VERIFIER.verify(head, body, &METHODS, now);
    let wanted = judge(head, body, seconds);
    match &verified {
        Ok((principal, nonce)) => {
            assert_eq!(Ok(&*principal.id), wanted);
            assert_eq!((principal.scheme, &principal.subject), (Scheme::Signature, &None));
            assert!(principal.has_scope("read"));
            let memory = NonceMemory::new(4);
            assert!(memory.claim(nonce, now).is_ok());
            assert!(memory.claim(nonce, now).is_err(), "a nonce is spent once");
        }
        Err(error) => {
            assert_eq!(Err(error.code()), wanted, "{error}");
            let log = error.to_string();
            assert!(log.len() < 512 && log.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }
    }
    assert_eq!(VERIFIER.verify(head, body, &METHODS, now), verified, "nothing is spent");
}
