//! A run whose rows the drain's own store has written, in a database that a test may falsify.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use drain_worker::store::{Fence, OrderStore, Store, StoreConfig};
use loadtest::ledger::{
    AnswerMatch, Attempt, AttemptEnding, Attempts, Judgement, LedgerReader, LedgerSystem, Payload, RunFacts,
    RunScope,
};
use loadtest::scenario::{Buyers, RatePhase, RequestMix, Scenario, SendSchedule};
use loadtest::workload::{RequestKind, RequestSpec, Workload};
use shared::catalogue::Catalogue;
use shared::config::DatabaseUrl;
use shared::order::{AcceptedOrder, OrderId, OrderIdKey, SaleId};
use shared::testkit::TestDatabase;
use sqlx::mysql::MySqlConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use time::OffsetDateTime;

/// HOT-A has a limit that buyers reach, HOT-B is sold out soon.
const CATALOGUE: &str = r#"
    revision = "r1"
    [[sales]]
    id = "sale"
    opens_at = "2020-01-01T00:00:00Z"
    closes_at = "2040-01-01T00:00:00Z"
    currency = "CNY"
    skus = [
        { sku = "HOT-A", unit_price_minor = 500, stock = 1000, per_user_limit = 3 },
        { sku = "HOT-B", unit_price_minor = 700, stock = 6 },
        { sku = "SKU-C", unit_price_minor = 300, stock = 1000 },
        { sku = "SKU-D", unit_price_minor = 200, stock = 1000 },
    ]
"#;

const REQUESTS: u64 = 200;

/// The drain decides this long after the request is due.
const DECIDED_AFTER_US: i64 = 1_000_000;

/// The run of a [`PlayedRun`] and how its requests ended.
pub(crate) struct PlayedRun {
    pub(crate) workload: Workload,
    pub(crate) schedule: SendSchedule,
    pub(crate) started_us: i64,
    /// In the order of the numbers.
    pub(crate) attempts: Vec<Attempt>,
    /// The accepted orders in the order in which the drain gets them.
    orders: Vec<(u64, AcceptedOrder)>,
    /// Ended without a response, and is in the database.
    pub(crate) unknown: OrderId,
    /// The pair of payloads of one order with the longest time between them, by number.
    pub(crate) changed: (u64, u64),
}

fn catalogue() -> Catalogue {
    Catalogue::from_toml(CATALOGUE).expect("valid")
}

fn scenario(seed: u64) -> Scenario {
    Scenario {
        name: "test".to_owned(),
        description: String::new(),
        seed,
        // Ten seconds between two requests.
        phases: vec![RatePhase::Constant { rps: 0.1, seconds: REQUESTS as f64 * 10.0 }.into()],
        arrivals: Default::default(),
        sale: Default::default(),
        buyers: Buyers { users: 12, user_zipf: 0.0, sku_zipf: 0.0, lines_max: 2, quantity_max: 2 },
        mix: RequestMix { replays: 0.1, changed: 0.1, invalid: 0.05, hang_ups: 0.0, slow_bodies: 0.0 },
        clients: Default::default(),
        drain: Default::default(),
        generator: Default::default(),
        expect: Default::default(),
        abort: Default::default(),
    }
}

fn accepted(workload: &Workload, spec: &RequestSpec, started_us: i64) -> Option<AcceptedOrder> {
    let (order_id, digest) = workload.expected(spec)?;
    let order = workload.request(spec)?;
    let now = OffsetDateTime::from_unix_timestamp_nanos(i128::from(started_us) * 1_000).expect("in range");
    let items = catalogue().price(&order, now).expect("on sale");
    Some(AcceptedOrder {
        order_id,
        digest,
        sale_id: order.sale_id,
        user_id: order.user_id,
        items,
        currency: order.currency,
        shipping_address: order.shipping_address,
        client_reference: order.client_reference,
        accepted_at: now,
        catalogue_revision: "r1".to_owned(),
        traceparent: None,
    })
}

impl PlayedRun {
    /// Plays the requests of `seed`, without a service.
    pub(crate) fn play(seed: u64) -> Self {
        let scenario = scenario(seed);
        let catalogue = catalogue();
        let sale = catalogue.sale(&SaleId::parse("sale").expect("valid")).expect("there");
        let key = OrderIdKey::new(&[7; 32]).expect("long enough");
        let workload = Workload::new(&scenario, sale, key, (seed << 32) | seed).expect("laws in range");
        let started_us = (OffsetDateTime::now_utc().unix_timestamp() - 100_000) * 1_000_000;
        let specs: Vec<_> = (0..REQUESTS).map(|number| workload.request_spec(number)).collect();
        let repeated = |number| specs.iter().any(|spec| spec.origin == number && spec.number != number);
        let mut singles = specs
            .iter()
            .filter(|spec| spec.kind == RequestKind::New && !repeated(spec.number))
            .map(|spec| spec.number);
        let (unknown, absent, refused, failed) = (
            singles.next().expect("enough"),
            singles.next().expect("enough"),
            singles.next().expect("enough"),
            singles.next().expect("enough"),
        );
        let (mut attempts, mut orders) = (Vec::new(), Vec::new());
        for spec in &specs {
            let Some(order_id) = workload.order_id(spec) else { continue };
            let expected = workload.expected(spec);
            let ending = match spec.number {
                _ if expected.is_none() => AttemptEnding::Invalid,
                number if number == unknown || number == absent => AttemptEnding::Unknown,
                number if number == refused => AttemptEnding::Refused,
                number if number == failed => AttemptEnding::Failed,
                _ => AttemptEnding::Accepted,
            };
            attempts.push(Attempt {
                order_id,
                answered_id: order_id,
                payload: expected.map(|(_, digest)| Payload::from(digest)).unwrap_or_default(),
                number: spec.number as u32,
                code: if ending == AttemptEnding::Accepted { u16::MAX } else { 0 },
                ending,
                answer: if ending == AttemptEnding::Accepted {
                    AnswerMatch::Matches
                } else {
                    AnswerMatch::None
                },
            });
            if spec.number != absent && spec.number != refused {
                orders.extend(accepted(&workload, spec, started_us).map(|order| (spec.number, order)));
            }
        }
        let changed = specs.iter().filter(|spec| spec.kind == RequestKind::Changed);
        let changed = changed.max_by_key(|spec| spec.number - spec.origin).expect("some");
        Self {
            unknown: workload.order_id(&specs[unknown as usize]).expect("valid"),
            changed: (changed.origin, changed.number),
            schedule: SendSchedule::new(&scenario.rates()),
            started_us,
            attempts,
            orders,
            workload,
        }
    }

    pub(crate) fn due_us(&self, number: u64) -> i64 {
        self.started_us + (self.schedule.due_ns(number) / 1_000) as i64
    }

    pub(crate) fn order_id(&self, number: u64) -> OrderId {
        self.workload.order_id(&self.workload.request_spec(number)).expect("valid")
    }

    /// Judges `url`'s database.
    pub(crate) async fn judge(&self, url: &DatabaseUrl, scope: &RunScope, attempts: &[Attempt]) -> Judgement {
        let attempts = Attempts::new(attempts.to_vec(), vec!["publish_timeout".into()]);
        let run = RunFacts {
            workload: &self.workload,
            schedule: &self.schedule,
            attempts: &attempts,
            started_us: self.started_us,
            accepted_within_us: 1_000_000,
            wait_was_cut: false,
        };
        let mut reader = LedgerReader::connect(url).await.expect("connects");
        reader.judge(run, scope, 10, |_rows| {}).await.expect("reads")
    }
}

/// A prepared database; the scope is that of a run which starts now.
pub(crate) async fn prepare(url: &DatabaseUrl) -> Store {
    let store = Store::connect(url, StoreConfig::default()).await.expect("connects");
    store.migrate().await.expect("migrates");
    store.apply_catalogue(&catalogue()).await.expect("applies");
    store
}

pub(crate) async fn begin(run: &PlayedRun, url: &DatabaseUrl, is_own: bool) -> RunScope {
    let system = LedgerSystem { is_own, group: None, invisible: Duration::from_secs(10) };
    let mut reader = LedgerReader::connect(url).await.expect("connects");
    reader.begin(&run.workload, system).await.expect("begins")
}

/// Commits the run's orders, each one second after it was due.
pub(crate) async fn commit(run: &PlayedRun, store: &Store, sql: &mut Sql) {
    let orders: Vec<_> = run.orders.iter().map(|(_, order)| order.clone()).collect();
    for part in orders.chunks(20) {
        store.commit(Fence::Open, part).await.expect("commits");
    }
    // The first payload wins, so its number is the first one.
    let mut known = std::collections::HashMap::new();
    let mut text = String::new();
    for (number, order) in &run.orders {
        let first = *known.entry(order.order_id).or_insert(order.digest);
        let at = sql.instant(run.due_us(*number) + DECIDED_AFTER_US);
        let id = literal(order.order_id);
        let digest = format!("x'{}'", hex(order.digest.as_bytes()));
        if first == order.digest {
            text.push_str(&format!(
                "UPDATE orders SET decided_at = {at} WHERE order_id = {id} AND catalogue_revision = 'r1';"
            ));
            text.push_str(&format!("UPDATE orders SET catalogue_revision = 'r2' WHERE order_id = {id};"));
        } else {
            text.push_str(&format!(
                "UPDATE order_conflicts SET first_seen_at = {at} WHERE order_id = {id} AND payload_digest = {digest};"
            ));
        }
    }
    text.push_str(
        r#"INSERT INTO drain_groups (group_id, revision, settings, version) VALUES ('drain', 0, '{"default":1}', 0);"#,
    );
    sql.run(&text).await;
}

pub(crate) fn literal(order_id: OrderId) -> String {
    format!("x'{}'", hex(order_id.as_bytes()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A connection for statements that no constraint stops.
pub(crate) enum Sql {
    Sqlite(SqliteConnection),
    MySql(MySqlConnection),
}

impl Sql {
    pub(crate) async fn connect(url: &DatabaseUrl) -> Self {
        if url.scheme() == "mysql" {
            return Self::MySql(MySqlConnection::connect(url.expose()).await.expect("connects"));
        }
        let options = SqliteConnectOptions::from_str(url.expose()).expect("valid");
        let mut connection = options.connect().await.expect("connects");
        let unchecked = sqlx::raw_sql("PRAGMA ignore_check_constraints = ON");
        unchecked.execute(&mut connection).await.expect("runs");
        Self::Sqlite(connection)
    }

    pub(crate) async fn run(&mut self, text: &str) {
        let query = sqlx::raw_sql(AssertSqlSafe(text));
        match self {
            Self::Sqlite(connection) => drop(query.execute(connection).await.expect(text)),
            Self::MySql(connection) => drop(query.execute(connection).await.expect(text)),
        }
    }

    pub(crate) async fn bytes(&mut self, text: &str) -> Vec<u8> {
        let query = sqlx::query_scalar(AssertSqlSafe(text));
        match self {
            Self::Sqlite(connection) => query.fetch_one(connection).await.expect(text),
            Self::MySql(_) => panic!("for SQLite"),
        }
    }

    /// An instant as the database's literal.
    fn instant(&self, us: i64) -> String {
        match self {
            Self::Sqlite(_) => format!("strftime('%Y-%m-%d %H:%M:%f', {}, 'unixepoch')", us as f64 / 1e6),
            Self::MySql(_) => format!("TIMESTAMPADD(MICROSECOND, {us}, '1970-01-01')"),
        }
    }

    pub(crate) async fn close(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await.expect("closes"),
            Self::MySql(connection) => connection.close().await.expect("closes"),
        }
    }
}

/// A sound run in a SQLite file.
pub(crate) struct SoundRun {
    pub(crate) run: PlayedRun,
    pub(crate) scope: RunScope,
    database: TestDatabase,
    directory: tempfile::TempDir,
}

impl SoundRun {
    pub(crate) async fn make() -> Self {
        let (run, database) = (PlayedRun::play(3), TestDatabase::sqlite());
        let store = prepare(&database.url).await;
        let scope = begin(&run, &database.url, true).await;
        let mut sql = Sql::connect(&database.url).await;
        commit(&run, &store, &mut sql).await;
        sql.close().await;
        store.close().await;
        Self { run, scope, database, directory: tempfile::tempdir().expect("a directory") }
    }

    /// A copy of the database to falsify.
    pub(crate) fn copy(&self, name: &str) -> DatabaseUrl {
        let original = PathBuf::from(self.database.url.expose().trim_start_matches("sqlite:"));
        let copy = self.directory.path().join(name);
        std::fs::copy(original, &copy).expect("copied");
        format!("sqlite:{}", copy.display()).parse().expect("valid")
    }
}
