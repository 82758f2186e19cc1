//! `POST /v1/servicebinding`: another binding of an instance, with a secret of its own.

use dispatch_api::service_binding::ServiceBindingInput;
use dispatch_model::{
    ErrorCode, Id, Kind, Name, Object,
    object::Meta,
    service_binding::{ServiceBinding, Spec, Status},
    service_instance::ServiceInstance,
};

use super::shape;
use crate::{
    features::{
        service_class::{Which, find_class},
        service_instance::{check, merge_secrets, merged},
    },
    http::{Answer, ApiError, Call, call, commit_on},
};

pub async fn create(call: &Call) -> Result<Answer, ApiError> {
    let input: ServiceBindingInput = call.body()?;
    let name = call::new_name(input.name.as_deref())?;
    let tags = call::tags(input.tags.clone())?;
    let id: Id<ServiceBinding> = Id::from_uuid(call.platform.entropy.uuid());
    let meta = Meta::new(id, call.organization, name, call.now, tags);
    let binding = store(call, meta, &input).await?;
    call.platform.wakers.wake(Kind::ServiceBinding, id.uuid());
    Ok(Answer::json(&shape::to_wire(&binding))?.about(Kind::ServiceBinding, id.uuid()))
}

/// Stores the wish on its instance as that was when the wish was checked.
async fn store(
    call: &Call,
    meta: Meta<ServiceBinding>,
    input: &ServiceBindingInput,
) -> Result<Object<ServiceBinding>, ApiError> {
    commit_on(call, &[Kind::ServiceInstance], || async {
        let instance = instance(call, input).await?;
        refuse_unbindable(&instance)?;
        let spec = spec(call, &meta.name, &instance, input).await?;
        let binding = Object { meta: meta.clone(), spec, status: Status::default() };
        let batch = call
            .batch(Kind::ServiceBinding, meta.name.as_str(), meta.id.uuid())
            .require(&instance.meta)
            .create(&binding, &[instance.meta.id.uuid()], &[]);
        Ok((batch, binding))
    })
    .await
}

async fn instance(
    call: &Call,
    input: &ServiceBindingInput,
) -> Result<Object<ServiceInstance>, ApiError> {
    let instance = input.instance.as_deref().ok_or_else(|| ApiError::required("instance"))?;
    let instance: Name = instance.parse().map_err(|_| {
        ApiError::bad_request(format!("Service instance {instance} does not exist"))
    })?;
    match call.find::<ServiceInstance>(&instance).await {
        Err(error) if error.code == ErrorCode::NotFound => {
            let message = format!("Service instance {instance} does not exist");
            Err(ApiError::bad_request(message))
        }
        found => found,
    }
}

fn refuse_unbindable(instance: &Object<ServiceInstance>) -> Result<(), ApiError> {
    let (name, plan) = (&instance.meta.name, &instance.spec.plan_name);
    if instance.meta.deleting.is_some() {
        return Err(ApiError::conflict(format!("service instance {name} is being deleted")));
    }
    if !instance.spec.bindable {
        return Err(ApiError::bad_request(format!(
            "service instance {name} has plan {plan}, which cannot be bound"
        )));
    }
    Ok(())
}

async fn spec(
    call: &Call,
    name: &Name,
    instance: &Object<ServiceInstance>,
    input: &ServiceBindingInput,
) -> Result<Spec, ApiError> {
    let parameters = merged(None, input.parameters.clone())?;
    let secrets = input.secret_parameters.clone().unwrap_or_default();
    let secrets: Vec<Name> =
        secrets.iter().map(|name| Ok(name.parse()?)).collect::<Result<_, ApiError>>()?;
    let all = merge_secrets(&call.platform, &call.scope, parameters.clone(), &secrets).await?;
    let all = all.map_err(ApiError::bad_request)?;
    let wanted = &instance.spec;
    let id = dispatch_model::service_class::class_id(wanted.broker, &wanted.service);
    let which = Which { name: None, id: Some(id), broker: None };
    let offering = find_class(&call.platform, &call.scope, which, true).await?;
    let plan = offering.as_ref().and_then(|offering| offering.service().plan(&wanted.plan));
    let schema = plan.and_then(|plan| plan.bind_schema());
    let what = format!("bindings of {}/{}", wanted.class_name, wanted.plan_name);
    let object = format!("service binding {name}");
    check(&object, &what, schema, parameters.as_ref(), all.as_ref()).await?;
    Ok(Spec {
        instance: instance.meta.id,
        instance_name: instance.meta.name.clone(),
        automatic: false,
        parameters,
        secret_parameters: secrets,
        rotation: 0,
        retry: 0,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dispatch_osb::fake::{CallKind, Fault, RawAnswer, Work};
    use serde_json::{Value, json};

    use crate::testing::TestPlatform;

    const ALL: &str = "/v1/servicebinding";

    #[tokio::test]
    async fn a_further_binding_has_credentials_of_its_own() {
        let platform = TestPlatform::start().await;
        let instance = platform.instance("db").await;
        let more = json!({"name": "more", "instance": "db", "parameters": {"role": "reader"}});
        let made = platform.post("/v1/servicebinding?wait=60", &more).await;
        let (seen, id) = (&made.body, made.body["id"].as_str().unwrap());
        assert_eq!(
            (made.status, &seen["status"], &seen["secret"]),
            (201, &json!("READY"), &json!(id))
        );
        assert_eq!((&seen["credentialsVersion"], &seen["instance"]), (&json!(1), &json!("db")));
        assert_eq!(seen["endpoints"], json!([{"host": "127.0.0.1", "port": 5432}]));
        assert!(!made.text.contains("password-of"), "names of things, never values");
        let secret = platform.get(&format!("/v1/secret/{id}")).await.body;
        assert_eq!(secret["secrets"]["password"], format!("password-of-{id}"));
        let automatic = platform.get("/v1/servicebinding/db").await.body;
        assert_eq!(
            (&automatic["id"], &automatic["secret"]),
            (&instance["binding"]["id"], &instance["id"])
        );
        assert_eq!(platform.get(ALL).await.body, json!([automatic, seen]));
        let sent = platform.broker.books().requests_of(CallKind::Bind)[1].json();
        assert_eq!(sent["parameters"], json!({"role": "reader"}));

        platform.delete("/v1/servicebinding/more?wait=60").await;
        assert_eq!(platform.get("/v1/servicebinding/more").await.status, 404);
        assert_eq!(platform.get(&format!("/v1/secret/{id}")).await.status, 404);
        assert_eq!(platform.get("/v1/serviceinstance/db").await.body["binding"]["status"], "READY");
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_binding_that_was_asked_for_early_waits_for_its_instance() {
        let platform = TestPlatform::with(|settings| settings.provision = Work::held()).await;
        platform.ask("db").await;
        let early = platform.post(ALL, &json!({"name": "early", "instance": "db"})).await;
        assert_eq!((early.status, &early.body["status"]), (201, &json!("INITIALIZED")));
        platform.quiet().await;
        platform.broker.release();
        platform.move_on();
        platform.quiet().await;
        assert_eq!(
            platform.get("/v1/servicebinding/early").await.body["status"],
            "READY",
            "as soon as it can be"
        );
        platform.finish().await;
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_binding_is_said_before_the_broker_hears_of_it() {
        let platform = TestPlatform::start().await;
        let small = json!({"name": "db", "serviceClass": "fake-db", "servicePlan": "small"});
        platform.post("/v1/serviceinstance?wait=60", &small).await;
        let check = async |body: Value, status: u16, code: i64, message: &str| {
            let answer = platform.post(ALL, &body).await;
            let seen = (
                answer.status,
                answer.body["code"].as_i64().unwrap(),
                answer.body["message"].as_str().unwrap(),
            );
            assert_eq!(seen, (status, code, message), "{body}");
        };
        check(json!({"instance": "db"}), 422, 602, "name in body is required").await;
        check(json!({"name": "b"}), 422, 602, "instance in body is required").await;
        check(json!({"name": "b", "instance": "x"}), 400, 400, "Service instance x does not exist")
            .await;
        check(
            json!({"name": "b", "instance": "a b"}),
            400,
            400,
            "Service instance a b does not exist",
        )
        .await;
        check(
            json!({"name": "db", "instance": "db"}),
            409,
            409,
            "service binding db already exists",
        )
        .await;
        let role = json!({"name": "b", "instance": "db", "parameters": {"role": 7}});
        check(
            role,
            422,
            422,
            "service binding b: 1 fault in the parameters for bindings of fake-db/small",
        )
        .await;
        platform.broker.configure(|settings| settings.deprovision = Work::held());
        platform.delete("/v1/serviceinstance/db").await;
        check(
            json!({"name": "b", "instance": "db"}),
            409,
            409,
            "service instance db is being deleted",
        )
        .await;
        assert_eq!(platform.broker.books().count(CallKind::Bind), 1);
        platform.quiet().await;
        platform.gone_later().await;
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_failing_binding_says_why_and_is_bound_anew_under_another_id() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        platform.broker.fault(CallKind::Bind, Fault::After(RawAnswer::error(500, "", "ouch")));
        platform.post(ALL, &json!({"name": "b", "instance": "db"})).await;
        platform.quiet().await;
        let seen = platform.get("/v1/servicebinding/b").await.body;
        assert_eq!((&seen["status"], &seen["reason"]), (&json!("CREATING"), &json!(["ouch"])));
        let ready = platform.settled("/v1/servicebinding/b").await;
        assert_eq!((&ready["status"], &ready["reason"]), (&json!("READY"), &json!(null)));
        platform.until("/v1/orphan", |seen| (seen.body == json!([])).then_some(())).await;
        let books = platform.broker.books();
        assert_eq!((books.bindings.len(), books.bindings_ever.len()), (2, 3));

        platform
            .broker
            .fault(CallKind::Bind, Fault::Instead(RawAnswer::error(400, "", "no more roles")));
        let failed = platform
            .post("/v1/servicebinding?wait=60", &json!({"name": "c", "instance": "db"}))
            .await;
        assert_eq!((failed.settled, &failed.body["status"]), (true, &json!("ERROR")));
        assert_eq!(failed.body["reason"], json!(["no more roles"]));
        platform.world.clock.advance(Duration::from_secs(86_400));
        platform.quiet().await;
        assert_eq!(platform.get("/v1/servicebinding/c").await.body["status"], "ERROR");
        let gone = platform.delete("/v1/servicebinding/c?wait=60").await;
        assert_eq!((gone.status, platform.get("/v1/servicebinding/c").await.status), (200, 404));
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_secrets_name_that_somebody_has_taken_does_not_keep_a_binding_from_being_ready() {
        let platform = TestPlatform::with(|settings| settings.provision = Work::held()).await;
        let id = platform.ask("db").await.body["id"].as_str().unwrap().to_owned();
        platform.post("/v1/secret", &json!({"name": id, "secrets": {"mine": "1"}})).await;
        platform.quiet().await;
        platform.broker.release();
        let seen = platform.settled("/v1/serviceinstance/db").await;
        platform.quiet().await;
        let seen = if seen["binding"]["status"] == "READY" {
            seen
        } else {
            platform.get("/v1/serviceinstance/db").await.body
        };
        assert_eq!(seen["binding"]["secret"], seen["binding"]["id"]);
        assert_eq!(
            platform.get(&format!("/v1/secret/{id}")).await.body["secrets"],
            json!({"mine": "1"})
        );
        platform.finish().await;
    }

    #[tokio::test]
    async fn the_secret_of_a_binding_is_neither_changed_nor_deleted_by_hand() {
        let platform = TestPlatform::start().await;
        let instance = platform.instance("db").await;
        let (secret, binding) =
            (instance["id"].as_str().unwrap(), instance["binding"]["id"].as_str().unwrap());
        let path = format!("/v1/secret/{secret}");
        let message =
            format!("secret {secret} belongs to service binding db: rotate or delete that");
        let put =
            platform.put(&path, &json!({"name": secret, "secrets": {"password": "mine"}})).await;
        let deleted = platform.delete(&path).await;
        for refused in [put, deleted] {
            assert_eq!(
                (refused.status, &refused.body["code"], &refused.body["message"]),
                (409, &json!(409), &json!(message))
            );
        }
        assert_eq!(
            platform.get(&path).await.body["secrets"]["password"],
            format!("password-of-{binding}")
        );
        platform.finish().await;
    }
}
