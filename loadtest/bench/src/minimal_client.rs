//! The baseline: clients that make the bare calls. Without retries and without decoding, they show the broker's maximum and
//! the least CPU that a call costs.

use std::time::Duration;

use anyhow::{Context, ensure};
use hmac::{Hmac, KeyInit, Mac};
use http::uri::PathAndQuery;
use prost::Message as ProstMessage;
use sha1::Sha1;
use shared::rocketmq::{ClientConfig, CredentialsSource};
use spillway_rocketmq::protocol::{
    AckMessageEntry, AckMessageRequest, AckMessageResponse, ClientType, Code, FilterExpression, FilterType,
    HeartbeatRequest, HeartbeatResponse, Message, MessageQueue, MessageType, PubSub, QueryRouteRequest,
    QueryRouteResponse, ReceiveContent, ReceiveMessageRequest, ReceiveMessageResponse, Resource,
    SendMessageRequest, SendMessageResponse, Settings, Subscription, SubscriptionEntry, SystemProperties,
    TelemetryCommand, duration, header, path,
};
use tokio::sync::mpsc;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};
use tonic_prost::ProstCodec;

/// Within the server's bounds of a long poll, 5 to 20 seconds.
const POLL: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(10);

/// Opens a connection with windows as large as the client's.
async fn connect(client: &ClientConfig) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", client.endpoints))?
        .tcp_nodelay(true)
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(16 << 20);
    Ok(endpoint.connect().await?)
}

fn client_id() -> String {
    format!("bench@{}@{:x}", std::process::id(), rand::random::<u64>())
}

fn resource(client: &ClientConfig, name: &str) -> Resource {
    Resource { resource_namespace: client.namespace.clone(), name: name.to_owned() }
}

/// Sends messages, and nothing else.
pub(crate) struct MinimalProducer {
    channel: Channel,
    client: ClientConfig,
    id: String,
    topic: Resource,
}

impl MinimalProducer {
    pub(crate) async fn connect(client: &ClientConfig, topic: &str) -> anyhow::Result<Self> {
        let topic = resource(client, topic);
        Ok(Self { channel: connect(client).await?, client: client.clone(), id: client_id(), topic })
    }

    pub(crate) async fn send(&self, body: bytes::Bytes) -> anyhow::Result<()> {
        let properties = SystemProperties {
            message_id: format!("{:032X}", rand::random::<u128>()),
            message_type: MessageType::Normal.into(),
            ..SystemProperties::default()
        };
        let message = Message {
            topic: Some(self.topic.clone()),
            system_properties: Some(properties),
            body,
            ..Message::default()
        };
        let call = RpcCall { channel: &self.channel, client: &self.client, id: &self.id };
        let request = SendMessageRequest { messages: vec![message] };
        let response: SendMessageResponse = call.unary(path::SEND_MESSAGE, request).await?;
        let code = response.status.map(|status| Code(status.code));
        ensure!(code == Some(Code::OK), "send: {code:?}");
        Ok(())
    }
}

/// A registered consumer.
pub(crate) struct MinimalConsumer {
    channel: Channel,
    client: ClientConfig,
    id: String,
    topic: Resource,
    group: Resource,
    queue: MessageQueue,
    /// The server drops the settings of a client whose stream ends.
    _telemetry: (mpsc::Sender<TelemetryCommand>, Streaming<TelemetryCommand>),
}

impl MinimalConsumer {
    pub(crate) async fn connect(client: &ClientConfig, topic: &str, group: &str) -> anyhow::Result<Self> {
        let channel = connect(client).await?;
        let (topic, group) = (resource(client, topic), resource(client, group));
        let id = client_id();
        let call = RpcCall { channel: &channel, client, id: &id };
        let route: QueryRouteResponse = call
            .unary(
                path::QUERY_ROUTE,
                QueryRouteRequest { topic: Some(topic.clone()), ..QueryRouteRequest::default() },
            )
            .await?;
        let queue = route.message_queues.into_iter().next().context("the topic has no queue")?;
        let telemetry = call.send_settings(&topic, &group).await?;
        let consumer =
            Self { client: client.clone(), id, topic, group, queue, _telemetry: telemetry, channel };
        consumer.heartbeat().await?;
        Ok(consumer)
    }

    /// Apache's proxy drops the settings of a client without heartbeat for two minutes, and then responds to its
    /// receives with an internal error (seen on 5.5.0).
    pub(crate) async fn heartbeat(&self) -> anyhow::Result<()> {
        let request = HeartbeatRequest {
            group: Some(self.group.clone()),
            client_type: ClientType::SimpleConsumer.into(),
        };
        let response: HeartbeatResponse = self.call().unary(path::HEARTBEAT, request).await?;
        let code = response.status.map(|status| Code(status.code));
        ensure!(code == Some(Code::OK), "heartbeat: {code:?}");
        Ok(())
    }

    const fn call(&self) -> RpcCall<'_> {
        RpcCall { channel: &self.channel, client: &self.client, id: self.id.as_str() }
    }

    /// Receives up to `max` messages and acks them in one call; returns their number.
    pub(crate) async fn receive_and_ack(&self, max: u8) -> anyhow::Result<usize> {
        let request = ReceiveMessageRequest {
            group: Some(self.group.clone()),
            message_queue: Some(self.queue.clone()),
            filter_expression: Some(FilterExpression {
                r#type: FilterType::Tag.into(),
                expression: "*".to_owned(),
            }),
            batch_size: max.into(),
            invisible_duration: Some(duration(Duration::from_secs(60))),
            auto_renew: false,
            long_polling_timeout: Some(duration(POLL)),
        };
        let mut responses: Streaming<ReceiveMessageResponse> =
            self.call().stream(path::RECEIVE_MESSAGE, request).await?;
        let mut entries = Vec::with_capacity(max.into());
        while let Some(response) = responses.message().await? {
            match response.content {
                Some(ReceiveContent::Message(message)) => {
                    let properties = message.system_properties.context("a message has properties")?;
                    entries.push(AckMessageEntry {
                        receipt_handle: properties.receipt_handle().to_owned(),
                        message_id: properties.message_id,
                    });
                }
                Some(ReceiveContent::Status(status)) => {
                    let code = Code(status.code);
                    ensure!([Code::OK, Code::MESSAGE_NOT_FOUND].contains(&code), "receive: {status:?}");
                }
                _ => {}
            }
        }
        if entries.is_empty() {
            return Ok(0);
        }
        let count = entries.len();
        let request =
            AckMessageRequest { group: Some(self.group.clone()), topic: Some(self.topic.clone()), entries };
        let response: AckMessageResponse = self.call().unary(path::ACK_MESSAGE, request).await?;
        let code = response.status.map(|status| Code(status.code));
        ensure!(code == Some(Code::OK), "ack: {code:?}");
        Ok(count)
    }
}

struct RpcCall<'a> {
    channel: &'a Channel,
    client: &'a ClientConfig,
    id: &'a str,
}

impl RpcCall<'_> {
    fn request<M>(&self, message: M) -> anyhow::Result<Request<M>> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert(header::CLIENT_ID, self.id.parse()?);
        metadata.insert(header::LANGUAGE, "RUST".parse()?);
        metadata.insert(header::CLIENT_VERSION, "5.0.3".parse()?);
        metadata.insert(header::PROTOCOL, "v2".parse()?);
        let date_time = time::OffsetDateTime::now_utc()
            .format(time::macros::format_description!("[year][month][day]T[hour][minute][second]Z"))?;
        let credentials = self.client.credentials.as_ref().and_then(CredentialsSource::current);
        if let Some(credentials) = credentials {
            let mut mac = Hmac::<Sha1>::new_from_slice(credentials.secret_key.as_bytes())?;
            mac.update(date_time.as_bytes());
            let signature = hex::encode_upper(mac.finalize().into_bytes());
            let value = format!(
                "MQv2-HMAC-SHA1 Credential={}, SignedHeaders={}, Signature={signature}",
                credentials.access_key,
                header::DATE_TIME
            );
            metadata.insert(header::AUTHORIZATION, value.parse()?);
        }
        metadata.insert(header::DATE_TIME, date_time.parse()?);
        request.set_timeout(DEADLINE);
        Ok(request)
    }

    async fn unary<Req, Res>(&self, path: &'static str, message: Req) -> anyhow::Result<Res>
    where
        Req: ProstMessage + 'static,
        Res: ProstMessage + Default + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await?;
        let codec: ProstCodec<Req, Res> = ProstCodec::default();
        Ok(grpc.unary(self.request(message)?, PathAndQuery::from_static(path), codec).await?.into_inner())
    }

    async fn stream<Req, Res>(&self, path: &'static str, message: Req) -> anyhow::Result<Streaming<Res>>
    where
        Req: ProstMessage + 'static,
        Res: ProstMessage + Default + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await?;
        let codec: ProstCodec<Req, Res> = ProstCodec::default();
        let path = PathAndQuery::from_static(path);
        Ok(grpc.server_streaming(self.request(message)?, path, codec).await?.into_inner())
    }

    /// Sends a consumer's settings and waits for the server's.
    async fn send_settings(
        &self,
        topic: &Resource,
        group: &Resource,
    ) -> anyhow::Result<(mpsc::Sender<TelemetryCommand>, Streaming<TelemetryCommand>)> {
        let (commands, queue) = mpsc::channel(4);
        let subscriptions = vec![SubscriptionEntry {
            topic: Some(topic.clone()),
            expression: Some(FilterExpression { r#type: FilterType::Tag.into(), expression: "*".to_owned() }),
        }];
        let settings = Settings {
            client_type: Some(ClientType::SimpleConsumer.into()),
            pub_sub: Some(PubSub::Subscription(Subscription {
                group: Some(group.clone()),
                subscriptions,
                ..Subscription::default()
            })),
            ..Settings::default()
        };
        commands.send(TelemetryCommand { settings: Some(settings), ..TelemetryCommand::default() }).await?;
        let outgoing = futures_util::stream::unfold(queue, |mut queue: mpsc::Receiver<_>| async {
            queue.recv().await.map(|command| (command, queue))
        });
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await?;
        let codec: ProstCodec<TelemetryCommand, TelemetryCommand> = ProstCodec::default();
        let mut request = self.request(())?.map(|()| outgoing);
        // The stream lives as long as the client.
        request.metadata_mut().remove("grpc-timeout");
        let path = PathAndQuery::from_static(path::TELEMETRY);
        let mut responses = grpc.streaming(request, path, codec).await?.into_inner();
        responses.message().await?.context("the server closed the telemetry stream")?;
        Ok((commands, responses))
    }
}
