//! The three listeners: bound before anything is made, served when everything stands.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use arc_swap::ArcSwap;
use axum::body::Body;
use dispatch_gateway::{
    listener::{self, Limits},
    tls::ServerConfig,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::StartError;
use crate::{config::Settings, first_start::Addresses, http, platform::Platform};

/// How many connections may wait for being accepted; the kernel has a bound of its own.
const BACKLOG: i32 = 1024;

/// The places of a server, which nobody else can have from now on.
#[derive(Debug)]
pub struct Listeners {
    control_plane: TcpListener,
    gateway: TcpListener,
    gateway_tls: TcpListener,
    pub(super) addresses: Addresses,
}

impl Listeners {
    /// Takes the places that the settings name; port 0 takes a free one. Nothing is accepted yet.
    pub fn bind(settings: &Settings) -> Result<Self, StartError> {
        let (control_plane, control_address) = bind("listen", settings.listen)?;
        let (gateway, gateway_address) = bind("gateway_listen", settings.gateway_listen)?;
        let (gateway_tls, tls_address) = bind("gateway_tls_listen", settings.gateway_tls_listen)?;
        let addresses = Addresses {
            control_plane: control_address,
            gateway: gateway_address,
            gateway_tls: tls_address,
        };
        Ok(Self { control_plane, gateway, gateway_tls, addresses })
    }

    pub(super) fn serve(
        self,
        platform: &Arc<Platform>,
        tls: &Arc<ArcSwap<ServerConfig>>,
        tasks: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> io::Result<()> {
        let [control_plane, gateway, gateway_tls] =
            [self.control_plane, self.gateway, self.gateway_tls]
                .map(tokio::net::TcpListener::from_std);
        let service = http::router(Arc::clone(platform));
        let service = service
            .map_request(|request: ::http::Request<hyper::body::Incoming>| request.map(Body::new));
        let limits = Limits::default();
        let serving = listener::serve(control_plane?, None, service, limits, stop.clone());
        tasks.spawn(async move {
            serving.await;
        });
        for (listener, tls) in [(gateway?, None), (gateway_tls?, Some(Arc::clone(tls)))] {
            let (service, stop) = (platform.gateway.clone(), stop.clone());
            tasks.spawn(async move {
                listener::serve(listener, tls, service, Limits::default(), stop).await;
            });
        }
        Ok(())
    }
}

fn bind(key: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { key, address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    rustix::net::listen(&listener, BACKLOG).map_err(|errno| failed(errno.into()))?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}
