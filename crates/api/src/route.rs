//! One row of the route table, as data that router, authorization, audit, metrics and client all read.

/// HTTP methods that the API uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// What a policy allows (contract §1.2; decision 11: verbs beyond CRUD count as `Update`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Get,
    Create,
    Update,
    Delete,
    /// Open to everybody, also without a login.
    Public,
}

impl Action {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Public => "public",
        }
    }
}

/// One operation of the API.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub operation: Operation,
    pub method: Method,
    /// With `{name}` for parameters, as in the contract.
    pub path: &'static str,
    /// What policies call it: the second segment of the path.
    pub resource: &'static str,
    pub action: Action,
    /// Query parameters that are read; others are ignored.
    pub query: &'static [&'static str],
    /// Names of the body's and the answer's wire types; empty for none.
    pub request: &'static str,
    pub response: &'static str,
    /// The largest body that is read.
    pub body_bytes_max: usize,
    /// HTTP status of success.
    pub success: u16,
}

impl Route {
    /// A row with what most rows have: the action that the method stands for, and `?wait` and `?tags`.
    pub const fn new(
        operation: Operation,
        method: Method,
        path: &'static str,
        resource: &'static str,
        success: u16,
    ) -> Self {
        let action = match method {
            Method::Get => Action::Get,
            Method::Post => Action::Create,
            Method::Put => Action::Update,
            Method::Delete => Action::Delete,
        };
        let query: &'static [&'static str] =
            if matches!(method, Method::Get) { &["tags"] } else { &["wait"] };
        Self {
            operation,
            method,
            path,
            resource,
            action,
            query,
            request: "",
            response: "",
            body_bytes_max: 1 << 20,
            success,
        }
    }

    pub const fn action(self, action: Action) -> Self {
        Self { action, ..self }
    }

    pub const fn query(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    pub const fn body_mib_max(self, mib: usize) -> Self {
        Self { body_bytes_max: mib << 20, ..self }
    }

    pub const fn bodies(self, request: &'static str, response: &'static str) -> Self {
        Self { request, response, ..self }
    }
}

/// Every operation there is. The server maps each to its handler by an exhaustive match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    GetHealth,
    GetHome,
    GetOpenApi,
    GetVersion,
    CreateSecret,
    ListSecrets,
    GetSecret,
    UpdateSecret,
    DeleteSecret,
    CreateServiceBroker,
    ListServiceBrokers,
    GetServiceBroker,
    UpdateServiceBroker,
    DeleteServiceBroker,
    RefreshServiceBroker,
    CreateServiceClass,
    ListServiceClasses,
    GetServiceClass,
    UpdateServiceClass,
    DeleteServiceClass,
    CreateServiceInstance,
    ListServiceInstances,
    GetServiceInstance,
    DeleteServiceInstance,
    RetryServiceInstance,
    CreateServiceBinding,
    ListServiceBindings,
    GetServiceBinding,
    DeleteServiceBinding,
    RotateServiceBinding,
    ListOrphans,
    CreateBaseImage,
    ListBaseImages,
    GetBaseImage,
    UpdateBaseImage,
    DeleteBaseImage,
    CreateImage,
    ListImages,
    GetImage,
    UpdateImage,
    DeleteImage,
    CreateFunction,
    ListFunctions,
    GetFunction,
    UpdateFunction,
    DeleteFunction,
    CreateRun,
    ListRuns,
    GetRun,
    CreateApi,
    ListApis,
    GetApi,
    UpdateApi,
    DeleteApi,
}
