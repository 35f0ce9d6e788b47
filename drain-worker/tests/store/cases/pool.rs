//! Leases, fences, settings.

use std::time::Duration;

use bytes::Bytes;
use drain_worker::control::{AuditContext, GroupSettings, Rate, SettingsChange};
use drain_worker::store::{
    ActPage, DeadLetter, DeadLetterReason, Fence, GroupSnapshot, JoinRequest, Lease, LeaseId, OrderStore,
    PoolStore, Renewal, SettingsError, ShareChange, StoreConfig, StoreError, WORKERS_MAX,
};
use serde_json::json;

use crate::harness::{AT_THE_STOCK, Harness, config};
use crate::orders::{catalogue, order};

const GROUP: &str = "drain";
const LONG: Duration = Duration::from_secs(60);

fn seed() -> GroupSettings {
    GroupSettings::new(Rate::new(2_000).expect("within bounds"))
}

async fn join(harness: &Harness, worker: &str, ttl: Duration) -> LeaseId {
    let lease = LeaseId::random();
    let joining = JoinRequest { group: GROUP, lease, worker, seed: &seed(), ttl };
    harness.store.join(&joining).await.expect("joins");
    lease
}

/// Renews the lease, and stores `share`.
async fn beat(
    harness: &Harness,
    lease: LeaseId,
    share: u32,
    ttl: Duration,
) -> Result<GroupSnapshot, StoreError> {
    harness.store.renew(&Renewal { lease, ttl, report: r#"{"state":"idle"}"# }).await?;
    let group = harness.store.read(GROUP, lease, false).await?;
    harness.store.set_share(&change(&group, lease, share)).await?;
    Ok(group)
}

/// A raise that was decided on `group`.
fn change(group: &GroupSnapshot, lease: LeaseId, share: u32) -> ShareChange<'static> {
    let changes = own(group, lease).changes;
    ShareChange { group: GROUP, lease, share, wanted: 7, changes, raised_on: Some(group.version) }
}

fn own(group: &GroupSnapshot, lease: LeaseId) -> &Lease {
    group.leases.iter().find(|other| other.id == lease).expect("its own lease")
}

async fn look(harness: &Harness) -> GroupSnapshot {
    harness.store.read_group(GROUP).await.expect("reads").expect("the group exists")
}

fn is_fenced<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Fenced(_)))
}

pub(crate) async fn a_lease_is_joined_renewed_and_left(harness: &Harness) {
    assert!(harness.store.read_group(GROUP).await.expect("reads").is_none(), "no worker has joined");
    let lease = join(harness, "host:1", Duration::from_secs(5)).await;
    let joined = look(harness).await;
    assert_eq!((joined.revision, &joined.settings), (0, &seed()));
    let [own] = joined.leases.as_slice() else { panic!("{joined:?}") };
    assert_eq!(
        (own.id, own.worker.as_str(), own.share, own.wanted, own.fenced_us),
        (lease, "host:1", 0, 0, None)
    );
    assert!((0..=5_000_000).contains(&(own.expires_us - joined.now_us)), "{own:?} at {}", joined.now_us);

    let before = beat(harness, lease, 300, LONG).await.expect("renews");
    assert_eq!(
        (before.leases[0].share, &before.settings, before.leases[0].report.as_str()),
        (0, &seed(), "")
    );
    let reported = harness.store.read(GROUP, lease, true).await.expect("reads");
    assert_eq!(reported.leases[0].report, r#"{"state":"idle"}"#);
    let renewed = look(harness).await;
    let [own] = renewed.leases.as_slice() else { panic!("{renewed:?}") };
    assert_eq!((own.share, own.wanted, own.report.as_str()), (300, 7, r#"{"state":"idle"}"#));
    assert!(own.expires_us - renewed.now_us > 50_000_000);

    // The flags of a second worker have no effect.
    let other = LeaseId::random();
    let stranger = GroupSettings::new(Rate::new(1).expect("within bounds"));
    let joining = JoinRequest { group: GROUP, lease: other, worker: "host:2", seed: &stranger, ttl: LONG };
    harness.store.join(&joining).await.expect("joins");
    assert_eq!(look(harness).await.settings, seed());

    harness.store.leave(lease).await.expect("leaves");
    harness.store.leave(lease).await.expect("leaving twice has no effect");
    let left = look(harness).await;
    assert_eq!(left.leases.iter().map(|lease| lease.id).collect::<Vec<_>>(), [other]);
    assert!(is_fenced(&beat(harness, lease, 1, LONG).await));
}

pub(crate) async fn without_its_lease_a_worker_commits_nothing(harness: &Harness) {
    harness.store.apply_catalogue(&catalogue(&[("a", 99, None)])).await.expect("applies");
    let commit = async |number: u64, lease: LeaseId| {
        harness.store.commit(Fence::of(lease), &[order(number, "ann", &[("a", 1)])]).await
    };
    let lease = join(harness, "host:1", LONG).await;
    commit(1, lease).await.expect("a lease commits");
    assert!(is_fenced(&commit(2, LeaseId::random()).await), "an unknown lease");

    // It is expired by the database's clock, and no worker has fenced it yet.
    beat(harness, lease, 1, Duration::ZERO).await.expect("renews with a TTL of 0");
    assert!(is_fenced(&commit(3, lease).await), "lapsed");
    let renewed = beat(harness, lease, 1, LONG).await.expect("renews before it is fenced");
    commit(3, lease).await.expect("commits again");
    let ahead = Fence::Lease { id: lease, changes: own(&renewed, lease).changes + 2 };
    let lost = harness.store.commit(ahead, &[order(4, "ann", &[("a", 1)])]).await;
    assert!(is_fenced(&lost), "the database has lost the change of the share that it relies on");

    let lease = join(harness, "host:2", LONG).await;
    commit(4, lease).await.expect("another lease commits");
    let fence = async |silent_since| harness.store.fence(lease, silent_since).await.expect("asks");
    assert!(!fence(None).await, "a valid lease is not fenced");
    assert!(!fence(Some(1)).await, "nor is one that was renewed since");
    commit(5, lease).await.expect("still commits");
    harness.store.forget(lease).await.expect("without effect");

    // By the database's clock it is valid; its expiry has not changed for too long.
    assert!(fence(Some(own(&look(harness).await, lease).expires_us)).await);
    assert!(fence(None).await, "fencing twice has no effect");
    assert!(is_fenced(&commit(6, lease).await), "fenced");
    assert!(is_fenced(&beat(harness, lease, 1, LONG).await), "a fenced lease is not renewed");
    let letter =
        DeadLetter::of_message("m1", Bytes::from_static(b"x"), DeadLetterReason::MalformedMessage, "");
    let letters = [letter];
    assert!(
        is_fenced(&harness.store.upsert_dead_letters(Fence::of(lease), &letters).await),
        "letters neither"
    );
    assert!(is_fenced(&harness.store.store_undecided(Fence::of(lease), &letters).await));
    assert_eq!(harness.store.counts().await.expect("counts").dead_letters_total(), 0);
    let group = look(harness).await;
    let fenced = group.leases.iter().find(|other| other.id == lease).expect("still listed");
    assert!(fenced.fenced_us.is_some_and(|at| at <= group.now_us), "{group:?}");
    assert_eq!(harness.store.counts().await.expect("counts").orders(), 4);
    harness.store.forget(lease).await.expect("forgets");
    assert!(look(harness).await.leases.iter().all(|other| other.id != lease));
}

/// Fencing neither aborts transactions in flight nor waits for them: the worker that fences has heartbeats to send.
pub(crate) async fn fencing_leaves_transactions_under_way_alone_and_does_not_wait(harness: &Harness) {
    if harness.is_sqlite() || harness.is_behind_proxy() {
        // SQLite has one writer at a time; the proxy behaves as the server behind it.
        return;
    }
    harness.store.apply_catalogue(&catalogue(&[("a", 99, None)])).await.expect("applies");
    let lease = join(harness, "host:1", LONG).await;
    let mut holder = harness.begin("UPDATE sale_skus SET stock_total = 98").await;
    let orders = [order(1, "ann", &[("a", 1)])];
    let store = harness.open(StoreConfig { lock_timeout: Duration::from_secs(20), ..config() }).await;
    let committing = async { store.commit(Fence::of(lease), &orders).await };
    let fencing = async {
        harness.until_at(AT_THE_STOCK).await;
        beat(harness, lease, 1, Duration::ZERO).await.expect("a heartbeat does not wait for a transaction");
        // Less than the transaction in flight waits for its lock.
        let answer = tokio::time::timeout(Duration::from_secs(5), store.fence(lease, None)).await;
        holder.run("ROLLBACK").await;
        answer
    };
    let (committed, fenced) = tokio::join!(committing, fencing);
    let fenced = fenced.expect("does not wait");
    assert!(
        matches!(fenced, Err(StoreError::Locked { .. })),
        "not fenced while a transaction is in flight: {fenced:?}"
    );
    committed.expect("the transaction in flight commits");
    assert!(store.fence(lease, None).await.expect("fenced afterwards"));
    assert_eq!(store.counts().await.expect("counts").orders(), 1);
    store.close().await;
}

pub(crate) async fn settings_change_and_are_put_on_record(harness: &Harness) {
    let context =
        AuditContext { who: "ann".to_owned(), reason: "a sale".to_owned(), ..AuditContext::default() };
    let rate = SettingsChange::SetRate {
        rate: Rate::new(3_000).expect("within bounds"),
        ramp: Duration::ZERO,
        confirmed: false,
    };
    let nobody = harness.store.change_settings(GROUP, &rate, None, &context).await;
    assert!(nobody.is_err_and(|error| error.to_string().contains("no worker of the group 'drain'")));

    join(harness, "host:1", LONG).await;
    let changed = harness.store.change_settings(GROUP, &rate, None, &context).await.expect("changes");
    let group = changed.group;
    assert_eq!((changed.revision, group.revision), (1, 1));
    assert_eq!(group.settings.cap_at(group.now_us).orders_per_second, 3_000);
    let pause = SettingsChange::PauseFor { duration: LONG };
    harness.store.change_settings(GROUP, &pause, None, &AuditContext::default()).await.expect("changes");
    let refused = SettingsChange::PauseUntil { until_us: Some(1) };
    assert!(harness.store.change_settings(GROUP, &refused, None, &context).await.is_err());
    harness
        .store
        .append_audit(GROUP, "redrive", "reason unknown_sku: confirmed 3", &context)
        .await
        .expect("notes");

    let group = look(harness).await;
    assert_eq!((group.revision, group.settings.cap_at(group.now_us).orders_per_second), (2, 0));
    let audit = harness.store.list_audit(GROUP, None, 10).await.expect("reads");
    let entries: Vec<_> = audit
        .iter()
        .map(|entry| {
            (entry.who.as_str(), entry.action.as_str(), entry.detail.as_str(), entry.reason.as_str())
        })
        .collect();
    assert_eq!(
        entries,
        [
            ("ann", "redrive", "reason unknown_sku: confirmed 3", "a sale"),
            ("", "pause", "hold 2, for 60 s", ""),
            ("ann", "rate_set", "3000/s", "a sale"),
        ]
    );
    let values =
        |index: usize| (audit[index].revision, audit[index].before.clone(), audit[index].after.clone());
    assert_eq!(values(0), (None, None, None));
    let (revision, before, after) = values(2);
    assert_eq!((revision, before), (Some(1), Some(json!({"cap": 2_000, "manual": null}))));
    assert_eq!(after.expect("a value")["manual"]["to"], 3_000);
    // Page by page, newest first.
    let page = harness.store.list_audit(GROUP, None, 1).await.expect("reads");
    assert_eq!(page, audit[..1]);
    assert_eq!(harness.store.list_audit(GROUP, Some(page[0].id), 10).await.expect("reads"), audit[1..]);
    assert!(harness.store.list_audit("another", None, 10).await.expect("reads").is_empty());
}

/// Two operators have seen the same settings: the change of the second is refused, with what the first changed.
pub(crate) async fn a_change_is_made_on_the_settings_that_its_author_has_seen(harness: &Harness) {
    let (ann, bob) = (named("ann"), named("bob"));
    join(harness, "host:1", LONG).await;
    let rate = |orders| SettingsChange::SetRate {
        rate: Rate::new(orders).expect("within bounds"),
        ramp: Duration::ZERO,
        confirmed: true,
    };
    harness.store.change_settings(GROUP, &rate(500), Some(0), &ann).await.expect("the first change");
    let stale = harness.store.change_settings(GROUP, &rate(3_000), Some(0), &bob).await;
    let Err(SettingsError::Changed { made_on: 0, present }) = stale else { panic!("{stale:?}") };
    assert_eq!((present.revision, present.settings.cap_at(present.now_us).orders_per_second), (1, 500));
    let since = harness.store.list_changes_since(GROUP, 0, 10).await.expect("reads");
    let since: Vec<_> = since.iter().map(|entry| (entry.who.as_str(), entry.detail.as_str())).collect();
    assert_eq!(since, [("ann", "500/s")]);
    assert_eq!(harness.store.list_audit(GROUP, None, 10).await.expect("reads").len(), 1, "nothing was done");
    harness.store.change_settings(GROUP, &rate(3_000), Some(1), &bob).await.expect("he has seen it");
    let none = harness.store.list_changes_since(GROUP, 2, 10).await.expect("reads");
    assert!(none.is_empty(), "{none:?}");
}

/// A redrive or a discard of many pages is one row, with what became of all of them.
pub(crate) async fn an_act_of_many_pages_is_one_row(harness: &Harness) {
    let (ann, bob) = (named("ann"), named("bob"));
    let page = |first, last, outcomes: &[(&str, u64)]| ActPage {
        selection: "unknown_sku".to_owned(),
        first,
        last,
        ids: Vec::new(),
        outcomes: outcomes.iter().map(|(outcome, letters)| ((*outcome).to_owned(), *letters)).collect(),
    };
    let record = async |page: &ActPage, after, context: &AuditContext| {
        harness
            .store
            .record_act_page(GROUP, "letters_redriven", page, after, context)
            .await
            .expect("records");
    };
    record(&page(3, 100, &[]), 0, &ann).await;
    record(&page(3, 100, &[("confirmed", 90), ("sold_out", 8)]), 100, &ann).await;
    // Another operator's act in between, and one at the same place.
    record(&page(1, 2, &[("confirmed", 2)]), 0, &bob).await;
    record(&page(101, 150, &[("confirmed", 50)]), 100, &bob).await;
    record(&page(101, 150, &[("confirmed", 50)]), 100, &ann).await;
    record(&page(3, 9, &[("duplicate", 7)]), 0, &ann).await;
    let audit = harness.store.list_audit(GROUP, None, 10).await.expect("reads");
    let rows: Vec<_> = audit.iter().map(|entry| (entry.who.as_str(), entry.detail.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("ann", "letters 3 to 9, by unknown_sku: 7 duplicate"),
            ("bob", "letters 101 to 150, by unknown_sku: 50 confirmed"),
            ("bob", "letters 1 to 2, by unknown_sku: 2 confirmed"),
            ("ann", "letters 3 to 150, by unknown_sku: 140 confirmed, 8 sold_out"),
        ]
    );
    assert_eq!(
        audit[3].after,
        Some(json!({"selection": "unknown_sku", "first": 3, "last": 150,
                    "outcomes": {"confirmed": 140, "sold_out": 8}}))
    );
}

fn named(who: &str) -> AuditContext {
    AuditContext { who: who.to_owned(), reason: String::new(), ..AuditContext::default() }
}

/// One of several concurrent raises that were decided on the same group has an effect: the sum never exceeds the cap.
pub(crate) async fn shares_are_taken_one_after_the_other(harness: &Harness) {
    const CAP: u32 = 100;
    let mut leases = Vec::new();
    for number in 0..6 {
        leases.push(join(harness, &format!("host:{number}"), LONG).await);
    }
    let sum = |group: &GroupSnapshot| group.leases.iter().map(|lease| lease.share).sum::<u32>();
    let taking = leases.iter().map(async |&lease| {
        for _ in 0..5 {
            let group = retried(async || harness.store.read(GROUP, lease, false).await).await;
            let share = own(&group, lease).share + (CAP - sum(&group)).div_ceil(3);
            retried(async || harness.store.set_share(&change(&group, lease, share)).await).await;
            let seen = sum(&look(harness).await);
            assert!(seen <= CAP, "{seen}");
        }
    });
    futures_util::future::join_all(taking).await;
    let group = look(harness).await;
    assert!(sum(&group) > 0, "{group:?}");

    // A change counts once, and only on the newest group.
    let lease = leases[0];
    let before = own(&group, lease).clone();
    harness.store.set_share(&change(&group, lease, before.share + 1)).await.expect("raises");
    harness.store.set_share(&change(&group, lease, before.share + 2)).await.expect("without effect");
    let raised = look(harness).await;
    assert_eq!(
        (own(&raised, lease).share, own(&raised, lease).changes),
        (before.share + 1, before.changes + 1)
    );
    harness.store.set_share(&change(&raised, leases[1], 0)).await.expect("changes the version");
    harness.store.set_share(&change(&raised, lease, before.share + 3)).await.expect("without effect");
    let lowered = ShareChange { raised_on: None, ..change(&raised, lease, before.share) };
    harness.store.set_share(&lowered).await.expect("needs no version");
    assert_eq!(own(&look(harness).await, lease).share, before.share);
}

/// Concurrent calls may fail as transient; members retry as well.
async fn retried<T>(call: impl AsyncFn() -> Result<T, StoreError>) -> T {
    loop {
        match call().await {
            Ok(done) => return done,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
}

pub(crate) async fn a_full_pool_takes_no_worker(harness: &Harness) {
    join(harness, "host:1", LONG).await;
    for number in 1..WORKERS_MAX {
        harness
            .run(&format!(
                "INSERT INTO drain_leases (group_id, lease_id, worker, share, wanted, changes, report, joined_us, \
                 expires_us) VALUES ('{GROUP}', '{number:032x}', 'host', 0, 0, 0, '', 0, 0)"
            ))
            .await;
    }
    let joining =
        JoinRequest { group: GROUP, lease: LeaseId::random(), worker: "host:2", seed: &seed(), ttl: LONG };
    let refused = harness.store.join(&joining).await.expect_err("full");
    assert!(refused.is_transient() && refused.to_string().contains("256 workers"), "{refused}");
    harness.run(&format!("DELETE FROM drain_leases WHERE lease_id = '{:032x}'", 1)).await;
    harness.store.join(&joining).await.expect("one has left");
}
