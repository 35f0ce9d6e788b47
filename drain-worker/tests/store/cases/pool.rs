//! Leases, fences, settings.

use std::time::Duration;

use bytes::Bytes;
use drain_worker::control::{AuditContext, GroupSettings, Rate, SettingsChange};
use drain_worker::store::{
    DeadLetter, DeadLetterReason, Fence, GroupSnapshot, Heartbeat, JoinRequest, LeaseId, OrderStore,
    PoolStore, StoreError,
};

use crate::harness::{AT_THE_STOCK, Harness};
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

/// Sends a heartbeat that requests `share`.
async fn beat(
    harness: &Harness,
    lease: LeaseId,
    share: u32,
    ttl: Duration,
) -> Result<(GroupSnapshot, u32), StoreError> {
    let heartbeat = Heartbeat { group: GROUP, lease, wanted: 7, ttl, report: r#"{"state":"idle"}"# };
    harness.store.heartbeat(&heartbeat, |_| share).await
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

    let (before, share) = beat(harness, lease, 300, LONG).await.expect("renews");
    assert_eq!((before.leases[0].share, share), (0, 300));
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

    harness.store.leave(GROUP, lease).await.expect("leaves");
    harness.store.leave(GROUP, lease).await.expect("leaving twice has no effect");
    let left = look(harness).await;
    assert_eq!(left.leases.iter().map(|lease| lease.id).collect::<Vec<_>>(), [other]);
    assert!(is_fenced(&beat(harness, lease, 1, LONG).await));
}

pub(crate) async fn without_its_lease_a_worker_commits_nothing(harness: &Harness) {
    harness.store.apply_catalogue(&catalogue(&[("a", 99, None)])).await.expect("applies");
    let commit = async |number: u64, lease: LeaseId| {
        harness.store.commit(Fence::Lease(lease), &[order(number, "ann", &[("a", 1)])]).await
    };
    let lease = join(harness, "host:1", LONG).await;
    commit(1, lease).await.expect("a lease commits");
    assert!(is_fenced(&commit(2, LeaseId::random()).await), "an unknown lease");

    // It is expired by the database's clock, although no worker has removed it yet.
    beat(harness, lease, 1, Duration::ZERO).await.expect("renews with a TTL of 0");
    assert!(is_fenced(&commit(3, lease).await), "lapsed");
    assert!(is_fenced(&beat(harness, lease, 1, LONG).await), "an expired lease is not renewed");

    let lease = join(harness, "host:2", LONG).await;
    commit(4, lease).await.expect("another lease commits");
    assert!(!harness.store.fence(GROUP, lease).await.expect("asks"), "a valid lease is not fenced");
    commit(5, lease).await.expect("still commits");

    beat(harness, lease, 1, Duration::ZERO).await.expect("renews with a TTL of 0");
    assert!(harness.store.fence(GROUP, lease).await.expect("fences"));
    assert!(harness.store.fence(GROUP, lease).await.expect("fencing twice has no effect"));
    assert!(is_fenced(&commit(6, lease).await), "fenced");
    assert!(is_fenced(&beat(harness, lease, 1, LONG).await), "a fenced lease is not renewed");
    let letter =
        DeadLetter::of_message("m1", Bytes::from_static(b"x"), DeadLetterReason::MalformedMessage, "");
    let letters = [letter];
    assert!(
        is_fenced(&harness.store.upsert_dead_letters(Fence::Lease(lease), &letters).await),
        "letters neither"
    );
    assert!(is_fenced(&harness.store.store_undecided(Fence::Lease(lease), &letters).await));
    assert_eq!(harness.store.counts().await.expect("counts").dead_letters_total(), 0);
    let group = look(harness).await;
    let fenced = group.leases.iter().find(|other| other.id == lease).expect("still listed");
    assert!(fenced.fenced_us.is_some_and(|at| at <= group.now_us), "{group:?}");
    assert_eq!(harness.store.counts().await.expect("counts").orders(), 3);
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
    let committing = async { harness.store.commit(Fence::Lease(lease), &orders).await };
    let fencing = async {
        harness.until_at(AT_THE_STOCK).await;
        beat(harness, lease, 1, Duration::ZERO).await.expect("a heartbeat does not wait for a transaction");
        // Less than the server's lock timeout.
        let answer =
            tokio::time::timeout(Duration::from_millis(900), harness.store.fence(GROUP, lease)).await;
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
    assert!(harness.store.fence(GROUP, lease).await.expect("fenced afterwards"));
    assert_eq!(harness.store.counts().await.expect("counts").orders(), 1);
}

pub(crate) async fn settings_change_and_are_put_on_record(harness: &Harness) {
    let context = AuditContext { who: "ann".to_owned(), reason: "a sale".to_owned() };
    let rate =
        SettingsChange::SetRate { rate: Rate::new(3_000).expect("within bounds"), ramp: Duration::ZERO };
    let nobody = harness.store.change_settings(GROUP, &rate, &context).await;
    assert!(nobody.is_err_and(|error| error.to_string().contains("no worker of the group 'drain'")));

    join(harness, "host:1", LONG).await;
    let changed = harness.store.change_settings(GROUP, &rate, &context).await.expect("changes");
    assert_eq!((changed.revision, changed.settings.cap_at(changed.now_us).orders_per_second), (1, 3_000));
    let pause = SettingsChange::PauseFor { duration: LONG };
    harness.store.change_settings(GROUP, &pause, &AuditContext::default()).await.expect("changes");
    let refused = SettingsChange::PauseUntil { until_us: Some(1) };
    assert!(harness.store.change_settings(GROUP, &refused, &context).await.is_err());
    harness
        .store
        .append_audit(GROUP, "redrive", "reason unknown_sku: confirmed 3", &context)
        .await
        .expect("notes");

    let group = look(harness).await;
    assert_eq!((group.revision, group.settings.cap_at(group.now_us).orders_per_second), (2, 0));
    let audit = harness.store.list_audit(GROUP, 10).await.expect("reads");
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
            ("", "pause", "for 60 s", ""),
            ("ann", "rate_set", "3000/s", "a sale"),
        ]
    );
    assert_eq!(harness.store.list_audit(GROUP, 1).await.expect("reads").len(), 1);
    assert!(harness.store.list_audit("another", 10).await.expect("reads").is_empty());
}

/// Concurrent heartbeats each see the previous one's share: no worker takes more than is free.
pub(crate) async fn shares_are_taken_one_after_the_other(harness: &Harness) {
    const CAP: u32 = 100;
    let mut leases = Vec::new();
    for number in 0..6 {
        leases.push(join(harness, &format!("host:{number}"), LONG).await);
    }
    let taking = leases.iter().map(async |&lease| {
        for _ in 0..5 {
            let heartbeat = Heartbeat { group: GROUP, lease, wanted: 1, ttl: LONG, report: "{}" };
            let decide = |group: &GroupSnapshot| {
                let others = group.leases.iter().filter(|other| other.id != lease).map(|other| other.share);
                CAP - others.sum::<u32>()
            };
            // Concurrent calls may fail as transient; members retry as well.
            while let Err(error) = harness.store.heartbeat(&heartbeat, decide).await {
                assert!(error.is_transient(), "{error}");
            }
            let sum: u32 = look(harness).await.leases.iter().map(|lease| lease.share).sum();
            assert!(sum <= CAP, "{sum}");
        }
    });
    futures_util::future::join_all(taking).await;
    let sum: u32 = look(harness).await.leases.iter().map(|lease| lease.share).sum();
    assert_eq!(sum, CAP, "the whole cap is shared");
}
