import apache.rocketmq.v2.Address;
import apache.rocketmq.v2.AddressScheme;
import apache.rocketmq.v2.Code;
import apache.rocketmq.v2.Endpoints;
import apache.rocketmq.v2.MessagingServiceGrpc;
import apache.rocketmq.v2.QueryRouteRequest;
import apache.rocketmq.v2.QueryRouteResponse;
import apache.rocketmq.v2.Resource;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.MetadataUtils;
import java.nio.charset.StandardCharsets;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.remoting.protocol.ResponseCode;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * Creates topics and consumer groups in one JVM and waits until gRPC clients can see them.
 *
 * <p>RocketMQ's mqadmin starts a JVM for every topic, returns before the proxy has the route, and
 * exits with 0 after failures, which tests cannot use.
 *
 * <p>Arguments: {@code ready}, {@code topic:NAME:QUEUES:TYPE}, {@code group:NAME:RETRIES:ORDER}; a dash
 * means "unchanged, else the default". The connection is in the environment, so that the
 * secret is not visible in the process list.
 */
public final class StackAdmin {
    private static final int DEFAULT_QUEUES = 8;
    private static final String TYPE_KEY = "message.type";

    private final long deadline;
    private final String[] brokers = env("STACK_BROKERS").split(",");
    private final String accessKey = env("STACK_ACCESS_KEY");
    private final String secretKey = env("STACK_SECRET_KEY");
    private final DefaultMQAdminExt admin;
    /** The gRPC channel of each proxy, by its host and port. */
    private final Map<String, ManagedChannel> proxies = new LinkedHashMap<>();

    private StackAdmin() throws Exception {
        deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(Long.parseLong(env("STACK_TIMEOUT")));
        AclClientRPCHook hook =
            accessKey.isEmpty() ? null : new AclClientRPCHook(new SessionCredentials(accessKey, secretKey));
        admin = new DefaultMQAdminExt(hook, 5000);
        admin.setNamesrvAddr(env("STACK_NAMESRV"));
        // Two calls of the stack script may run in parallel; each needs its own instance name.
        admin.setInstanceName("stack-" + ProcessHandle.current().pid());
        admin.start();
        for (String proxy : env("STACK_PROXIES").split(",")) {
            proxies.put(proxy, NettyChannelBuilder.forTarget(proxy).usePlaintext().build());
        }
    }

    public static void main(String[] args) {
        int exit = 1;
        try {
            new StackAdmin().run(args);
            exit = 0;
        } catch (Exception e) {
            System.err.println(e.getMessage() == null ? e.toString() : e.getMessage().split("\n")[0]);
        }
        // The admin client's non-daemon threads run for seconds after its shutdown; do not wait for them.
        Runtime.getRuntime().halt(exit);
    }

    private void run(String[] args) throws Exception {
        Map<String, Integer> expected = new LinkedHashMap<>();
        for (String arg : args) {
            String[] part = arg.split(":");
            switch (part[0]) {
                case "ready":
                    for (String broker : brokers) {
                        awaitRegistration(broker);
                    }
                    for (String proxy : proxies.keySet()) {
                        awaitReady(proxy);
                    }
                    break;
                case "topic":
                    int queues = 0;
                    for (String broker : brokers) {
                        queues += applyTopic(broker, part[1], part[2], part[3]);
                    }
                    expected.put(part[1], queues);
                    break;
                case "group":
                    for (String broker : brokers) {
                        applyGroup(broker, part[1], part[2], part[3]);
                    }
                    break;
                default:
                    throw new IllegalArgumentException("unknown argument: " + arg);
            }
        }
        for (Map.Entry<String, Integer> topic : expected.entrySet()) {
            for (String proxy : proxies.keySet()) {
                awaitRoute(proxy, topic.getKey(), topic.getValue());
            }
        }
    }

    private void awaitRegistration(String broker) throws Exception {
        String last = "not registered";
        boolean nudged = false;
        while (true) {
            try {
                if (admin.examineBrokerClusterInfo().getBrokerAddrTable().values().stream()
                    .anyMatch(b -> b.getBrokerAddrs().containsValue(broker))) {
                    return;
                }
                if (!nudged) {
                    nudged = true;
                    register(broker);
                }
            } catch (Exception e) {
                last = e.getMessage();
            }
            pause("broker " + broker + " not ready: " + last);
        }
    }

    /** Waits until the proxy answers signed calls; with authentication on, unsigned calls must fail. */
    private void awaitReady(String proxy) throws Exception {
        String last = "no answer";
        while (true) {
            try {
                Code code = route(proxy, "stack-ready-probe", true).getStatus().getCode();
                last = code.toString();
                if (code == Code.OK || code == Code.TOPIC_NOT_FOUND) {
                    break;
                }
            } catch (Exception e) {
                last = e.getMessage();
            }
            pause("proxy " + proxy + " not ready: " + last);
        }
        if (!accessKey.isEmpty()) {
            Code code = route(proxy, "stack-ready-probe", false).getStatus().getCode();
            if (code != Code.UNAUTHORIZED) {
                throw new IllegalStateException("an unsigned call was answered with " + code + " instead of UNAUTHORIZED");
            }
        }
    }

    /**
     * Makes the broker register immediately. Its registration at the start is lost if its connection to the name
     * server is not open yet, and the next follows after 10 s. A change of the permission, here to its
     * default of read and write, triggers a registration.
     */
    private void register(String broker) throws Exception {
        Properties permission = new Properties();
        permission.setProperty("brokerPermission", "6");
        admin.updateBrokerConfig(broker, permission);
    }

    private int applyTopic(String broker, String name, String queues, String type) throws Exception {
        TopicConfig current = null;
        try {
            current = admin.examineTopicConfig(broker, name);
        } catch (MQBrokerException e) {
            if (e.getResponseCode() != ResponseCode.TOPIC_NOT_EXIST) {
                throw e;
            }
        }
        int present = current == null ? 0 : current.getWriteQueueNums();
        int wanted = "-".equals(queues) ? (current == null ? DEFAULT_QUEUES : present) : Integer.parseInt(queues);
        // Never shrink: consumers could not receive messages in removed queues.
        int count = Math.max(present, wanted);
        String currentType = current == null ? "NORMAL" : current.getAttributes().getOrDefault(TYPE_KEY, "NORMAL");
        String messageType = "-".equals(type) ? currentType : type;

        TopicConfig config = new TopicConfig(name, count, count);
        Map<String, String> attributes = new HashMap<>();
        attributes.put("+" + TYPE_KEY, messageType);
        config.setAttributes(attributes);
        admin.createAndUpdateTopicConfig(broker, config);
        String change = current == null ? "created" : count > present ? "extended from " + present : "unchanged size";
        System.out.println("topic " + name + ": " + count + " queues, " + messageType + " (" + change + ")");
        return count;
    }

    private void applyGroup(String broker, String name, String retries, String order) throws Exception {
        SubscriptionGroupConfig config = null;
        try {
            config = admin.examineSubscriptionGroupConfig(broker, name);
        } catch (MQBrokerException e) {
            if (e.getResponseCode() != ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST) {
                throw e;
            }
        }
        boolean created = config == null;
        if (created) {
            config = new SubscriptionGroupConfig();
            config.setGroupName(name);
        }
        if (!"-".equals(retries)) {
            config.setRetryMaxTimes(Integer.parseInt(retries));
        }
        if (!"-".equals(order)) {
            config.setConsumeMessageOrderly("fifo".equals(order));
        }
        admin.createAndUpdateSubscriptionGroupConfig(broker, config);
        System.out.println("group " + name + ": " + config.getRetryMaxTimes() + " retries, "
            + (config.isConsumeMessageOrderly() ? "fifo" : "concurrent") + (created ? " (created)" : " (present)"));
    }

    /** Waits for the topic's route. The proxy caches routes and unknown topics, so a new route is visible with a delay. */
    private void awaitRoute(String proxy, String topic, int queues) throws Exception {
        while (true) {
            QueryRouteResponse response = route(proxy, topic, true);
            if (response.getStatus().getCode() == Code.OK && response.getMessageQueuesCount() == queues) {
                return;
            }
            pause("route of topic " + topic + " not visible: " + response.getStatus().getCode() + ", "
                + response.getMessageQueuesCount() + " of " + queues + " queues");
        }
    }

    private QueryRouteResponse route(String proxy, String topic, boolean signed) throws Exception {
        Metadata headers = new Metadata();
        put(headers, "x-mq-client-id", "stack-admin");
        put(headers, "x-mq-language", "JAVA");
        put(headers, "x-mq-protocol", "v2");
        String date = ZonedDateTime.now(ZoneOffset.UTC).format(DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'"));
        put(headers, "x-mq-date-time", date);
        if (signed && !accessKey.isEmpty()) {
            put(headers, "authorization", "MQv2-HMAC-SHA1 Credential=" + accessKey
                + ", SignedHeaders=x-mq-date-time, Signature=" + sign(date));
        }
        String[] address = proxy.split(":");
        Endpoints endpoints = Endpoints.newBuilder().setScheme(AddressScheme.IPv4)
            .addAddresses(Address.newBuilder().setHost(address[0]).setPort(Integer.parseInt(address[1]))).build();
        QueryRouteRequest request = QueryRouteRequest.newBuilder()
            .setTopic(Resource.newBuilder().setName(topic)).setEndpoints(endpoints).build();
        try {
            return MessagingServiceGrpc.newBlockingStub(proxies.get(proxy)).withDeadlineAfter(5, TimeUnit.SECONDS)
                .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers)).queryRoute(request);
        } catch (StatusRuntimeException e) {
            throw new IllegalStateException("gRPC call to " + proxy + " failed: " + e.getStatus());
        }
    }

    private String sign(String date) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA1");
        mac.init(new SecretKeySpec(secretKey.getBytes(StandardCharsets.UTF_8), "HmacSHA1"));
        StringBuilder hex = new StringBuilder();
        for (byte b : mac.doFinal(date.getBytes(StandardCharsets.UTF_8))) {
            hex.append(String.format("%02X", b));
        }
        return hex.toString();
    }

    private void pause(String problem) throws Exception {
        if (System.nanoTime() > deadline) {
            throw new IllegalStateException(problem);
        }
        Thread.sleep(200);
    }

    private static void put(Metadata headers, String name, String value) {
        headers.put(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER), value);
    }

    private static String env(String name) {
        String value = System.getenv(name);
        return value == null ? "" : value;
    }
}
