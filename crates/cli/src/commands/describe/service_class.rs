//! `dispatch describe serviceclass NAME`: what it gives, its plans, its parameters, and a line to try.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dispatch_api::{
    Operation,
    service_class::{ServiceClass, ServicePlan},
    service_instance::ServiceInstance,
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    commands::{arity, describe::schema, get},
    error::CliError,
    nouns::service_instance::took_to_make,
    output::{Format, clean, columns, shell::quoted, time},
    session::{NO_BODY, Received, Session},
};

#[derive(Debug, clap::Args)]
pub struct ClassArgs {
    #[arg(hide = true)]
    pub names: Vec<String>,
    /// Which broker is meant
    #[arg(long)]
    pub broker: Option<String>,
}

pub async fn run(session: Session, args: ClassArgs) -> Result<(), CliError> {
    let [name] = arity::exactly::<1>(&args.names)?;
    let broker = args.broker.as_deref();
    let query: Vec<_> = broker.map(|broker| ("broker", broker)).into_iter().collect();
    let found = get::one::<ServiceClass>(&session, name, &query).await?;
    if !matches!(session.console.format, Format::Table | Format::Wide) {
        return get::print(session.console, &[found.body], &found.raw);
    }
    // What brokers do not say, those who used the class before have seen. It is no error if they cannot be asked.
    let listed: Result<Received<Vec<ServiceInstance>>, CliError> =
        session.call(Operation::ListServiceInstances, &[], &[], NO_BODY).await;
    let instances = listed.map(|listed| listed.body).unwrap_or_default();
    let seen = Seen::of(&found.body, &instances);
    session.console.block(&page(&found.body, &seen, broker))
}

/// What instances of the class show of it.
#[derive(Debug, Default)]
struct Seen {
    /// How long they took to make, by plan.
    took: BTreeMap<Uuid, Duration>,
    /// Keys of the credentials that their bindings got.
    gives: BTreeSet<String>,
    /// Parameters that they were made with; lists as `name[]`.
    parameters: BTreeSet<String>,
}

impl Seen {
    fn of(class: &ServiceClass, instances: &[ServiceInstance]) -> Self {
        let mut seen = Self::default();
        let took = |plan: &ServicePlan| Some((plan.id, took_to_make(instances, plan.id)?));
        seen.took.extend(class.plans.iter().filter_map(took));
        for instance in instances.iter().filter(|one| one.service_class_id == class.id) {
            if let Some(binding) = &instance.binding {
                seen.gives.extend(binding.keys.iter().map(|key| clean::line(key)));
            }
            let parameters = instance.parameters.as_ref().and_then(Value::as_object);
            for (name, value) in parameters.into_iter().flatten() {
                let list = if value.is_array() { "[]" } else { "" };
                seen.parameters.insert(format!("{}{list}", clean::line(name)));
            }
        }
        seen
    }
}

/// `broker`: the one that had to be said.
fn page(class: &ServiceClass, seen: &Seen, broker: Option<&str>) -> String {
    let mut text = head(class);
    if !seen.gives.is_empty() {
        text.push_str(&format!("Gives        {}\n", joined(&seen.gives, " ")));
    }
    text.push_str(&plans(class, seen));
    text.push_str(&parameters(class, seen));
    text.push_str(&format!("Try   {}\n", example(class, broker)));
    text
}

fn joined(words: &BTreeSet<String>, between: &str) -> String {
    words.iter().map(String::as_str).collect::<Vec<_>>().join(between)
}

fn head(class: &ServiceClass) -> String {
    let mut facts = vec![format!("broker {}", class.broker)];
    facts.push(if class.bindable { "bindable" } else { "not bindable" }.to_owned());
    if !class.enabled {
        facts.push("not enabled".to_owned());
    }
    facts.extend(class.reason.iter().flatten().cloned());
    let metadata = |key: &str| class.metadata.as_ref().and_then(|all| all.get(key)?.as_str());
    if let Some(url) = metadata("documentationUrl") {
        facts.push(format!("docs {url}"));
    }
    let line = format!("{}   {}          {}", class.name, class.description, facts.join(" · "));
    format!("{}\n", clean::line(&line))
}

fn plans(class: &ServiceClass, seen: &Seen) -> String {
    let mut rows = vec![["PLAN", "COST", "TAKES", "YOU GET"].map(str::to_owned).to_vec()];
    for plan in &class.plans {
        let took = seen.took.get(&plan.id).map(|took| time::span(*took));
        let [name, cost, get] = plan_cells(class, plan);
        rows.push(vec![name, cost, took.unwrap_or_else(|| "new".to_owned()), get]);
    }
    columns::aligned(&rows)
}

/// Name, cost, and what one gets.
pub fn plan_cells(class: &ServiceClass, plan: &ServicePlan) -> [String; 3] {
    let is_default = class.default_plan.as_ref() == Some(&plan.name);
    let mark = if is_default { " (default)" } else { "" };
    [clean::line(&plan.name) + mark, cost(plan), clean::line(&plan.description)]
}

/// `free`, `paid`, or what the broker says that it costs.
fn cost(plan: &ServicePlan) -> String {
    let costs = plan.metadata.as_ref().and_then(|metadata| metadata.get("costs")?.as_array());
    let one = |cost: &Value| {
        let amounts = cost.get("amount")?.as_object()?;
        let (currency, amount) = amounts.iter().next()?;
        let unit = cost.get("unit").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        Some(format!("{amount} {} {unit}", currency.to_uppercase()).trim_end().to_owned())
    };
    let said: Vec<String> = costs.into_iter().flatten().filter_map(one).collect();
    match (said.is_empty(), plan.free) {
        (false, _) => clean::line(&said.join(", ")),
        (true, true) => "free".to_owned(),
        (true, false) => "paid".to_owned(),
    }
}

fn parameters(class: &ServiceClass, seen: &Seen) -> String {
    let bind = table("BINDING PARAMETER", class, |plan| &plan.schema.bind).unwrap_or_default();
    if let Some(create) = table("PARAMETER", class, |plan| &plan.schema.create) {
        return create + &bind;
    }
    let create = match class.plans.iter().all(|plan| schema::is_silent(&plan.schema.create)) {
        false => "PARAMETERS  none\n".to_owned(),
        true if seen.parameters.is_empty() => "PARAMETERS  the broker gives no schema\n".to_owned(),
        true => format!(
            "PARAMETERS  the broker gives no schema; seen here: {}\n",
            joined(&seen.parameters, ", ")
        ),
    };
    create + &bind
}

/// One row per parameter that plans describe differently or alike; nothing if they describe none.
fn table(
    title: &str,
    class: &ServiceClass,
    schema: impl Fn(&ServicePlan) -> &Value,
) -> Option<String> {
    let mut found: Vec<(schema::Parameter, Vec<&str>)> = Vec::new();
    for plan in &class.plans {
        for parameter in schema::parameters(schema(plan)) {
            match found.iter_mut().find(|(known, _)| *known == parameter) {
                Some((_, plans)) => plans.push(&plan.name),
                None => found.push((parameter, vec![&plan.name])),
            }
        }
    }
    let titles = [title, "PLANS", "TYPE", "DEFAULT", "MEANING"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for (parameter, plans) in found {
        let in_all = plans.len() == class.plans.len();
        rows.push(vec![
            format!("  {}", parameter.name),
            if in_all { "all".to_owned() } else { clean::line(&plans.join(", ")) },
            parameter.kind,
            parameter.default,
            parameter.meaning,
        ]);
    }
    (rows.len() > 1).then(|| columns::aligned(&rows))
}

/// A command that works as it stands, for a plan that takes parameters if there is one.
pub fn example(class: &ServiceClass, broker: Option<&str>) -> String {
    if !class.enabled {
        let (name, broker) = (quoted(&class.name), quoted(&class.broker));
        return format!("dispatch create serviceclass {name} --broker {broker}");
    }
    let with_parameters = |plan: &&ServicePlan| !schema::parameters(&plan.schema.create).is_empty();
    let plan = class.plans.iter().rev().find(with_parameters).or(class.plans.first());
    let mut words = vec!["dispatch create serviceinstance my-db".to_owned(), quoted(&class.name)];
    if let Some(plan) = plan {
        words.push(quoted(&plan.name));
        let values: BTreeMap<String, Value> = schema::example(&plan.schema.create);
        if !values.is_empty() {
            let json = serde_json::to_string(&values).expect("plain data");
            let json = json.replace("\":", "\": ");
            words.push(format!("--params {}", quoted(&json)));
        }
    }
    words.extend(broker.map(|broker| format!("--broker {}", quoted(broker))));
    words.push("--wait".to_owned());
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "00000000-0000-0000-0000-000000000000";

    fn class(mut value: Value) -> ServiceClass {
        let common = json!({"id": ID, "kind": "ServiceClass", "brokerID": ID, "enabled": true, "status": "READY",
            "reason": null, "createdTime": 0, "tags": null});
        for (key, common) in common.as_object().unwrap() {
            value.as_object_mut().unwrap().entry(key).or_insert(common.clone());
        }
        for plan in value["plans"].as_array_mut().unwrap() {
            let plan = plan.as_object_mut().unwrap();
            plan.extend(json!({"id": ID, "kind": "ServicePlan"}).as_object().unwrap().clone());
            plan.entry("schema").or_insert_with(|| json!({"create": {}, "update": {}, "bind": {}}));
        }
        serde_json::from_value(value).unwrap()
    }

    /// An instance of the class, or of another one.
    fn instance(class: &str, parameters: Value, keys: &[&str]) -> ServiceInstance {
        serde_json::from_value(json!({"id": ID, "kind": "ServiceInstance", "name": "x", "serviceClass": "c",
            "servicePlan": "p", "serviceClassID": class, "planID": ID, "broker": "b", "parameters": parameters,
            "lastOperation": {"type": "create", "state": "succeeded", "description": "", "since": 0, "tookMs": 1_300},
            "secretParameters": null, "binding": {"secretParameters": null, "keys": keys, "status": "READY",
            "reason": null}, "conditions": [], "status": "READY", "reason": null, "createdTime": 0, "tags": null}))
        .unwrap()
    }

    fn check(value: Value, instances: &[ServiceInstance], expect: &str) {
        let class = class(value);
        assert_eq!(page(&class, &Seen::of(&class, instances), None), expect);
    }

    #[test]
    fn a_class_is_explained_with_plans_parameters_and_a_line_to_try() {
        let extensions = json!({"type": "array", "items": {"type": "string", "enum": ["citext", "pgcrypto"]},
            "default": [], "description": "to be installed"});
        let storage = json!({"type": "integer", "minimum": 1, "maximum": 64, "default": 1,
            "description": "limit of the disk; can be raised later"});
        let schema = |properties: Value| json!({"create": {"type": "object", "properties": properties}, "update": {}, "bind": {}});
        check(
            json!({
                "name": "postgresql", "broker": "pg", "bindable": true, "description": "PostgreSQL 15 with TLS",
                "metadata": {"documentationUrl": "https://example.com/pg"},
                "plans": [
                    {"name": "shared-small", "free": true, "description": "a database",
                     "schema": schema(json!({"extensions": extensions}))},
                    {"name": "dedicated", "description": "a server of your own",
                     "schema": schema(json!({"storage": storage, "extensions": extensions}))},
                ],
                "defaultPlan": "shared-small",
            }),
            &[
                instance(ID, json!({}), &["host", "database"]),
                instance("00000000-0000-0000-0000-000000000001", json!({}), &["bucket"]),
            ],
            "\
postgresql   PostgreSQL 15 with TLS          broker pg · bindable · docs https://example.com/pg
Gives        database host
PLAN                    COST  TAKES  YOU GET
shared-small (default)  free  1.3 s  a database
dedicated               paid  1.3 s  a server of your own
PARAMETER     PLANS      TYPE             DEFAULT  MEANING
  extensions  all        list of strings  []       to be installed; one or more of citext, pgcrypto
  storage     dedicated  integer, 1–64    1        limit of the disk; can be raised later
Try   dispatch create serviceinstance my-db postgresql dedicated --params '{\"storage\": 1}' --wait
",
        );
    }

    #[test]
    fn a_class_that_says_little_is_explained_as_far_as_it_goes() {
        check(
            json!({"name": "p.mysql\u{1b}[2J", "broker": "b", "plans": [
                {"name": "it's", "metadata": {"costs": [{"amount": {"usd": 9.5}, "unit": "MONTHLY"}]}}]}),
            &[],
            "\
p.mysql             broker b · not bindable
PLAN  COST             TAKES  YOU GET
it's  9.5 USD monthly  new
PARAMETERS  the broker gives no schema
Try   dispatch create serviceinstance my-db 'p.mysql' 'it'\\''s' --wait
",
        );
    }

    #[test]
    fn what_the_broker_does_not_say_was_seen_by_others() {
        let bind = json!({"properties": {"role": {"type": "string", "enum": ["reader", "owner"]}}});
        check(
            json!({"name": "c", "broker": "b", "plans": [], "enabled": false}),
            &[],
            "\
c             broker b · not bindable · not enabled
PLAN  COST  TAKES  YOU GET
PARAMETERS  the broker gives no schema
Try   dispatch create serviceclass c --broker b
",
        );
        check(
            json!({"name": "c", "broker": "b", "bindable": true, "plans": [
                {"name": "p", "schema": {"create": {}, "update": {}, "bind": bind}}]}),
            &[
                instance(ID, json!({"location": "west", "rules": [{}]}), &["uri\u{7}"]),
                instance(ID, Value::Null, &["uri"]),
            ],
            "\
c             broker b · bindable
Gives        uri
PLAN  COST  TAKES  YOU GET
p     paid  1.3 s
PARAMETERS  the broker gives no schema; seen here: location, rules[]
BINDING PARAMETER  PLANS  TYPE    DEFAULT  MEANING
  role             all    string           one of reader, owner
Try   dispatch create serviceinstance my-db c p --wait
",
        );
    }

    #[test]
    fn a_class_that_two_brokers_have_is_tried_with_its_broker_and_says_what_was_lost() {
        let class = class(json!({"name": "c", "broker": "b", "plans": [{"name": "p"}],
            "reason": ["the plan set as its default is not offered any more"]}));
        let page = page(&class, &Seen::default(), Some("b"));
        assert!(page.contains("not bindable · the plan set as its default is not"), "{page}");
        assert!(page.ends_with("create serviceinstance my-db c p --broker b --wait\n"), "{page}");
    }
}
