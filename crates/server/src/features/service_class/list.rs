//! `GET /v1/serviceclass`: what may be used. `?available=true` shows what is not enabled, `?broker=NAME` one broker's.

use super::{offering, shape};
use crate::http::{Answer, ApiError, Call};

pub async fn list(call: &Call) -> Result<Answer, ApiError> {
    let available = call.flag("available")?;
    let broker = call.query("broker");
    let mut wires: Vec<_> = offering::all(&call.platform, &call.scope)
        .await?
        .iter()
        .filter(|offering| offering.is_enabled() != available)
        .filter(|offering| broker.is_none_or(|broker| offering.broker.meta.name.as_str() == broker))
        .map(shape::to_wire)
        .collect();
    wires.sort_by(|a, b| (&a.name, &a.broker).cmp(&(&b.name, &b.broker)));
    Answer::json(&wires)
}
