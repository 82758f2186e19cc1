//! Brokers behind TLS: a private authority, a wrong one, and client certificates (OSB-005).

use std::sync::Arc;

use dispatch_osb::client::{
    AnyAddress, Authentication, CatalogFetched, Client, ClientError, Endpoint, Outcome, Tls,
};
use dispatch_osb::fake::{FakeBroker, Settings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::common::{context, provision_body};

/// An authority that signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "a private authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn signed(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

/// A broker at 127.0.0.1 with a certificate of this authority; `clients` must have one, too.
async fn broker(authority: &Authority, clients: Option<&Authority>) -> FakeBroker {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone());
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(clients) => {
            let roots = Arc::new(clients.roots());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let (certificate, key) = authority.signed("127.0.0.1");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    FakeBroker::start_with(Settings::default(), Some(Arc::new(config))).await.unwrap()
}

fn client(url: String, tls: Tls, authentication: Authentication) -> Client {
    let endpoint = Endpoint { tls, authentication, ..Endpoint::new(url) };
    Client::new(endpoint, Arc::new(AnyAddress)).unwrap()
}

fn trusting(authority: &Authority) -> Tls {
    Tls { ca_pem: Some(authority.0.pem()), skip_verify: false }
}

async fn is_fetched(client: &Client) -> bool {
    matches!(client.catalog(&context(), None).await, CatalogFetched::Fetched { .. })
}

/// OSB-005
#[tokio::test]
async fn a_private_authority_is_trusted_only_when_it_is_given() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let broker = broker(&ours, None).await;
    let with = |tls| client(broker.url(), tls, Authentication::None);
    assert!(is_fetched(&with(trusting(&ours))).await);
    assert!(is_fetched(&with(Tls { ca_pem: None, skip_verify: true })).await);
    let several = format!("{}\n{}", theirs.0.pem(), ours.0.pem());
    assert!(is_fetched(&with(Tls { ca_pem: Some(several), skip_verify: false })).await);
    for tls in [trusting(&theirs), Tls::default()] {
        let wrong = with(tls);
        let prepared = wrong.prepare_provision("i", &provision_body());
        let outcome = wrong.send_provision(&prepared, &context()).await;
        assert!(matches!(outcome, Outcome::NotSent(_)), "{outcome:?}");
    }
    assert_eq!(broker.finish().await.requests.len(), 3);
}

/// OSB-005: the certificate must be for the address that is called.
#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let ours = Authority::new();
    let broker = broker(&ours, None).await;
    let url = format!("https://localhost:{}", broker.address().port());
    let client = client(url, trusting(&ours), Authentication::None);
    let prepared = client.prepare_provision("i", &provision_body());
    let outcome = client.send_provision(&prepared, &context()).await;
    assert!(matches!(outcome, Outcome::NotSent(_)), "{outcome:?}");
    assert_eq!(broker.finish().await.requests.len(), 0);
}

/// OSB-005
#[tokio::test]
async fn a_broker_that_wants_a_client_certificate_gets_it() {
    let (ours, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let broker = broker(&ours, Some(&clients)).await;
    let with = |authority: &Authority| {
        let (certificate, key) = authority.signed("the platform");
        let certificate_pem = certificate.pem();
        let key_pem = key.serialize_pem();
        let authentication = Authentication::Certificate { certificate_pem, key_pem };
        client(broker.url(), trusting(&ours), authentication)
    };
    assert!(is_fetched(&with(&clients)).await);
    let without = client(broker.url(), trusting(&ours), Authentication::None);
    for wrong in [with(&strangers), without] {
        let prepared = wrong.prepare_provision("i", &provision_body());
        // Which of the two depends on whether the alert outruns the end of the connection.
        let outcome = wrong.send_provision(&prepared, &context()).await;
        let refused = matches!(outcome, Outcome::NotSent(_) | Outcome::Unclear(_));
        assert!(refused, "{outcome:?}");
    }
    let books = broker.finish().await;
    assert_eq!(books.requests.len(), 1);
    assert!(books.is_empty());
}

fn error(change: impl FnOnce(&mut Endpoint)) -> ClientError {
    let mut endpoint = Endpoint::new("https://broker.invalid");
    change(&mut endpoint);
    Client::new(endpoint, Arc::new(AnyAddress)).expect_err("an unusable endpoint")
}

/// OSB-005, OSB-006
#[test]
fn contradictory_endpoints_are_refused() {
    let ca = Authority::new().0.pem();
    let both = error(|it| it.tls = Tls { ca_pem: Some(ca.clone()), skip_verify: true });
    assert!(matches!(both, ClientError::TrustTwice));
    for garbage in ["", "no PEM"] {
        let tls = Tls { ca_pem: Some(garbage.to_owned()), skip_verify: false };
        let garbage = error(|it| it.tls = tls);
        assert!(matches!(garbage, ClientError::Authority(_)), "{garbage:?}");
    }
    let certificate =
        || Authentication::Certificate { certificate_pem: "x".to_owned(), key_pem: "y".to_owned() };
    let plain = error(|it| {
        it.url = "http://broker.invalid".to_owned();
        it.authentication = certificate();
    });
    assert!(matches!(plain, ClientError::CertificateWithoutTls));
    let unreadable = error(|it| it.authentication = certificate());
    assert!(matches!(unreadable, ClientError::Certificate(_)));
    let header = error(|it| it.authentication = Authentication::Bearer { token: "a\nb".into() });
    assert!(matches!(header, ClientError::Credentials));
    let old = error(|it| it.api_version = dispatch_osb::types::ApiVersion::v2(10));
    assert!(matches!(old, ClientError::Version(_)));
}
