//! Service brokers on the wire (decision 20a; the seed's `URL`, `parameters`, `serviceClasses`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Method, Operation, Route, Tag};

/// What an administrator sends to register a broker.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceBrokerInput {
    pub name: Option<String>,
    #[serde(alias = "URL", skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
    /// `postgresql`: a broker that the server runs itself, instead of a URL.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub builtin: Option<String>,
    /// Default parameters of all instances of this broker; with `builtin`, the broker's own arguments.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parameters: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub authentication: Option<Authentication>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tls: Option<Tls>,
    /// `dispatch` (default), `cloudfoundry` or `kubernetes`: whose shape the broker is sent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub profile: Option<String>,
    /// Absent: all classes, also later ones. A list of names, or a map name → `{plans}`. Empty: none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service_classes: Option<ClassSelection>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tags: Option<Vec<Tag>>,
}

/// Which login the broker gets. The values are keys of a secret, read at each use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Authentication {
    /// `none`, `basic` (secret keys username, password), `bearer` (token). Empty in a request: what the secret's keys
    /// are, or `none` if no secret is named.
    #[serde(rename = "type", default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub secret: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// PEM of the authority that signed the broker's certificate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ca_cert: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_verify: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ClassSelection {
    Names(Vec<String>),
    Plans(BTreeMap<String, SelectedPlans>),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SelectedPlans {
    /// Absent or null: all plans of the class.
    #[serde(default)]
    pub plans: Option<Vec<String>>,
}

/// What clients get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceBroker {
    pub id: Uuid,
    pub kind: String,
    pub name: String,
    /// Empty for a broker that the server runs itself.
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub builtin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parameters: Option<Value>,
    pub authentication: Authentication,
    pub tls: Tls,
    pub profile: String,
    /// Name → what the catalogue says of it. Two classes of one name cannot be in one catalogue.
    pub service_classes: BTreeMap<String, BrokerClass>,
    pub catalog: Option<CatalogState>,
    pub status: String,
    pub reason: Option<Vec<String>>,
    pub conditions: Vec<Condition>,
    /// Unix seconds.
    pub created_time: i64,
    pub tags: Option<Vec<Tag>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrokerClass {
    pub id: Uuid,
    pub enabled: bool,
    /// Names of the plans that may be used.
    pub plans: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogState {
    pub fetched_time: i64,
    /// The version of the Open Service Broker API that was agreed on.
    pub api_version: String,
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub message: String,
    /// Unix seconds.
    pub since: i64,
}

const COLLECTION: &str = "/v1/servicebroker";
const ONE: &str = "/v1/servicebroker/{name}";

pub const ROUTES: &[Route] = &[
    Route::new(Operation::CreateServiceBroker, Method::Post, COLLECTION, "servicebroker", 201)
        .bodies("ServiceBrokerInput", "ServiceBroker"),
    Route::new(Operation::ListServiceBrokers, Method::Get, COLLECTION, "servicebroker", 200)
        .bodies("", "ServiceBroker[]"),
    Route::new(Operation::GetServiceBroker, Method::Get, ONE, "servicebroker", 200)
        .query(&["wait", "seen"])
        .bodies("", "ServiceBroker"),
    Route::new(Operation::UpdateServiceBroker, Method::Put, ONE, "servicebroker", 200)
        .bodies("ServiceBrokerInput", "ServiceBroker"),
    Route::new(Operation::DeleteServiceBroker, Method::Delete, ONE, "servicebroker", 200)
        .query(&["wait", "cascade", "purge"])
        .bodies("", "ServiceBroker"),
    Route::new(
        Operation::RefreshServiceBroker,
        Method::Post,
        "/v1/servicebroker/{name}/refresh",
        "servicebroker",
        200,
    )
    .action(crate::Action::Update)
    .bodies("", "ServiceBroker"),
];
