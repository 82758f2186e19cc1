//! One request and its answer, bounded in time and size.

use std::error::Error;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH};
use http::{HeaderValue, Method};
use rustls::AlertDescription;

use super::Client;
use super::classify::{Answer, Exchange};
use super::context::CallContext;
use super::policy::{self, Forbidden};
use crate::headers::{API_VERSION, ORIGINATING_IDENTITY, REQUEST_IDENTITY};
use crate::text::clean;
use crate::types::ApiVersion;

/// What is to be sent.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) body: Option<&'a [u8]>,
    pub(super) version: ApiVersion,
    pub(super) answer_bytes: usize,
    pub(super) if_none_match: Option<&'a str>,
}

impl Client {
    /// A call with the spoken version and the ordinary bound on the answer.
    pub(super) fn call<'a>(&self, method: Method, path: &'a str, query: &'a str) -> Call<'a> {
        Call {
            method,
            path,
            query,
            body: None,
            version: self.api_version(),
            answer_bytes: self.limits.answer_bytes,
            if_none_match: None,
        }
    }

    /// Waits for its turn, sends, and reads the answer.
    pub(super) async fn exchange(&self, call: Call<'_>, context: &CallContext) -> Exchange {
        let turn = self.turns.acquire().await;
        let _turn = turn.expect("the semaphore is never closed");
        let request = match self.request(&call, context) {
            Ok(request) => request,
            Err(reason) => return Exchange::NotSent(reason),
        };
        // The connector asks the policy for names only.
        if let Some(ip) = self.base.literal()
            && let Err(forbidden) = policy::check(self.policy.as_ref(), ip, self.base.port())
        {
            return Exchange::NotSent(forbidden.to_string());
        }
        let exchange = match self.http.execute(request).await {
            Ok(response) => Exchange::Answered(self.answer(response, call.answer_bytes).await),
            Err(error) => self.failure(&error),
        };
        tracing::debug!(
            method = %call.method,
            path = call.path,
            request_identity = %context.request_identity,
            result = exchange.summary(),
            "called a service broker"
        );
        exchange
    }

    fn request(&self, call: &Call<'_>, context: &CallContext) -> Result<reqwest::Request, String> {
        let url = self.base.join(call.path, call.query).ok_or("an id is not possible in a path")?;
        let mut request = reqwest::Request::new(call.method.clone(), url);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let version = HeaderValue::from_str(&call.version.to_string());
        headers.insert(API_VERSION, version.expect("digits and a dot"));
        let identity = HeaderValue::from_str(&context.request_identity.to_string());
        headers.insert(REQUEST_IDENTITY, identity.expect("a UUID is ASCII"));
        if let Some(user) = &context.originating_identity {
            let value = HeaderValue::from_str(&user.to_header())
                .map_err(|_| "the originating identity's platform cannot stand in a header")?;
            headers.insert(ORIGINATING_IDENTITY, value);
        }
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        if let Some(etag) = call.if_none_match
            && let Ok(value) = HeaderValue::from_str(etag)
        {
            headers.insert(IF_NONE_MATCH, value);
        }
        if let Some(body) = call.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.to_vec().into());
        }
        Ok(request)
    }

    /// Reads an answer's body up to its bound.
    async fn answer(&self, mut response: reqwest::Response, most: usize) -> Answer {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = BytesMut::new();
        let body = loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > most => {
                    break Err(format!("it is longer than {most} bytes"));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break Ok(Bytes::from(body)),
                Err(error) if error.is_timeout() => {
                    break Err(format!("it did not end within {:?}", self.limits.request));
                }
                Err(_) => break Err("the connection broke off in it".to_owned()),
            }
        };
        Answer { status, headers, body }
    }

    /// Whether a failed request can have reached the broker.
    fn failure(&self, error: &reqwest::Error) -> Exchange {
        if let Some(forbidden) = find::<Forbidden>(error) {
            return Exchange::NotSent(forbidden.to_string());
        }
        if let Some(alert) = refused_handshake(error) {
            return Exchange::NotSent(format!("the broker refuses the TLS handshake: {alert:?}"));
        }
        if error.is_builder() || error.is_connect() {
            let reason = match error.is_timeout() {
                true => format!("no connection within {:?}", self.limits.connect),
                false => format!("no connection: {}", innermost(error)),
            };
            return Exchange::NotSent(reason);
        }
        Exchange::Lost(match error.is_timeout() {
            true => format!("no answer within {:?}", self.limits.request),
            false => format!("the connection broke before an answer: {}", innermost(error)),
        })
    }
}

/// Errors from the outside in. What an I/O error wraps is a member of the chain as well.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    chain(error).find_map(|error| error.downcast_ref())
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    clean(&chain(error).last().unwrap_or(error).to_string(), 300)
}

/// With TLS 1.3 a server refuses a client's certificate after the client has begun to send; it
/// has not looked at the request then.
fn refused_handshake(error: &(dyn Error + 'static)) -> Option<AlertDescription> {
    use AlertDescription as Alert;
    match find::<rustls::Error>(error)? {
        rustls::Error::AlertReceived(alert) => matches!(
            alert,
            Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::HandshakeFailure
        )
        .then_some(*alert),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn check(error: rustls::Error, expect: Option<AlertDescription>) {
        let error = io::Error::other(io::Error::other(error));
        assert_eq!(refused_handshake(&error), expect, "{error}");
    }

    /// OSB-005: a refused certificate, however deep it is wrapped; nothing else ends a handshake.
    #[test]
    fn a_refused_certificate_is_told_from_a_broken_connection() {
        use AlertDescription as Alert;
        let received = rustls::Error::AlertReceived;
        check(received(Alert::CertificateRequired), Some(Alert::CertificateRequired));
        check(received(Alert::UnknownCA), Some(Alert::UnknownCA));
        check(received(Alert::InternalError), None);
        check(rustls::Error::DecryptError, None);
        assert_eq!(refused_handshake(&io::Error::from(io::ErrorKind::ConnectionReset)), None);
    }
}
