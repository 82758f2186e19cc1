//! Base images on the wire (contract §2.2).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Method, Operation, Route, Tag};

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BaseImageInput {
    pub name: Option<String>,
    pub docker_url: Option<String>,
    pub language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tags: Option<Vec<Tag>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BaseImage {
    pub created_time: i64,
    pub docker_url: String,
    pub groups: Option<Vec<String>>,
    pub id: Uuid,
    pub kind: String,
    pub language: String,
    pub name: String,
    pub reason: Option<Vec<String>>,
    pub status: String,
    pub tags: Option<Vec<Tag>>,
}

const COLLECTION: &str = "/v1/baseimage";
const ONE: &str = "/v1/baseimage/{name}";

pub const ROUTES: &[Route] = &[
    Route::new(Operation::CreateBaseImage, Method::Post, COLLECTION, "baseimage", 201)
        .bodies("BaseImageInput", "BaseImage"),
    Route::new(Operation::ListBaseImages, Method::Get, COLLECTION, "baseimage", 200)
        .bodies("", "BaseImage[]"),
    Route::new(Operation::GetBaseImage, Method::Get, ONE, "baseimage", 200)
        .query(&["wait", "seen"])
        .bodies("", "BaseImage"),
    Route::new(Operation::UpdateBaseImage, Method::Put, ONE, "baseimage", 200)
        .bodies("BaseImageInput", "BaseImage"),
    Route::new(Operation::DeleteBaseImage, Method::Delete, ONE, "baseimage", 200)
        .query(&["wait", "ifUnused"])
        .bodies("", "BaseImage"),
];
