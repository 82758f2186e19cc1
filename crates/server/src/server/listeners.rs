//! The three listeners: bound before anything is promised, served when everything stands.

use std::{net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use axum::body::Body;
use dispatch_gateway::{
    listener::{self, Limits},
    tls::ServerConfig,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::StartError;
use crate::{config::Settings, first_start::Addresses, http, platform::Platform};

pub(super) struct Listeners {
    control_plane: TcpListener,
    gateway: TcpListener,
    gateway_tls: TcpListener,
}

impl Listeners {
    /// With the addresses that they got: port 0 takes a free one.
    pub(super) async fn bind(settings: &Settings) -> Result<(Self, Addresses), StartError> {
        let (control_plane, control_address) = bind("listen", settings.listen).await?;
        let (gateway, gateway_address) = bind("gateway_listen", settings.gateway_listen).await?;
        let (gateway_tls, tls_address) =
            bind("gateway_tls_listen", settings.gateway_tls_listen).await?;
        let addresses = Addresses {
            control_plane: control_address,
            gateway: gateway_address,
            gateway_tls: tls_address,
        };
        Ok((Self { control_plane, gateway, gateway_tls }, addresses))
    }

    pub(super) fn serve(
        self,
        platform: &Arc<Platform>,
        tls: &Arc<ArcSwap<ServerConfig>>,
        tasks: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) {
        let service = http::router(Arc::clone(platform));
        let service = service
            .map_request(|request: ::http::Request<hyper::body::Incoming>| request.map(Body::new));
        let limits = Limits::default();
        let serving = listener::serve(self.control_plane, None, service, limits, stop.clone());
        tasks.spawn(async move {
            serving.await;
        });
        for (listener, tls) in [(self.gateway, None), (self.gateway_tls, Some(Arc::clone(tls)))] {
            let (service, stop) = (platform.gateway.clone(), stop.clone());
            tasks.spawn(async move {
                listener::serve(listener, tls, service, Limits::default(), stop).await;
            });
        }
    }
}

async fn bind(
    key: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { key, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}
