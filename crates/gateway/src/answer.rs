//! From the end of a call, or the reason why there was none, to the answer (contract §6.3, with the documented status
//! codes of §4.3 where v0.1.22 was silent). Nothing of how a function is run is shown.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, Version, header};
use http_body_util::Full;
use serde::Serialize;

use crate::{
    call::{FailureKind, Invoked},
    input::Refusal,
};

pub(crate) type Answer = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const LONGEST_MESSAGE: usize = 1000;

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

pub(crate) fn of_call(invoked: Invoked) -> Answer {
    use StatusCode as S;
    match invoked {
        Invoked::Output(output) => of_output(output),
        Invoked::Accepted => empty(S::ACCEPTED),
        Invoked::Failed { kind, message } => failed(kind, &message),
        Invoked::TimedOut => {
            let message = "Function execution exceeded the timeout";
            error(S::GATEWAY_TIMEOUT, message, FailureKind::FunctionError.as_str())
        }
        Invoked::Overloaded { retry_after } => {
            retry(error(S::SERVICE_UNAVAILABLE, "too many calls", "Overloaded"), retry_after)
        }
        Invoked::NotFound => error(
            S::NOT_FOUND,
            "the function of this API does not exist or is not ready",
            "NotFound",
        ),
        Invoked::Unavailable => {
            let answer = error(S::SERVICE_UNAVAILABLE, "try again later", "Unavailable");
            retry(answer, Duration::from_secs(1))
        }
    }
}

/// The output as it is, with a newline at its end; what says nothing is an empty body.
fn of_output(output: Option<Bytes>) -> Answer {
    let output = output.unwrap_or_default();
    if matches!(output.trim_ascii(), b"" | b"null" | b"\"\"") {
        return empty(StatusCode::OK);
    }
    if output.ends_with(b"\n") {
        return json(StatusCode::OK, output);
    }
    let mut line = Vec::with_capacity(output.len() + 1);
    line.extend_from_slice(&output);
    line.push(b'\n');
    json(StatusCode::OK, line.into())
}

fn failed(kind: FailureKind, message: &str) -> Answer {
    let status = match kind {
        FailureKind::InputError => StatusCode::UNPROCESSABLE_ENTITY,
        FailureKind::FunctionError => StatusCode::BAD_GATEWAY,
        // What went wrong inside is for the operator, who has it in the run and the log.
        FailureKind::SystemError => {
            let message = "the function could not be run";
            return error(StatusCode::INTERNAL_SERVER_ERROR, message, kind.as_str());
        }
    };
    let message = message.chars().filter(|c| !c.is_control() || *c == '\n');
    error(status, &message.take(LONGEST_MESSAGE).collect::<String>(), kind.as_str())
}

pub(crate) fn of_refusal(refusal: &Refusal) -> Answer {
    use StatusCode as S;
    match refusal {
        Refusal::TooLarge { max } => {
            message(S::PAYLOAD_TOO_LARGE, &format!("request body is larger than {max} bytes"))
        }
        Refusal::TooSlow => message(S::REQUEST_TIMEOUT, "request body took too long"),
        Refusal::Broken => message(S::BAD_REQUEST, "request body ended early"),
        Refusal::NoRoom => {
            let answer = error(S::SERVICE_UNAVAILABLE, "too many large requests", "Overloaded");
            retry(answer, Duration::from_secs(1))
        }
        Refusal::UnsupportedType(name) => message(
            S::UNSUPPORTED_MEDIA_TYPE,
            &format!("request body type is not supported: {}", shortened(name)),
        ),
        Refusal::NotJson => message(S::BAD_REQUEST, "request body is not json"),
        Refusal::NotText => {
            message(S::BAD_REQUEST, "request body has no content type and is not UTF-8 text")
        }
        Refusal::TooManyFields { max } => {
            message(S::BAD_REQUEST, &format!("request has more than {max} fields"))
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

pub(crate) fn no_api() -> Answer {
    message(StatusCode::NOT_FOUND, "no API found with those values")
}

pub(crate) fn ambiguous_host() -> Answer {
    message(StatusCode::BAD_REQUEST, "request has more than one host")
}

pub(crate) fn https_only(version: Version) -> Answer {
    let mut answer = message(StatusCode::UPGRADE_REQUIRED, "Please use HTTPS protocol");
    // RFC 9110 §15.5.22 asks for Upgrade, RFC 9113 §8.2.2 forbids it on HTTP/2.
    if version != Version::HTTP_2 {
        let headers = answer.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("TLS/1.2, HTTP/1.1"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
    answer
}

/// An API whose authentication cannot be enforced is refused, never open.
pub(crate) fn unsupported_authentication() -> Answer {
    let message = "the authentication of this API is not supported, so that it is not served";
    error(StatusCode::NOT_IMPLEMENTED, message, "AuthenticationUnsupported")
}

pub(crate) fn panicked() -> Answer {
    failed(FailureKind::SystemError, "")
}

pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// Any site may read this answer (contract §6.3).
pub(crate) fn allow_any_site(answer: &mut Answer) {
    const ANY: HeaderValue = HeaderValue::from_static("*");
    const NAMES: [HeaderName; 3] = [
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::ACCESS_CONTROL_ALLOW_METHODS,
        header::ACCESS_CONTROL_ALLOW_HEADERS,
    ];
    for name in NAMES {
        answer.headers_mut().insert(name, ANY);
    }
}

fn message(status: StatusCode, message: &str) -> Answer {
    lines(status, &Message { message, error: None })
}

fn error(status: StatusCode, message: &str, error: &str) -> Answer {
    lines(status, &Message { message, error: Some(error) })
}

fn lines(status: StatusCode, message: &Message<'_>) -> Answer {
    let mut body = serde_json::to_vec(message).expect("two strings are always JSON");
    body.push(b'\n');
    json(status, body.into())
}

fn json(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, JSON);
    answer
}

/// Whole seconds, at least one.
fn retry(mut answer: Answer, after: Duration) -> Answer {
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    answer.headers_mut().insert(header::RETRY_AFTER, seconds.max(1).into());
    answer
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn shown(answer: Answer) -> String {
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.expect("it is in memory").to_bytes();
        let header = |name| {
            let value = parts.headers.get(name).map(|value: &HeaderValue| value.to_str());
            value.map_or(String::new(), |value| format!(" {}", value.expect("ASCII")))
        };
        let (kind, retry) = (header(header::CONTENT_TYPE), header(header::RETRY_AFTER));
        format!("{}{kind}{retry} {}", parts.status.as_u16(), String::from_utf8_lossy(&body))
    }

    #[tokio::test]
    async fn every_end_of_a_call_has_its_answer() {
        let check = async |invoked: Invoked, expect: &str| {
            assert_eq!(shown(of_call(invoked.clone())).await, expect, "{invoked:?}");
        };
        let output = |text: &'static str| Invoked::Output(Some(text.into()));
        let failed = |kind, message: &str| Invoked::Failed { kind, message: message.to_owned() };
        check(output("{\"b\": 1.50}"), "200 application/json {\"b\": 1.50}\n").await;
        check(output("[]\n"), "200 application/json []\n").await;
        check(output("0"), "200 application/json 0\n").await;
        check(output("\" \""), "200 application/json \" \"\n").await;
        check(output("false"), "200 application/json false\n").await;
        for nothing in ["null", " null\n", "\"\"", ""] {
            check(output(nothing), "200 ").await;
        }
        check(Invoked::Output(None), "200 ").await;
        check(Invoked::Accepted, "202 ").await;
        check(
            failed(FailureKind::InputError, "num is\n\u{7}missing"),
            "422 application/json {\"message\":\"num is\\nmissing\",\"error\":\"InputError\"}\n",
        )
        .await;
        check(
            failed(FailureKind::FunctionError, "division by zero"),
            "502 application/json {\"message\":\"division by zero\",\"error\":\"FunctionError\"}\n",
        )
        .await;
        check(
            failed(FailureKind::SystemError, "/var/lib/dispatch/scratch: full"),
            "500 application/json {\"message\":\"the function could not be run\",\"error\":\"SystemError\"}\n",
        )
        .await;
        check(
            Invoked::TimedOut,
            "504 application/json {\"message\":\"Function execution exceeded the timeout\",\"error\":\"FunctionError\"}\n",
        )
        .await;
        check(
            Invoked::NotFound,
            "404 application/json {\"message\":\"the function of this API does not exist or is not ready\",\"error\":\"NotFound\"}\n",
        )
        .await;
        check(
            Invoked::Unavailable,
            "503 application/json 1 {\"message\":\"try again later\",\"error\":\"Unavailable\"}\n",
        )
        .await;
        for (milliseconds, seconds) in [(0, 1), (200, 1), (1000, 1), (1001, 2)] {
            let retry_after = Duration::from_millis(milliseconds);
            let expect = format!(
                "503 application/json {seconds} {{\"message\":\"too many calls\",\"error\":\"Overloaded\"}}\n"
            );
            check(Invoked::Overloaded { retry_after }, &expect).await;
        }
    }

    #[tokio::test]
    async fn a_message_is_bounded() {
        let message = "é".repeat(LONGEST_MESSAGE + 1);
        let answer = failed(FailureKind::FunctionError, &message);
        let body = answer.into_body().collect().await.expect("in memory").to_bytes();
        assert_eq!(String::from_utf8_lossy(&body).matches('é').count(), LONGEST_MESSAGE);
    }
}
