//! `GET /v1/secret/{name}`: with values, as old clients expect. The command line hides them.

use dispatch_model::{Kind, secret::Secret};

use super::shape;
use crate::http::{Answer, ApiError, Call};

pub async fn get(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::Secret)?;
    let secret = call.find::<Secret>(&name).await?;
    Answer::json(&shape::to_wire(call, &secret).await?)
}
