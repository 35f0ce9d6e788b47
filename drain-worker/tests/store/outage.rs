//! The store's errors for databases that are down, cut off or silent.

use std::num::NonZeroU32;
use std::time::Duration;

use drain_worker::control::{AuditContext, GroupSettings, Rate, SettingsChange};
use drain_worker::store::{
    CommitOutcome, DeadLetter, DeadLetterReason, Fence, JoinRequest, LeaseId, OrderStore, PoolStore,
    SettingsError, Store, StoreConfig, StoreError,
};
use shared::testkit::GROUP;
use tokio::time::Instant;

use crate::harness::{Harness, address, config, on_mysql};
use crate::orders::{CONFIRMED, batch, catalogue, id, is_transient, outcomes_of};
use crate::relay::{Rule, behind_relay};

#[tokio::test]
async fn the_retry_finds_a_commit_whose_response_was_lost() {
    on_mysql(async |harness| {
        harness
            .store
            .apply_catalogue(&catalogue(&[("a", 99, Some(99)), ("b", 99, None)]))
            .await
            .expect("applies");
        let (relay, store) = behind_relay(harness, config()).await;
        relay.set(Rule::CutAfterCommit);
        assert!(is_transient(store.commit(Fence::Open, &batch(0)).await));
        assert!(!relay.is_armed());
        assert_eq!(harness.number("SELECT COUNT(*) FROM orders").await, 3, "committed nevertheless");
        let results = store.commit(Fence::Open, &batch(0)).await.expect("commits");
        assert!(
            results.iter().all(|result| matches!(result.outcome, CommitOutcome::Duplicate(_))),
            "{results:?}"
        );
        assert_eq!(harness.number("SELECT stock_reserved FROM sale_skus WHERE sku = 'a'").await, 3);
        assert_eq!(harness.number("SELECT quantity FROM user_purchases").await, 3);
        store.close().await;
    })
    .await;
}

/// A repeated pause would be a second hold, which a `resume` of the first leaves in force.
#[tokio::test]
async fn a_change_of_the_settings_is_made_once_wherever_its_connection_breaks() {
    on_mysql(async |harness| {
        join(harness).await;
        let (relay, store) = behind_relay(harness, config()).await;
        let pause = SettingsChange::PauseUntil { until_us: None };
        let ann = AuditContext { who: "ann".to_owned(), ..AuditContext::default() };
        for (rule, made_on) in [
            (Rule::CutAfterCommit, None),
            (Rule::CutBeforeCommit, None),
            (Rule::CutAfterCommit, Some(2)),
            (Rule::CutBeforeCommit, Some(3)),
        ] {
            relay.set(rule);
            let changed = store.change_settings(GROUP, &pause, made_on, &ann).await.expect("in force");
            assert!(!relay.is_armed(), "{rule:?}");
            let holds: Vec<_> = changed.group.settings.holds.iter().map(|hold| hold.id).collect();
            assert_eq!(holds, (1..=changed.revision).collect::<Vec<_>>(), "{rule:?} {made_on:?}");
        }
        assert_eq!(harness.number("SELECT COUNT(*) FROM drain_audit").await, 4);

        // The database stays away after the COMMIT.
        relay.set(Rule::CutAfterCommit);
        let change = store.change_settings(GROUP, &pause, None, &ann);
        let gone = async {
            while relay.is_armed() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            relay.set(Rule::Refuse);
        };
        let (changed, ()) = tokio::join!(change, gone);
        assert!(matches!(changed, Err(SettingsError::Unconfirmed(_))), "{changed:?}");
        assert_eq!(harness.number("SELECT revision FROM drain_groups").await, 5, "in force nevertheless");
        relay.set(Rule::Pass);
        store.close().await;
    })
    .await;
}

async fn join(harness: &Harness) {
    let seed = GroupSettings::new(Rate::new(2_000).expect("within bounds"));
    let (lease, ttl) = (LeaseId::random(), Duration::from_secs(60));
    let request = JoinRequest { group: GROUP, lease, worker: "host:1", seed: &seed, ttl };
    harness.store.join(&request).await.expect("joins");
}

/// The only connection: if it returned to the pool, the next transaction would wait for it.
#[tokio::test]
async fn a_connection_whose_rollback_hangs_is_not_used_again() {
    on_mysql(async |harness| {
        harness
            .store
            .apply_catalogue(&catalogue(&[("a", 99, None), ("b", 99, None)]))
            .await
            .expect("applies");
        let (relay, store) =
            behind_relay(harness, StoreConfig { writers_max: NonZeroU32::MIN, ..config() }).await;
        relay.set(Rule::SwallowRollback);
        let fenced = store.commit(Fence::of(LeaseId::random()), &batch(0)).await;
        assert!(matches!(fenced, Err(StoreError::Fenced(_))), "{fenced:?}");
        assert!(!relay.is_armed());
        let began = Instant::now();
        assert_eq!(
            outcomes_of(&store.commit(Fence::Open, &batch(0)).await.expect("commits")),
            [CONFIRMED; 3]
        );
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_retry_repeats_a_commit_that_never_arrived() {
    on_mysql(async |harness| {
        harness
            .store
            .apply_catalogue(&catalogue(&[("a", 99, None), ("b", 99, None)]))
            .await
            .expect("applies");
        let (relay, store) = behind_relay(harness, config()).await;
        relay.set(Rule::CutBeforeCommit);
        assert!(is_transient(store.commit(Fence::Open, &batch(0)).await));
        assert_eq!(harness.number("SELECT COUNT(*) FROM orders").await, 0);
        assert_eq!(
            outcomes_of(&store.commit(Fence::Open, &batch(0)).await.expect("commits")),
            [CONFIRMED; 3]
        );
        store.close().await;
    })
    .await;
}

/// Wherever the connection breaks, a retry ends with each order written once.
#[tokio::test]
async fn a_connection_may_break_at_any_packet() {
    on_mysql(async |harness| {
        harness
            .store
            .apply_catalogue(&catalogue(&[("a", 999, Some(999)), ("b", 999, None)]))
            .await
            .expect("applies");
        let (relay, store) = behind_relay(harness, config()).await;
        let mut failures = 0;
        let mut batches = 0;
        for packets in 0.. {
            let orders = batch(batches * 10);
            batches += 1;
            relay.set(Rule::CutAfter(packets));
            while let Err(error) = store.commit(Fence::Open, &orders).await {
                assert!(error.is_transient(), "{error}");
                failures += 1;
            }
            if relay.is_armed() {
                break;
            }
        }
        assert!(failures >= 8, "more packets than {failures}");
        let total = i64::try_from(batches * 3).expect("few");
        assert_eq!(harness.number("SELECT COUNT(*) FROM orders").await, total);
        assert_eq!(harness.number("SELECT stock_reserved FROM sale_skus WHERE sku = 'a'").await, total);
        let lines = r#"SELECT COUNT(*) * 2 FROM orders WHERE items LIKE '%"b":[2,%'"#;
        let reserved = "SELECT stock_reserved FROM sale_skus WHERE sku = 'b'";
        assert_eq!(harness.number(lines).await, harness.number(reserved).await);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn broken_idle_connections_are_replaced_without_errors() {
    on_mysql(async |harness| {
        harness
            .store
            .apply_catalogue(&catalogue(&[("a", 99, None), ("b", 99, None)]))
            .await
            .expect("applies");
        let (relay, store) = behind_relay(harness, config()).await;
        for round in 0..5 {
            let orders = [batch(round * 10), batch(round * 10 + 3), batch(round * 10 + 6)];
            let [one, two, three] = &orders;
            let (one, two, three) = tokio::join!(
                store.commit(Fence::Open, one),
                store.commit(Fence::Open, two),
                store.commit(Fence::Open, three)
            );
            for results in [one, two, three] {
                assert_eq!(outcomes_of(&results.expect("commits")), [CONFIRMED; 3]);
            }
            assert!(store.find(id(round * 10)).await.expect("reads").is_some());
            relay.cut_all();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_database_that_is_down_is_transient_and_recovers() {
    on_mysql(async |harness| {
        harness
            .store
            .apply_catalogue(&catalogue(&[("a", 99, None), ("b", 99, None)]))
            .await
            .expect("applies");
        let config = StoreConfig { acquire_timeout: Duration::from_secs(1), ..config() };
        let (relay, store) = behind_relay(harness, config).await;
        store.commit(Fence::Open, &batch(0)).await.expect("commits");
        for rule in [Rule::Refuse, Rule::Stall] {
            relay.set(rule);
            relay.cut_all();
            let letter = DeadLetter::of_order(&batch(9)[0], DeadLetterReason::AttemptsExhausted, "");
            let began = Instant::now();
            assert!(is_transient(store.commit(Fence::Open, &batch(3)).await), "{rule:?}");
            assert!(is_transient(store.find(id(0)).await), "{rule:?}");
            assert!(is_transient(store.upsert_dead_letters(Fence::Open, &[letter]).await), "{rule:?}");
            assert!(is_transient(store.check_schema().await), "{rule:?}");
            assert!(is_transient(store.counts().await), "{rule:?}");
            assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        }
        relay.set(Rule::Pass);
        assert_eq!(
            outcomes_of(&store.commit(Fence::Open, &batch(3)).await.expect("commits")),
            [CONFIRMED; 3]
        );
        assert!(store.find(id(0)).await.expect("reads").is_some());
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_silent_database_times_out() {
    on_mysql(async |harness| {
        harness
            .store
            .apply_catalogue(&catalogue(&[("a", 99, None), ("b", 99, None)]))
            .await
            .expect("applies");
        let config = StoreConfig {
            transaction_timeout: Duration::from_secs(2),
            lookup_timeout: Duration::from_secs(2),
            ..config()
        };
        let (relay, store) = behind_relay(harness, config).await;
        store.commit(Fence::Open, &batch(0)).await.expect("commits");
        store.find(id(0)).await.expect("reads");
        relay.set(Rule::Stall);
        let began = Instant::now();
        assert!(is_transient(store.commit(Fence::Open, &batch(3)).await));
        assert!(is_transient(store.find(id(0)).await));
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        relay.set(Rule::Pass);
        assert_eq!(
            outcomes_of(&store.commit(Fence::Open, &batch(3)).await.expect("commits")),
            [CONFIRMED; 3]
        );
        relay.cut_all();
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn permanent_errors_are_fatal() {
    let memory = Store::connect(&address("sqlite::memory:"), config()).await;
    assert!(matches!(memory.err(), Some(StoreError::Url(_))));
    let port = Store::connect(&address("mysql://u:p@127.0.0.1:99999/x"), config()).await;
    assert!(matches!(port.err(), Some(StoreError::Url(_))));
    let missing =
        Store::connect(&address("sqlite:/no/such/folder/orders.sqlite"), config()).await.expect("valid");
    assert!(matches!(missing.commit(Fence::Open, &batch(0)).await, Err(StoreError::Fatal(_))));
    on_mysql(async |harness| {
        let (server, _) = harness.url.expose().rsplit_once('/').expect("a database");
        let (_, place) = server.rsplit_once('@').expect("an account");
        for url in
            [format!("{server}/spillway_no_such_database"), format!("mysql://spillway:wrong@{place}/x")]
        {
            let store = Store::connect(&address(&url), config()).await.expect("valid");
            let Err(StoreError::Fatal(fault)) = store.commit(Fence::Open, &batch(0)).await else {
                panic!("a fatal error")
            };
            assert!(!fault.to_string().contains("wrong"), "{fault}");
        }
    })
    .await;
}
