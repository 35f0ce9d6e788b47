//! Start, registration and close of consumers.

use std::time::Duration;

use spillway_broker::Call;
use tokio::time::{Instant, timeout};

use crate::fixture::{ClusterFixture, ErrorRecorder, PATIENCE, receive, until};

const HEARTBEAT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn clients_start_while_a_broker_is_dead() {
    let mut fixture = ClusterFixture::start().await;
    fixture.consumer().await.close(PATIENCE).await;
    let dead = fixture.cluster.local_addr(1).to_string();
    fixture.cluster.abort(1).await.expect("stopped");
    let errors = ErrorRecorder::default();
    let consumer = fixture.connect(|_| (), errors.clone()).await.expect("connects to the other one");
    let reported = errors.endpoints();
    assert!(!reported.is_empty() && reported.iter().all(|it| *it == dead), "{reported:?}, not {dead}");
    fixture.producer().warm_up().await.expect("warm");
    fixture.send(4).await;
    assert_eq!(receive(&consumer, 4).await.len(), 4);
}

#[tokio::test]
async fn heartbeats_do_not_wait_for_a_broker_that_hangs() {
    let mut fixture = ClusterFixture::start().await;
    fixture.client.request_timeout = Duration::from_secs(10);
    let errors = ErrorRecorder::default();
    let _consumer = fixture
        .connect(|config| config.heartbeat_interval = HEARTBEAT, errors.clone())
        .await
        .expect("connects");
    for (hung, other) in [(0, 1), (1, 0)] {
        let (hung, other) = (fixture.cluster.faults(hung), fixture.cluster.faults(other));
        hung.stall_call(Call::Heartbeat);
        let hung_calls = hung.calls(Call::Heartbeat);
        until("the heartbeat that hangs", || hung.calls(Call::Heartbeat) > hung_calls).await;
        let calls = other.calls(Call::Heartbeat);
        let heartbeats = until("heartbeats", || other.calls(Call::Heartbeat) >= calls + 5);
        timeout(HEARTBEAT * 25, heartbeats).await.expect("at their interval");
        hung.resume();
    }
    assert_eq!(errors.count(), 0);
}

#[tokio::test]
async fn a_paused_consumer_registers_again() {
    let mut fixture = ClusterFixture::start().await;
    let _paused = fixture.consumer_with(|config| config.heartbeat_interval = HEARTBEAT).await;
    let faults = fixture.cluster.faults(1);
    let settings = faults.calls(Call::Telemetry);
    faults.forget_settings();
    until("settings, after the server lost them", || faults.calls(Call::Telemetry) > settings).await;
    fixture.cluster.abort(1).await.expect("stopped");
    fixture.cluster.restart(1).await.expect("opens again");
    let faults = fixture.cluster.faults(1);
    until("settings, after a restart", || faults.calls(Call::Telemetry) > 0).await;
}

#[tokio::test]
async fn every_wait_for_a_session_ends_within_the_time_out() {
    let mut fixture = ClusterFixture::start_with(|config| config.masters = 1).await;
    fixture.client.request_timeout = Duration::from_millis(500);
    let consumer = fixture.consumer().await;
    let faults = fixture.cluster.faults(0);
    faults.stall_call(Call::Telemetry);
    faults.drop_connections();
    tokio::time::sleep(Duration::from_millis(100)).await;
    // One after another they would take ten seconds.
    let began = Instant::now();
    let receives = (0..20).map(|_| consumer.receive(1));
    let received =
        timeout(PATIENCE, futures_util::future::join_all(receives)).await.expect("within patience");
    assert!(received.iter().all(Result::is_err), "no session, no messages");
    assert!(began.elapsed() < Duration::from_millis(2_500), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_returns_the_messages_that_a_long_poll_still_brings() {
    let fixture = ClusterFixture::start_with(|config| config.masters = 1).await;
    let consumer = fixture.consumer_with(|config| config.long_polling_timeout = Duration::from_secs(3)).await;
    consumer.initialize_offsets().await.expect("initialized");
    let receives = fixture.cluster.faults(0).calls(Call::Receive);
    let poll = tokio::spawn({
        let consumer = consumer.clone();
        async move { consumer.receive(1).await.map(drop) }
    });
    until("the long poll", || fixture.cluster.faults(0).calls(Call::Receive) > receives).await;
    let closing = tokio::spawn(async move { consumer.close(PATIENCE).await });
    // Closed, except for the long poll.
    tokio::time::sleep(Duration::from_millis(300)).await;
    fixture.send(1).await;
    assert!(closing.await.expect("no panic"), "everything ended in time");
    drop(poll.await.expect("no panic"));
    // Far sooner than the minute for which the long poll hid it.
    let other = fixture.consumer_with(|_| ()).await;
    let found = timeout(Duration::from_secs(10), receive(&other, 1)).await.expect("redelivered");
    assert_eq!(found[0].delivery_attempt(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_ends_within_its_bound() {
    let mut fixture = ClusterFixture::start().await;
    // Calls that hold up the close would last so long.
    fixture.client.request_timeout = PATIENCE;
    let consumer = fixture.consumer().await;
    let mut messages = fixture.send_and_receive(&consumer, 1).await.0;
    for broker in [0, 1] {
        fixture.cluster.faults(broker).stall();
    }
    let _poll = tokio::spawn({
        let consumer = consumer.clone();
        async move { consumer.receive(1).await.map(drop) }
    });
    let _ack = tokio::spawn(messages.remove(0).ack());
    tokio::time::sleep(Duration::from_millis(50)).await;
    let bound = Duration::from_millis(400);
    let began = Instant::now();
    assert!(!consumer.close(bound).await);
    let over = began.elapsed().saturating_sub(bound);
    assert!(over < Duration::from_secs(2), "{over:?} beyond the bound");
}
