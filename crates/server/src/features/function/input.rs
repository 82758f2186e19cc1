//! What may be said of a function, checked before anything is stored (contract §1.4, §2.4).

use base64::{Engine, engine::general_purpose::STANDARD};
use dispatch_api::function::FunctionInput;
use dispatch_model::{
    ErrorCode, Name,
    function::{Schemas, ServiceUse, Spec},
    image::Image,
};
use dispatch_store::{Batch, Stored};
use serde_json::Value;

use crate::{
    http::{ApiError, Call},
    schema::Schema,
};

/// Packed; unpacked it may be 200 MiB (decision 36).
const SOURCE_BYTES_MAX: usize = 200 << 20;
const TIMEOUT_MS_MAX: i64 = 15 * 60 * 1000;
/// Names of secrets, and of services.
const USES_MAX: usize = 64;

/// A wish, and the archive that it refers to.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) spec: Spec,
    pub(super) source: Vec<u8>,
}

pub(super) async fn check(call: &Call, input: &FunctionInput) -> Result<Checked, ApiError> {
    let image_name = input.image.as_deref().ok_or_else(|| ApiError::required("image"))?;
    let image_name: Name = image_name
        .parse()
        .map_err(|_| ApiError::bad_request(format!("image {image_name} does not exist")))?;
    let source = source(input)?;
    let schema = input.schema.clone().unwrap_or_default();
    let schema = Schemas {
        input: usable_schema("schema.in", schema.input).await?,
        output: usable_schema("schema.out", schema.output).await?,
    };
    let timeout_ms = timeout_ms(input.timeout)?;
    let found = call.platform.store.get::<Image>(&call.scope, &image_name).await?;
    let image = match &found {
        Some(Stored::Readable(image)) => image.meta.id,
        _ => {
            let message = format!("Error fetching image {image_name}: it does not exist");
            return Err(ApiError::bad_request(message));
        }
    };
    let spec = Spec {
        image,
        image_name,
        handler: input.handler.clone().unwrap_or_default(),
        source: String::new(),
        schema,
        secrets: secrets(input.secrets.as_deref())?,
        services: services(input.services.as_deref())?,
        timeout_ms,
        faas_id: call.platform.entropy.uuid(),
    };
    Ok(Checked { spec, source })
}

impl Checked {
    /// Puts the archive into the batch and its digest into the wish.
    pub(super) fn put_source(&mut self, batch: &mut Batch) -> dispatch_store::BlobDigest {
        let digest = batch.put_blob(std::mem::take(&mut self.source));
        self.spec.source = digest.to_string();
        digest
    }
}

fn source(input: &FunctionInput) -> Result<Vec<u8>, ApiError> {
    let text = input.source.as_deref().filter(|text| !text.is_empty());
    let Some(text) = text else {
        return Err(match input.source_url {
            Some(_) => ApiError::bad_request("sourceURL is not supported; send source"),
            None => ApiError::bad_request("either source or sourceURL must be specified"),
        });
    };
    let source = STANDARD.decode(text).map_err(|error| {
        ApiError::new(
            ErrorCode::MalformedBody,
            format!("parsing body body from \"\" failed, because source is not base64: {error}"),
        )
    })?;
    if source.len() > SOURCE_BYTES_MAX {
        return Err(ApiError::new(
            ErrorCode::PayloadTooLarge,
            format!("source is larger than {SOURCE_BYTES_MAX} bytes"),
        ));
    }
    Ok(source)
}

/// `{}` is what clients send for no schema.
async fn usable_schema(field: &str, schema: Option<Value>) -> Result<Option<Value>, ApiError> {
    let Some(schema) = schema.filter(|schema| !schema.is_null()) else { return Ok(None) };
    if schema.as_object().is_some_and(serde_json::Map::is_empty) {
        return Ok(None);
    }
    match Schema::compiled(&schema).await {
        Ok(_) => Ok(Some(schema)),
        Err(why) => Err(ApiError::bad_request(format!("{field} is not a JSON schema: {why}"))),
    }
}

fn timeout_ms(given: Option<i64>) -> Result<u64, ApiError> {
    let given = given.unwrap_or(0);
    if (0..=TIMEOUT_MS_MAX).contains(&given) {
        return Ok(given.unsigned_abs());
    }
    Err(ApiError::new(
        ErrorCode::WrongType,
        format!("timeout in body must be from 0 to {TIMEOUT_MS_MAX} milliseconds: {given}"),
    ))
}

pub fn secrets(given: Option<&[String]>) -> Result<Vec<Name>, ApiError> {
    let given = given.unwrap_or_default();
    bounded("secrets", given.len())?;
    given
        .iter()
        .map(|text| {
            text.parse()
                .map_err(|_| ApiError::bad_request(format!("{text:?} is not the name of a secret")))
        })
        .collect()
}

pub fn services(given: Option<&[String]>) -> Result<Vec<ServiceUse>, ApiError> {
    let given = given.unwrap_or_default();
    bounded("services", given.len())?;
    let services: Vec<ServiceUse> = given
        .iter()
        .map(|text| ServiceUse::parse(text).map_err(ApiError::bad_request))
        .collect::<Result<_, _>>()?;
    for (index, one) in services.iter().enumerate() {
        if services.iter().take(index).any(|other| other.alias == one.alias) {
            let message = format!("services: two of them are called {}; use =ALIAS", one.alias);
            return Err(ApiError::bad_request(message));
        }
    }
    Ok(services)
}

fn bounded(field: &str, found: usize) -> Result<(), ApiError> {
    if found <= USES_MAX {
        return Ok(());
    }
    let message = format!("{field} in body should have at most {USES_MAX} items");
    Err(ApiError::new(ErrorCode::TooLong, message))
}
