//! What becomes of an upstream's complete body?
//!
//! The body must be the identity coding: ask the upstream for no other, or decode before.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{CONTENT_TYPE, Envelope, Rule, quoted, refuse};
use crate::refusal::Refusal;

/// The deepest nesting of an envelope that leaves. Common parsers, `serde_json` among them, stop
/// at 128 levels: a deeper answer would be valid JSON that clients cannot read.
const NESTING_MAX: usize = 127;

/// The most bytes of a plain-text error that are repeated to the client.
const TEXT_DETAIL_BYTES_MAX: usize = 1024;

/// UTF-8's byte order mark, which JSON texts must not begin with and some do.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The message of an error that brings none of its own.
const MESSAGE_OF_ERRORS: &str = "\"Request failed\"";

/// Which case an upstream's answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// JSON without an envelope: now the `data` or the `errors` of one.
    Wrapped,
    /// An envelope already: brought to the configured form.
    Reformed,
    /// No body: an envelope without data.
    Empty,
    /// Plain text with an error status: the detail of an error.
    Text,
    /// Called JSON and is none that a client could read: replaced by a 502.
    Invalid,
    /// Nothing to wrap: the bytes and the content type are the upstream's.
    PassedThrough,
}

/// An upstream's answer in the form in which it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// The upstream's status, or 502 for [`Kind::Invalid`].
    pub status: StatusCode,
    /// The complete body.
    pub body: Bytes,
    /// Which case it was.
    pub kind: Kind,
    /// Whether the answer is a success. Narrower than a 2xx `status`: an upstream's own envelope
    /// may say that it failed, and such an answer is not worth keeping.
    pub success: bool,
}

impl Wrapped {
    /// The content type to send; `None` keeps the upstream's.
    #[must_use]
    pub fn content_type(&self) -> Option<&'static str> {
        (self.kind != Kind::PassedThrough).then_some(CONTENT_TYPE)
    }

    fn enveloped(rule: Rule, status: StatusCode, kind: Kind, envelope: &Envelope<'_>) -> Self {
        let body = envelope.write(rule.status_form);
        Self { status, body, kind, success: envelope.success }
    }

    fn invalid(rule: Rule) -> Self {
        let refusal = Refusal::UpstreamInvalid;
        Self {
            status: refusal.status(),
            // One body for all who wait on the same fill: it cannot name one request.
            body: refuse::body(rule.status_form, &refusal, None),
            kind: Kind::Invalid,
            success: false,
        }
    }
}

/// Brings an upstream's complete body into the form in which it leaves.
///
/// Redirects, partial content and statuses that have no body pass through, as do successes that
/// are not JSON and errors that are neither JSON nor text. The caller leaves answers to `HEAD`
/// alone, and decides about a body that does not fit the rule ([`Rule::fits`]).
#[must_use]
pub fn wrap(
    rule: Rule,
    upstream_status: StatusCode,
    content_type: Option<&str>,
    body: &Bytes,
) -> Wrapped {
    let success = upstream_status.is_success();
    let media = Media::of(content_type);
    if takes_envelope(upstream_status) {
        match (media, success, body.is_empty()) {
            (Media::Json, _, false) => return json(rule, upstream_status, body),
            (_, false, true) | (Media::Json | Media::Unnamed, true, true) => {
                return empty(rule, upstream_status);
            }
            (Media::Text | Media::Unnamed, false, false) => {
                return text(rule, upstream_status, body);
            }
            (Media::Text | Media::Other, true, _)
            | (Media::Other, false, false)
            | (Media::Unnamed, true, false) => {}
        }
    }
    Wrapped { status: upstream_status, body: body.clone(), kind: Kind::PassedThrough, success }
}

/// Whether answers with this status have a whole body of their own.
fn takes_envelope(status: StatusCode) -> bool {
    let bare = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::PARTIAL_CONTENT];
    !(status.is_informational() || status.is_redirection() || bare.contains(&status))
}

/// What a content type means for the envelope.
#[derive(Clone, Copy)]
enum Media {
    Json,
    Text,
    Other,
    Unnamed,
}

impl Media {
    fn of(content_type: Option<&str>) -> Self {
        let Some(value) = content_type else { return Self::Unnamed };
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "" => Self::Unnamed,
            "application/json" | "text/json" => Self::Json,
            json if json.ends_with("+json") => Self::Json,
            text if text.starts_with("text/") => Self::Text,
            _ => Self::Other,
        }
    }
}

fn json(rule: Rule, status: StatusCode, body: &Bytes) -> Wrapped {
    let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    // A raw value is checked against the grammar and UTF-8, trimmed, and not built in memory.
    let Ok(raw) = serde_json::from_slice::<&RawValue>(text) else { return Wrapped::invalid(rule) };
    let raw = raw.get();
    let upstream = Enveloped::recognise(raw);
    let nesting = nesting(raw) + usize::from(upstream.is_none());
    if nesting > NESTING_MAX {
        return Wrapped::invalid(rule);
    }
    if let Some(upstream) = upstream {
        let envelope = upstream.reformed(status.is_success());
        return Wrapped::enveloped(rule, status, Kind::Reformed, &envelope);
    }
    let envelope = if status.is_success() {
        Envelope {
            success: true,
            message: reason(status).into(),
            data: Some(raw),
            errors: "null".into(),
            request_id: None,
        }
    } else {
        failed(Hints::of(raw).message().into(), raw.into())
    };
    Wrapped::enveloped(rule, status, Kind::Wrapped, &envelope)
}

fn empty(rule: Rule, status: StatusCode) -> Wrapped {
    let envelope =
        Envelope { success: status.is_success(), ..failed(reason(status).into(), "null".into()) };
    Wrapped::enveloped(rule, status, Kind::Empty, &envelope)
}

fn text(rule: Rule, status: StatusCode, body: &Bytes) -> Wrapped {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let detail = text.get(..text.floor_char_boundary(TEXT_DETAIL_BYTES_MAX)).unwrap_or_default();
    if detail.is_empty() {
        return empty(rule, status);
    }
    let errors = format!("{{\"detail\":{}}}", quoted(detail));
    let envelope = failed(MESSAGE_OF_ERRORS.into(), errors.into());
    Wrapped::enveloped(rule, status, Kind::Text, &envelope)
}

fn failed<'a>(message: Cow<'a, str>, errors: Cow<'a, str>) -> Envelope<'a> {
    Envelope { success: false, message, data: Some("null"), errors, request_id: None }
}

/// The status's reason phrase as a JSON string.
fn reason(status: StatusCode) -> String {
    quoted(status.canonical_reason().unwrap_or(if status.is_success() { "OK" } else { "Error" }))
}

/// An upstream body that is an envelope already.
///
/// An unknown key or a repeated one fails the parse: such a body is not taken for an envelope and
/// becomes the data of one, so nothing of it is lost or chosen between.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enveloped<'a> {
    #[serde(borrow)]
    status: &'a RawValue,
    #[serde(borrow)]
    message: &'a RawValue,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    errors: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    request_id: Option<&'a RawValue>,
}

/// Tells a key with `null` from a key that is not there.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

impl<'a> Enveloped<'a> {
    fn recognise(raw: &'a str) -> Option<Self> {
        // A derived struct also reads from an array; only an object can be an envelope.
        let envelope: Self = raw.starts_with('{').then(|| serde_json::from_str(raw).ok())??;
        let recognised = envelope.says_success().is_some()
            && is_string(envelope.message)
            && (envelope.data.is_some() || envelope.errors.is_some());
        recognised.then_some(envelope)
    }

    fn says_success(&self) -> Option<bool> {
        match self.status.get() {
            "0" | "\"success\"" => Some(true),
            "1" | "\"error\"" => Some(false),
            _ => None,
        }
    }

    /// A failure on either side is a failure: the HTTP status cannot be talked away, and a body
    /// that admits an error under a 200 is not made to claim success.
    fn reformed(&self, http_success: bool) -> Envelope<'a> {
        Envelope {
            success: http_success && self.says_success() == Some(true),
            message: self.message.get().into(),
            data: Some(self.data.map_or("null", RawValue::get)),
            errors: self.errors.map_or("null", RawValue::get).into(),
            request_id: self.request_id.map(|id| id.get().into()),
        }
    }
}

/// Where errors without an envelope keep their sentence.
#[derive(Default, Deserialize)]
struct Hints<'a> {
    #[serde(borrow)]
    errors: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl<'a> Hints<'a> {
    /// The hints of an object; none of anything else, or when a key repeats.
    fn of(raw: &'a str) -> Self {
        if !raw.starts_with('{') {
            return Self::default();
        }
        serde_json::from_str(raw).unwrap_or_default()
    }

    /// The first non-empty string among `errors.detail`, `message`, `detail` and `error`.
    fn message(&self) -> &'a str {
        let nested = self.errors.and_then(|errors| Self::of(errors.get()).detail);
        [nested, self.message, self.detail, self.error]
            .into_iter()
            .flatten()
            .find(|hint| is_string(hint) && hint.get() != "\"\"")
            .map_or(MESSAGE_OF_ERRORS, RawValue::get)
    }
}

fn is_string(raw: &RawValue) -> bool {
    raw.get().starts_with('"')
}

/// How many arrays and objects are open at the deepest point of a valid JSON text. The raw value
/// is parsed without recursion and therefore without a limit of its own.
fn nesting(json: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0_usize);
    let mut bytes = json.bytes();
    let mut in_string = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            // The escaped byte is passed over, so that `\"` does not end the string.
            b'\\' => drop(bytes.next()),
            b'[' | b'{' if !in_string => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' if !in_string => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::StatusForm;
    use super::*;

    const TEXT: Rule = Rule { status_form: StatusForm::Text, body_bytes_max: 1 << 20 };
    const INTEGER: Rule = Rule { status_form: StatusForm::Integer, body_bytes_max: 1 << 20 };
    const JSON: Option<&str> = Some("application/json");

    fn wrapped(rule: Rule, status: u16, media: Option<&str>, body: impl Into<Bytes>) -> Wrapped {
        wrap(rule, StatusCode::from_u16(status).unwrap(), media, &body.into())
    }

    fn json_of(rule: Rule, status: u16, body: &'static str) -> (Kind, String) {
        let answer = wrapped(rule, status, JSON, body);
        (answer.kind, String::from_utf8(answer.body.to_vec()).unwrap())
    }

    #[track_caller]
    fn assert_invalid(media: &str, body: impl Into<Bytes>) {
        let answer = wrapped(INTEGER, 200, Some(media), body);
        assert_eq!((answer.kind, answer.success), (Kind::Invalid, false));
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        assert_eq!(
            answer.body,
            r#"{"status":1,"message":"Upstream returned invalid JSON","data":null,"errors":null}"#
        );
    }

    #[test]
    fn bare_json_becomes_data_verbatim() {
        let (kind, body) = json_of(TEXT, 200, " {\"t\": 1.50, \"t\": \"\\u00e9\"}\r\n");
        assert_eq!(kind, Kind::Wrapped);
        assert_eq!(
            body,
            r#"{"status":"success","message":"OK","data":{"t": 1.50, "t": "\u00e9"},"errors":null}"#
        );
    }

    #[test]
    fn success_message_is_the_reason_phrase() {
        let (_, body) = json_of(INTEGER, 201, "[1]");
        assert_eq!(body, r#"{"status":0,"message":"Created","data":[1],"errors":null}"#);
    }

    #[test]
    fn bare_error_becomes_errors_with_its_sentence() {
        let rows = [
            (r#"{"errors":{"detail":"a"},"message":"b"}"#, "a"),
            (r#"{"errors":{"detail":1},"message":"b","error":"d"}"#, "b"),
            (r#"{"detail":"c \"x\"","error":"d"}"#, "c \"x\""),
            (r#"{"error":"d"}"#, "d"),
            (r#"{"message":"","error":["d"]}"#, "Request failed"),
            (r#"{"error":"d","error":"e"}"#, "Request failed"),
            (r#"[null,"a","b","c"]"#, "Request failed"),
            ("\"gone\"", "Request failed"),
        ];
        for (sent, message) in rows {
            let (kind, body) = json_of(TEXT, 404, sent);
            assert_eq!(kind, Kind::Wrapped);
            let quoted = quoted(message);
            let expected =
                format!(r#"{{"status":"error","message":{quoted},"data":null,"errors":{sent}}}"#);
            assert_eq!(body, expected);
        }
    }

    #[test]
    fn envelope_is_brought_to_the_configured_form() {
        let sent = r#"{ "data": {"a" : 1e2}, "status": 0, "request_id": "r", "message": "hi" }"#;
        let (kind, body) = json_of(TEXT, 200, sent);
        assert_eq!(kind, Kind::Reformed);
        assert_eq!(
            body,
            r#"{"status":"success","message":"hi","data":{"a" : 1e2},"errors":null,"request_id":"r"}"#
        );
        let (_, body) =
            json_of(INTEGER, 400, r#"{"status":"error","message":"no","errors":["x"]}"#);
        assert_eq!(body, r#"{"status":1,"message":"no","data":null,"errors":["x"]}"#);
    }

    #[test]
    fn recorded_service_answer_keeps_its_bytes_in_integer_form() {
        let sent = r#"{"status":0,"message":"OK","data":{"observed_at":"2026-11-23T10:00:00+03:00","temperature_c":24.2,"wind_speed_mps":12.6,"source":"open_meteo"},"errors":null}"#;
        assert_eq!(json_of(INTEGER, 200, sent), (Kind::Reformed, sent.to_owned()));
    }

    #[test]
    fn http_failure_overrules_a_claimed_success() {
        let (kind, body) = json_of(TEXT, 500, r#"{"status":0,"message":"OK","data":1}"#);
        assert_eq!(kind, Kind::Reformed);
        assert_eq!(body, r#"{"status":"error","message":"OK","data":1,"errors":null}"#);
    }

    #[test]
    fn admitted_error_under_a_200_stays_an_error() {
        let answer = wrapped(TEXT, 200, JSON, r#"{"status":1,"message":"no","errors":{}}"#);
        assert!(!answer.success);
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.body.starts_with(b"{\"status\":\"error\""));
    }

    #[test]
    fn what_only_resembles_an_envelope_is_wrapped() {
        let bodies = [
            r#"{"status":2,"message":"OK","data":1}"#,
            r#"{"status":0,"message":null,"data":1}"#,
            r#"{"status":0,"message":"OK"}"#,
            r#"{"status":0,"message":"OK","data":1,"count":3}"#,
            r#"{"status":0,"message":"OK","data":1,"data":2}"#,
            r#"[0,"OK",1,null,"r"]"#,
        ];
        for sent in bodies {
            let (kind, body) = json_of(INTEGER, 200, sent);
            assert_eq!(kind, Kind::Wrapped, "{sent}");
            assert_eq!(
                body,
                format!(r#"{{"status":0,"message":"OK","data":{sent},"errors":null}}"#)
            );
        }
    }

    #[test]
    fn unreadable_json_becomes_a_502() {
        let truncated = "{\"a\": [1, 2";
        for body in [truncated, "{} x", "{}{}", " \n", "nul", "[1,]", "{'a':1}", "01", "\"\u{1}\""]
        {
            assert_invalid("application/json; charset=utf-8", body);
        }
        assert_invalid("application/json", "<html><body>502 Bad Gateway</body></html>");
        assert_invalid("application/problem+json", &b"{\"a\":\"\xff\"}"[..]);
        assert_invalid("Text/JSON", &b"\xff\xfe{\0}\0"[..]);
    }

    #[test]
    fn too_deep_json_becomes_a_502() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_invalid("application/json", nested(NESTING_MAX));
        assert_invalid("application/json", nested(100_000));
        let answer = wrapped(TEXT, 200, JSON, nested(NESTING_MAX - 1));
        assert_eq!(answer.kind, Kind::Wrapped);
        assert!(serde_json::from_slice::<Value>(&answer.body).is_ok());
        assert_eq!(wrapped(TEXT, 200, JSON, answer.body).kind, Kind::Reformed);
    }

    #[test]
    fn brackets_inside_strings_do_not_nest() {
        assert_eq!(nesting(r#"{"a[{":"\"[[\\","b":[{}]}"#), 3);
        assert_eq!(nesting("7"), 0);
    }

    #[test]
    fn byte_order_mark_is_dropped() {
        let answer = wrapped(TEXT, 200, JSON, &b"\xef\xbb\xbf{\"a\":1}"[..]);
        assert_eq!(
            answer.body,
            r#"{"status":"success","message":"OK","data":{"a":1},"errors":null}"#
        );
    }

    #[test]
    fn empty_body_becomes_an_envelope_without_data() {
        let answer = wrapped(TEXT, 201, None, "");
        assert_eq!((answer.kind, answer.content_type()), (Kind::Empty, Some(CONTENT_TYPE)));
        assert_eq!(
            answer.body,
            r#"{"status":"success","message":"Created","data":null,"errors":null}"#
        );
        let answer = wrapped(INTEGER, 405, Some("image/png"), "");
        assert_eq!(
            answer.body,
            r#"{"status":1,"message":"Method Not Allowed","data":null,"errors":null}"#
        );
    }

    #[test]
    fn text_error_becomes_the_detail_of_an_envelope() {
        let answer = wrapped(TEXT, 413, Some("text/plain; charset=utf-8"), " too \"long\"\n");
        assert_eq!((answer.kind, answer.status.as_u16()), (Kind::Text, 413));
        assert_eq!(
            answer.body,
            r#"{"status":"error","message":"Request failed","data":null,"errors":{"detail":"too \"long\""}}"#
        );
        assert_eq!(wrapped(TEXT, 400, Some("text/plain"), " \n").kind, Kind::Empty);
    }

    #[test]
    fn long_text_error_is_cut_at_a_character() {
        let answer = wrapped(TEXT, 500, None, "é".repeat(1_000) + "x");
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["errors"]["detail"], "é".repeat(512));
        let answer = wrapped(TEXT, 500, None, format!("x{}", "é".repeat(1_000)));
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["errors"]["detail"].as_str().unwrap().len(), 1_023);
    }

    #[test]
    fn what_is_not_for_the_envelope_passes_untouched() {
        let rows = [
            (200, Some("image/png"), "\u{1}PNG"),
            (200, Some("text/csv"), "a,b\n"),
            (200, Some("text/html"), "<p>"),
            (200, Some("text/csv"), ""),
            (200, None, "unnamed"),
            (500, Some("application/octet-stream"), "core"),
            (301, Some("text/html"), "moved"),
            (304, JSON, ""),
            (204, None, ""),
            (206, JSON, "{\"a\""),
        ];
        for (status, media, body) in rows {
            let answer = wrapped(TEXT, status, media, body);
            assert_eq!((answer.kind, answer.content_type()), (Kind::PassedThrough, None));
            assert_eq!((answer.status.as_u16(), &answer.body[..]), (status, body.as_bytes()));
        }
    }

    #[test]
    fn body_fits_up_to_the_limit() {
        let rule = Rule { body_bytes_max: 10, ..TEXT };
        assert!(rule.fits(10) && !rule.fits(11));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        let key = prop_oneof![
            ".{0,6}",
            Just("status".to_owned()),
            Just("message".to_owned()),
            Just("detail".to_owned()),
            Just("errors".to_owned()),
        ];
        leaf.prop_recursive(5, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(key.clone(), inner, 0..6)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    fn any_rule() -> impl Strategy<Value = Rule> {
        prop_oneof![Just(TEXT), Just(INTEGER)]
    }

    proptest! {
        #[test]
        fn data_of_any_wrapped_json_round_trips(rule in any_rule(), value in any_json()) {
            let sent = value.to_string();
            // Sent bytes are the reference: a float may parse to a neighbour of what was printed.
            let parsed: Value = serde_json::from_str(&sent).unwrap();
            let answer = wrapped(rule, 200, JSON, sent);
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            let keys = body.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
            prop_assert_eq!(answer.kind, Kind::Wrapped);
            prop_assert_eq!(keys.len(), 4);
            prop_assert_eq!(&body["data"], &parsed);
            prop_assert_eq!(&body["errors"], &Value::Null);
        }

        #[test]
        fn errors_of_any_failed_json_round_trip(rule in any_rule(), value in any_json()) {
            let sent = value.to_string();
            let parsed: Value = serde_json::from_str(&sent).unwrap();
            let answer = wrapped(rule, 422, JSON, sent);
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            prop_assert_eq!(&body["errors"], &parsed);
            prop_assert!(body["message"].is_string());
        }

        #[test]
        fn bringing_to_a_form_twice_is_the_same_as_once(
            rule in any_rule(),
            status in prop_oneof![Just(200_u16), Just(201), Just(404), Just(500)],
            value in any_json(),
            envelope in any::<bool>(),
        ) {
            let sent = if envelope {
                json!({"status": "success", "message": "m", "data": value, "request_id": 7})
            } else {
                value
            };
            let once = wrapped(rule, status, JSON, sent.to_string());
            let twice = wrapped(rule, status, JSON, once.body.clone());
            prop_assert_eq!(twice.kind, Kind::Reformed);
            prop_assert_eq!(twice.body, once.body);
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_leave_as_json(
            rule in any_rule(),
            status in 200_u16..600,
            body in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..64),
                "[\\[\\]{}\",:0-9a-z \\\\]{0,64}".prop_map(String::into_bytes),
            ],
            media in prop_oneof![Just(JSON), Just(None), Just(Some("text/plain"))],
        ) {
            let answer = wrapped(rule, status, media, body);
            if answer.kind != Kind::PassedThrough {
                prop_assert!(serde_json::from_slice::<&RawValue>(&answer.body).is_ok());
            }
        }
    }
}
