//! A plain gRPC client: it sends what the test says and returns the response.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hmac::{Hmac, KeyInit, Mac};
use http::uri::PathAndQuery;
use prost::Message as ProstMessage;
use sha1::Sha1;
use spillway_broker::{Broker, BrokerConfig, TopicConfig};
use spillway_rocketmq::protocol::{
    AckMessageEntry, AckMessageRequest, AckMessageResponse, ChangeInvisibleDurationRequest,
    ChangeInvisibleDurationResponse, ClientType, Code, HeartbeatRequest, HeartbeatResponse, Message,
    MessageQueue, PubSub, ReceiveContent, ReceiveMessageRequest, ReceiveMessageResponse, Resource,
    SendMessageRequest, SendMessageResponse, Settings, Status, Subscription, SubscriptionEntry,
    SystemProperties, TelemetryCommand, duration, header, path,
};
use tokio::sync::mpsc;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};
use tonic_prost::ProstCodec;

pub(crate) const TOPIC: &str = "orders";
pub(crate) const GROUP: &str = "drain";
/// Minimum invisible duration and long poll that the test brokers allow.
pub(crate) const SHORT: Duration = Duration::from_millis(200);
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// One topic of four queues, one group, short limits.
pub(crate) fn config(dir: &tempfile::TempDir) -> BrokerConfig {
    let mut config = BrokerConfig::at(dir.path());
    config.topics = vec![TopicConfig::new(TOPIC, 4)];
    config.groups = vec![GROUP.to_owned()];
    config.invisible_min = SHORT;
    config.long_polling_min = SHORT;
    config
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let polling = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, polling).await.is_ok(), "{what}: not within {LONG:?}");
}

pub(crate) async fn open(dir: &tempfile::TempDir) -> Broker {
    Broker::open(config(dir)).await.expect("the broker opens")
}

#[derive(Clone)]
pub(crate) struct Client {
    channel: Channel,
    pub(crate) id: Option<&'static str>,
    pub(crate) keys: Option<(&'static str, &'static str)>,
    pub(crate) deadline: Option<Duration>,
}

pub(crate) fn resource(name: &str) -> Option<Resource> {
    Some(Resource { name: name.to_owned(), ..Resource::default() })
}

pub(crate) fn message(id: &str, body: impl Into<Bytes>) -> Message {
    Message {
        topic: resource(TOPIC),
        system_properties: Some(SystemProperties {
            message_id: id.to_owned(),
            ..SystemProperties::default()
        }),
        body: body.into(),
        ..Message::default()
    }
}

pub(crate) fn receive_request(max: i32, hidden: Duration) -> ReceiveMessageRequest {
    ReceiveMessageRequest {
        group: resource(GROUP),
        message_queue: Some(MessageQueue { topic: resource(TOPIC), ..MessageQueue::default() }),
        batch_size: max,
        invisible_duration: Some(duration(hidden)),
        long_polling_timeout: Some(duration(SHORT)),
        ..ReceiveMessageRequest::default()
    }
}

pub(crate) fn code(status: Option<Status>) -> Code {
    Code(status.expect("a status").code)
}

/// A receive's response, in the required order.
pub(crate) struct Received {
    pub(crate) code: Code,
    pub(crate) messages: Vec<Message>,
}

impl Client {
    pub(crate) fn new(broker: &Broker) -> Self {
        Self::at(broker.local_addr())
    }

    pub(crate) fn at(address: std::net::SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
        let channel = endpoint.initial_connection_window_size(8 << 20).connect_lazy();
        Self { channel, id: Some("client"), keys: None, deadline: Some(Duration::from_secs(30)) }
    }

    /// A consumer that has sent its settings.
    pub(crate) async fn consumer(broker: &Broker) -> Self {
        let client = Self::new(broker);
        assert_eq!(code(client.send_settings().await.status), Code::OK);
        client
    }

    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        if let Some(id) = self.id {
            metadata.insert(header::CLIENT_ID, id.parse().expect("ascii"));
        }
        metadata.insert(header::CLIENT_VERSION, "5.0.3".parse().expect("ascii"));
        if let Some((access_key, secret_key)) = self.keys {
            let date_time = "20260101T000000Z";
            let mut mac = Hmac::<Sha1>::new_from_slice(secret_key.as_bytes()).expect("any length");
            mac.update(date_time.as_bytes());
            let signature = hex::encode_upper(mac.finalize().into_bytes());
            let value = format!(
                "MQv2-HMAC-SHA1 Credential={access_key}, SignedHeaders=x-mq-date-time, Signature={signature}"
            );
            metadata.insert(header::DATE_TIME, date_time.parse().expect("ascii"));
            metadata.insert(header::AUTHORIZATION, value.parse().expect("ascii"));
        }
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        request
    }

    pub(crate) async fn unary<Req, Res>(&self, path: &'static str, message: Req) -> Result<Res, tonic::Status>
    where
        Req: ProstMessage + 'static,
        Res: ProstMessage + Default + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
        let codec: ProstCodec<Req, Res> = ProstCodec::default();
        let response = grpc.unary(self.request(message), PathAndQuery::from_static(path), codec).await?;
        Ok(response.into_inner())
    }

    /// Sends a message of a body that never ends.
    pub(crate) async fn unfinished<Req, Res>(
        &self,
        path: &'static str,
        message: Req,
    ) -> Result<Res, tonic::Status>
    where
        Req: ProstMessage + 'static,
        Res: ProstMessage + Default + 'static,
    {
        let messages = stream::iter([message]).chain(stream::pending());
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
        let codec: ProstCodec<Req, Res> = ProstCodec::default();
        let request = self.request(()).map(|()| messages);
        let response = grpc.client_streaming(request, PathAndQuery::from_static(path), codec).await?;
        Ok(response.into_inner())
    }

    pub(crate) async fn try_send(
        &self,
        messages: Vec<Message>,
    ) -> Result<SendMessageResponse, tonic::Status> {
        self.unary(path::SEND_MESSAGE, SendMessageRequest { messages }).await
    }

    pub(crate) async fn send(&self, messages: Vec<Message>) -> SendMessageResponse {
        self.try_send(messages).await.expect("an answer")
    }

    /// Sends one message for each body, each its own id.
    pub(crate) async fn send_bodies(&self, bodies: impl IntoIterator<Item = String>) {
        for body in bodies {
            assert_eq!(code(self.send(vec![message(&body.clone(), body)]).await.status), Code::OK);
        }
    }

    pub(crate) async fn telemetry(&self) -> (mpsc::Sender<TelemetryCommand>, Streaming<TelemetryCommand>) {
        let (commands, queue) = mpsc::channel(4);
        let outgoing = stream::unfold(queue, |mut queue: mpsc::Receiver<_>| async {
            queue.recv().await.map(|command| (command, queue))
        });
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.expect("connected");
        let codec: ProstCodec<TelemetryCommand, TelemetryCommand> = ProstCodec::default();
        let request = self.request(()).map(|()| outgoing);
        let response = grpc
            .streaming(request, PathAndQuery::from_static(path::TELEMETRY), codec)
            .await
            .expect("a stream");
        (commands, response.into_inner())
    }

    /// Sends a consumer's settings; returns the response and closes the stream.
    pub(crate) async fn send_settings(&self) -> TelemetryCommand {
        let (commands, mut answers) = self.telemetry().await;
        let settings = Settings {
            client_type: Some(ClientType::SimpleConsumer.into()),
            pub_sub: Some(PubSub::Subscription(Subscription {
                group: resource(GROUP),
                subscriptions: vec![SubscriptionEntry { topic: resource(TOPIC), expression: None }],
                ..Subscription::default()
            })),
            ..Settings::default()
        };
        // The server may have refused the call already.
        let _maybe_closed =
            commands.send(TelemetryCommand { settings: Some(settings), ..TelemetryCommand::default() }).await;
        answers.message().await.expect("an answer").expect("not the end")
    }

    pub(crate) async fn heartbeat(&self) -> Code {
        let request =
            HeartbeatRequest { group: resource(GROUP), client_type: ClientType::SimpleConsumer.into() };
        let response: HeartbeatResponse = self.unary(path::HEARTBEAT, request).await.expect("an answer");
        code(response.status)
    }

    pub(crate) async fn try_receive(
        &self,
        request: ReceiveMessageRequest,
    ) -> Result<Received, tonic::Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
        let codec: ProstCodec<ReceiveMessageRequest, ReceiveMessageResponse> = ProstCodec::default();
        let path = PathAndQuery::from_static(path::RECEIVE_MESSAGE);
        let mut stream = grpc.server_streaming(self.request(request), path, codec).await?.into_inner();
        let mut next =
            async || stream.message().await.map(|response| response.and_then(|response| response.content));
        let Some(ReceiveContent::Status(status)) = next().await? else { panic!("the status comes first") };
        let mut messages = Vec::new();
        loop {
            match next().await? {
                Some(ReceiveContent::Message(message)) => messages.push(*message),
                Some(ReceiveContent::DeliveryTimestamp(_)) => break,
                other => panic!("neither a message nor the timestamp: {other:?}"),
            }
        }
        assert!(next().await?.is_none(), "the timestamp comes last");
        Ok(Received { code: Code(status.code), messages })
    }

    pub(crate) async fn receive(&self, max: i32, hidden: Duration) -> Vec<Message> {
        self.try_receive(receive_request(max, hidden)).await.expect("an answer").messages
    }

    /// Starts the group on every queue.
    pub(crate) async fn start_group(&self) {
        assert!(self.receive(32, SHORT).await.is_empty());
    }

    pub(crate) async fn try_ack(&self, receipts: &[String]) -> Result<AckMessageResponse, tonic::Status> {
        let entries = receipts
            .iter()
            .map(|receipt| AckMessageEntry { receipt_handle: receipt.clone(), message_id: "any".to_owned() })
            .collect();
        self.unary(
            path::ACK_MESSAGE,
            AckMessageRequest { group: resource(GROUP), topic: resource(TOPIC), entries },
        )
        .await
    }

    pub(crate) async fn ack(&self, receipts: &[String]) -> AckMessageResponse {
        self.try_ack(receipts).await.expect("an answer")
    }

    pub(crate) async fn ack_all(&self, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        let receipts: Vec<_> = messages.iter().map(receipt).collect();
        assert_eq!(code(self.ack(&receipts).await.status), Code::OK);
    }

    pub(crate) async fn change(&self, receipt: &str, hidden: Duration) -> ChangeInvisibleDurationResponse {
        let request = ChangeInvisibleDurationRequest {
            group: resource(GROUP),
            topic: resource(TOPIC),
            receipt_handle: receipt.to_owned(),
            invisible_duration: Some(duration(hidden)),
            message_id: "any".to_owned(),
        };
        self.unary(path::CHANGE_INVISIBLE_DURATION, request).await.expect("an answer")
    }
}

pub(crate) fn receipt(message: &Message) -> String {
    message.system_properties.as_ref().expect("always there").receipt_handle().to_owned()
}

pub(crate) fn attempt(message: &Message) -> i32 {
    message.system_properties.as_ref().expect("always there").delivery_attempt()
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<String> {
    let mut bodies: Vec<_> =
        messages.iter().map(|message| String::from_utf8_lossy(&message.body).into_owned()).collect();
    bodies.sort();
    bodies
}
