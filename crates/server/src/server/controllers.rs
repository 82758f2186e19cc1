//! Every kind that is reconciled, with its controller.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use dispatch_engine::{Clock, Controller, Entropy, Options, Reconciler, Waker};
use dispatch_model::Kind;

use crate::{features, platform::Platform};

/// Not running yet: they need the platform, which needs their wakers.
pub(super) struct Controllers {
    pub(super) all: Vec<Controller>,
    pub(super) wakers: BTreeMap<Kind, Waker>,
}

impl Controllers {
    pub(super) fn new(
        platform: &Weak<Platform>,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
    ) -> Self {
        let (mut all, mut wakers) = (Vec::new(), BTreeMap::new());
        for (kind, reconciler) in reconcilers(platform) {
            let (clock, entropy) = (Arc::clone(clock), Arc::clone(entropy));
            let controller = Controller::new(reconciler, clock, entropy, Options::default());
            wakers.insert(kind, controller.waker());
            all.push(controller);
        }
        Self { all, wakers }
    }

    pub(super) fn of_bindings(&self) -> Waker {
        self.of(Kind::ServiceBinding)
    }

    pub(super) fn of_brokers(&self) -> Waker {
        self.of(Kind::ServiceBroker)
    }

    fn of(&self, kind: Kind) -> Waker {
        let found = self.wakers.get(&kind).cloned();
        found.expect("the controllers of bindings and brokers are in the list below")
    }
}

fn reconcilers(platform: &Weak<Platform>) -> Vec<(Kind, Arc<dyn Reconciler>)> {
    let weak = || platform.clone();
    vec![
        (Kind::ServiceBroker, Arc::new(features::service_broker::Controller(weak()))),
        (Kind::ServiceInstance, Arc::new(features::service_instance::Controller::new(weak()))),
        (Kind::ServiceBinding, Arc::new(features::service_binding::Controller::new(weak()))),
        (Kind::Orphan, Arc::new(features::orphan::Controller(weak()))),
        (Kind::BaseImage, Arc::new(features::base_image::Controller(weak()))),
        (Kind::Image, Arc::new(features::image::Controller(weak()))),
        (Kind::Function, Arc::new(features::function::Controller(weak()))),
    ]
}
