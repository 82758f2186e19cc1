//! Objects with nothing in them that a test would mind.

use dispatch_model::{
    Id, Object, Tags,
    object::Meta,
    service_binding::{self, Credentials, ServiceBinding},
    service_instance::{self, BindingWish, ServiceInstance},
};
use jiff::Timestamp;
use uuid::Uuid;

fn meta<K>() -> Meta<K> {
    let (id, organization) = (Id::from_uuid(Uuid::nil()), Id::from_uuid(Uuid::nil()));
    Meta::new(id, organization, "x".parse().unwrap(), Timestamp::UNIX_EPOCH, Tags::new())
}

pub fn instance() -> Object<ServiceInstance> {
    Object {
        meta: meta(),
        spec: service_instance::Spec {
            broker: Id::from_uuid(Uuid::nil()),
            service: "service".to_owned(),
            plan: "plan".to_owned(),
            class_name: "class".parse().unwrap(),
            plan_name: "plan".parse().unwrap(),
            bindable: true,
            parameters: None,
            secret_parameters: Vec::new(),
            binding: BindingWish::default(),
            retry: 0,
        },
        status: service_instance::Status::default(),
    }
}

pub fn binding() -> Object<ServiceBinding> {
    Object {
        meta: meta(),
        spec: service_binding::Spec {
            instance: Id::from_uuid(Uuid::nil()),
            instance_name: "x".parse().unwrap(),
            automatic: true,
            parameters: None,
            secret_parameters: Vec::new(),
            rotation: 0,
            retry: 0,
        },
        status: service_binding::Status::default(),
    }
}

pub fn credentials() -> Credentials {
    Credentials {
        secret: Id::from_uuid(Uuid::nil()),
        secret_name: "s".parse().unwrap(),
        keys: Vec::new(),
        version: 1,
        broker_binding_id: Uuid::from_u128(99),
        endpoints: Vec::new(),
        expires: None,
    }
}
