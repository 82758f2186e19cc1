//! The kinds that a document can have: how each is read, which operations it means, what is filled in from files.

use std::time::Instant;

use dispatch_api::{
    Operation,
    api::{Api, ApiInput},
    base_image::{BaseImage, BaseImageInput},
    function::{Function, FunctionInput},
    image::{Image, ImageInput},
    secret::{Secret, SecretInput},
    service_binding::{ServiceBinding, ServiceBindingInput},
    service_broker::{ServiceBroker, ServiceBrokerInput},
    service_class::{ServiceClass, ServiceClassInput},
    service_instance::{ServiceInstance, ServiceInstanceInput},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use crate::{
    archive,
    documents::{Document, Places, members},
    error::CliError,
    files, handler,
    nouns::Noun,
    removal::{Removal, remove},
    session::Session,
    wait,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Api,
    BaseImage,
    Image,
    Function,
    Secret,
    ServiceBroker,
    ServiceClass,
    ServiceInstance,
    ServiceBinding,
}

/// One row of the table of kinds.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// As in the document.
    pub kind: &'static str,
    /// Where `--json` puts the answers.
    pub group: &'static str,
    pub create: Operation,
    pub update: Option<Operation>,
    pub get: Operation,
    /// Members that an update takes away when they are not in the document.
    pub replaced: &'static [&'static str],
    /// All members that a wish or an object has.
    pub members: fn() -> Vec<&'static str>,
    /// From YAML to the body of a request. The wire type decides what is text: `value: 2` becomes `"2"` in a secret.
    pub decode: Decode,
}

type Decode = fn(&str) -> Result<Value, String>;

impl Spec {
    const fn new(
        kind: &'static str,
        group: &'static str,
        (create, get, update): (Operation, Operation, Option<Operation>),
        replaced: &'static [&'static str],
        (members, decode): (fn() -> Vec<&'static str>, Decode),
    ) -> Self {
        Self { kind, group, create, update, get, replaced, members, decode }
    }
}

impl Kind {
    pub const ALL: &[Self] = &[
        Self::Api,
        Self::BaseImage,
        Self::Image,
        Self::Function,
        Self::Secret,
        Self::ServiceBroker,
        Self::ServiceClass,
        Self::ServiceInstance,
        Self::ServiceBinding,
    ];

    /// The order in which kinds are removed: what uses others before what it uses.
    pub const REMOVAL: &[Self] = &[
        Self::Api,
        Self::Function,
        Self::Image,
        Self::BaseImage,
        Self::ServiceBinding,
        Self::ServiceInstance,
        Self::ServiceClass,
        Self::ServiceBroker,
        Self::Secret,
    ];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.spec().kind == text)
    }

    pub const fn spec(self) -> Spec {
        use Operation as O;
        match self {
            Self::Api => Spec::new(
                "API",
                "api",
                (O::CreateApi, O::GetApi, Some(O::UpdateApi)),
                &[
                    "authentication",
                    "cors",
                    "enabled",
                    "hosts",
                    "methods",
                    "protocols",
                    "tls",
                    "uris",
                ],
                (members::of::<ApiInput, Api>, decode::<ApiInput>),
            ),
            Self::BaseImage => Spec::new(
                "BaseImage",
                "baseImages",
                (O::CreateBaseImage, O::GetBaseImage, Some(O::UpdateBaseImage)),
                &[],
                (members::of::<BaseImageInput, BaseImage>, decode::<BaseImageInput>),
            ),
            Self::Image => Spec::new(
                "Image",
                "images",
                (O::CreateImage, O::GetImage, Some(O::UpdateImage)),
                &["runtimeDependencies", "systemDependencies"],
                (members::of::<ImageInput, Image>, decode::<ImageInput>),
            ),
            Self::Function => Spec::new(
                "Function",
                "functions",
                (O::CreateFunction, O::GetFunction, Some(O::UpdateFunction)),
                &["schema", "secrets", "services", "timeout"],
                (members::of::<FunctionInput, Function>, decode_function),
            ),
            Self::Secret => Spec::new(
                "Secret",
                "secrets",
                (O::CreateSecret, O::GetSecret, Some(O::UpdateSecret)),
                &["secrets"],
                (members::of::<SecretInput, Secret>, decode::<SecretInput>),
            ),
            Self::ServiceBroker => Spec::new(
                "ServiceBroker",
                "serviceBrokers",
                (O::CreateServiceBroker, O::GetServiceBroker, Some(O::UpdateServiceBroker)),
                &["parameters"],
                (members::of::<ServiceBrokerInput, ServiceBroker>, decode::<ServiceBrokerInput>),
            ),
            Self::ServiceClass => Spec::new(
                "ServiceClass",
                "serviceClasses",
                (O::CreateServiceClass, O::GetServiceClass, Some(O::UpdateServiceClass)),
                &["defaultPlan"],
                (members::of::<ServiceClassInput, ServiceClass>, decode::<ServiceClassInput>),
            ),
            Self::ServiceInstance => Spec::new(
                "ServiceInstance",
                "serviceInstances",
                (O::CreateServiceInstance, O::GetServiceInstance, None),
                &[],
                (
                    members::of::<ServiceInstanceInput, ServiceInstance>,
                    decode::<ServiceInstanceInput>,
                ),
            ),
            Self::ServiceBinding => Spec::new(
                "ServiceBinding",
                "serviceBindings",
                (O::CreateServiceBinding, O::GetServiceBinding, None),
                &[],
                (members::of::<ServiceBindingInput, ServiceBinding>, decode::<ServiceBindingInput>),
            ),
        }
    }

    /// Puts in what the document takes from files: a function's source and what to call in it, an image's `@FILE`.
    pub fn fill(self, document: &mut Document, places: &Places) -> Result<(), CliError> {
        match self {
            Self::Function => {
                let Some(Value::String(path)) = document.body.get("sourcePath") else {
                    return Ok(());
                };
                let path = places.find(path);
                let source = archive::text(&path)?;
                set(&mut document.body, "source", Value::from(source));
                let has_handler = document.body.get("handler").is_some_and(Value::is_string);
                if let Some(found) =
                    if has_handler { None } else { handler::of(&path).ok().flatten() }
                {
                    set(&mut document.body, "handler", Value::from(found));
                }
                Ok(())
            }
            Self::Image => {
                let place = "/runtimeDependencies/manifest";
                let Some(manifest) = document.body.pointer_mut(place) else { return Ok(()) };
                let Some(file) = manifest.as_str().and_then(|text| text.strip_prefix('@')) else {
                    return Ok(());
                };
                *manifest =
                    Value::from(files::text(&places.find(file.trim())).map_err(CliError::input)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Waits until it can be used, as was asked for at that moment; nothing for kinds that are ready at once.
    pub async fn wait(
        self,
        session: &Session,
        name: &str,
        asked: Instant,
    ) -> Result<Option<Box<RawValue>>, CliError> {
        match self {
            Self::Secret | Self::ServiceClass | Self::Api => Ok(None),
            Self::BaseImage => ready::<BaseImage>(session, name, asked).await,
            Self::Image => ready::<Image>(session, name, asked).await,
            Self::Function => ready::<Function>(session, name, asked).await,
            Self::ServiceBroker => ready::<ServiceBroker>(session, name, asked).await,
            Self::ServiceInstance => ready::<ServiceInstance>(session, name, asked).await,
            Self::ServiceBinding => ready::<ServiceBinding>(session, name, asked).await,
        }
    }

    pub async fn remove(
        self,
        session: &Session,
        name: &str,
        how: &Removal,
        accepted: &dyn Fn() -> Result<(), CliError>,
    ) -> Result<Box<RawValue>, CliError> {
        match self {
            Self::Api => remove::<Api>(session, name, how, accepted).await,
            Self::BaseImage => remove::<BaseImage>(session, name, how, accepted).await,
            Self::Image => remove::<Image>(session, name, how, accepted).await,
            Self::Function => remove::<Function>(session, name, how, accepted).await,
            Self::Secret => remove::<Secret>(session, name, how, accepted).await,
            Self::ServiceBroker => remove::<ServiceBroker>(session, name, how, accepted).await,
            Self::ServiceClass => remove::<ServiceClass>(session, name, how, accepted).await,
            Self::ServiceInstance => remove::<ServiceInstance>(session, name, how, accepted).await,
            Self::ServiceBinding => remove::<ServiceBinding>(session, name, how, accepted).await,
        }
    }
}

async fn ready<N: Noun>(
    session: &Session,
    name: &str,
    asked: Instant,
) -> Result<Option<Box<RawValue>>, CliError> {
    wait::until_made::<N>(session, name, asked).await.map(|received| Some(received.raw))
}

fn decode<T: DeserializeOwned + Serialize>(text: &str) -> Result<Value, String> {
    // No snippets in errors: the lines of a document may hold a password.
    let options = serde_saphyr::options! { with_snippet: false };
    let typed: T = serde_saphyr::from_str_with_options(text, options).map_err(|e| e.to_string())?;
    serde_json::to_value(typed).map_err(|e| e.to_string())
}

/// A function's document has one field more than the request.
fn decode_function(text: &str) -> Result<Value, String> {
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct More {
        #[serde(default)]
        source_path: Option<String>,
    }
    let mut body = decode::<FunctionInput>(text)?;
    let more = decode::<More>(text)?;
    if let Some(path) = more.get("sourcePath").filter(|path| !path.is_null()) {
        set(&mut body, "sourcePath", path.clone());
    }
    Ok(body)
}

fn set(body: &mut Value, key: &str, value: Value) {
    if let Some(body) = body.as_object_mut() {
        body.insert(key.to_owned(), value);
    }
}
