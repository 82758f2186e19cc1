//! Images on the wire (contract §2.3).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Method, Operation, Route, Tag};

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageInput {
    pub name: Option<String>,
    pub base_image_name: Option<String>,
    /// Accepted and not used: an image is built, not fetched.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub docker_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub runtime_dependencies: Option<RuntimeDependencies>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub system_dependencies: Option<SystemDependencies>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tags: Option<Vec<Tag>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuntimeDependencies {
    /// Text of requirements.txt or its like.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub manifest: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SystemDependencies {
    #[serde(default)]
    pub packages: Option<Vec<SystemPackage>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SystemPackage {
    #[serde(default)]
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    pub base_image_name: String,
    /// The last lines of the last build; ours, absent in v0.1.22.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build_log: Vec<String>,
    pub created_time: i64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docker_url: String,
    pub groups: Option<Vec<String>>,
    pub id: Uuid,
    pub kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub language: String,
    pub name: String,
    pub reason: Option<Vec<String>>,
    pub runtime_dependencies: RuntimeDependencies,
    pub status: String,
    pub system_dependencies: SystemDependencies,
    pub tags: Option<Vec<Tag>>,
}

const COLLECTION: &str = "/v1/image";
const ONE: &str = "/v1/image/{name}";

pub const ROUTES: &[Route] = &[
    Route::new(Operation::CreateImage, Method::Post, COLLECTION, "image", 201)
        .body_mib_max(16)
        .bodies("ImageInput", "Image"),
    Route::new(Operation::ListImages, Method::Get, COLLECTION, "image", 200).bodies("", "Image[]"),
    Route::new(Operation::GetImage, Method::Get, ONE, "image", 200)
        .query(&["wait", "seen", "tags"])
        .bodies("", "Image"),
    Route::new(Operation::UpdateImage, Method::Put, ONE, "image", 200)
        .body_mib_max(16)
        .bodies("ImageInput", "Image"),
    Route::new(Operation::DeleteImage, Method::Delete, ONE, "image", 200)
        .query(&["wait", "ifUnused", "tags"])
        .bodies("", "Image"),
];
