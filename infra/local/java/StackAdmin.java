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
    private final String broker = env("STACK_BROKER");
    private final String grpcHost = env("STACK_GRPC").split(":")[0];
    private final int grpcPort = Integer.parseInt(env("STACK_GRPC").split(":")[1]);
    private final String accessKey = env("STACK_ACCESS_KEY");
    private final String secretKey = env("STACK_SECRET_KEY");
    private final DefaultMQAdminExt admin;
    private final ManagedChannel channel;

    private StackAdmin() throws Exception {
        deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(Long.parseLong(env("STACK_TIMEOUT")));
        AclClientRPCHook hook =
            accessKey.isEmpty() ? null : new AclClientRPCHook(new SessionCredentials(accessKey, secretKey));
        admin = new DefaultMQAdminExt(hook, 5000);
        admin.setNamesrvAddr(env("STACK_NAMESRV"));
        // Two calls of the stack script may run in parallel; each needs its own instance name.
        admin.setInstanceName("stack-" + ProcessHandle.current().pid());
        admin.start();
        channel = NettyChannelBuilder.forAddress(grpcHost, grpcPort).usePlaintext().build();
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
                    awaitReady();
                    break;
                case "topic":
                    expected.put(part[1], applyTopic(part[1], part[2], part[3]));
                    break;
                case "group":
                    applyGroup(part[1], part[2], part[3]);
                    break;
                default:
                    throw new IllegalArgumentException("unknown argument: " + arg);
            }
        }
        for (Map.Entry<String, Integer> topic : expected.entrySet()) {
            awaitRoute(topic.getKey(), topic.getValue());
        }
    }

    /** Waits until the broker is registered and answers signed calls; with authentication on, unsigned calls must fail. */
    private void awaitReady() throws Exception {
        String last = "no answer";
        boolean nudged = false;
        while (true) {
            try {
                boolean registered = admin.examineBrokerClusterInfo().getBrokerAddrTable().values().stream()
                    .anyMatch(b -> b.getBrokerAddrs().containsValue(broker));
                Code code = route("stack-ready-probe", true).getStatus().getCode();
                last = "registered=" + registered + " gRPC=" + code;
                if (registered && (code == Code.OK || code == Code.TOPIC_NOT_FOUND)) {
                    break;
                }
                if (!registered && !nudged) {
                    nudged = true;
                    register();
                }
            } catch (Exception e) {
                last = e.getMessage();
            }
            pause("broker not ready: " + last);
        }
        if (!accessKey.isEmpty()) {
            Code code = route("stack-ready-probe", false).getStatus().getCode();
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
    private void register() throws Exception {
        Properties permission = new Properties();
        permission.setProperty("brokerPermission", "6");
        admin.updateBrokerConfig(broker, permission);
    }

    private int applyTopic(String name, String queues, String type) throws Exception {
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

    private void applyGroup(String name, String retries, String order) throws Exception {
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
    private void awaitRoute(String topic, int queues) throws Exception {
        while (true) {
            QueryRouteResponse response = route(topic, true);
            if (response.getStatus().getCode() == Code.OK && response.getMessageQueuesCount() == queues) {
                return;
            }
            pause("route of topic " + topic + " not visible: " + response.getStatus().getCode() + ", "
                + response.getMessageQueuesCount() + " of " + queues + " queues");
        }
    }

    private QueryRouteResponse route(String topic, boolean signed) throws Exception {
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
        Endpoints endpoints = Endpoints.newBuilder().setScheme(AddressScheme.IPv4)
            .addAddresses(Address.newBuilder().setHost(grpcHost).setPort(grpcPort)).build();
        QueryRouteRequest request = QueryRouteRequest.newBuilder()
            .setTopic(Resource.newBuilder().setName(topic)).setEndpoints(endpoints).build();
        try {
            return MessagingServiceGrpc.newBlockingStub(channel).withDeadlineAfter(5, TimeUnit.SECONDS)
                .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers)).queryRoute(request);
        } catch (StatusRuntimeException e) {
            throw new IllegalStateException("gRPC call to " + grpcHost + ":" + grpcPort + " failed: " + e.getStatus());
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
