//! `dispatch describe serviceclass NAME`: what it gives, its plans, its parameters, and a line to try.

use std::collections::BTreeMap;

use dispatch_api::service_class::{ServiceClass, ServicePlan};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    commands::{arity, describe::schema, get},
    error::CliError,
    output::{clean, columns, time},
    session::Session,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    names: Vec<String>,
    /// Which broker is meant, when two have a class of this name
    #[arg(long)]
    broker: Option<String>,
}

pub async fn run(session: Session, args: Args) -> Result<(), CliError> {
    let [name] = arity::exactly::<1>(&args.names)?;
    let broker = args.broker.as_deref();
    let query: Vec<_> = broker.map(|broker| ("broker", broker)).into_iter().collect();
    let found = get::one::<ServiceClass>(&session, name, &query).await?;
    if session.console.is_for_programs() {
        return session.console.document(&found.raw);
    }
    let more = serde_json::from_str(found.raw.get()).unwrap_or_default();
    session.console.block(&page(&found.body, &more))
}

/// What a server may say beyond the wire type; every part may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct More {
    plan_updateable: bool,
    /// Keys of the credentials that bindings of this class were seen to give.
    gives: Vec<String>,
    plans: Vec<MorePlan>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MorePlan {
    name: String,
    default: bool,
    /// Median of what this server saw.
    takes_ms: Option<u64>,
}

fn page(class: &ServiceClass, more: &More) -> String {
    let mut text = head(class, more);
    if !more.gives.is_empty() {
        text.push_str(&format!("Gives        {}\n", clean::line(&more.gives.join(" "))));
    }
    text.push_str(&plans(class, more));
    text.push_str(&parameters(class));
    text.push_str(&format!("Try   {}\n", example(class, more)));
    text
}

fn head(class: &ServiceClass, more: &More) -> String {
    let mut facts = vec![format!("broker {}", class.broker)];
    facts.push(if class.bindable { "bindable" } else { "not bindable" }.to_owned());
    if more.plan_updateable {
        facts.push("plan can be changed".to_owned());
    }
    if !class.enabled {
        facts.push("not enabled".to_owned());
    }
    let metadata = |key: &str| class.metadata.as_ref().and_then(|all| all.get(key)?.as_str());
    if let Some(url) = metadata("documentationUrl") {
        facts.push(format!("docs {url}"));
    }
    let line = format!("{}   {}          {}", class.name, class.description, facts.join(" · "));
    format!("{}\n", clean::line(&line))
}

fn plans(class: &ServiceClass, more: &More) -> String {
    let of = |plan: &ServicePlan| more.plans.iter().find(|more| more.name == plan.name);
    let timed = more.plans.iter().any(|plan| plan.takes_ms.is_some());
    let titles = ["PLAN", "COST", "TAKES", "YOU GET"].into_iter();
    let titles = titles.filter(|title| timed || *title != "TAKES");
    let mut rows = vec![titles.map(str::to_owned).collect::<Vec<_>>()];
    for plan in &class.plans {
        let is_default = of(plan).is_some_and(|more| more.default);
        let mark = if is_default { " *" } else { "" };
        let mut row = vec![format!("{}{mark}", clean::line(&plan.name)), cost(plan)];
        if timed {
            let takes = of(plan).and_then(|more| more.takes_ms);
            let takes = takes.map(|ms| time::span(std::time::Duration::from_millis(ms)));
            row.push(takes.unwrap_or_else(|| "new".to_owned()));
        }
        let legend = if is_default { "      (* default)" } else { "" };
        row.push(format!("{}{legend}", clean::line(&plan.description)));
        rows.push(row);
    }
    columns::aligned(&rows)
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

/// One row per parameter that plans describe differently or alike.
fn parameters(class: &ServiceClass) -> String {
    let mut seen: Vec<(schema::Parameter, Vec<&str>)> = Vec::new();
    for plan in &class.plans {
        for parameter in schema::parameters(&plan.schema.create) {
            match seen.iter_mut().find(|(known, _)| *known == parameter) {
                Some((_, plans)) => plans.push(&plan.name),
                None => seen.push((parameter, vec![&plan.name])),
            }
        }
    }
    if class.plans.iter().all(|plan| schema::is_silent(&plan.schema.create)) {
        return "PARAMETERS  the broker gives no schema\n".to_owned();
    }
    if seen.is_empty() {
        return "PARAMETERS  none\n".to_owned();
    }
    let titles = ["PARAMETER", "PLANS", "TYPE", "DEFAULT", "MEANING"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for (parameter, plans) in seen {
        let in_all = plans.len() == class.plans.len();
        rows.push(vec![
            format!("  {}", parameter.name),
            if in_all { "all".to_owned() } else { clean::line(&plans.join(", ")) },
            parameter.kind,
            parameter.default,
            parameter.meaning,
        ]);
    }
    columns::aligned(&rows)
}

/// A command that works as it stands, for a plan that takes parameters if there is one.
fn example(class: &ServiceClass, more: &More) -> String {
    let with_parameters = |plan: &&ServicePlan| !schema::parameters(&plan.schema.create).is_empty();
    let default = more.plans.iter().find(|plan| plan.default).map(|plan| plan.name.as_str());
    let default = class.plans.iter().find(|plan| Some(plan.name.as_str()) == default);
    let plan = class.plans.iter().rev().find(with_parameters).or(default).or(class.plans.first());
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
    words.push("--wait".to_owned());
    words.join(" ")
}

/// For a shell: names may hold anything.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", clean::line(word).replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class(mut value: Value) -> (ServiceClass, More) {
        let id = "00000000-0000-0000-0000-000000000000";
        let common = json!({"id": id, "kind": "ServiceClass", "brokerID": id, "enabled": true, "status": "READY",
            "reason": null, "createdTime": 0, "tags": null});
        value.as_object_mut().unwrap().extend(common.as_object().unwrap().clone());
        for plan in value["plans"].as_array_mut().unwrap() {
            let plan = plan.as_object_mut().unwrap();
            plan.extend(json!({"id": id, "kind": "ServicePlan"}).as_object().unwrap().clone());
            plan.entry("schema").or_insert_with(|| json!({"create": {}, "update": {}, "bind": {}}));
        }
        (serde_json::from_value(value.clone()).unwrap(), serde_json::from_value(value).unwrap())
    }

    fn check(value: Value, expect: &str) {
        let (class, more) = class(value);
        assert_eq!(page(&class, &more), expect);
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
                "planUpdateable": true, "gives": ["database", "host"],
                "plans": [
                    {"name": "shared-small", "free": true, "description": "a database", "default": true, "takesMs": 50,
                     "schema": schema(json!({"extensions": extensions}))},
                    {"name": "dedicated", "description": "a server of your own", "takesMs": 1000,
                     "schema": schema(json!({"storage": storage, "extensions": extensions}))},
                ],
            }),
            "\
postgresql   PostgreSQL 15 with TLS          broker pg · bindable · plan can be changed · docs https://example.com/pg
Gives        database host
PLAN            COST  TAKES  YOU GET
shared-small *  free  50 ms  a database      (* default)
dedicated       paid  1.0 s  a server of your own
PARAMETER     PLANS      TYPE             DEFAULT  MEANING
  extensions  all        list of strings  []       to be installed; one or more of citext, pgcrypto
  storage     dedicated  integer, 1–64    1        limit of the disk; can be raised later
Try   dispatch create serviceinstance my-db postgresql dedicated --params '{\"extensions\": []}' --wait
",
        );
    }

    #[test]
    fn a_class_that_says_little_is_explained_as_far_as_it_goes() {
        check(
            json!({"name": "p.mysql\u{1b}[2J", "broker": "b", "plans": [
                {"name": "it's", "metadata": {"costs": [{"amount": {"usd": 9.5}, "unit": "MONTHLY"}]}}]}),
            "\
p.mysql             broker b · not bindable
PLAN  COST             YOU GET
it's  9.5 USD monthly
PARAMETERS  the broker gives no schema
Try   dispatch create serviceinstance my-db 'p.mysql' 'it'\\''s' --wait
",
        );
    }
}
