//! A function that wants more than its database. Each attack has a twin that succeeds without the
//! layer that stops it, so that a broken attack is not taken for a defence.

use tokio_postgres::Client;

use crate::support::{Broker, Credentials, cluster, code, new_id};

struct Scene {
    _data: tempfile::TempDir,
    broker: Broker,
    attacker: Credentials,
    victim: Credentials,
}

impl Scene {
    async fn set() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let broker = Broker::on(data.path()).await;
        let attacker = broker.bound(&new_id(), &new_id()).await;
        let victim = broker.bound(&new_id(), &new_id()).await;
        Self { _data: data, broker, attacker, victim }
    }

    async fn end(self) {
        for instance in [self.attacker.get("database"), self.victim.get("database")] {
            assert_eq!(self.broker.deprovision(instance).await.0, 200);
        }
        self.broker.finish().await.expect("ended well");
    }
}

#[tokio::test]
async fn no_role_connects_to_another_database() {
    let scene = Scene::set().await;
    let victim = scene.victim.get("database");
    for database in [victim, "postgres", "template1", "template0"] {
        let refused = code(scene.attacker.connect_to(database).await);
        let expected = if database == "template0" { "55000" } else { "42501" };
        assert_eq!(refused, expected, "{database}");
    }
    // The victim cannot even open its door by itself: the database is not its own.
    let session = scene.victim.connect().await.expect("connected");
    let open = format!("GRANT CONNECT ON DATABASE \"{victim}\" TO PUBLIC");
    session.batch_execute(&open).await.expect("a warning, nothing else");
    assert_eq!(code(scene.attacker.connect_to(victim).await), "42501");
    // The twin: it is CONNECT that keeps the attacker out.
    let admin = cluster().await.admin("postgres").await.expect("connected");
    admin.batch_execute(&open).await.expect("granted");
    assert_eq!(code(scene.attacker.connect_to(victim).await), "accepted");
    scene.end().await;
}

/// The attack is refused with this code to a binding, and works for the administrator.
async fn check(attacker: &Client, admin: &Client, expect: &str, attack: &str) {
    assert_eq!(code(attacker.batch_execute(attack).await), expect, "{attack}");
    attacker.batch_execute("ROLLBACK").await.expect("a clean session");
    let twin = format!("BEGIN; {attack}; ROLLBACK");
    assert_eq!(code(admin.batch_execute(&twin).await), "accepted", "the twin of {attack}");
}

#[tokio::test]
async fn nothing_outside_the_database_can_be_read_run_or_made() {
    let scene = Scene::set().await;
    let own = scene.attacker.get("database");
    let session = scene.attacker.connect().await.expect("connected");
    let admin = cluster().await.admin(own).await.expect("connected");
    for (expect, attack) in [
        ("42501", "COPY (SELECT 1) TO PROGRAM 'cat >/dev/null'"),
        ("42501", "COPY (SELECT 1) TO '/tmp/dispatch-broker-attack'"),
        ("42501", "CREATE TEMP TABLE f (line text); COPY f FROM '/etc/passwd'"),
        ("42501", "SELECT pg_read_file('/etc/passwd')"),
        ("42501", "SELECT pg_ls_dir('/')"),
        ("42501", "SELECT lo_import('/etc/passwd')"),
        ("42501", "CREATE ROLE evil"),
        ("42501", "CREATE EXTENSION dblink"),
        ("42501", "CREATE EXTENSION postgres_fdw"),
        ("42501", "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'int4pl'"),
        ("42501", "SELECT rolpassword FROM pg_authid"),
        ("42501", "SET session_replication_role = replica"),
        ("42501", "SET log_statement = 'none'"),
        ("42501", "SELECT pg_reload_conf()"),
        ("42501", "CREATE TABLESPACE t LOCATION '/tmp'"),
    ] {
        if attack.starts_with("CREATE TABLESPACE") || attack.starts_with("CREATE FUNCTION") {
            // These need more than a right to work; that the code is "not allowed" is enough.
            assert_eq!(code(session.batch_execute(attack).await), expect, "{attack}");
            continue;
        }
        check(&session, &admin, expect, attack).await;
    }
    // CREATE DATABASE cannot run in a transaction, so its twin is the broker itself.
    assert_eq!(code(session.batch_execute("CREATE DATABASE evil").await), "42501");
    for role in ["pg_read_server_files", "pg_write_server_files", "pg_execute_server_program"] {
        check(&session, &admin, "42501", &format!("SET ROLE {role}")).await;
        let query = "SELECT pg_has_role(session_user, $1, 'MEMBER')";
        let member: bool = session.query_one(query, &[&role]).await.expect("a row").get(0);
        assert!(!member, "{role}");
    }
    let victim = scene.victim.get("username");
    let victims_owner = format!("{}_owner", scene.victim.get("database"));
    for role in [victim, victims_owner.as_str(), "dispatch_admin"] {
        check(&session, &admin, "42501", &format!("SET ROLE \"{role}\"")).await;
        let grant = format!("GRANT \"{role}\" TO CURRENT_USER");
        match role {
            // Its twin would be a circle.
            "dispatch_admin" => assert_eq!(code(session.batch_execute(&grant).await), "42501"),
            _ => check(&session, &admin, "42501", &grant).await,
        }
    }
    check(&session, &admin, "42501", &format!("ALTER ROLE \"{victim}\" PASSWORD 'x'")).await;
    check(&session, &admin, "42501", &format!("ALTER DATABASE \"{own}\" IS_TEMPLATE true")).await;
    drop(admin);
    scene.end().await;
}

#[tokio::test]
async fn no_role_has_an_attribute_it_does_not_need() {
    let scene = Scene::set().await;
    let admin = cluster().await.admin("postgres").await.expect("connected");
    let query = "SELECT rolcanlogin, rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication \
         OR rolbypassrls, coalesce(rolpassword, '') FROM pg_authid WHERE rolname = $1";
    let login = scene.attacker.get("username");
    let owner = format!("{}_owner", scene.attacker.get("database"));
    for (role, logs_in) in [(login, true), (&owner, false)] {
        let row = admin.query_one(query, &[&role]).await.expect("a row");
        assert_eq!(row.get::<_, bool>(0), logs_in, "{role}");
        assert!(!row.get::<_, bool>(1), "{role}");
        let verifier: String = row.get(2);
        assert_eq!(verifier.starts_with("SCRAM-SHA-256$4096:"), logs_in, "{role}");
    }
    // The only role that a login is a member of is its instance's.
    let query = "SELECT array_agg(g.rolname::text) FROM pg_auth_members a \
         JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member \
         WHERE m.rolname = $1";
    let groups: Vec<String> = admin.query_one(query, &[&login]).await.expect("a row").get(0);
    assert_eq!(groups, [owner]);
    scene.end().await;
}

#[tokio::test]
async fn what_a_tenant_puts_into_its_database_does_not_trick_the_administrator() {
    let scene = Scene::set().await;
    let session = scene.attacker.connect().await.expect("connected");
    // Functions and operators that fit better than the system's, to be run by whoever comes by.
    let trap = "CREATE FUNCTION public.trap(name, text) RETURNS boolean LANGUAGE plpgsql AS \
         $$BEGIN EXECUTE 'ALTER ROLE CURRENT_USER SUPERUSER'; RETURN true; END$$; \
         CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.trap); \
         CREATE TABLE public.pg_roles (rolname name, oid oid); \
         SET ROLE NONE; CREATE SCHEMA mine; CREATE TABLE mine.t (n int)";
    session.batch_execute(trap).await.expect("set");
    drop(session);
    let instance = scene.attacker.get("database").to_owned();
    let late = new_id();
    scene.broker.credentials(&instance, &late).await;
    assert_eq!(scene.broker.unbind(&instance, &late).await.0, 200);
    let admin = cluster().await.admin("postgres").await.expect("connected");
    let query = "SELECT count(*) FROM pg_roles WHERE rolsuper";
    let superusers: i64 = admin.query_one(query, &[]).await.expect("a row").get(0);
    assert_eq!(superusers, 1);
    scene.end().await;
}
