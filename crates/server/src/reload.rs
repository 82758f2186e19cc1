//! What a running server takes over from changed settings without a restart (SIGHUP; decision 19a): limits, and the
//! gateway's certificate. The log level is the executable's.

use toml::Table;

use crate::{
    config::Settings,
    server::{Running, StartError},
};

/// Keys that count from the moment of the reload.
const AT_ONCE: [&str; 3] = ["allow_private_addresses", "broker_timeout_ms", "log"];

impl Running {
    /// Takes the settings over, and the certificate as it is on disk. Returns the keys that have changed and count
    /// only after a restart. An error leaves everything as it was.
    pub fn reload(&self, wanted: &Settings) -> Result<Vec<String>, StartError> {
        let tls = self.settings.data.join("tls");
        let certificate = dispatch_gateway::tls::load_or_create(&tls, &self.host_names)?;
        self.tls.store(certificate.config);
        self.platform.brokers.set_request_timeout_ms(wanted.broker_timeout_ms);
        self.connector.set_allow_private(wanted.allow_private_addresses);
        Ok(changed(&self.settings, wanted))
    }
}

/// The keys of the top level in which two settings differ, but for those that count at once.
fn changed(old: &Settings, new: &Settings) -> Vec<String> {
    let table = |settings: &Settings| Table::try_from(settings).unwrap_or_default();
    let old = table(old);
    let differs = |(key, value): &(String, toml::Value)| {
        !AT_ONCE.contains(&key.as_str()) && old.get(key) != Some(value)
    };
    table(new).into_iter().filter(differs).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestServer;

    #[tokio::test]
    async fn the_gateway_shows_the_certificate_that_is_on_disk_after_a_reload() {
        let server = TestServer::start().await;
        let tls = server.running.settings.data.join("tls");
        // By the machine's name, which the server put into the certificate that it made.
        let gateway = server.running.addresses.gateway_tls;
        let url = format!("https://box.example:{}/none", gateway.port());
        let trusting = |pem: &[u8]| {
            let certificate = reqwest::Certificate::from_pem(pem).unwrap();
            let client = reqwest::Client::builder().no_proxy().tls_certs_only([certificate]);
            client.resolve("box.example", gateway).build().unwrap().get(&url).send()
        };
        let before = std::fs::read(tls.join("certificate.pem")).unwrap();
        assert_eq!(trusting(&before).await.unwrap().status(), 404);
        std::fs::remove_dir_all(&tls).unwrap();
        let settings = server.running.settings.clone();
        assert!(server.running.reload(&settings).unwrap().is_empty());
        let after = std::fs::read(tls.join("certificate.pem")).unwrap();
        assert_eq!(trusting(&after).await.unwrap().status(), 404);
        assert!(trusting(&before).await.is_err(), "the old one is gone");
        // What cannot be used leaves the one in use.
        std::fs::write(tls.join("server.pem"), "garbage").unwrap();
        assert!(server.running.reload(&settings).is_err());
        assert_eq!(trusting(&after).await.unwrap().status(), 404);
        server.finish().await;
    }

    #[test]
    fn what_counts_only_after_a_restart_is_named() {
        let old = Settings::default();
        let new = Settings {
            user: "somebody".into(),
            log: "debug".into(),
            broker_timeout_ms: 5,
            allow_private_addresses: false,
            ..Settings::default()
        };
        assert_eq!(changed(&old, &new), ["user"]);
        assert!(changed(&old, &old).is_empty());
        for key in AT_ONCE {
            assert!(Table::try_from(&old).unwrap().contains_key(key), "{key}");
        }
    }
}
