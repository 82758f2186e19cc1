//! What may be said of an image, checked before anything is stored.

use dispatch_api::image::ImageInput;
use dispatch_model::{
    ErrorCode, Name,
    base_image::BaseImage,
    image::{Spec, SystemPackage},
};
use dispatch_store::Stored;

use crate::{
    http::{ApiError, Call},
    packages::manifest::MANIFEST_BYTES_MAX,
};

const PACKAGES_MAX: usize = 1_000;

pub(super) async fn spec(call: &Call, input: &ImageInput) -> Result<Spec, ApiError> {
    let base =
        input.base_image_name.as_deref().ok_or_else(|| ApiError::required("baseImageName"))?;
    let unknown = || ApiError::bad_request(format!("Error fetching base image {base}"));
    let base_image_name: Name = base.parse().map_err(|_| unknown())?;
    let found = call.platform.store.get::<BaseImage>(&call.scope, &base_image_name).await?;
    let Some(Stored::Readable(found)) = found else { return Err(unknown()) };
    let manifest =
        input.runtime_dependencies.as_ref().map(|d| d.manifest.clone()).unwrap_or_default();
    if manifest.len() > MANIFEST_BYTES_MAX {
        let message = format!(
            "runtimeDependencies.manifest in body should be at most {MANIFEST_BYTES_MAX} bytes long"
        );
        return Err(ApiError::new(ErrorCode::TooLong, message));
    }
    let packages = input.system_dependencies.clone().unwrap_or_default().packages;
    let packages = packages.unwrap_or_default();
    if packages.len() > PACKAGES_MAX {
        let message =
            format!("systemDependencies.packages in body should have at most {PACKAGES_MAX} items");
        return Err(ApiError::new(ErrorCode::TooLong, message));
    }
    if let Some(index) = packages.iter().position(|package| package.name.is_empty()) {
        return Err(ApiError::required(&format!("systemDependencies.packages.{index}.name")));
    }
    Ok(Spec {
        base_image: found.meta.id,
        base_image_name,
        language: found.spec.language,
        manifest,
        system_packages: packages
            .into_iter()
            .map(|package| SystemPackage { name: package.name, version: package.version })
            .collect(),
    })
}
