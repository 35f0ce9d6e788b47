//! Telemetry, Heartbeat and NotifyClientTermination.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::send::BODY_BYTES_MAX;
use super::{Shared, full_name, ok, status_of};
use crate::error::Refusal;
use crate::faults::Call;
use crate::intake::{Caller, caller};
use spillway_rocketmq::protocol::{
    ClientType, Code, CustomizedBackoff, ExponentialBackoff, HeartbeatRequest, HeartbeatResponse, Metric,
    NotifyClientTerminationRequest, NotifyClientTerminationResponse, PubSub, RetryPolicy, RetryStrategy,
    Settings, Subscription, TelemetryCommand, duration, from_duration,
};

/// Attempts in a producer's retry policy: the first and two more.
const PRODUCER_ATTEMPTS: i32 = 3;
/// Delays before the deliveries of a message, from the second on.
const CONSUMER_DELAYS_S: [u64; 18] =
    [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600, 7_200];
const RECEIVE_BATCH_SIZE: i32 = 32;
const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(3);

pub(crate) type TelemetryStream = Pin<Box<dyn Stream<Item = Result<TelemetryCommand, Status>> + Send>>;

/// Responds to settings with settings while the client keeps the stream open.
pub(crate) async fn telemetry(
    shared: Arc<Shared>,
    request: Request<Streaming<TelemetryCommand>>,
) -> Result<Response<TelemetryStream>, Status> {
    let caller = match caller(&request) {
        Ok(caller) => caller,
        Err(refusal) => {
            let refused = TelemetryCommand { status: Some(refusal.status()), settings: None };
            return Ok(Response::new(Box::pin(futures_util::stream::iter([Ok(refused)]))));
        }
    };
    let commands = request.into_inner();
    let answers =
        futures_util::stream::unfold((shared, caller, commands), |(shared, caller, mut commands)| async {
            loop {
                let next = shared.stopping.run_until_cancelled(commands.message()).await;
                // The client closed the stream, or the broker stops.
                let Some(Ok(Some(command))) = next else { return None };
                // Other commands are responses to requests that this broker never sends.
                let Some(settings) = command.settings else { continue };
                let answer = match shared.faults.begin(Call::Telemetry) {
                    Ok(_) => settings_command(&shared, &caller, settings).await,
                    Err(refusal) => TelemetryCommand { status: Some(refusal.status()), settings: None },
                };
                shared.hold(Call::Telemetry).await;
                return Some((Ok(answer), (shared, caller, commands)));
            }
        });
    Ok(Response::new(Box::pin(answers)))
}

async fn settings_command(shared: &Shared, caller: &Caller, mut settings: Settings) -> TelemetryCommand {
    let client_type = settings.client_type();
    let is_fifo = match &settings.pub_sub {
        Some(PubSub::Subscription(subscription)) => is_any_fifo(shared, subscription).await,
        Some(PubSub::Publishing(_)) | None => false,
    };
    let policy = match (&mut settings.pub_sub, client_type) {
        (None, _) | (_, ClientType::Unspecified) => {
            let status = Code::UNRECOGNIZED_CLIENT_TYPE
                .status("there is no publishing or subscription data in settings");
            return TelemetryCommand { status: Some(status), settings: None };
        }
        (Some(PubSub::Publishing(publishing)), _) => {
            publishing.max_body_size = i32::try_from(BODY_BYTES_MAX).unwrap_or(i32::MAX);
            publishing.validate_message_type = true;
            producer_policy()
        }
        (Some(PubSub::Subscription(subscription)), _) => {
            subscription.fifo = Some(is_fifo);
            subscription.receive_batch_size = Some(RECEIVE_BATCH_SIZE);
            subscription.long_polling_timeout = Some(duration(shared.config.long_polling_max));
            consumer_policy(shared.config.attempts_max)
        }
    };
    settings.backoff_policy = Some(policy);
    settings.metric = Some(Metric { on: false });
    let request_timeout = settings.request_timeout.as_ref().map_or(REQUEST_TIMEOUT_DEFAULT, from_duration);
    shared.clients.store_settings(&caller.client_id, client_type, request_timeout);
    TelemetryCommand { status: Some(ok()), settings: Some(settings) }
}

/// Returns true if a subscribed topic is of type FIFO. On Apache's broker the group's configuration says so.
async fn is_any_fifo(shared: &Shared, subscription: &Subscription) -> bool {
    let topics = subscription.subscriptions.iter().map(|entry| full_name(entry.topic.as_ref()));
    let topics: Vec<_> = topics.collect();
    let asked = shared.nodes.ask(|store| {
        let topics = topics.clone();
        async move { store.is_any_fifo(topics).await }
    });
    // Without a store nothing is delivered either.
    asked.await.unwrap_or(false)
}

/// The policy that Apache's proxy returns by default (`grpcClientProducerBackoff…` of its configuration). The official
/// Java producer does not start with any other strategy.
fn producer_policy() -> RetryPolicy {
    let backoff = ExponentialBackoff {
        initial: Some(duration(Duration::from_millis(10))),
        max: Some(duration(Duration::from_secs(1))),
        multiplier: 2.0,
    };
    RetryPolicy { max_attempts: PRODUCER_ATTEMPTS, strategy: Some(RetryStrategy::Exponential(backoff)) }
}

/// The policy of a consumer group on Apache's broker by default.
fn consumer_policy(attempts_max: u16) -> RetryPolicy {
    let next = CONSUMER_DELAYS_S.map(|delay_s| duration(Duration::from_secs(delay_s))).to_vec();
    let strategy = Some(RetryStrategy::Customized(CustomizedBackoff { next }));
    RetryPolicy { max_attempts: attempts_max.into(), strategy }
}

/// Responds to a heartbeat with the registration's status.
pub(crate) async fn heartbeat(
    shared: Arc<Shared>,
    request: Request<HeartbeatRequest>,
) -> Result<Response<HeartbeatResponse>, Status> {
    let result = match shared.begin(Call::Heartbeat, &request) {
        Ok(caller) => beat(&shared, &caller, request.get_ref()).await,
        Err(refusal) => Err(refusal),
    };
    shared.hold(Call::Heartbeat).await;
    Ok(Response::new(HeartbeatResponse { status: Some(status_of(result)) }))
}

async fn beat(shared: &Shared, caller: &Caller, request: &HeartbeatRequest) -> Result<(), Refusal> {
    let client = shared.clients.get(&caller.client_id).ok_or_else(unknown_client)?;
    if client.client_type == ClientType::Producer {
        return Ok(());
    }
    let group = full_name(request.group.as_ref());
    shared
        .nodes
        .ask(|store| {
            let group = group.clone();
            async move { store.group_exists(group).await }
        })
        .await
}

/// Removes a client.
pub(crate) async fn terminate(
    shared: Arc<Shared>,
    request: Request<NotifyClientTerminationRequest>,
) -> Result<Response<NotifyClientTerminationResponse>, Status> {
    let result = shared
        .begin(Call::NotifyClientTermination, &request)
        .and_then(|caller| shared.clients.forget(&caller.client_id).map(drop).ok_or_else(unknown_client));
    shared.hold(Call::NotifyClientTermination).await;
    Ok(Response::new(NotifyClientTerminationResponse { status: Some(status_of(result)) }))
}

fn unknown_client() -> Refusal {
    Refusal::new(Code::UNRECOGNIZED_CLIENT_TYPE, "cannot find client settings for this client")
}
